//! How a report prints arrays and numbers.

use ndarray::{ArrayD, Axis};

/// Whether [`show`] prints two numbers alike.
pub(super) fn same_when_shown(a: f64, b: f64) -> bool {
    cell(a) == cell(b)
}

/// Nine letters that begin with a space: four decimals, fewer for large
/// numbers, and no sign before a zero.
fn cell(v: f64) -> String {
    match v.abs() {
        size if size < 100. => format!("{v:9.4}").replace("-0.0000", " 0.0000"),
        size if size < 1e4 => format!("{v:9.2}"),
        _ => format!("{v:9.1e}"),
    }
}

/// Four significant digits, without zeros at the end: 0.25, 0.995, -3.
pub(super) fn significant(k: f64) -> f64 {
    format!("{k:.3e}").parse().expect("a number, printed")
}

/// Shape and values of an array, one row a line; large ones are cut.
pub fn show(a: &ArrayD<f64>) -> String {
    let shape: Vec<_> = a.shape().iter().map(ToString::to_string).collect();
    let row = |r: &mut dyn Iterator<Item = &f64>| {
        let mut cells: Vec<_> = r.take(9).map(|v| cell(*v)).collect();
        if cells.len() == 9 {
            cells[8] = "...".into();
        }
        format!("[{} ]", cells.join(""))
    };
    match a.ndim() {
        0 => match *a.first().expect("a scalar has one entry") {
            v if v.fract() == 0. && v.abs() < 1e15 => format!("{}", v + 0.),
            v => format!("{v:.10}"),
        },
        1 => format!("({})\n{}", shape.join(","), row(&mut a.iter())),
        _ => {
            let last = a.ndim() - 1;
            let rows = a.lanes(Axis(last));
            let mut text = format!("({})", shape.join(","));
            for (i, r) in rows.into_iter().enumerate() {
                if i == 8 {
                    text += "\n[ ... ]";
                    break;
                }
                text += "\n";
                text += &row(&mut r.iter());
            }
            text
        }
    }
}

/// One number of the inputs: whole ones as they are, others with two decimals
/// if that says all of them.
pub(crate) fn number_text(v: f64) -> String {
    let short = format!("{v:.2}");
    match v {
        _ if v.fract() == 0. && v.abs() < 1e15 => format!("{}", v + 0.),
        _ if short.parse() == Ok(v) => short,
        _ => format!("{v}"),
    }
}
