//! Digits that the trained network reads, and the first weights with their
//! gradients.

use backprop::backends::Textbook;
use backprop::device::Device;
use backprop::network::mlp::{
    Activation, Layer, Mlp, cross_entropy, model as generic,
};
use backprop::network::softmax_cross_entropy as softmax;
use backprop::training::data::{Dataset, epoch_order};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use serde_json::{Value, json};

use super::reader::{network, order};
use super::{images, round, settings};
use crate::kit::{self, Look, Paint, Picture, Point, SMALL, TEXT, Type, WIDTH};
use crate::{Data, Figure, Knobs, Tolerance};

/// The weights that the other figure reads digits with.
const WEIGHTS: &str = "generated/network/mlp/reader.f16";

/// Test images, read.
pub(super) const READING: Figure = Figure {
    name: "reading",
    title: "Digits that the network has never seen, read",
    description: "Two rows of five handwritten digits, each with ten bars, \
                  one for each answer. Above, five of the 354 that are read \
                  right: a 5 with 96 %, an 8, a 6 and a 3 with over 99 %, a \
                  4 with 96 %. Below, the five that are read wrongly: a 9 as \
                  5 with 75 %, a 6 as 8 with 53 %, an 8 as 3 with 59 %, an 8 \
                  as 1 with 70 %, a 9 as 8 with 57 %.",
    knobs: &[],
    data: Data::Read(WEIGHTS, reading),
    read_out: None,
    draw: draw_reading,
    tolerance: Tolerance::absolute(2e-3),
};

/// The first of those that are read wrongly.
pub(super) const NINE: Figure = Figure {
    name: "nine",
    title: "A nine, read as a five",
    description: "A handwritten nine of 8 by 8 squares, with an open loop \
                  and a flat foot. Beside it ten bars, what the network says: \
                  5 with 75 %, 9 with 14 %, 3 with 10 %, the others next to \
                  none.",
    knobs: &[],
    data: Data::Read(WEIGHTS, reading),
    read_out: None,
    draw: draw_nine,
    tolerance: Tolerance::absolute(2e-3),
};

/// Columns of the first weight as images.
pub(super) const TEMPLATES: Figure = Figure {
    name: "templates",
    title: "Eight columns of the first weight, and their gradients",
    description: "Three rows of eight tiles of 8 by 8 squares, violet where \
                  positive, gold where negative. Above, weights as they \
                  were drawn, without any order. In the middle, their \
                  gradients from 32 images: an even margin left and right, \
                  of one colour, and between the margins patches as of \
                  digits laid over one another. Below, what 40 epochs added \
                  to the weights: strokes.",
    knobs: &[],
    data: Data::Read(WEIGHTS, templates),
    read_out: None,
    draw: draw_templates,
    tolerance: Tolerance::absolute(2e-3),
};

/// Images in a row of the first figure.
const ROW: usize = 5;

/// An image, what it is, and what the network says.
fn read(net: &Mlp, test: &Dataset, p: ArrayView2<f64>, n: usize) -> Value {
    let x = test.x.row(n);
    let ink: Vec<f64> = x.iter().map(|v| round((v + 1.) / 2., 16.)).collect();
    let all: Vec<f64> = p.row(n).iter().map(|p| round(*p, 1e4)).collect();
    let (_, cache) = net.forward(x.insert_axis(Axis(0)));
    let idle = cache.sums[0].iter().filter(|z| **z <= 0.).count();
    json!({
        "row": n,
        "ink": ink,
        "label": test.labels[n],
        "answer": order(&all)[0],
        "p": all,
        "idle": idle,
    })
}

fn reading(_: &Knobs, file: &[u8]) -> Value {
    let Some(net) = network(file) else {
        return Value::Null;
    };
    let (_, test) = images();
    let (y, cache) = net.forward(test.x.view());
    let p = softmax::forward(y.view());
    let is_right = |n: &usize| order(&p.row(*n).to_vec())[0] == test.labels[*n];
    let wrong: Vec<usize> = (0..test.len()).filter(|n| !is_right(n)).collect();
    // The first five that are read right, of five different digits.
    let mut right: Vec<usize> = Vec::new();
    for n in (0..test.len()).filter(is_right) {
        let known = |m: &usize| test.labels[*m] == test.labels[n];
        if right.len() < ROW && !right.iter().any(known) {
            right.push(n);
        }
    }
    let all = |rows: &[usize]| -> Vec<Value> {
        rows.iter()
            .map(|n| read(&net, &test, p.view(), *n))
            .collect()
    };
    let idle = cache.sums[0].iter().filter(|z| **z <= 0.).count();
    json!({
        "images": test.len(),
        "wrong_count": wrong.len(),
        "idle": round(idle as f64 / test.len() as f64, 10.),
        "right": all(&right),
        "wrong": all(&wrong[..wrong.len().min(ROW)]),
    })
}

fn draw_reading(data: &Value) -> Picture {
    let (side, tall) = (108., 52.);
    let pitch = (WIDTH - side - 4.) / (ROW - 1) as f64;
    let down = 30. + side + 12. + tall + 66.;
    let mut picture = Picture::new(WIDTH, 2. * down + 2.);
    let count = |name: &str| -> u64 { kit::get(data, name) };
    let (images, wrong) = (count("/images"), count("/wrong_count"));
    let titles = [
        format!("read right, {} of {images}", images - wrong),
        format!("read wrongly, {wrong} of {images}"),
    ];
    for (j, row) in ["right", "wrong"].iter().enumerate() {
        let top = down * j as f64;
        let small = Type::new(SMALL).paint(Paint::Muted);
        picture.text([2., top + 12.], &titles[j], small);
        let these: Vec<Value> = kit::get(data, &format!("/{row}"));
        for (i, one) in these.iter().enumerate() {
            let at = [2. + pitch * i as f64, top + 30.];
            draw_read(&mut picture, one, at, side, tall);
        }
    }
    picture
}

fn draw_nine(data: &Value) -> Picture {
    let one: Value = kit::get(data, "/wrong/0");
    let (side, wide, tall) = (150., 36., 104.);
    let mut picture = Picture::new(WIDTH, side + 4.);
    drawn(&mut picture, &one, [2., 2.], side);
    let p: Vec<f64> = kit::get(&one, "/p");
    let label: usize = kit::get(&one, "/label");
    let (left, floor) = (250., side - 20.);
    for (digit, p) in p.iter().enumerate() {
        let x = left + wide * digit as f64;
        let paint = if digit == label {
            Paint::Right
        } else {
            Paint::Series(5)
        };
        let bar = [x + 5., floor - tall * p, wide - 10., tall * p];
        if *p > 0.004 {
            picture.rectangle(bar, Look::fill(paint));
        }
        let middle = x + wide / 2.;
        let below = [middle, floor + 14.];
        let style = Type::new(SMALL).middle();
        let muted = style.paint(Paint::Muted);
        let named = if *p > 0.1 { style } else { muted };
        picture.text(below, &digit.to_string(), named);
        if *p > 0.05 {
            let said = format!("{} %", kit::fixed(100. * p, 0));
            picture.text([middle, floor - tall * p - 12.], &said, style);
        }
    }
    let right = left + wide * p.len() as f64;
    let base = [[left, floor + 0.5], [right, floor + 0.5]];
    picture.line(base[0], base[1], Look::stroke(Paint::Faint, 1.));
    picture
}

/// The counts of ink, framed.
fn drawn(picture: &mut Picture, one: &Value, [x, y]: Point, side: f64) {
    let ink: Vec<f64> = kit::get(one, "/ink");
    let rows: Vec<Vec<f64>> = ink.chunks(8).map(<[f64]>::to_vec).collect();
    picture.raster([x, y], side / 8., &rows, Paint::Ink);
    let frame = [x, y, side, side];
    picture.rectangle(frame, Look::stroke(Paint::Faint, 1.));
}

/// An image, its ten bars with the digits below them, and the answer.
fn draw_read(
    picture: &mut Picture,
    one: &Value,
    [x, y]: Point,
    side: f64,
    tall: f64,
) {
    drawn(picture, one, [x, y], side);
    let p: Vec<f64> = kit::get(one, "/p");
    let (label, answer): (usize, usize) =
        (kit::get(one, "/label"), kit::get(one, "/answer"));
    let wide = side / 10.;
    let floor = y + side + 12. + tall;
    for (digit, p) in p.iter().enumerate() {
        let left = x + wide * digit as f64;
        let paint = if digit == label {
            Paint::Right
        } else {
            Paint::Series(5)
        };
        let bar = [left + 1., floor - tall * p, wide - 2., tall * p];
        if *p > 0.004 {
            picture.rectangle(bar, Look::fill(paint));
        }
        let style = Type::new(SMALL).middle();
        let style = match digit {
            d if d == answer => style.bold(),
            d if d == label => style,
            _ => style.paint(Paint::Muted),
        };
        if digit == answer || digit == label {
            let below = [left + wide / 2., floor + 12.];
            picture.text(below, &digit.to_string(), style);
        }
    }
    let base = [[x, floor + 0.5], [x + side, floor + 0.5]];
    picture.line(base[0], base[1], Look::stroke(Paint::Faint, 1.));
    let percent = |p: f64| match p {
        p if p > 0.99 => "over 99 %".into(),
        p => format!("{} %", kit::fixed(100. * p, 0)),
    };
    let middle = x + side / 2.;
    let text = Type::new(TEXT).middle();
    let said = format!("{answer}: {}", percent(p[answer]));
    picture.text([middle, floor + 36.], &said, text);
    if label != answer {
        let small = Type::new(SMALL).middle().paint(Paint::Muted);
        let but = format!("it is a {label}: {}", percent(p[label]));
        picture.text([middle, floor + 57.], &but, small);
    }
}

/// Units whose columns are shown.
const UNITS: usize = 8;

/// The network as `cargo train digits` begins with it.
fn untrained() -> Mlp {
    let dev = Textbook;
    let (sizes, seed) = ([64, 128, 10], settings().seed);
    let mlp = generic::Mlp::new(&dev, &sizes, settings().activation, seed);
    let kinds = [Activation::Relu, Activation::Identity];
    let layer = |(l, activation)| {
        let layer: &generic::Layer<_> = &mlp.layers[l];
        let (w, b) = (dev.read(&layer.w), dev.read(&layer.b));
        Layer {
            w: w.into_dimensionality().expect("a matrix"),
            b: b.into_dimensionality().expect("a vector"),
            activation,
        }
    };
    Mlp {
        layers: kinds.into_iter().enumerate().map(layer).collect(),
    }
}

fn templates(_: &Knobs, file: &[u8]) -> Value {
    let Some(trained) = network(file) else {
        return Value::Null;
    };
    let start = untrained();
    let (train, _) = images();
    let mut rows = Vec::new();
    epoch_order(train.len(), settings().seed, 0, &mut rows);
    let batch = train.rows(&rows[..settings().batch]);
    let t = softmax::targets(&batch.labels, 10, 0.);
    let (y, cache) = start.forward(batch.x.view());
    let (loss, dy) = cross_entropy(y.view(), t.view());
    let grads = start.gradients(&cache, &start.errors(&cache, dy.view()));
    let dw = &grads[0].0;
    let size = |o: usize| dw.column(o).iter().map(|v| v * v).sum::<f64>();
    let mut units: Vec<usize> = (0..dw.ncols()).collect();
    units.sort_by(|a, b| size(*b).total_cmp(&size(*a)));
    units.truncate(UNITS);
    units.sort_unstable();
    let tiles = |w: &Array2<f64>| -> Vec<Vec<f64>> {
        units.iter().map(|o| scaled(w.column(*o))).collect()
    };
    json!({
        "units": units,
        "loss": round(loss, 1e4),
        "before": tiles(&start.layers[0].w),
        "gradient": tiles(dw),
        "added": tiles(&(&trained.layers[0].w - &start.layers[0].w)),
        "db": units.iter().map(|o| round(grads[0].1[*o], 1e4))
            .collect::<Vec<_>>(),
        "corner": units.iter().map(|o| round(dw[[0, *o]], 1e4))
            .collect::<Vec<_>>(),
        "moved": round(
            norm(&(&trained.layers[0].w - &start.layers[0].w))
                / norm(&start.layers[0].w),
            1e3,
        ),
    })
}

fn norm(a: &Array2<f64>) -> f64 {
    a.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// Shares of the largest absolute value, in sixteenths as a picture has them.
fn scaled(column: ArrayView1<f64>) -> Vec<f64> {
    let most = column.fold(1e-12, |m: f64, v| m.max(v.abs()));
    column.iter().map(|v| round(v / most, 16.)).collect()
}

fn draw_templates(data: &Value) -> Picture {
    let gap = 10.;
    let side = (WIDTH - 4. - gap * (UNITS - 1) as f64) / UNITS as f64;
    let down = side + 44.;
    let mut picture = Picture::new(WIDTH, 3. * down - 8.);
    let titles = [
        ("before", "the weights of eight units, before training"),
        ("gradient", "their gradients, from 32 images"),
        ("added", "what 40 epochs add to the weights"),
    ];
    for (j, (name, title)) in titles.into_iter().enumerate() {
        let y = down * j as f64;
        let small = Type::new(SMALL).paint(Paint::Muted);
        picture.text([2., y + 12.], title, small);
        let tiles: Vec<Vec<f64>> = kit::get(data, &format!("/{name}"));
        for (i, tile) in tiles.iter().enumerate() {
            let at = [2. + (side + gap) * i as f64, y + 28.];
            for (sign, paint) in [(1., Paint::Positive), (-1., Paint::Negative)]
            {
                let shade = |v: &f64| (sign * v).max(0.);
                let rows: Vec<Vec<f64>> = tile
                    .chunks(8)
                    .map(|r| r.iter().map(shade).collect())
                    .collect();
                picture.raster(at, side / 8., &rows, paint);
            }
            let frame = [at[0], at[1], side, side];
            let look = if name == "gradient" {
                Look::stroke(Paint::Cotangent, 1.5).dashed()
            } else {
                Look::stroke(Paint::Faint, 1.)
            };
            picture.rectangle(frame, look);
        }
    }
    let note = Type::new(SMALL).end().paint(Paint::Cotangent);
    let (right, y) = (WIDTH - 2., down);
    picture.text(
        [right - 24., y + 12.],
        "margin, blank in every image: −db",
        note,
    );
    let look = Look::stroke(Paint::Cotangent, 1.5);
    picture.arrow([right - 18., y + 14.], [right - 5., y + 44.], look);
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_margin_the_weights_have_the_gradient_of_the_bias() {
        let pages = concat!(env!("CARGO_MANIFEST_DIR"), "/../../book/src/");
        let file = std::fs::read(format!("{pages}{WEIGHTS}")).unwrap();
        let data = templates(&Knobs::new(&[]), &file);
        let (corner, db): (Vec<f64>, Vec<f64>) =
            (kit::get(&data, "/corner"), kit::get(&data, "/db"));
        assert_eq!(corner.len(), UNITS);
        assert!(corner.iter().zip(&db).all(|(c, b)| *c == -b && *b != 0.));
        // Of those that are read wrongly, all fit into the row.
        let data = reading(&Knobs::new(&[]), &file);
        let wrong: usize = kit::get(&data, "/wrong_count");
        assert_eq!(wrong, kit::get::<Vec<Value>>(&data, "/wrong").len());
    }
}
