//! The idioms of ndarray that the exercises need, compiled and run.
//!
//! The notation page shows them in a table and a stub names one where a task
//! needs it, in a line that begins with "In ndarray:". What either of them
//! writes in backticks is a piece of this file, so it cannot rot.

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2, Axis, array};

#[test]
fn arrays_are_written_read_and_changed() {
    let mut a = array![[1., 2.], [3., 4.]];
    assert_eq!(a[[1, 0]], 3.);
    a[[1, 0]] += 1.;
    assert_eq!(a.dim(), (2, 2));
    let v = a.row(0);
    assert_eq!((v[1], v.len()), (2., 2));
    let (n, o) = a.dim();
    assert_eq!(Array2::<f64>::zeros((n, o)).sum(), 0.);
    assert_eq!(Array1::<f64>::zeros(o).len(), 2);
}

#[test]
fn entries_meet_one_by_one() {
    let (a, b) = (array![[1., 2.], [3., 4.]], array![[5., 6.], [7., 8.]]);
    let product = &a * &b;
    assert_eq!(product[[1, 1]], 32.);
    let rest: Array2<f64> = 1. - &a;
    assert_eq!(rest[[0, 1]], -1.);
    assert_eq!(a.mapv(f64::exp)[[0, 0]], 1f64.exp());
    assert_eq!(a.mapv(|v| v.max(2.))[[0, 0]], 2.);
    assert_eq!((&a * 2.).sum(), 20.);
    assert_eq!((&a * 0.5).sum(), 5.);
    // A view borrows: & before it, as before an array.
    let v = a.view();
    assert_eq!((&v * &b)[[0, 0]], 5.);
}

#[test]
fn sums_and_rows() {
    let (x, w) = (array![[1., 2.], [3., 4.]], array![[1., 0.], [0., 2.]]);
    assert_eq!(x.dot(&w.t()), array![[1., 4.], [3., 8.]]);
    // A vector is added to every row; a view of it needs no &.
    let bias = array![1., -1.];
    let b = bias.view();
    assert_eq!(x.dot(&w) + b, array![[2., 3.], [4., 7.]]);
    assert_eq!(x.t(), array![[1., 3.], [2., 4.]]);
    assert_eq!(x.sum_axis(Axis(0)), array![4., 6.]);
    assert_eq!(x.sum_axis(Axis(1)), array![3., 7.]);
    let column = x.sum_axis(Axis(1)).insert_axis(Axis(1));
    assert_eq!(&x - &column, array![[-2., -1.], [-4., -3.]]);
    let b = array![1., 1.];
    assert_eq!(x.dot(&w) + &b, array![[2., 5.], [4., 9.]]);
    for row in x.rows() {
        let m = row.fold(f64::NEG_INFINITY, |m, &v| m.max(v));
        assert!(m == row[1]);
    }
    let mut y = x.clone();
    for mut row in y.rows_mut() {
        let sum = row.sum();
        row /= sum;
    }
    assert_eq!(y[[0, 0]], 1. / 3.);
}

#[test]
fn layers_and_masks() {
    let (x, w1, b1) = (array![[1., 2.]], array![[3.], [-2.]], array![0.5]);
    let a: Array2<f64> = x.dot(&w1) + &b1;
    assert_eq!(a, array![[-0.5]]);
    assert_eq!(a.mapv(|v| v.max(0.)), array![[0.]]);
    let z: Array2<f64> = array![[1., -1.]];
    let mut delta: Array2<f64> = array![[3., 4.]];
    delta.zip_mut_with(&z, |d, z| *d *= z);
    assert_eq!(delta, array![[3., -4.]]);
    let (x, w2) = (array![1., 2.], array![3., 4.]);
    assert_eq!(w2.view().insert_axis(Axis(1)).dim(), (2, 1));
    assert_eq!(x.insert_axis(Axis(0)).dim(), (1, 2));
}

/// The pieces in backticks of `text`.
fn snippets(text: &str) -> Vec<String> {
    let pieces = text.split('`').skip(1).step_by(2);
    pieces.map(|s| s.trim().to_owned()).collect()
}

/// What the stub in `text` says after "In ndarray:", up to the next line that
/// is no comment or is an empty one.
fn helps(text: &str) -> Vec<String> {
    let comment = |l: &str| {
        let l = l.trim_start();
        let l = l.strip_prefix("///").or_else(|| l.strip_prefix("//!"))?;
        Some(l.trim().to_owned())
    };
    let lines: Vec<&str> = text.lines().collect();
    let mut all = Vec::new();
    for (k, line) in lines.iter().enumerate() {
        let Some(first) = comment(line) else { continue };
        if !first.starts_with("In ndarray:") {
            continue;
        }
        let rest = lines[k..].iter().map_while(|l| comment(l));
        let rest: Vec<_> = rest.take_while(|l| !l.is_empty()).collect();
        all.extend(snippets(&rest.join(" ")));
    }
    all
}

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// The first column of the table of idioms on the notation page.
fn idioms_of_the_page(page: &str) -> Vec<String> {
    let rows = page.lines().skip_while(|l| *l != "| write | for |").skip(2);
    let rows = rows.take_while(|l| l.starts_with('|'));
    rows.map(|l| l.replace("\\|", "\u{1}"))
        .map(|l| {
            l.split('|')
                .nth(1)
                .unwrap_or_default()
                .replace('\u{1}', "|")
        })
        .flat_map(|cell| snippets(&cell))
        .collect()
}

#[test]
fn what_pages_and_stubs_say_is_compiled_here() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let here: String = include_str!("idioms.rs").split_whitespace().collect();
    let page = fs::read_to_string(root.join("book/src/notation.md")).unwrap();
    let idioms = idioms_of_the_page(&page);
    assert!(idioms.len() >= 12, "the table of idioms has {idioms:?}");
    let mut files = Vec::new();
    rust_files(&root.join("exercises/src"), &mut files);
    let mut all: Vec<(String, String)> = Vec::new();
    all.extend(idioms.into_iter().map(|i| ("notation.md".into(), i)));
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.display().to_string();
        all.extend(helps(&text).into_iter().map(|h| (name.clone(), h)));
    }
    for (file, snippet) in all {
        let bare: String = snippet.split_whitespace().collect();
        assert!(
            here.contains(&bare),
            "{file} shows `{snippet}`, which no test compiles: add it to \
             tests/idioms.rs"
        );
    }
}
