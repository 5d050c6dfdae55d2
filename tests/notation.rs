//! The notation page of the book and the notation table of the crate's
//! documentation say the same: same letters, same shapes, same words.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The first cell of each row to the others, of the table under `header`.
fn table(text: &str, header: &str) -> BTreeMap<String, Vec<String>> {
    let lines = text.lines().map(|l| l.strip_prefix("//! ").unwrap_or(l));
    lines
        .skip_while(|l| *l != header)
        .skip(2)
        .take_while(|l| l.starts_with('|'))
        .map(|l| {
            let mut cells = l.trim_matches('|').split('|').map(str::trim);
            let first = cells.next().unwrap_or_default().to_owned();
            (first, cells.map(Into::into).collect())
        })
        .collect()
}

#[test]
fn the_book_and_the_crate_use_the_same_letters() {
    let read = |p| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(p);
        fs::read_to_string(path).expect(p)
    };
    let (book, krate) = (read("book/src/notation.md"), read("src/lib.rs"));

    let sizes = "| size | counts |";
    assert_eq!(table(&book, sizes), table(&krate, sizes));
    assert!(table(&book, sizes).contains_key("B"));

    // The formulas are TeX in the one and Unicode in the other.
    let quantities = |text| {
        let mut rows = table(text, "| code | formula | shape | what it is |");
        rows.values_mut().for_each(|cells| drop(cells.remove(0)));
        rows
    };
    assert_eq!(quantities(&book), quantities(&krate));
    assert!(quantities(&book).contains_key("`dw`"));
}
