//! The questions about drills.

use examiner::drill::{self, Problem, Reply};

/// The answer to a question about a drill; `None` if it is about something
/// else.
pub fn answer(
    verb: &[u8],
    words: &[&str],
) -> Option<Result<Vec<String>, String>> {
    Some(match (verb, words) {
        (b"drill", [name, seed]) => drawn(name, seed).map(asked),
        (b"try", [name, seed, typed]) => {
            drawn(name, seed).map(|problem| said(&problem.reply(typed)))
        }
        (b"shown", [name, seed]) => {
            drawn(name, seed).map(|problem| vec![problem.worked])
        }
        (b"drill" | b"try" | b"shown", _) => {
            Err("error: name, seed, and for `try` what was typed".into())
        }
        _ => return None,
    })
}

fn drawn(name: &str, seed: &str) -> Result<Problem, String> {
    let drill = drill::find(name).ok_or("error: no such drill")?;
    let seed = seed.parse().map_err(|_| "error: not a seed")?;
    Ok((drill.draw)(seed))
}

fn asked(problem: Problem) -> Vec<String> {
    let kind = problem.truth.kind().into();
    vec![problem.question, kind, problem.asked]
}

fn said(reply: &Reply) -> Vec<String> {
    let [verdict, text, link, code] = match reply {
        Reply::Right { rounded } => {
            let text = if *rounded {
                "Right, rounded."
            } else {
                "Right."
            };
            ["right".into(), text.into(), String::new(), String::new()]
        }
        Reply::Wrong(Some(mistake)) => [
            "wrong".into(),
            format!("{} {}", mistake.sentence, mistake.rule),
            mistake.page.replacen(".md#", ".html#", 1),
            mistake.code.into(),
        ],
        Reply::Wrong(None) => [
            "wrong".into(),
            "Not so, and not by a slip that has a name here.".into(),
            String::new(),
            String::new(),
        ],
        Reply::Unread(why) => {
            ["unread".into(), (*why).into(), String::new(), String::new()]
        }
    };
    vec![verdict, text, link, code]
}

#[cfg(test)]
mod tests {
    use crate::Session;

    const NAME: &str = "network/linear/entry";

    fn ask(question: &[&str]) -> Vec<String> {
        let words: Vec<_> = question.iter().map(|w| w.as_bytes()).collect();
        Session::default().ask(&words)
    }

    #[test]
    fn a_drill_is_asked_tried_and_shown() {
        let asked = ask(&["drill", NAME, "1"]);
        assert_eq!(asked[1], "number");
        let what = format!("What is {}?", asked[2]);
        assert!(asked[0].ends_with(&what), "{asked:?}");
        let worked = ask(&["shown", NAME, "1"]);
        let (_, right) = worked[0].rsplit_once(" = ").unwrap();
        assert_eq!(ask(&["try", NAME, "1", right])[0], "right");
        let problem = (examiner::drill::find(NAME).unwrap().draw)(1);
        for slip in problem.mistakes {
            let typed = slip.value.to_string();
            let [verdict, text, link, code] =
                ask(&["try", NAME, "1", &typed]).try_into().unwrap();
            assert_eq!(
                (verdict, code),
                ("wrong".into(), slip.mistake.code.into())
            );
            assert!(text.starts_with(slip.mistake.sentence), "{text}");
            assert!(link.contains(".html#"), "{link}");
        }
        let unnamed = ask(&["try", NAME, "1", "9999"]);
        assert_eq!(
            (&*unnamed[0], &*unnamed[2], &*unnamed[3]),
            ("wrong", "", "")
        );
        assert_eq!(ask(&["try", NAME, "1", "so"])[0], "unread");
        assert_eq!(ask(&["try", NAME, "1", ""])[0], "unread");
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        for question in [
            &["drill", "network/linear/none", "1"][..],
            &["drill", NAME, "-1"],
            &["drill", NAME],
            &["try", NAME, "1"],
            &["shown", NAME, "1", "2"],
        ] {
            let answer = ask(question);
            assert!(answer[0].starts_with("error: "), "{answer:?}");
        }
    }
}
