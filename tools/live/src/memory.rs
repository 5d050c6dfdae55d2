//! The exports: a question comes in, an answer goes out, both as bytes in
//! linear memory.

use std::cell::RefCell;

use crate::Session;

#[derive(Default)]
struct Exchange {
    session: Session,
    question: Vec<u8>,
    answer: Vec<u8>,
}

thread_local! {
    static EXCHANGE: RefCell<Exchange> = RefCell::default();
}

/// Where to write a question of `length` bytes.
#[unsafe(no_mangle)]
pub extern "C" fn question(length: usize) -> *mut u8 {
    EXCHANGE.with_borrow_mut(|x| {
        x.question = vec![0; length];
        x.question.as_mut_ptr()
    })
}

/// Answers what was written. The words of a question are separated by zero
/// bytes; the first `words` are split off, the rest is the last one.
/// Returns the length of the answer.
#[unsafe(no_mangle)]
pub extern "C" fn ask(words: usize) -> usize {
    EXCHANGE.with_borrow_mut(|x| {
        let parts: Vec<&[u8]> =
            x.question.splitn(words.max(1), |byte| *byte == 0).collect();
        x.answer = x.session.ask(&parts).join("\0").into_bytes();
        x.answer.len()
    })
}

/// Where the answer lies, until the next question.
#[unsafe(no_mangle)]
pub extern "C" fn answer() -> *const u8 {
    EXCHANGE.with_borrow(|x| x.answer.as_ptr())
}
