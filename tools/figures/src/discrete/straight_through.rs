//! What the chapter `discrete/straight_through` shows.

use std::fmt::Write;

use backprop::discrete::straight_through::{
    Grid, descent, detached, gumbel, quantise, quantise_vjp, vq,
};
use backprop::engine::random;
use examiner::Verdict;
use examiner::discrete::straight_through as exam;
use examiner::judge::Exam;
use ndarray::{Array1, Array2, arr1, arr2, array};
use serde_json::{Value, json};

use crate::few_bits;
use crate::kit::{self, Axis, Chart, Dash, Look, Paint, Picture, Point, Type};
use crate::{Chapter, Data, Figure, Knob, Knobs, Output, Tolerance};

/// Outputs and figures of the chapter.
pub static CHAPTER: Chapter = Chapter {
    slug: "discrete/straight_through",
    outputs: &[
        Output::printed("codes", codes),
        Output::printed("five", five),
        Output::printed("forms", forms),
        Output::printed("coin", coin),
        Output::printed("tuned", tuned),
        few_bits::TABLE,
        Output::printed("pulls", pulls),
        Output::printed("draws", draws),
        Output::printed("temperature", temperature),
        Output::printed("report", report),
    ],
    figures: &[
        Figure {
            name: "staircase",
            title: "A grid of eight values and its surrogate",
            description: "Over the weight, a staircase of eight steps and a \
                          slanted line through the middle of each step, which \
                          is level half a step beyond the ends.",
            knobs: &[
                Knob::slider("bits", 1.0..=4.0, 3.0).step(1.0),
                Knob::slider("scale", 0.25..=1.0, 0.5).step(0.05),
            ],
            data: Data::Computed(staircase_data),
            read_out: Some(staircase_words),
            draw: staircase,
            tolerance: Tolerance::absolute(1e-9),
        },
        Figure {
            name: "walk",
            title: "The weight that never settles",
            description: "The latent weight over the steps of descent. It falls \
                          to one half and then zigzags about it for ever. \
                          Above, the code of each step, and the mean of the \
                          codes so far, which goes to 0.3.",
            knobs: &[
                Knob::slider("lr", 0.01..=0.2, 0.05).step(0.005),
                Knob::slider("start", -1.0..=2.0, 0.8).step(0.05),
                Knob::slider("target", -0.5..=1.5, 0.3).step(0.05),
            ],
            data: Data::Computed(walk_data),
            read_out: Some(walk_words),
            draw: walk,
            tolerance: Tolerance::absolute(1e-9),
        },
        Figure {
            name: "valley",
            title: "Two weights in a tilted valley",
            description: "Left, the ellipses of a loss over two weights, long \
                          from the upper left to the lower right, with the \
                          four nearest values of the grid. The one nearest to \
                          the centre lies across the valley, on a higher \
                          ellipse than two others that lie along it. Right, \
                          the path of the latent weights, which runs to the \
                          line where the first code changes and zigzags \
                          along it.",
            knobs: &[
                Knob::slider("lr", 0.005..=0.05, 0.03).step(0.005),
                Knob::slider("steps", 10.0..=200.0, 50.0).step(10.0),
            ],
            data: Data::Computed(valley_data),
            read_out: Some(valley_words),
            draw: valley,
            tolerance: Tolerance::absolute(1e-9),
        },
        few_bits::FIGURE,
    ],
};

// ---- a weight that is rounded --------------------------------------------

fn codes() -> String {
    let w = descent::walk(0.8, 0.3, 0.05, 10_000);
    let codes: Vec<f64> = w.iter().map(|w| w.round_ties_even()).collect();
    let mut text = String::new();
    for row in 0..3 {
        let _ =
            write!(text, "steps {:>2} to {:>2}  ", 20 * row + 1, 20 * row + 20);
        for code in &codes[20 * row..20 * row + 20] {
            let _ = write!(text, " {code:.0}");
        }
        text.push('\n');
    }
    let _ = write!(text, "\n{:<16}", "steps");
    let ends = [10, 100, 1_000, 10_000];
    for end in ends {
        let _ = write!(text, "{end:>10}");
    }
    let _ = write!(text, "\n{:<16}", "mean code");
    for end in ends {
        let mean = codes[..end].iter().sum::<f64>() / end as f64;
        let _ = write!(text, "{mean:>10.4}");
    }
    text.push('\n');
    text
}

fn staircase_data(knobs: &Knobs) -> Value {
    let grid = Grid::signed(knobs.number("bits") as u32, knobs.number("scale"));
    let (low, high) =
        (grid.scale * (grid.low - 2.), grid.scale * (grid.high + 2.));
    let mut steps = vec![];
    let mut code = grid.low;
    steps.push([low, grid.scale * grid.low]);
    while code < grid.high {
        let at = grid.scale * (code + 0.5);
        steps.push([at, grid.scale * code]);
        code += 1.;
        steps.push([at, grid.scale * code]);
    }
    steps.push([high, grid.scale * grid.high]);
    let half = grid.scale / 2.;
    let (a, b) = (grid.scale * grid.low - half, grid.scale * grid.high + half);
    let at = [low, a, b, high];
    let surrogate = at.map(|w| [w, grid.surrogate(w)]);
    json!({ "steps": steps, "surrogate": surrogate })
}

fn staircase_words(knobs: &Knobs, _: &Value) -> String {
    let grid = Grid::signed(knobs.number("bits") as u32, knobs.number("scale"));
    let [first, last] = [grid.low, grid.high].map(|code| grid.scale * code);
    format!(
        "{} values, {} to {}, {} apart",
        grid.high - grid.low + 1.,
        kit::fixed(first, 2),
        kit::fixed(last, 2),
        kit::fixed(grid.scale, 2)
    )
}

fn staircase(data: &Value) -> Picture {
    let steps: Vec<Point> = kit::get(data, "/steps");
    let surrogate: Vec<Point> = kit::get(data, "/surrogate");
    let x = Axis::linear("weight w");
    Chart::new(x, Axis::linear("value"))
        .line("rounded", &steps)
        .paint(Paint::Activation)
        .line("declared", &surrogate)
        .paint(Paint::Cotangent)
        .dash(Dash::Dashed)
        .size(640., 330.)
        .picture()
}

const SHOWN: usize = 90;

fn walk_data(knobs: &Knobs) -> Value {
    let [lr, start, target] =
        ["lr", "start", "target"].map(|name| knobs.number(name));
    let w = descent::walk(start, target, lr, 2000);
    let codes: Vec<f64> = w.iter().map(|w| w.round_ties_even()).collect();
    let mut sum = 0.;
    let mut means = vec![];
    for (t, code) in codes.iter().enumerate().take(2000) {
        sum += code;
        means.push([t as f64, sum / (t + 1) as f64]);
    }
    json!({
        "target": target,
        "w": w[..SHOWN],
        "codes": codes[..SHOWN],
        "means": means[..SHOWN],
        "mean": means[1999][1],
    })
}

fn walk_words(_: &Knobs, data: &Value) -> String {
    let [mean, target]: [f64; 2] =
        ["/mean", "/target"].map(|at| kit::get(data, at));
    format!(
        "mean code of 2,000 steps {}, target {}",
        kit::fixed(mean, 3),
        kit::fixed(target, 2)
    )
}

fn walk(data: &Value) -> Picture {
    let w: Vec<f64> = kit::get(data, "/w");
    let codes: Vec<f64> = kit::get(data, "/codes");
    let means: Vec<Point> = kit::get(data, "/means");
    let target: f64 = kit::get(data, "/target");
    let at = |v: &[f64]| -> Vec<Point> {
        v.iter().enumerate().map(|(t, v)| [t as f64, *v]).collect()
    };
    Chart::new(Axis::linear("step"), Axis::linear("weight, code"))
        .rule(target, "")
        .points("code", &at(&codes))
        .paint(Paint::Activation)
        .line("w", &at(&w))
        .paint(Paint::Weight)
        .dash(Dash::Solid)
        .line("mean code", &means)
        .paint(Paint::Series(6))
        .dash(Dash::Dashed)
        .size(640., 360.)
        .picture()
}

fn five() -> String {
    let grid = Grid::signed(3, 0.5);
    let w = arr1(&[1.3, -0.7, 2.9, 0.24, -3.4]);
    let x = arr1(&[3., 0.5, -1., 2., 1.]);
    let w_hat = quantise(w.view(), grid);
    let error = w_hat.dot(&x) - 1.;
    let dw_hat: Array1<f64> = error * &x;
    let dw = quantise_vjp(w.view(), grid, dw_hat.view());
    let mut text = format!(
        "{:>6}{:>8}{:>8}{:>8}{:>8}{:>10}{:>10}\n",
        "w", "w/s", "code", "ŵ", "x", "dŵ", "dw"
    );
    for n in 0..w.len() {
        let _ = writeln!(
            text,
            "{:>6.2}{:>8.2}{:>8.0}{:>8.1}{:>8.1}{:>10.3}{:>10.3}",
            w[n],
            w[n] / grid.scale,
            grid.code(w[n]) + 0.,
            w_hat[n] + 0.,
            x[n],
            dw_hat[n],
            dw[n] + 0.
        );
    }
    let _ = writeln!(text, "sum of ŵ·x {:.2}, error {error:.2}", w_hat.dot(&x));
    text
}

// ---- to the last bit -------------------------------------------------------

fn forms() -> String {
    let of_grid: Vec<f32> = (0..=100_000)
        .map(|k| (-3. + 6. * k as f64 / 1e5) as f32)
        .collect();
    let normal: Array1<f64> =
        random::normal(&mut random::rng(1), 100_000, 0., 3.);
    let normal: Vec<f32> = normal.iter().map(|x| *x as f32).collect();
    let round: fn(f32) -> f32 = f32::round_ties_even;
    let sign: fn(f32) -> f32 = |x| if x >= 0. { 1. } else { -1. };
    let rows = [
        ("round(x), 100,001 points of [-3, 3]", &of_grid, round),
        ("round(x), 100,000 draws of 3·N(0,1)", &normal, round),
        ("sign(x), the same draws", &normal, sign),
    ];
    let mut text = format!(
        "{:<38}{:>14}{:>14}\n",
        "differs from q in f32", "x + (q - x)", "(q + x) - x"
    );
    for (name, x, q) in rows {
        let off = |form: fn(f32, f32) -> f32| {
            x.iter().filter(|x| form(**x, q(**x)) != q(**x)).count()
        };
        let other = off(|x, q| (q + x) - x);
        let _ = writeln!(text, "{name:<38}{:>14}{other:>14}", off(detached));
    }
    text
}

fn coin() -> String {
    let mut text = format!(
        "{:<34}{:>8}{:>8}{:>8}{:>8}\n",
        "probability of 1, w", "0.1", "0.3", "0.5", "0.8"
    );
    let of = [0.1, 0.3, 0.5, 0.8].map(|w| descent::of_a_coin(w, 0.3));
    let _ = write!(text, "{:<34}", "slope of the expected loss");
    for (slope, _) in of {
        let _ = write!(text, "{slope:>8.2}");
    }
    let _ = write!(text, "\n{:<34}", "mean straight-through gradient");
    for (_, declared) in of {
        let _ = write!(text, "{:>8.2}", declared + 0.);
    }
    text.push('\n');
    text
}

// ---- two weights -----------------------------------------------------------

/// Two examples: the inputs say nearly the same.
fn regression() -> (Array2<f64>, Array1<f64>, Array1<f64>) {
    let x = array![[1.4, 1.4], [0.3, -0.3]];
    let best = array![0.48, 0.3];
    let t = x.dot(&best);
    (x, t, best)
}

fn loss_of(w: [f64; 2]) -> f64 {
    let (x, t, _) = regression();
    descent::loss(x.view(), t.view(), arr1(&w).view())
}

fn path(lr: f64, steps: usize) -> Vec<[f64; 2]> {
    let (x, t, best) = regression();
    let of = |w: Array1<f64>| [w[0], w[1]];
    let all =
        descent::tune(x.view(), t.view(), best.view(), Grid::WHOLE, lr, steps);
    all.into_iter().map(of).collect()
}

fn rounded(w: [f64; 2]) -> [f64; 2] {
    w.map(|w| w.round_ties_even() + 0.)
}

fn tuned() -> String {
    let path = path(0.03, 50);
    let mut text = format!(
        "{:<12}{:>10}{:>14}{:>16}{:>18}\n",
        "ŵ", "loss", "off by", "of 50 steps", "of the last 25"
    );
    for code in [[0., 0.], [1., 0.], [0., 1.], [1., 1.]] {
        let of = |path: &[[f64; 2]]| {
            path.iter().filter(|w| rounded(**w) == code).count()
        };
        let off = (code[0] - 0.48_f64).hypot(code[1] - 0.3);
        let name = format!("({}, {})", code[0], code[1]);
        let _ = writeln!(
            text,
            "{name:<12}{:>10.3}{off:>14.2}{:>16}{:>18}",
            loss_of(code),
            of(&path[1..]),
            of(&path[26..])
        );
    }
    let mean = path[26..].iter().map(|w| loss_of(rounded(*w))).sum::<f64>();
    let last = rounded(path[50]);
    let _ = writeln!(
        text,
        "\nrounded afterwards {:.3}\ntrained {:.3}, mean of the last 25 steps \
         {:.3}",
        loss_of(rounded(path[0])),
        loss_of(last),
        mean / 25.
    );
    text
}

fn valley_data(knobs: &Knobs) -> Value {
    let path = path(knobs.number("lr"), knobs.number("steps") as usize);
    let losses = path.iter().map(|w| loss_of(rounded(*w)));
    let losses: Vec<f64> = losses.collect();
    let corners = [[0., 0.], [1., 0.], [0., 1.], [1., 1.]];
    json!({
        "path": path,
        "losses": losses,
        "corners": corners.map(|w| (w, loss_of(w))),
    })
}

fn valley_words(_: &Knobs, data: &Value) -> String {
    let losses: Vec<f64> = kit::get(data, "/losses");
    let half = &losses[losses.len() / 2..];
    let path: Vec<Point> = kit::get(data, "/path");
    let [a, b] = path[path.len() - 1].map(|w| kit::fixed(w, 3));
    format!(
        "rounded afterwards {}, mean of the second half of the steps {}; the \
         latent weights end at ({a}, {b})",
        kit::fixed(losses[0], 3),
        kit::fixed(half.iter().sum::<f64>() / half.len() as f64, 3)
    )
}

fn valley(data: &Value) -> Picture {
    let path: Vec<Point> = kit::get(data, "/path");
    let corners: Vec<(Point, f64)> = kit::get(data, "/corners");
    let mut p = Picture::new(640., 350.);
    let small = Type::new(kit::SMALL).middle();
    // Left: the loss. Both inputs together stretch it by 1.4, apart by 0.3.
    let side = 290.;
    let left = |[a, b]: Point| {
        [8. + side * (a + 0.35) / 1.7, 30. + side * (1.35 - b) / 1.7]
    };
    p.text([8. + side / 2., 12.], "loss over both weights", small);
    for level in [0.01, 0.04, 0.16, 0.4] {
        let ring: Vec<Point> = (0..=96)
            .map(|k| {
                let angle = std::f64::consts::TAU * k as f64 / 96.;
                // 1/4·((1.4(a + b))² + (0.3(a - b))²) = level
                let sum = 2. * f64::sqrt(level) / 1.4 * angle.cos();
                let difference = 2. * f64::sqrt(level) / 0.3 * angle.sin();
                [
                    0.45 + (sum + difference) / 2.,
                    0.4 + (sum - difference) / 2.,
                ]
            })
            .collect();
        let inside = |[a, b]: &Point| {
            (-0.35..=1.35).contains(a) && (-0.35..=1.35).contains(b)
        };
        for part in ring.windows(2).filter(|w| w.iter().all(inside)) {
            p.line(
                left(part[0]),
                left(part[1]),
                Look::stroke(Paint::Muted, 1.),
            );
        }
    }
    p.marker(left([0.48, 0.3]), 5., 2, Paint::Weight);
    for (at, loss) in &corners {
        let [x, y] = left(*at);
        p.circle([x, y], 6., Look::fill(Paint::Activation));
        let label = small.paint(Paint::Activation).halo();
        let up = if at[1] > 0.5 { -18. } else { 20. };
        p.text([x, y + up], &kit::fixed(*loss, 3), label);
    }
    // Right: where the latent weights go, in the four squares of their codes.
    let [low, high] = [0.27, 0.57];
    let right = |[a, b]: Point| {
        let to = |v: f64| (v.clamp(low, high) - low) / (high - low);
        [342. + side * to(a), 30. + side * (1. - to(b))]
    };
    p.text([342. + side / 2., 12.], "the latent weights", small);
    p.rectangle([342., 30., side, side], Look::stroke(Paint::Faint, 1.));
    let cut = Look::stroke(Paint::Muted, 1.).dashed();
    p.line(right([0.5, low]), right([0.5, high]), cut);
    p.line(right([low, 0.5]), right([high, 0.5]), cut);
    let muted = small.paint(Paint::Muted);
    for (at, name) in [
        ([0.33, 0.288], "(0, 0)"),
        ([0.54, 0.288], "(1, 0)"),
        ([0.33, 0.553], "(0, 1)"),
        ([0.54, 0.553], "(1, 1)"),
    ] {
        p.text(right(at), name, muted);
    }
    let line: Vec<Point> = path.iter().map(|w| right(*w)).collect();
    p.polyline(&line, Look::stroke(Paint::Weight, 1.5));
    for at in &line {
        p.circle(*at, 2.5, Look::fill(Paint::Weight));
    }
    p.marker(line[0], 5., 2, Paint::Weight);
    p
}

// ---- a codebook -------------------------------------------------------------

fn pulls() -> String {
    let (z, e) = (arr2(&[[0.9, -0.4]]), arr2(&[[1., 0.]]));
    let dq = arr2(&[[0.3, -0.2]]);
    let (dz, de) = vq::vjp(
        z.view(),
        e.view(),
        &[0],
        0.25,
        dq.view(),
        arr1(&[1.]).view(),
    );
    let pull = &dz - &dq;
    let mut text = String::new();
    for (name, of) in [
        ("from above", &dq),
        ("pull on z", &pull),
        ("dz", &dz),
        ("de", &de),
    ] {
        let _ =
            writeln!(text, "{name:<12}{:>8.2}{:>8.2}", of[[0, 0]], of[[0, 1]]);
    }
    text
}

// ---- draws -------------------------------------------------------------------

const P: [f64; 3] = [0.2, 0.5, 0.3];

/// How often each of three sums is the largest, or the smallest if `turned`, for
/// Gumbel numbers of these weights: clocks of these rates.
fn shares(rates: [f64; 3], turned: bool) -> [f64; 3] {
    [0, 1, 2].map(|i| {
        let [a, b, c] = [0, 1, 2].map(|k| rates[(i + k) % 3]);
        match turned {
            false => a / (a + b + c),
            true => 1. - a / (a + b) - a / (a + c) + a / (a + b + c),
        }
    })
}

fn draws() -> String {
    let rows = [
        ("ln p + g", shares(P, false)),
        ("ln p - g", shares(P.map(|p| 1. / p), true)),
        ("p + g", shares(P.map(f64::exp), false)),
    ];
    let mut text =
        format!("{:<18}{:>8}{:>8}{:>8}\n", "largest of", "1", "2", "3");
    for (name, of) in rows {
        let _ = writeln!(
            text,
            "{name:<18}{:>8.3}{:>8.3}{:>8.3}",
            of[0], of[1], of[2]
        );
    }
    text
}

/// Mean and standard deviation of the declared gradient of the first logit of
/// two, for the loss (y₁ - 0.45)² and p₁ = 0.3, over all noise: by the midpoints
/// of equal parts of the difference's distribution.
fn moments(tau: f64, is_hard: bool) -> [f64; 2] {
    const N: usize = 200_000;
    let (mut sum, mut squares) = (0., 0.);
    // The difference of two Gumbel numbers is logistic.
    let noise = |u: f64| (u / (1. - u)).ln();
    let logit = (0.3_f64 / 0.7).ln();
    let x = Array2::from_shape_fn((N, 2), |(n, v)| match v {
        0 => logit + noise((n as f64 + 0.5) / N as f64),
        _ => 0.,
    });
    let zero = Array2::zeros((N, 2));
    let y = gumbel::forward(x.view(), zero.view(), tau);
    let seen = if is_hard {
        gumbel::hard(y.view())
    } else {
        y.clone()
    };
    let dy = Array2::from_shape_fn((N, 2), |(n, v)| match v {
        0 => 2. * (seen[[n, 0]] - 0.45),
        _ => 0.,
    });
    for dx in gumbel::vjp(y.view(), tau, dy.view()).column(0) {
        sum += dx;
        squares += dx * dx;
    }
    let mean = sum / N as f64;
    [mean, (squares / N as f64 - mean * mean).sqrt()]
}

fn temperature() -> String {
    let taus = [0.02, 0.1, 0.5, 1., 5.];
    let mut text = format!("{:<26}", "τ");
    for tau in taus {
        let _ = write!(text, "{tau:>9}");
    }
    for (name, is_hard) in [("soft", false), ("hard", true)] {
        let all = taus.map(|tau| moments(tau, is_hard));
        for (k, what) in ["mean gradient", "its deviation"].iter().enumerate() {
            let _ = write!(text, "\n{:<26}", format!("{name}: {what}"));
            for of in all {
                let _ = write!(text, "{:>9.4}", of[k]);
            }
        }
    }
    text.push('\n');
    text
}

// ---- is it right? -------------------------------------------------------------

fn report() -> String {
    let verdict = exam::QUANTISE.judge(
        (
            |w, scale, low, high| quantise(w, Grid { scale, low, high }),
            |w, scale, low, high, dy| {
                let grid = Grid {
                    scale,
                    low: low + 1.,
                    high: high - 1.,
                };
                quantise_vjp(w, grid, dy)
            },
        ),
        0,
    );
    match verdict {
        Verdict::Failed(report) => report.to_string(),
        other => format!("{other:?}\n"),
    }
}
