//! The certificate on two seeds; CI runs twenty (`cargo grade certify 20`).

use examiner::stub::from_answer;
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
    }
}

#[test]
fn every_code_of_the_catalogue_has_a_twin() {
    assert_eq!(certificate::codes_without_twin(), [""; 0]);
}

#[test]
fn the_graders_stubs_are_what_the_answers_give() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| std::fs::read_to_string(root.join(path));
    for exercise in examiner::exercise::all() {
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
