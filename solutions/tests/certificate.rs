//! The certificate on two seeds; CI runs twenty (`cargo grade certify 20`).

use examiner::stub::from_answer;
use examiner::submission::Claim;
use solutions::certificate;
use std::path::Path;

#[test]
fn the_examiner_judges_every_submission_as_it_should() {
    let rows = certificate::run(2);
    let faults: Vec<_> = rows.iter().flat_map(|r| &r.faults).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    for row in rows {
        assert_eq!(row.rejected, row.twins, "{}", row.slug);
        assert!(100 * row.named >= 95 * row.twins, "{}", row.slug);
        assert!(row.twins >= 8, "{}: {} twins", row.slug, row.twins);
        assert!(row.rows >= 8, "{}: {} rows", row.slug, row.rows);
        assert!(row.odd >= 8, "{}: {} odd answers", row.slug, row.odd);
    }
}

#[test]
fn every_name_of_the_catalogue_has_a_twin() {
    assert_eq!(certificate::names_without_twin(), [""; 0]);
}

#[test]
fn the_graders_stubs_are_what_the_answers_give() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| std::fs::read_to_string(root.join(path));
    for exercise in examiner::list::all() {
        let slug = exercise.slug;
        let answer = read(&format!("solutions/src/{slug}/answer.rs"));
        let stub = from_answer(&answer.expect("an answer")).expect("markers");
        let committed = read(&format!("tools/grade/stubs/{slug}.rs"));
        assert_eq!(
            committed.expect("a stub"),
            stub,
            "{slug}: run `cargo grade stubs`"
        );
    }
}

/// A hunt shows the learner a failing report: it must be a real one.
#[test]
fn the_reports_in_the_stubs_are_real() {
    for all in solutions::all() {
        let slug = all.exercise.slug;
        let hunts = all.tasks.iter().filter(|t| {
            let task = all.exercise.task(t.name);
            task.map(|t| t.kind) == Some(examiner::Kind::Hunt)
        });
        let twins = hunts
            .flat_map(|t| &t.submissions)
            .filter(|s| matches!(s.claim, Claim::Twin(_)));
        let real: Vec<String> = twins
            .filter_map(|s| match (s.judge)(0).verdict {
                examiner::Verdict::Failed(report) => Some(report.to_string()),
                _ => None,
            })
            .collect();
        let path = format!("src/{slug}/answer.rs");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let answer = std::fs::read_to_string(path).expect("an answer");
        let mut shown = String::new();
        let mut reports = 0;
        for line in answer.lines().chain(["/// ```"]) {
            let line = line.strip_prefix("///").unwrap_or_default();
            match line.strip_prefix(' ').unwrap_or(line) {
                "```text" | "```" => {
                    let is_report = shown.starts_with("  compared");
                    let found = real.iter().any(|r| r.contains(&shown));
                    assert!(
                        !is_report || found,
                        "{slug}: no hunt reports\n{shown}\nbut these do\n{}",
                        real.join("\n")
                    );
                    reports += usize::from(is_report);
                    shown.clear();
                }
                text => {
                    shown += text;
                    shown.push('\n');
                }
            }
        }
        assert!(reports > 0, "{slug}: no hunt shows its report");
    }
}
