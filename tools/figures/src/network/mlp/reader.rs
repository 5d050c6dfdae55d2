//! A digit that is drawn in the page, and read by the trained network.

use backprop::backends::Cpu;
use backprop::device::{Device, Params};
use backprop::network::mlp::{Activation, Layer, Mlp, cross_entropy};
use backprop::network::softmax_cross_entropy as softmax;
use ndarray::{Array1, Array2};
use serde_json::{Value, json};

use super::{centred, trained};
use crate::half::{from_half, to_half};
use crate::kit::{self, Look, Paint, Picture, Point, SMALL, TEXT, Type, WIDTH};
use crate::{Data, Figure, Knob, Knobs, Tolerance, facts, strokes};

/// The figure.
pub(super) const FIGURE: Figure = Figure {
    name: "reader",
    title: "A digit, drawn and read",
    description: "Above, a drawn digit with an open top, and a bar for each \
                  digit: a nine, or else a four. Below, the drawing as 32 by \
                  32 pixels, as the 8 by 8 counts that the network reads, and \
                  the gradient of the loss by count: ink in the open top \
                  would make the nine surer.",
    knobs: &[
        Knob::strokes("ink", SIDE as f64, INK),
        Knob::choice(
            "label",
            &[OWN, "0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
        ),
    ],
    data: Data::Made("generated/network/mlp/reader.f16", make, read),
    read_out: Some(read_out),
    draw,
    tolerance: Tolerance::absolute(2e-3),
};

/// The first setting of the label.
const OWN: &str = "own answer";

/// What is drawn at first.
const INK: &str = "13,6 10,12 12,17 17,16 21,12; 21,6 21,14 19,21 17,28";

// ---- the weights ----------------------------------------------------------

/// The network of `cargo train digits`: its weights in half precision, layer
/// by layer, `w` (I,O) row by row and then `b` (O).
fn make() -> (Value, Vec<u8>) {
    let dev = Cpu::new();
    let run = trained(&dev);
    let mlp = &run.model.mlp;
    let mut bytes = Vec::new();
    for tensor in mlp.tensors() {
        let numbers = dev.read(tensor);
        let halves = numbers.iter().map(|v| to_half(*v));
        bytes.extend(halves.flat_map(u16::to_le_bytes));
    }
    let last = run.state.reports.last().copied().unwrap_or_default();
    let facts = json!({
        "sizes": mlp.sizes(&dev),
        "test_accuracy": last.test_accuracy,
    });
    (facts, bytes)
}

/// The network in the file; `None` where that is not what it holds.
pub(super) fn network(file: &[u8]) -> Option<Mlp> {
    let (facts, bytes) = facts(file)?;
    let sizes = facts.get("sizes")?;
    let sizes: Vec<usize> = serde_json::from_value(sizes.clone()).ok()?;
    if sizes.first() != Some(&64) || sizes.last() != Some(&10) {
        return None;
    }
    let count: usize = sizes.windows(2).map(|io| (io[0] + 1) * io[1]).sum();
    if bytes.len() != 2 * count {
        return None;
    }
    let pairs = bytes.chunks_exact(2);
    let mut numbers =
        pairs.map(|two| from_half(u16::from_le_bytes([two[0], two[1]])));
    let mut take = |n: usize| numbers.by_ref().take(n).collect::<Vec<_>>();
    let last = sizes.len() - 2;
    let layer = |(l, io): (usize, &[usize])| {
        let shape = (io[0], io[1]);
        let w = Array2::from_shape_vec(shape, take(io[0] * io[1])).ok()?;
        Some(Layer {
            w,
            b: Array1::from_vec(take(io[1])),
            activation: if l == last {
                Activation::Identity
            } else {
                Activation::Relu
            },
        })
    };
    let layers: Option<_> = sizes.windows(2).enumerate().map(layer).collect();
    Some(Mlp { layers: layers? })
}

// ---- from strokes to counts ------------------------------------------------

/// Side of the drawing and of the bitmap.
const SIDE: usize = 32;
/// What is drawn is stretched to this width, and to the whole height.
const WIDE: usize = 20;
/// Radius of the pen in the drawing: the stretched digits then have as much
/// ink as those of the data.
const PEN: f64 = 1.5;

/// `[row][column]`.
type Bitmap = [[bool; SIDE]; SIDE];

/// The drawing as the bitmaps were from which the data set was counted.
///
/// What has ink is cut out, stretched to 20 by 32 pixels, whatever its shape
/// was, and put into the middle of 32 by 32. Strokes much thicker or thinner
/// than usual, by the count of inked pixels, are eroded or dilated. Then the
/// rows are shifted until the leftmost ink near the top stands over that near
/// the bottom.
///
/// Source: the data set's bitmaps came from the programs described in
/// M. D. Garris et al., *NIST Form-Based Handprint Recognition System*, NISTIR
/// 5469, 1994, sections on normalising and shearing characters; sizes and
/// limits are those of release 2.2.
fn prepare(ink: &[Vec<Point>]) -> Bitmap {
    straight(&even(stretched(ink)))
}

fn stretched(ink: &[Vec<Point>]) -> Bitmap {
    let mut map = [[false; SIDE]; SIDE];
    let points = || ink.iter().flatten();
    if points().next().is_none() {
        return map;
    }
    let [left, right, top, bottom] = [0, 1]
        .map(|k| {
            let low = points().map(|p| p[k]).fold(f64::INFINITY, f64::min);
            let high = points().map(|p| p[k]).fold(f64::NEG_INFINITY, f64::max);
            [low - PEN, high + PEN]
        })
        .as_flattened()
        .try_into()
        .unwrap_or([0., 1., 0., 1.]);
    let margin = (SIDE - WIDE) / 2;
    for (j, row) in map.iter_mut().enumerate() {
        let y = top + (bottom - top) * (j as f64 + 0.5) / SIDE as f64;
        for i in 0..WIDE {
            let x = left + (right - left) * (i as f64 + 0.5) / WIDE as f64;
            let near = |s: &Vec<Point>| {
                let alone = [[s[0], s[0]]];
                let alone = if s.len() == 1 { &alone[..] } else { &[] };
                let pairs = s.windows(2).map(|w| [w[0], w[1]]);
                let mut all = pairs.chain(alone.iter().copied());
                all.any(|s| squared_distance([x, y], s) <= PEN * PEN)
            };
            row[margin + i] = ink.iter().filter(|s| !s.is_empty()).any(near);
        }
    }
    map
}

/// From a point to the nearest one between two.
fn squared_distance(p: Point, [a, b]: [Point; 2]) -> f64 {
    let dot = |u: Point, v: Point| u[0] * v[0] + u[1] * v[1];
    let minus = |u: Point, v: Point| [u[0] - v[0], u[1] - v[1]];
    let (ab, ap) = (minus(b, a), minus(p, a));
    let long = dot(ab, ab);
    let t = if long > 0. { dot(ap, ab) / long } else { 0. };
    let t = t.clamp(0., 1.);
    let gap = minus(ap, [t * ab[0], t * ab[1]]);
    dot(gap, gap)
}

fn inked(map: &Bitmap) -> usize {
    map.iter().flatten().filter(|p| **p).count()
}

/// Strokes neither too thick nor too thin.
fn even(map: Bitmap) -> Bitmap {
    let thinner = |m: Bitmap| changed(&m, |own, around| own && around == 4);
    let thicker = |m: Bitmap| changed(&m, |own, around| own || around > 0);
    match inked(&map) {
        0..108 => thicker(thicker(map)),
        108..256 => thicker(map),
        256..=412 => map,
        413..=560 => thinner(map),
        _ => thinner(thinner(map)),
    }
}

/// Every pixel from itself and how many of its four neighbours have ink.
fn changed(map: &Bitmap, rule: impl Fn(bool, usize) -> bool) -> Bitmap {
    let at = |j: usize, i: usize| {
        let row: Option<&[bool; SIDE]> = map.get(j);
        usize::from(row.and_then(|r| r.get(i)) == Some(&true))
    };
    let mut out = *map;
    for (j, row) in out.iter_mut().enumerate() {
        for (i, own) in row.iter_mut().enumerate() {
            // One less than 0 wraps to where there is no pixel.
            let (up, left) = (j.wrapping_sub(1), i.wrapping_sub(1));
            let around = at(up, i) + at(j + 1, i) + at(j, left) + at(j, i + 1);
            *own = rule(*own, around);
        }
    }
    out
}

/// Rows shifted until top and bottom stand over one another.
fn straight(map: &Bitmap) -> Bitmap {
    let first = |row: &[bool; SIDE]| row.iter().position(|p| *p);
    let top = map.iter().position(|row| first(row).is_some());
    let bottom = map.iter().rposition(|row| first(row).is_some());
    let (Some(top), Some(bottom)) = (top, bottom) else {
        return *map;
    };
    if bottom - top < 5 {
        return *map;
    }
    // The outermost rows may be noise.
    let (top, bottom) = (top + 2, bottom - 2);
    let (Some(above), Some(below)) = (first(&map[top]), first(&map[bottom]))
    else {
        return *map;
    };
    let lean = (above as f64 - below as f64) / (bottom as f64 - top as f64);
    let mut out = [[false; SIDE]; SIDE];
    for (j, row) in map.iter().enumerate() {
        let shift = ((j as f64 - SIDE as f64 / 2.) * lean).round() as isize;
        for i in row.iter().enumerate().filter(|(_, p)| **p).map(|(i, _)| i) {
            if let Some(p) = out[j].get_mut(i.wrapping_add_signed(shift)) {
                *p = true;
            }
        }
    }
    out
}

/// Inked pixels in each block of 4 by 4, row by row: 0 to 16.
fn counts(map: &Bitmap) -> Vec<f64> {
    let mut counts = vec![0.; 64];
    for (j, row) in map.iter().enumerate() {
        for (i, pixel) in row.iter().enumerate() {
            counts[8 * (j / 4) + i / 4] += f64::from(u8::from(*pixel));
        }
    }
    counts
}

// ---- reading ----------------------------------------------------------------

/// Probabilities of the ten digits, and for a label (`None`: the most probable
/// one) that label, the loss, and its gradient by count.
struct Reading {
    p: Vec<f64>,
    label: usize,
    loss: f64,
    gradient: Vec<f64>,
}

fn reading(net: &Mlp, counts: &[f64], label: Option<usize>) -> Reading {
    let mut x = Array2::from_shape_fn((1, 64), |(_, k)| counts[k]);
    centred(&mut x);
    let (y, cache) = net.forward(x.view());
    let p = softmax::forward(y.view()).row(0).to_vec();
    let label = label.unwrap_or_else(|| order(&p)[0]);
    let t = softmax::targets(&[label], 10, 0.);
    let (loss, dy) = cross_entropy(y.view(), t.view());
    let deltas = net.errors(&cache, dy.view());
    // By the count: the input changes by an eighth for each pixel of ink.
    let gradient = net.input_gradient(&deltas) / super::PER_COUNT;
    Reading {
        p,
        label,
        loss,
        gradient: gradient.row(0).to_vec(),
    }
}

/// The digits from the most to the least probable.
pub(super) fn order(p: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*b].total_cmp(&p[*a]));
    order
}

fn read(knobs: &Knobs, file: &[u8]) -> Value {
    let ink = strokes(knobs.text("ink")).unwrap_or_default();
    let net = network(file);
    let known = net.is_some();
    // No file, no weights: then all are zero.
    let net = net.unwrap_or_else(|| Mlp {
        layers: vec![Layer {
            w: Array2::zeros((64, 10)),
            b: Array1::zeros(10),
            activation: Activation::Identity,
        }],
    });
    let map = prepare(&ink);
    let counts = counts(&map);
    let label: Option<usize> = knobs.choice("label").parse().ok();
    let Reading {
        p,
        label: at,
        loss,
        gradient,
    } = reading(&net, &counts, label);
    let rounded = |all: &[f64], per: f64| -> Vec<f64> {
        all.iter().map(|v| (v * per).round() / per).collect()
    };
    let rows = map.iter().map(|row| {
        let mark = |p: &bool| if *p { '#' } else { '.' };
        row.iter().map(mark).collect::<String>()
    });
    json!({
        "known": known,
        "ink": ink,
        "bitmap": rows.collect::<Vec<_>>(),
        "counts": counts,
        "p": rounded(&p, 1e4),
        "label": at,
        "own": label.is_none(),
        "loss": (loss * 1e4).round() / 1e4,
        "gradient": rounded(&gradient, 1e5),
    })
}

/// The count at which one more pixel of ink lowers the loss most.
fn steepest(gradient: &[f64]) -> usize {
    let low = |best: usize, k| {
        if gradient[k] < gradient[best] {
            k
        } else {
            best
        }
    };
    (0..gradient.len()).fold(0, low)
}

fn read_out(_: &Knobs, data: &Value) -> String {
    let p: Vec<f64> = kit::get(data, "/p");
    let order = order(&p);
    let percent = |k: usize| kit::fixed(100. * p[k], 1);
    let (first, second) = (order[0], order[1]);
    if !kit::get::<bool>(data, "/known") {
        return "the weights of the network are not there".into();
    }
    let ink: Vec<Vec<Point>> = kit::get(data, "/ink");
    let subject = if ink.is_empty() {
        "an empty page is read"
    } else {
        "read"
    };
    let label: usize = kit::get(data, "/label");
    let loss = kit::number(kit::get(data, "/loss"), 3);
    let gradient: Vec<f64> = kit::get(data, "/gradient");
    let at = steepest(&gradient);
    let whose = if kit::get(data, "/own") {
        "its own answer"
    } else {
        "the label"
    };
    let steepest = if gradient[at] == 0. {
        "no ink changes it by 0.00001 a pixel".into()
    } else {
        let change = kit::number(gradient[at], 2);
        let (row, column) = (at / 8 + 1, at % 8 + 1);
        format!(
            "ink in row {row}, column {column} lowers it most: {change} a pixel"
        )
    };
    format!(
        "{subject} as {first} ({} %), next {second} ({} %); with {whose} \
         {label} the loss is {loss}, and {steepest}",
        percent(first),
        percent(second),
    )
}

// ---- the picture ------------------------------------------------------------

fn draw(data: &Value) -> Picture {
    let mut picture = Picture::new(WIDTH, 610.);
    drawing(&mut picture, &kit::get::<Vec<Vec<Point>>>(data, "/ink"));
    answers(&mut picture, data);
    let small = Type::new(SMALL).paint(Paint::Muted);
    let label: usize = kit::get(data, "/label");
    let own = kit::get(data, "/own");
    let whose = if own { "for its" } else { "if it is a" };
    let gradient = format!("gradient {whose} {label}");
    let titles = ["32 × 32 pixels", "counts of 4 × 4", &gradient];
    for (k, title) in titles.into_iter().enumerate() {
        picture.text([ACROSS[k], 352.], title, small);
    }
    let bitmap: Vec<String> = kit::get(data, "/bitmap");
    let bit = |c: char| if c == '#' { 1. } else { 0. };
    let bitmap: Vec<Vec<f64>> = bitmap
        .iter()
        .map(|row| row.chars().map(bit).collect())
        .collect();
    let counts: Vec<f64> = kit::get(data, "/counts");
    let squares = |all: &[f64], of: &dyn Fn(f64) -> f64| -> Vec<Vec<f64>> {
        let rows = all.chunks(8);
        rows.map(|row| row.iter().map(|v| of(*v)).collect())
            .collect()
    };
    let at = |k: usize| [ACROSS[k], DOWN];
    picture.raster(at(0), SMALL_SIDE / 32., &bitmap, Paint::Ink);
    let cell = SMALL_SIDE / 8.;
    let shades = squares(&counts, &|c| c / 16.);
    picture.raster(at(1), cell, &shades, Paint::Ink);
    let gradient: Vec<f64> = kit::get(data, "/gradient");
    let most = gradient.iter().fold(1e-12, |m: f64, g| m.max(g.abs()));
    for (sign, paint) in [(1., Paint::Positive), (-1., Paint::Negative)] {
        let part = squares(&gradient, &|g| (sign * g / most).max(0.));
        picture.raster(at(2), cell, &part, paint);
    }
    let mut dots = String::new();
    for (k, count) in counts.iter().enumerate().filter(|(_, c)| **c > 0.) {
        // As large a part of the cell's middle as there is ink in it.
        let side = 0.5 * cell * (count / 16.).sqrt();
        let middle = |i: usize| (i as f64 + 0.5) * cell - side / 2.;
        let (x, y) = (ACROSS[2] + middle(k % 8), DOWN + middle(k / 8));
        dots += &format!("M{x:.1} {y:.1}h{side:.1}v{side:.1}h-{side:.1}z");
    }
    if !dots.is_empty() {
        picture.path(&dots, Look::fill(Paint::Ink).opacity(0.7));
    }
    for x in ACROSS {
        let frame = [x, DOWN, SMALL_SIDE, SMALL_SIDE];
        picture.rectangle(frame, Look::stroke(Paint::Faint, 1.));
    }
    let legend = "gradient: ink raises the loss in violet squares, lowers it \
                  in golden ones";
    picture.text([WIDTH - 4., 594.], legend, small.end());
    picture
}

const ACROSS: [f64; 3] = [2., 224., 446.];
const DOWN: f64 = 370.;
const SMALL_SIDE: f64 = 190.4;

/// The strokes as they were drawn, under the area to draw in.
fn drawing(picture: &mut Picture, ink: &[Vec<Point>]) {
    let (left, top, side) = (2., 28., 296.);
    let small = Type::new(SMALL).paint(Paint::Muted);
    picture.text([left, 12.], "draw a digit", small);
    let scale = side / SIDE as f64;
    let to = |p: &Point| [left + scale * p[0], top + scale * p[1]];
    for stroke in ink {
        let points: Vec<Point> = stroke.iter().map(to).collect();
        let pen = scale * PEN;
        for end in [points.first(), points.last()].into_iter().flatten() {
            picture.circle(*end, pen, Look::fill(Paint::Ink));
        }
        picture.polyline(&points, Look::stroke(Paint::Ink, 2. * pen));
    }
    let area = [left, top, side, side];
    picture.rectangle(area, Look::stroke(Paint::Muted, 1.5).rounded(6.));
    picture.handle("ink", area);
    picture.choice("ink", "", |picture| {
        let right = left + side;
        let place = [right - 60., 0., 60., 26.];
        picture.rectangle(place, Look::fill(Paint::Page));
        let lettering = Type::new(SMALL).paint(Paint::Input).bold().end();
        picture.text([right, 12.], "clear", lettering);
    });
}

/// A bar for each digit; a click makes the digit the label.
fn answers(picture: &mut Picture, data: &Value) {
    let p: Vec<f64> = kit::get(data, "/p");
    let label: usize = kit::get(data, "/label");
    let (left, top, row, room) = (326., 28., 29.6, 200.);
    let small = Type::new(SMALL).paint(Paint::Muted);
    picture.text([left, 12.], "what it is read as", small);
    for (digit, p) in p.iter().enumerate() {
        let y = top + row * (digit as f64 + 0.5);
        picture.choice("label", digit, |picture| {
            let line = [left - 6., y - 14., WIDTH - left + 2., 28.];
            let look = if digit == label {
                Look::stroke(Paint::Cotangent, 2.).dashed().rounded(5.)
            } else {
                Look::fill(Paint::Page)
            };
            picture.rectangle(line, look);
            let lettering = Type::new(TEXT);
            picture.text([left + 4., y], &digit.to_string(), lettering);
            let bar = [left + 24., y - 9., (room * p).max(0.5), 18.];
            picture.rectangle(bar, Look::fill(Paint::Activation));
            let share = format!("{} %", kit::fixed(100. * p, 1));
            picture.text([WIDTH - 12., y], &share, lettering.end());
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Setting;
    use std::path::Path;

    fn file() -> Vec<u8> {
        let pages =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../book/src");
        std::fs::read(pages.join(FIGURE.file().unwrap())).unwrap()
    }

    fn net() -> Mlp {
        network(&file()).unwrap()
    }

    /// Five of each digit, as people write them.
    const DRAWN: &str = "\
0 16,5 11,7 8,13 8,20 11,26 16,28 21,25 24,19 23,12 20,7 16,5
0 18,6 13,7 9,12 8,19 10,24 15,26 20,23 23,17 23,11 20,7 17,6
0 15,9 12,11 11,15 12,20 15,23 18,21 20,17 19,12 16,9 14,10
0 14,3 9,6 6,12 6,20 9,26 15,29 21,28 25,22 26,14 23,7 18,3 13,4
0 20,7 16,6 12,9 10,14 9,20 11,25 14,26 18,23 21,18 22,12 21,8 \
19,6
1 16,5 16,27
1 12,10 17,5 17,27
1 19,4 15,28
1 11,11 16,6 16,26; 11,26 21,26
1 15,8 15,14 16,20 16,25
2 9,10 11,6 16,5 21,7 22,12 19,17 14,21 9,26 23,26
2 8,11 10,7 15,5 20,7 21,12 17,18 11,23 8,26 13,25 18,26 23,27
2 11,9 14,6 18,6 20,9 19,13 15,18 11,23 10,25 12,24 16,25 21,25
2 10,8 15,6 20,8 20,13 16,18 11,22 9,25 10,26 12,24 11,22 13,23 \
17,26 22,25
2 8,8 13,4 20,5 23,10 21,15 15,20 8,27 8,28 15,28 24,28
3 9,8 13,5 19,6 21,10 18,14 14,15 19,16 22,20 21,25 16,28 10,26
3 10,6 22,6 15,14 20,16 22,20 20,25 15,27 9,25
3 11,9 15,7 19,9 19,13 15,15 19,17 20,21 17,24 12,24
3 8,6 14,4 20,6 21,11 17,15 13,15 18,16 22,20 22,25 17,28 11,28 \
8,26
3 12,7 17,6 20,9 18,13 15,15 18,16 20,20 18,24 13,26 9,24
4 12,5 9,17 23,17; 19,5 19,28
4 18,5 8,20 24,20; 18,5 18,28
4 11,6 10,12 11,16 16,17 21,15; 21,6 20,15 19,26
4 10,7 9,15 22,15; 20,8 19,16 18,25
4 19,4 13,12 8,19 15,19 24,18; 19,12 19,20 18,29
5 21,5 11,5 10,14 15,12 20,14 22,19 20,24 15,27 9,25
5 10,6 10,14 15,13 20,15 21,20 19,25 14,27 9,26; 10,6 21,6
5 20,7 13,7 12,14 16,13 19,15 20,19 18,23 14,24 10,22
5 22,5 12,6 10,15 13,14 18,14 21,18 20,23 16,27 11,28 8,26
5 11,8 11,15 15,14 19,16 19,21 16,24 11,24; 11,8 19,7
6 19,5 14,9 10,15 9,21 11,26 16,27 21,25 22,20 18,17 13,18 10,21
6 16,4 12,10 10,17 10,23 13,27 18,27 21,23 19,19 15,18 11,21
6 20,6 15,7 11,12 9,18 10,24 14,27 19,26 21,22 19,18 14,18 10,22
6 17,8 13,13 12,19 13,23 17,24 20,22 20,19 17,17 13,19
6 15,5 11,12 9,20 11,26 16,28 22,26 23,21 19,18 14,19 10,23
7 8,6 23,6 18,15 14,28
7 9,7 22,6 19,12 15,20 13,27; 13,17 21,17
7 10,8 20,8 17,14 14,24
7 8,9 9,6 23,5 20,12 16,20 15,28
7 9,6 16,7 22,6 18,14 15,21 14,27; 12,16 20,15
8 16,15 11,12 10,8 14,5 19,6 21,10 17,14 12,18 10,23 13,27 19,27 \
22,23 20,18 16,15
8 21,8 17,5 12,7 12,11 16,15 20,18 21,23 18,27 13,27 10,23 12,18 \
17,14 20,11 21,8
8 16,14 12,11 13,7 16,6 19,8 19,11 16,14 12,18 12,22 16,25 20,22 \
19,17 16,14
8 16,5 11,7 11,12 16,14 20,12 21,7 16,5; 16,14 10,18 10,24 16,28 \
22,24 21,18 16,14
8 20,6 15,5 11,8 13,12 18,16 21,21 18,26 13,27 10,23 12,18 17,14 \
20,10 20,6
9 21,10 17,6 12,8 10,13 13,17 18,15 21,10 20,18 18,28
9 20,8 16,5 11,8 10,13 14,16 19,13 20,8 20,16 20,27
9 19,10 15,8 12,11 13,15 17,15 19,11 19,17 17,24
9 22,7 16,5 10,8 10,14 15,17 20,14 22,7 21,16 20,23 16,28 11,27
9 20,9 17,6 13,7 11,12 14,15 18,14 20,9 20,15 19,21 16,26 12,26";

    /// Digit and strokes.
    fn drawn() -> Vec<(usize, Vec<Vec<Point>>)> {
        let lines = DRAWN.lines().map(|line| {
            let (digit, ink) = line.trim().split_once(' ').unwrap();
            (digit.parse().unwrap(), strokes(ink).unwrap())
        });
        lines.collect()
    }

    fn read_as(net: &Mlp, ink: &[Vec<Point>]) -> usize {
        reading(net, &counts(&prepare(ink)), None).label
    }

    #[test]
    fn at_least_four_of_five_drawn_digits_are_read() {
        let (net, drawn) = (net(), drawn());
        assert_eq!(drawn.len(), 50);
        let mut right = [0; 10];
        let mut wrong = Vec::new();
        for (digit, ink) in &drawn {
            let answer = read_as(&net, ink);
            right[*digit] += usize::from(answer == *digit);
            wrong.extend((answer != *digit).then_some((*digit, answer)));
        }
        println!("read wrongly, as (digit, answer): {wrong:?}");
        assert!(right.iter().sum::<usize>() >= 40, "{wrong:?}");
        assert!(right.iter().all(|r| *r >= 3), "{right:?}");
    }

    #[test]
    fn and_so_are_they_smaller_wider_and_aslant() {
        let (net, drawn) = (net(), drawn());
        let mut right = 0;
        // Width, height, slant, turn.
        let changes = [
            [0.6, 0.6, 0., 0.],
            [0.75, 1., 0.15, 0.],
            [1., 0.75, -0.15, 0.],
            [0.8, 0.8, 0., 0.1],
            [0.8, 0.8, 0.25, -0.1],
        ];
        for [wide, high, slant, turn] in changes {
            for (digit, ink) in &drawn {
                let changed = |p: &Point| {
                    let (x, y) = (wide * (p[0] - 16.), high * (p[1] - 16.));
                    let x = x - slant * y;
                    [16. + x - turn * y, 16. + turn * x + y]
                };
                let ink: Vec<Vec<Point>> = ink
                    .iter()
                    .map(|s| s.iter().map(changed).collect())
                    .collect();
                right += usize::from(read_as(&net, &ink) == *digit);
            }
        }
        println!("{right} of 250");
        assert!(right >= 200, "{right} of 250");
    }

    #[test]
    fn drawn_digits_have_the_ink_of_the_data() {
        let ink = |c: &[f64]| c.iter().sum::<f64>();
        let data = backprop::training::data::digits();
        let mean = data.x.sum() / data.len() as f64;
        let drawn = drawn();
        let all = drawn.iter().map(|(_, s)| ink(&counts(&prepare(s))));
        let ours = all.sum::<f64>() / drawn.len() as f64;
        assert!((ours / mean - 1.).abs() < 0.1, "{ours} for {mean}");
    }

    #[test]
    fn half_precision_reads_the_test_images_as_well() {
        let (_, test) = super::super::images();
        let (y, _) = net().forward(test.x.view());
        let rows = y.rows().into_iter().zip(&test.labels);
        let right = rows.filter(|(y, l)| order(&y.to_vec())[0] == **l).count();
        let accuracy = right as f64 / test.len() as f64;
        let file = file();
        let (facts, bytes) = facts(&file).unwrap();
        let stored: f64 = kit::get(&facts, "/test_accuracy");
        assert!((accuracy - stored).abs() < 0.006, "{accuracy}, {stored}");
        assert!(accuracy > 0.97 && bytes.len() < 60_000);
    }

    #[test]
    fn the_gradient_is_that_of_differences() {
        let net = net();
        let (_, ink) = &drawn()[27];
        let counts = counts(&prepare(ink));
        let found = reading(&net, &counts, Some(8));
        let loss = |k: usize, h: f64| {
            let mut counts = counts.clone();
            counts[k] += h;
            reading(&net, &counts, Some(8)).loss
        };
        for (k, slope) in found.gradient.iter().enumerate() {
            let numeric = (loss(k, 1e-5) - loss(k, -1e-5)) / 2e-5;
            assert!((slope - numeric).abs() < 1e-6, "{k}: {slope} {numeric}");
        }
        let most = found.gradient.iter().fold(0., |m: f64, g| m.max(g.abs()));
        assert!(most > 0.01, "{most}");
    }

    #[test]
    fn a_stroke_straight_down_fills_the_box_and_is_worn_away() {
        // All of 20 by 32 but the corners has ink: more than 560 pixels.
        let line = vec![vec![[16., 2.], [16., 30.]]];
        let whole = stretched(&line);
        assert!(inked(&whole) > 560);
        assert!(whole.iter().all(|row| !row[5] && !row[26]));
        let map = prepare(&line);
        // Eroded twice: two pixels less on each side.
        assert!((8..24).all(|i| map[16][i]) && !map[16][7] && !map[16][24]);
        assert!(map[1].iter().all(|p| !p));
        assert_eq!(counts(&map).iter().sum::<f64>(), inked(&map) as f64);
        assert!(counts(&map).contains(&16.));
    }

    #[test]
    fn a_thin_slanted_stroke_is_thickened_and_set_upright() {
        // One pixel wide, from the upper right to the lower left.
        let mut map = [[false; SIDE]; SIDE];
        for (j, row) in map.iter_mut().enumerate() {
            row[22 - j / 2] = true;
        }
        let thick = even(map);
        assert!(inked(&thick) > 4 * 32 && inked(&thick) < 256);
        let upright = straight(&thick);
        let left = |j: usize| upright[j].iter().position(|p| *p).unwrap();
        assert!((3..29).all(|j| left(j).abs_diff(left(2)) <= 1));
        assert_eq!(straight(&upright), upright);
    }

    #[test]
    fn nothing_and_a_dot_are_read_too() {
        let file = file();
        let knobs = Knobs::new(FIGURE.knobs);
        for ink in ["", "16,16", "0,0 32,32", "3,3 3,3 3,3"] {
            let ink = Setting::Words(ink.into());
            let knobs = knobs.clone().with("ink", ink).unwrap();
            let data = read(&knobs, &file);
            let p: Vec<f64> = kit::get(&data, "/p");
            assert!((p.iter().sum::<f64>() - 1.).abs() < 1e-2);
            let svg = FIGURE.svg("network/mlp", &data, None);
            assert!(!svg.contains("NaN"));
        }
        assert!(counts(&prepare(&[])).iter().all(|c| *c == 0.));
    }

    #[test]
    fn a_damaged_file_is_said_to_be_none() {
        let (file, knobs) = (file(), Knobs::new(FIGURE.knobs));
        let end = file.len() - 1;
        for file in [&[][..], b"{}\n", b"\n", b"no", &file[..end]] {
            assert!(network(file).is_none());
            let said = read_out(&knobs, &read(&knobs, file));
            assert!(said.contains("not there"), "{said}");
        }
    }

    #[test]
    fn a_picture_of_a_long_drawing_is_small() {
        let wave = |k: i32| {
            let (x, y) = (f64::from(k % 33), f64::from(k * 7 % 33));
            format!("{x},{y}")
        };
        let ink: Vec<String> = (0..400).map(wave).collect();
        let ink = Setting::Words(ink.join(" "));
        let knobs = Knobs::new(FIGURE.knobs).with("ink", ink).unwrap();
        let svg = FIGURE.svg("network/mlp", &read(&knobs, &file()), None);
        assert!(svg.len() < 60_000, "{}", svg.len());
    }
}
