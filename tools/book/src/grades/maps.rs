//! Got, expected and difference of a failing case as heat maps, drawn by the
//! figures' kit.

use examiner::arrays::{Arrays, Window};
use figures::kit::HeatMap;
use serde_json::{Value, json};

/// Side of a cell, in pixels: of arrays with up to eight rows and columns, and
/// of larger ones. The pictures are shown at their own size.
const SIDES: [f64; 2] = [56.0, 44.0];

/// What is beside the cells, roughly.
const MARGIN: f64 = 40.0;

/// Up to three pictures, each with a `title`, the `part` of the array that it
/// shows if not all of it, the `svg` and its `width` in pixels; none if the arrays are not as the
/// grader writes them. All ids in them begin with `id`.
pub fn all(id: &str, arrays: &Arrays) -> Vec<Value> {
    let Arrays {
        got,
        expected,
        difference,
    } = arrays;
    let (Some(g), Some(e)) = (got.rows(), expected.rows()) else {
        return Vec::new();
    };
    // Beside each other, so the same number has the same colour.
    let scale = Scale::of(g.iter().chain(&e).flatten());
    let mut drawn = vec![
        map(id, "got", got, &g, &scale),
        map(id, "expected", expected, &e, &scale),
    ];
    if let Some((window, d)) =
        difference.as_ref().and_then(|w| Some((w, w.rows()?)))
    {
        let scale = Scale::of(d.iter().flatten());
        drawn.push(map(id, "difference", window, &d, &scale));
    }
    drawn
}

/// How numbers are written: divided by a power of ten, with so many places.
struct Scale {
    exponent: i32,
    places: usize,
    most: f64,
}

impl Scale {
    fn of<'a>(numbers: impl Iterator<Item = &'a f64> + Clone) -> Self {
        let finite = numbers.filter(|v| v.is_finite());
        let most = finite.clone().fold(0.0, |m: f64, v| m.max(v.abs()));
        let usual = most == 0.0 || (0.01..1e4).contains(&most);
        let exponent = if usual {
            0
        } else {
            most.log10().floor() as i32
        };
        let shown = most / 10_f64.powi(exponent);
        let whole = usual && finite.clone().all(|v| v.fract() == 0.0);
        let places = match shown {
            _ if whole => 0,
            m if m >= 100.0 => 0,
            m if m >= 10.0 => 1,
            m if m >= 0.1 => 2,
            _ => 3,
        };
        Self {
            exponent,
            places,
            most: if shown > 0.0 { shown } else { 1.0 },
        }
    }
}

fn map(
    id: &str,
    name: &str,
    window: &Window,
    rows: &[Vec<f64>],
    scale: &Scale,
) -> Value {
    let unit = 10_f64.powi(scale.exponent);
    let scaled = |row: &Vec<f64>| row.iter().map(|v| v / unit).collect();
    let values: Vec<Vec<f64>> = rows.iter().map(scaled).collect();
    let small = rows.len().max(window.columns) <= 8;
    let side = SIDES[usize::from(!small)];
    let [row, column] = window.start;
    let columns: Vec<_> = (column..column + window.columns)
        .map(|i| i.to_string())
        .collect();
    let mut picture = HeatMap::new(&values)
        .columns("", &columns)
        .places(scale.places)
        .full_at(scale.most)
        .side(side);
    if let Some((_, leading)) = window.shape.split_last()
        && !leading.is_empty()
    {
        let names: Vec<_> =
            (row..row + rows.len()).map(|r| index(r, leading)).collect();
        picture = picture.rows("", &names);
    }
    let shape: Vec<_> = window.shape.iter().map(usize::to_string).collect();
    let shape = shape.join(",");
    let mut title = format!("{name} ({shape})");
    if scale.exponent != 0 {
        title += &format!(", in units of 1e{}", scale.exponent);
    }
    let part = part(window, rows.len());
    let description = format!(
        "An array of shape ({shape}) as coloured cells with their numbers, \
         violet where positive, gold where negative. {part}"
    );
    let svg = picture.picture().inline(
        &format!("{id}-{name}"),
        &title,
        description.trim_end(),
    );
    // The kit draws what is wide no wider than a page's text; here it scrolls.
    let cells = side * window.columns as f64;
    json!({
        "title": title, "part": part, "svg": svg, "width": cells + MARGIN,
    })
}

/// What of the array is shown, in words, if not all of it.
fn part(window: &Window, shown: usize) -> String {
    let Some([rows, columns]) = window.whole() else {
        return String::new();
    };
    let mut parts = Vec::new();
    for (what, all, start, shown) in [
        ("rows", rows, window.start[0], shown),
        ("columns", columns, window.start[1], window.columns),
    ] {
        if shown < all {
            let last = start + shown - 1;
            parts.push(format!("{what} {start} to {last} of {all}"));
        }
    }
    match parts.as_slice() {
        [] => String::new(),
        _ => format!("Shown: {}.", parts.join(", ")),
    }
}

/// The index of a row among the leading axes: `1,0`.
fn index(mut row: usize, leading: &[usize]) -> String {
    let mut parts = Vec::new();
    for axis in leading.iter().rev() {
        parts.push((row % axis.max(&1)).to_string());
        row /= axis.max(&1);
    }
    parts.reverse();
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use examiner::arrays::MOST;

    fn window(shape: &[usize], columns: usize, numbers: &str) -> Window {
        Window {
            shape: shape.to_vec(),
            start: [0, 0],
            columns,
            numbers: numbers.into(),
        }
    }

    #[test]
    fn three_pictures_of_a_wrong_array() {
        let arrays = Arrays {
            got: window(&[2, 2], 2, "1.5 NaN -2 3"),
            expected: window(&[2, 2], 2, "1.5 2 2 3"),
            difference: Some(window(&[2, 2], 2, "0 NaN -4e-6 0")),
        };
        let drawn = all("grade-a", &arrays);
        let titles: Vec<_> = drawn.iter().map(|d| d["title"].clone()).collect();
        let units = "difference (2,2), in units of 1e-6";
        assert_eq!(titles, ["got (2,2)", "expected (2,2)", units]);
        let svg = |k: usize| drawn[k]["svg"].as_str().unwrap();
        assert!(svg(0).contains(">NaN</text>"), "{}", svg(0));
        assert!(svg(0).contains(">−2.00</text>"), "{}", svg(0));
        assert!(svg(2).contains(">−4.00</text>"), "{}", svg(2));
        assert!(svg(1).contains("id=\"grade-a-expected-title\""));
        assert_eq!(drawn[0]["part"], "");
    }

    #[test]
    fn a_cut_array_says_so_and_a_damaged_one_is_not_drawn() {
        let numbers = vec!["1"; MOST * MOST].join(" ");
        let mut large = window(&[3, 20, 40], MOST, &numbers);
        large.start = [19, 24];
        let arrays = |got: Window| Arrays {
            got,
            expected: window(&[2], 2, "1 2"),
            difference: None,
        };
        let drawn = all("a", &arrays(large));
        let part = "Shown: rows 19 to 34 of 60, columns 24 to 39 of 40.";
        assert_eq!(drawn[0]["part"], part);
        let svg = drawn[0]["svg"].as_str().unwrap();
        assert!(svg.contains(">0,19</text>") && svg.contains(">1,14</text>"));
        assert_eq!(drawn.len(), 2);
        assert!(all("a", &arrays(window(&[2], 2, "1 <script>"))).is_empty());
    }
}
