//! Ten thousand problems of each kind.

use super::*;
use crate::list;
use std::collections::HashSet;

const MANY: u64 = 10_000;

#[test]
fn chains() {
    hold(&chain_rule::drill::CHAIN, [500, 64]);
}

#[test]
fn entries() {
    hold(&linear::drill::ENTRY, [100, 1]);
}

#[test]
fn logits() {
    hold(&softmax_cross_entropy::drill::LOGIT, [100, 120]);
}

/// Problems of a drill are clear and can be done by hand, every mistake is
/// met, and every answer gets the reply that belongs to it. A truth is at most
/// so large, above and below the line.
fn hold(drill: &Drill, most: [i64; 2]) {
    let mut met = HashSet::new();
    let mut questions = HashSet::new();
    for seed in 0..MANY {
        let problem = (drill.draw)(seed);
        let told = || format!("{} {seed}: {problem:#?}", drill.name);
        if let Answer::Number(truth) = problem.truth {
            let size = [truth.numerator().abs(), truth.denominator()];
            assert!(size[0] <= most[0] && size[1] <= most[1], "{}", told());
        }
        assert!(!ties(&problem), "{}", told());
        assert!(can_be_read(&problem), "{}", told());
        assert!(replies(&problem), "{}", told());
        met.extend(problem.mistakes.iter().map(|slip| slip.mistake.code));
        questions.insert(problem.question);
    }
    let names: HashSet<_> = drill.names.iter().map(|m| m.code).collect();
    assert_eq!(met, names, "{}: met, and named", drill.name);
    // A new seed is a new problem, as a rule.
    let many = questions.len();
    assert!(many as u64 > MANY / 2, "{}: {many}", drill.name);
}

/// Whether a mistake gives what is right, or what another one gives.
fn ties(problem: &Problem) -> bool {
    let slips = &problem.mistakes;
    slips.iter().enumerate().any(|(k, a)| {
        a.value == problem.truth
            || slips[..k]
                .iter()
                .any(|b| b.value == a.value && b.mistake.code != a.mistake.code)
    })
}

/// Few short lines without a gap, small numbers, and what is asked.
fn can_be_read(problem: &Problem) -> bool {
    let lines = |text: &str, most: usize, width: usize| {
        let each = |line: &str| {
            !line.is_empty()
                && line.trim_end() == line
                && line.chars().count() <= width
        };
        text.lines().count() <= most && text.lines().all(each)
    };
    let digits = |c: char| !c.is_ascii_digit();
    let numbers = problem.question.split(digits);
    numbers.into_iter().all(|n| n.len() <= 2)
        && lines(&problem.question, 8, 37)
        && lines(&problem.worked, 4, 110)
        && problem.question.contains(&problem.asked)
        && problem.worked.contains(&problem.asked)
        && problem.worked.ends_with(&problem.truth.to_string())
}

/// The right answer, each wrong one, and both as a hand rounds them.
fn replies(problem: &Problem) -> bool {
    let right = problem.reply(&problem.truth.to_string())
        == Reply::Right { rounded: false };
    let rounded = three_digits(&problem.truth).is_none_or(|typed| {
        matches!(problem.reply(&typed), Reply::Right { .. })
    });
    let named = problem.mistakes.iter().all(|slip| {
        let exact = slip.value.to_string();
        let typed = [Some(exact), three_digits(&slip.value)];
        typed.into_iter().flatten().all(|typed| {
            problem.reply(&typed) == Reply::Wrong(Some(slip.mistake))
        })
    });
    right && rounded && named
}

/// A number as a decimal of three significant digits, one of them behind the
/// point at least.
fn three_digits(answer: &Answer) -> Option<String> {
    let Answer::Number(ratio) = answer else {
        return None;
    };
    let value = ratio.value();
    if value == 0. {
        return None;
    }
    let before = value.abs().log10().floor() as i32 + 1;
    let behind = (3 - before).clamp(1, 8) as usize;
    Some(format!("{value:.behind$}"))
}

#[test]
fn a_seed_is_a_problem() {
    for drill in all() {
        for seed in [0, 1, u64::from(u32::MAX), u64::MAX] {
            assert_eq!((drill.draw)(seed), (drill.draw)(seed));
        }
        assert_ne!((drill.draw)(0), (drill.draw)(1));
        assert!(drill.about.ends_with('.'), "{}", drill.name);
    }
}

#[test]
fn a_drill_belongs_to_a_chapter_and_names_known_mistakes() {
    let known: Vec<_> = list::mistakes().map(|m| m.code).collect();
    for drill in all() {
        assert!(find(drill.name).is_some_and(|d| d.name == drill.name));
        let (slug, _) = drill.name.rsplit_once('/').expect("a chapter");
        assert!(list::find(slug).is_some(), "{}", drill.name);
        for name in drill.names {
            assert!(known.contains(&name.code), "{}", name.code);
        }
    }
    assert!(find("network/linear/none").is_none());
}

#[test]
fn an_answer_that_no_mistake_gives_has_no_name() {
    let problem = (linear::drill::ENTRY.draw)(1);
    assert_eq!(problem.reply("9999"), Reply::Wrong(None));
    assert!(matches!(problem.reply("so"), Reply::Unread(_)));
}

#[test]
fn the_dice_are_the_published_ones() {
    // The first numbers of SplitMix64 from the seed 1234567, as its authors'
    // program prints them.
    let mut dice = Dice(1_234_567);
    let first = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973];
    assert_eq!([dice.next(), dice.next()], first);
}
