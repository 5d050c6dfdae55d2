//! What the chapter `discrete/reinforce` shows.

use std::fmt::Write;

use backprop::discrete::reinforce::grid::{Grid, MAP, MOVES};
use backprop::discrete::reinforce::kl::{self, Estimator};
use backprop::discrete::reinforce::ppo::{self, Drawn};
use backprop::discrete::reinforce::world::{Course, World};
use backprop::discrete::reinforce::{
    Moments, best_baseline, draw, gaussian, loss_vjp, mean_reward_vjp, moments,
    returns, score,
};
use backprop::discrete::reinforce::{bernoulli, entropy, entropy_vjp};
use backprop::engine::random::{self, Rng};
use backprop::network::mlp::{Activation, Mlp};
use backprop::network::optimizer::sgd;
use backprop::network::softmax_cross_entropy as softmax;
use backprop::training::data::{Dataset, Scaler, digits, split};
use backprop::training::policy as world_runs;
use examiner::Verdict;
use examiner::discrete::reinforce as exam;
use examiner::judge::Exam;
use ndarray::{Array1, Array2, ArrayView1, Axis as Along, arr1, arr2};
use serde_json::{Value, json};

use crate::Text as From;
use crate::kit::{
    self, Axis, Chart, Images, Look, Paint, Picture, Point, Type,
};
use crate::{Chapter, Data, Figure, Knob, Knobs, Output, Tolerance};

/// Networks that were told the digit, or only whether they were right.
const TOLD: &str = "book/src/generated/discrete/reinforce/told.json";

/// Outputs and figures of the chapter.
pub static CHAPTER: Chapter = Chapter {
    slug: "discrete/reinforce",
    outputs: &[
        stored("epochs", epochs),
        Output::printed("world", world),
        Output::printed("every", every),
        Output::printed("bits", bits),
        Output::printed("baselines", baselines),
        Output::printed("groups", groups),
        Output::printed("credit", credit),
        Output::printed("clip", clip),
        Output::printed("divergence", divergence),
        Output::printed("gauss", gauss),
        Output::printed("report", report),
    ],
    figures: &[
        Figure {
            name: "dots",
            title: "What each draw says, and their mean",
            description: "Two panels. In each, three dots around a centre, \
                          one for each action, their area the probability, \
                          and the same arrow from the centre to their mean. \
                          On the left, without a baseline, the dots lie \
                          further from the arrow's tip than on the right.",
            knobs: &[
                Knob::slider("b", -1.0..=1.0, 0.49).step(0.01),
                Knob::slider("batch", 1.0..=64.0, 1.0).step(1.0),
            ],
            data: Data::Computed(dots_data),
            read_out: Some(dots_words),
            draw: dots,
            tolerance: Tolerance::absolute(1e-9),
        },
        Figure {
            name: "variance",
            title: "The variance against the baseline",
            description: "A parabola. Its lowest point is at a baseline of \
                          0.489; marks on it show the baseline 0 and the \
                          mean reward 0.848, which is higher than the lowest \
                          point.",
            knobs: &[Knob::slider("reach", 1.0..=4.0, 1.0).step(0.5)],
            data: Data::Computed(variance_data),
            read_out: Some(variance_words),
            draw: variance,
            tolerance: Tolerance::absolute(1e-9),
        },
        Figure {
            name: "histogram",
            title: "Two thousand estimates with three baselines",
            description: "Three humps with the same middle at 0.1875. That \
                          with the baseline 0.2 is the narrowest, that \
                          without a baseline wider, and that with the mean \
                          loss as baseline the widest.",
            knobs: &[
                Knob::slider("draws", 10.0..=200.0, 90.0).step(10.0),
                Knob::index("seed", 20, 0),
            ],
            data: Data::Computed(histogram_data),
            read_out: Some(histogram_words),
            draw: histogram,
            tolerance: Tolerance::absolute(1e-9),
        },
        Figure {
            name: "told",
            title: "Digits learned from right or wrong",
            description: "The share of test images that are read right, \
                          against the epoch, for three networks. The one \
                          that is told the digit is above 90 per cent after \
                          one epoch. The one that is told right or wrong \
                          ends below 70 per cent. With an entropy bonus it \
                          comes to 95, the first to 98.",
            knobs: &[],
            data: Data::Stored(told_run),
            read_out: None,
            draw: told,
            tolerance: Tolerance::EXACT,
        },
        Figure {
            name: "floor",
            title: "A policy that learns its way",
            description: "The exact expected return against the steps of \
                          training, mean and range of ten seeds. With a \
                          baseline all ten curves rise from -0.85 to just \
                          below the best possible 0.30 and stay together. \
                          Without one the range is wide, and some seeds stay \
                          far below to the end.",
            knobs: &[],
            data: Data::Stored(floor_run),
            read_out: None,
            draw: floor,
            tolerance: Tolerance::EXACT,
        },
        Figure {
            name: "guesses",
            title: "Ten digits and what the network says",
            description: "Ten test images of handwritten digits. Under each \
                          is, after 40 epochs, the likeliest guess and its \
                          probability: of a network told right or wrong, and \
                          below it of one that was also paid for entropy.",
            knobs: &[],
            data: Data::Measured(TOLD),
            read_out: None,
            draw: guesses,
            tolerance: Tolerance::EXACT,
        },
    ],
};

/// A text that is written from the stored run.
const fn stored(name: &'static str, text: fn(&Value) -> String) -> Output {
    Output {
        name,
        extension: "txt",
        text: From::Stored(TOLD, text),
        tolerance: Tolerance::EXACT,
    }
}

// ---- three actions ----------------------------------------------------------

const THETA: [f64; 3] = [0.5, -0.2, 0.1];
const REWARDS: [f64; 3] = [2., -1., 0.5];

fn policy() -> Array1<f64> {
    softmax::forward(arr2(&[THETA]).view()).index_axis_move(Along(0), 0)
}

fn with_baseline(b: f64) -> Moments {
    let p = policy();
    moments(p.view(), |a| score(p.view(), a) * (REWARDS[a] - b))
}

fn row(v: &[f64], places: usize) -> String {
    let mut text = String::new();
    for v in v {
        let _ = write!(text, "{:>9}", kit::fixed(*v, places));
    }
    text
}

fn every() -> String {
    let p = policy();
    let mut text =
        String::from("action     π       r              r · score\n");
    for a in 0..3 {
        let g = score(p.view(), a) * REWARDS[a];
        let _ = writeln!(
            text,
            "{:>4}   {:.4}  {:>6}   {}",
            a + 1,
            p[a],
            kit::fixed(REWARDS[a], 1),
            row(g.as_slice().expect("a row"), 4)
        );
    }
    let mean = with_baseline(0.).mean;
    let mean = mean.as_slice().expect("a row");
    let _ = writeln!(text, "{:<20} {}", "weighted with π", row(mean, 4));
    let slopes: Vec<f64> = (0..3)
        .map(|k| {
            let j = |step: f64| {
                let mut x = arr2(&[THETA]);
                x[[0, k]] += step;
                softmax::forward(x.view()).row(0).dot(&arr1(&REWARDS))
            };
            (j(1e-5) - j(-1e-5)) / 2e-5
        })
        .collect();
    let _ = writeln!(text, "{:<20} {}", "differences of J", row(&slopes, 4));
    text
}

fn baselines() -> String {
    let (p, r) = (policy(), arr1(&REWARDS));
    let (j, best) = (p.dot(&r), best_baseline(p.view(), r.view()));
    let mut text = String::from(
        "baseline                      mean              variance\n",
    );
    for (name, b) in [
        ("0", 0.),
        ("J = 0.848", j),
        ("b* = 0.489", best),
        ("100", 100.),
    ] {
        let m = with_baseline(b);
        let mean = row(m.mean.as_slice().expect("a row"), 4);
        let places = if m.variance > 10. { 0 } else { 3 };
        let _ = writeln!(
            text,
            "{name:<12}{mean}{:>13}",
            kit::fixed(m.variance, places)
        );
    }
    // The baseline J with a gradient of its own.
    let h = entropy(arr2(&[THETA]).view())[0];
    let r = r.insert_axis(Along(0));
    let one = arr1(&[1.]);
    let dj =
        mean_reward_vjp(p.view().insert_axis(Along(0)), r.view(), one.view());
    let m = moments(p.view(), |a| {
        score(p.view(), a) * (REWARDS[a] - j) - &dj.row(0) * p[a].ln()
    });
    let _ = writeln!(
        text,
        "{:<12}{}{:>13}",
        "J, moving",
        row(m.mean.as_slice().expect("a row"), 4),
        kit::fixed(m.variance, 3)
    );
    let ratio = m.mean[0] / dj[[0, 0]];
    let _ = writeln!(
        text,
        "the last is {} times the others; 1 + entropy = {}",
        kit::fixed(ratio, 4),
        kit::fixed(1. + h, 4)
    );
    text
}

fn groups() -> String {
    let p = policy();
    let j = with_baseline(0.).mean[0];
    let mut text =
        String::from("times the gradient   own mean   mean of the others\n");
    for group in [2, 3, 4] {
        let of = |advantages: fn(ndarray::ArrayView2<f64>) -> Array2<f64>| {
            let all = (0..3usize.pow(group)).map(|code| {
                let a: Vec<usize> =
                    (0..group).map(|g| code / 3usize.pow(g) % 3).collect();
                let r: Array1<f64> = a.iter().map(|a| REWARDS[*a]).collect();
                let adv = advantages(r.view().insert_axis(Along(0)));
                let rows = p.broadcast((a.len(), 3)).expect("rows");
                let d = loss_vjp(rows, &a, adv.row(0), -1.);
                let chance: f64 = a.iter().map(|a| p[*a]).product();
                (chance, d.sum_axis(Along(0)))
            });
            Moments::of(&all.collect::<Vec<_>>()).mean[0] / j
        };
        let _ = writeln!(
            text,
            "{group:>8} in a group{:>10}{:>21}",
            kit::fixed(of(returns::own_mean), 4),
            kit::fixed(of(returns::leave_one_out), 4)
        );
    }
    text
}

/// A point of the plane in which scores lie: their entries sum to 0.
fn flat(g: &Array1<f64>) -> Point {
    [
        (g[0] - g[1]) / 2f64.sqrt(),
        (2. * g[2] - g[0] - g[1]) / 6f64.sqrt(),
    ]
}

/// How many estimates a cloud has.
const CLOUD: usize = 150;

/// The actions drawn in so many batches.
fn batches(p: &Array1<f64>, batch: usize) -> Vec<Vec<usize>> {
    let mut rng = random::rng(0);
    let u: Array2<f64> = random::uniform(&mut rng, (CLOUD, batch), 0., 1.);
    let action =
        |u: &f64| usize::from(*u >= p[0]) + usize::from(*u >= p[0] + p[1]);
    let rows = u.rows().into_iter();
    rows.map(|u| u.iter().map(action).collect()).collect()
}

/// With a batch of more than one also a cloud: its means, batch by batch. The
/// same draws for both baselines.
fn dots_data(knobs: &Knobs) -> Value {
    let p = policy();
    let batch = knobs.number("batch");
    let drawn = if batch > 1. {
        batches(&p, batch as usize)
    } else {
        vec![]
    };
    let panel = |b: f64| {
        let m = with_baseline(b);
        let each: Vec<Point> = (0..3)
            .map(|a| flat(&(score(p.view(), a) * (REWARDS[a] - b))))
            .collect();
        let mean = |drawn: &Vec<usize>| {
            [0, 1]
                .map(|k| drawn.iter().map(|a| each[*a][k]).sum::<f64>() / batch)
        };
        json!({
            "b": b,
            "dots": each,
            "cloud": drawn.iter().map(mean).collect::<Vec<Point>>(),
            "mean": flat(&m.mean),
            "variance": m.variance / batch,
        })
    };
    json!({ "p": p.to_vec(), "panels": [panel(0.), panel(knobs.number("b"))] })
}

fn dots_words(knobs: &Knobs, data: &Value) -> String {
    let [b, v, without] =
        ["/panels/1/b", "/panels/1/variance", "/panels/0/variance"]
            .map(|at| kit::get::<f64>(data, at));
    format!(
        "baseline {}, batch {}: variance {}, without a baseline {}",
        kit::fixed(b, 2),
        knobs.number("batch"),
        kit::fixed(v, 3),
        kit::fixed(without, 3)
    )
}

fn dots(data: &Value) -> Picture {
    let p: Vec<f64> = kit::get(data, "/p");
    let mut picture = Picture::new(640., 330.);
    let label = Type::new(kit::SMALL).middle();
    for panel in 0..2 {
        let at = |what: &str| format!("/panels/{panel}/{what}");
        let b: f64 = kit::get(data, &at("b"));
        let dots: Vec<Point> = kit::get(data, &at("dots"));
        let mean: Point = kit::get(data, &at("mean"));
        let v: f64 = kit::get(data, &at("variance"));
        let centre = [130. + 320. * panel as f64, 165.];
        let place =
            |[x, y]: Point| [centre[0] + 100. * x, centre[1] - 100. * y];
        let title = match panel {
            0 => "without a baseline".to_owned(),
            _ => format!("baseline {}", kit::fixed(b, 2)),
        };
        picture.text(
            [centre[0] + 30., 16.],
            &title,
            Type::new(kit::TEXT).middle(),
        );
        let spread = format!("variance {}", kit::fixed(v, 3));
        picture.text([centre[0] + 30., 312.], &spread, label.bold());
        for (a, dot) in dots.iter().enumerate() {
            let to = place(*dot);
            picture.line(
                place(mean),
                to,
                Look::stroke(Paint::Muted, 1.5).dashed(),
            );
            let paint = Paint::Series(a as u8 + 1);
            picture.circle(
                to,
                26. * p[a].sqrt(),
                Look::fill(paint).opacity(0.6),
            );
            picture.text(to, &(a + 1).to_string(), label.bold());
        }
        for estimate in kit::get::<Vec<Point>>(data, &at("cloud")) {
            let look = Look::fill(Paint::Ink).opacity(0.35);
            picture.circle(place(estimate), 2.5, look);
        }
        let look = Look::stroke(Paint::Cotangent, 4.);
        picture.arrow(centre, place(mean), look);
        picture.circle(centre, 3., Look::fill(Paint::Ink));
    }
    picture
}

fn variance_data(knobs: &Knobs) -> Value {
    let (p, r) = (policy(), arr1(&REWARDS));
    let (best, j) = (best_baseline(p.view(), r.view()), p.dot(&r));
    let reach = knobs.number("reach");
    let at = |b: f64| [b, with_baseline(b).variance];
    let curve: Vec<Point> = (0..=60)
        .map(|k| at(best + reach * (k as f64 / 30. - 1.)))
        .collect();
    json!({ "curve": curve, "marks": [at(0.), at(best), at(j)] })
}

fn variance_words(_: &Knobs, data: &Value) -> String {
    let curve: Vec<Point> = kit::get(data, "/curve");
    let ends = [curve[0], curve[curve.len() - 1]];
    let said = ends
        .map(|[b, v]| format!("{} at {}", kit::fixed(v, 3), kit::fixed(b, 2)));
    format!("variance {} and {}", said[0], said[1])
}

fn variance(data: &Value) -> Picture {
    let curve: Vec<Point> = kit::get(data, "/curve");
    let marks: [Point; 3] = kit::get(data, "/marks");
    let said = |k: usize| kit::fixed(marks[k][1], 3);
    Chart::new(Axis::linear("baseline b"), Axis::linear("variance"))
        .line("", &curve)
        .paint(Paint::Cotangent)
        .points("", &marks)
        .note(marks[0], [-24., 24.], &format!("none: {}", said(0)))
        .note(marks[1], [-40., -110.], &format!("b* = 0.489: {}", said(1)))
        .note(marks[2], [-60., -140.], &format!("J = 0.848: {}", said(2)))
        .size(640., 320.)
        .picture()
}

// ---- one bit ----------------------------------------------------------------

fn bits() -> String {
    let mut text = String::from(
        "               mean    variance without   with the mean loss   with 1 \
         - σ\n",
    );
    for (name, theta) in [("θ = 0", 0.), ("θ = ln 3", 3f64.ln())] {
        let of = |b: f64| bernoulli::moments(theta, b);
        let p = bernoulli::sigmoid(theta);
        let _ = writeln!(
            text,
            "{name:<10}{:>9}{:>20}{:>21}{:>13}",
            kit::fixed(of(0.).mean[0], 4),
            kit::fixed(of(0.).variance, 6),
            kit::fixed(of(p).variance, 6),
            kit::fixed(of(1. - p).variance.max(0.), 0)
        );
    }
    text
}

/// The width of a bar, so that no estimate of 90 draws falls between two.
const EDGE: f64 = 0.011;

fn histogram_data(knobs: &Knobs) -> Value {
    let theta = 3f64.ln();
    let draws = knobs.number("draws") as usize;
    let mut rng = random::rng(knobs.index("seed") as u64);
    let u: Array2<f64> = random::uniform(&mut rng, (2000, draws), 0., 1.);
    let humps = [0.75, 0., 0.2].map(|b| {
        let mut counts = [0u32; 40];
        for u in u.rows() {
            let each = u.iter().map(|u| {
                bernoulli::estimate(theta, b, bernoulli::draw(theta, *u))
            });
            let mean = each.sum::<f64>() / draws as f64;
            let bin = ((mean - 0.1875) / EDGE + 20.5).max(0.) as usize;
            counts[bin.min(39)] += 1;
        }
        let at = |k: usize| 0.1875 + EDGE * (k as f64 - 20.);
        let share = |k: usize| [at(k), f64::from(counts[k]) / 20.];
        (12..29).map(share).collect::<Vec<Point>>()
    });
    json!({ "humps": humps })
}

fn histogram_words(knobs: &Knobs, data: &Value) -> String {
    let humps: [Vec<Point>; 3] = kit::get(data, "/humps");
    let spread = humps.map(|hump| {
        let all: f64 = hump.iter().map(|[_, n]| n).sum();
        let far = hump.iter().map(|[x, n]| n * (x - 0.1875).powi(2));
        kit::fixed((far.sum::<f64>() / all).sqrt(), 4)
    });
    let [mean, none, best] = spread;
    let draws = knobs.number("draws");
    format!(
        "{draws} draws each: standard deviation {none} without a baseline, \
         {mean} with the mean loss, {best} with 0.2"
    )
}

fn histogram(data: &Value) -> Picture {
    let humps: [Vec<Point>; 3] = kit::get(data, "/humps");
    Chart::new(
        Axis::linear("estimate of the derivative"),
        Axis::linear("% of 2,000"),
    )
    .marked_line("", &humps[0])
    .marked_line("", &humps[1])
    .marked_line("", &humps[2])
    .note(humps[0][5], [-30., -90.], "the mean loss, 0.75")
    .note(humps[1][9], [60., -40.], "no baseline")
    .note(humps[2][8], [60., 10.], "0.2")
    .size(640., 340.)
    .picture()
}

// ---- two steps ----------------------------------------------------------------

fn two_steps() -> (World, Array2<f64>) {
    let world = World {
        start: 0,
        next: arr2(&[[1, 2], [1, 1], [2, 2]]),
        reward: arr2(&[[1., -2.], [0.5, 2.], [-1., 3.]]),
        steps: 2,
    };
    (world, arr2(&[[0., 0.3], [0., -0.4], [0., 0.8]]))
}

fn credit() -> String {
    let (world, x) = two_steps();
    let to_go =
        |c: &Course| returns::to_go(ArrayView1::from(&c.rewards), 1.).to_vec();
    type Credit<'a> = &'a dyn Fn(&Course) -> Vec<f64>;
    let rows: [(&str, Credit); 6] = [
        ("all rewards", &|c| vec![c.rewards.iter().sum(); 2]),
        ("rewards to go", &to_go),
        ("the own reward", &|c| c.rewards.clone()),
        ("rewards so far", &|c| {
            vec![c.rewards[0], c.rewards[0] + c.rewards[1]]
        }),
        ("mean ln π, summed returns", &|c| {
            vec![to_go(c).iter().sum::<f64>() / 2.; 2]
        }),
        ("whitened in the episode", &|c| {
            let g = to_go(c);
            let side = (g[0] - g[1]).signum();
            vec![side, -side]
        }),
    ];
    let exact = world.gradient(x.view(), 1.);
    let mut text = format!(
        "{:<28}{}\n",
        "the gradient",
        row(&[exact[[0, 1]], exact[[1, 1]], exact[[2, 1]]], 4)
    );
    let _ = writeln!(
        text,
        "{:<28}{:>27}{:>11}",
        "credited with", "mean", "variance"
    );
    for (name, credit) in rows {
        let m = world.moments(x.view(), credit);
        let _ = writeln!(
            text,
            "{name:<28}{}{:>11}",
            row(&[m.mean[1], m.mean[3], m.mean[5]], 4),
            // Of (0, θ) both logits are counted.
            kit::fixed(m.variance / 2., 2)
        );
    }
    text
}

// ---- a policy that has moved ------------------------------------------------------

fn clip() -> String {
    let p = policy().insert_axis(Along(0));
    let mut text =
        String::from("ratio          0.5      0.9      1.1      1.5\n");
    for (name, a) in [("A = 1", 1.), ("A = -1", -1.)] {
        let factors = [0.5, 0.9, 1.1, 1.5].map(|ratio: f64| {
            let old = arr1(&[(p[[0, 0]] / ratio).ln()]);
            let (none, one, a) = (arr1(&[0.]), arr1(&[1.]), arr1(&[a]));
            let of = Drawn {
                actions: &[0],
                old: old.view(),
                reference: none.view(),
                advantages: a.view(),
                weights: one.view(),
                eps: 0.2,
                beta: 0.,
            };
            -ppo::loss_vjp(p.view(), of, 1.)[[0, 0]] / (1. - p[[0, 0]]) + 0.
        });
        let _ = writeln!(text, "{name:<9}{}", row(&factors, 1));
    }
    text
}

fn divergence() -> String {
    let (x, y) = (arr2(&[THETA]), arr2(&[[-0.6, 0.9, 0.2]]));
    let [log_p, log_q] = [&x, &y].map(|x| softmax::log_softmax(x.view()));
    let (p, one) = (policy(), arr1(&[1.]));
    let (forward, _) =
        kl::divergence_vjp(log_p.view(), log_q.view(), one.view());
    let (_, reverse) =
        kl::divergence_vjp(log_q.view(), log_p.view(), one.view());
    let mut text = format!(
        "{:<22}{:>8}{:>10}{:>27}\n",
        "", "mean", "variance", "mean of its gradient"
    );
    for (name, of) in [
        ("k1 = -ln r", Estimator::K1),
        ("k2 = ½ (ln r)²", Estimator::K2),
        ("k3 = r - 1 - ln r", Estimator::K3),
    ] {
        let q = |a: usize| arr1(&[log_q[[0, a]]]);
        let value = moments(p.view(), |a| {
            kl::estimate(x.view(), q(a).view(), &[a], of)
        });
        let slope = moments(p.view(), |a| {
            let (p, q) = (log_p.view(), q(a));
            kl::estimate_vjp(p, q.view(), &[a], of, one.view())
                .index_axis_move(Along(0), 0)
        });
        let mean = slope.mean.mapv(|g| if g.abs() < 1e-12 { 0. } else { g });
        let _ = writeln!(
            text,
            "{name:<22}{:>8}{:>10}{}",
            kit::fixed(value.mean[0], 4),
            kit::fixed(value.variance, 3),
            row(mean.as_slice().expect("a row"), 4)
        );
    }
    let kl = kl::divergence(x.view(), y.view())[0];
    let other = kl::divergence(y.view(), x.view())[0];
    for (name, kl, d) in
        [("KL(π‖ref)", kl, forward), ("KL(ref‖π)", other, reverse)]
    {
        let _ = writeln!(
            text,
            "{name:<22}{:>8}{:>10}{}",
            kit::fixed(kl, 4),
            "",
            row(d.as_slice().expect("a row"), 4)
        );
    }
    text
}

fn gauss() -> String {
    let mut text = String::from(
        "  σ     score function   with the mean loss   through the draw\n",
    );
    for sigma in [1., 0.1, 0.01] {
        let of = [1., sigma];
        let mean = 1. + sigma * sigma;
        let _ = writeln!(
            text,
            "{sigma:<6}{:>16}{:>21}{:>19}",
            kit::number(gaussian::variance_by_score(of, 0.), 5),
            kit::number(gaussian::variance_by_score(of, mean), 5),
            kit::number(gaussian::variance_pathwise(of), 5)
        );
    }
    text
}

// ---- right or wrong ---------------------------------------------------------------

const EPOCHS: usize = 40;
const SEEDS: u64 = 5;
const BATCH: usize = 32;

/// How a network is told: the digit, or whether its guess is right, with that
/// entropy bonus.
#[derive(Clone, Copy, PartialEq)]
enum Told {
    Digit,
    RightOrWrong { bonus: f64 },
}

/// Pixels from -1 to 1, as `cargo train digits` prepares them.
fn images() -> (Dataset, Dataset) {
    let mut all = digits();
    Scaler::by(8., 64).apply(&mut all);
    all.x -= 1.;
    split(&all, 0.2, 0).expect("a fifth of 1,797 images")
}

/// The cotangent of the logits for a batch.
fn cotangent(
    logits: &Array2<f64>,
    labels: &[usize],
    told: Told,
    rng: &mut Rng,
) -> Array2<f64> {
    let log_p = softmax::log_softmax(logits.view());
    let p = log_p.exp();
    let n = labels.len() as f64;
    let Told::RightOrWrong { bonus } = told else {
        return (p - softmax::targets(labels, 10, 0.)) / n;
    };
    let u: Array1<f64> = random::uniform(rng, labels.len(), 0., 1.);
    let guesses = p.rows().into_iter().zip(&u).map(|(p, u)| draw(p, *u));
    let guesses: Vec<usize> = guesses.collect();
    let right = guesses.iter().zip(labels);
    let r: Array1<f64> = right
        .map(|(guess, label)| f64::from(guess == label))
        .collect();
    let others = returns::leave_one_out(r.view().insert_axis(Along(0)));
    let dh = Array1::from_elem(labels.len(), -bonus / n);
    loss_vjp(p.view(), &guesses, others.row(0), 1.)
        + entropy_vjp(log_p.view(), dh.view())
}

/// The share of images that are read right after each epoch, the first entry
/// before all of them, and the network in the end.
fn learn(told: Told, seed: u64) -> (Vec<f64>, Mlp) {
    let (train, test) = images();
    let mut rng = random::rng(seed);
    let relu = Activation::Relu;
    let mut net = Mlp::new(&[64, 128, 10], relu, Activation::Identity, seed);
    let zeros = net.layers.iter();
    let mut speed: Vec<_> = zeros
        .map(|l| (l.w.mapv(|_| 0.), l.b.mapv(|_| 0.)))
        .collect();
    let right = |net: &Mlp| {
        let (y, _) = net.forward(test.x.view());
        let best = y.rows().into_iter().map(|y| likeliest(y));
        let all = best.zip(&test.labels).filter(|(y, t)| y == *t);
        all.count() as f64 / test.labels.len() as f64
    };
    let mut shares = vec![right(&net)];
    for _ in 0..EPOCHS {
        let order = random::permutation(&mut rng, train.len());
        for rows in order.chunks(BATCH) {
            let x = train.x.select(Along(0), rows);
            let labels: Vec<_> =
                rows.iter().map(|n| train.labels[*n]).collect();
            let (y, cache) = net.forward(x.view());
            let dy = cotangent(&y, &labels, told, &mut rng);
            let d = net.gradients(&cache, &net.errors(&cache, dy.view()));
            let all = net.layers.iter_mut().zip(&d).zip(&mut speed);
            for ((layer, (dw, db)), (vw, vb)) in all {
                let (w, b) = (layer.w.view_mut(), layer.b.view_mut());
                sgd(w, dw.view(), vw.view_mut(), 0.05, 0.9, 0.);
                sgd(b, db.view(), vb.view_mut(), 0.05, 0.9, 0.);
            }
        }
        shares.push(right(&net));
    }
    (shares, net)
}

fn likeliest(y: ArrayView1<f64>) -> usize {
    let best = y.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(0, |(k, _)| k)
}

const WAYS: [(&str, Told); 3] = [
    ("told the digit", Told::Digit),
    ("right or wrong", Told::RightOrWrong { bonus: 0. }),
    ("and paid for entropy", Told::RightOrWrong { bonus: 0.1 }),
];

fn told_run() -> Value {
    let curves = WAYS.map(|(_, told)| {
        let all: Vec<_> = (0..SEEDS).map(|s| learn(told, s).0).collect();
        let each = (0..=EPOCHS).map(|e| {
            let of: Vec<f64> = all.iter().map(|c| round(c[e])).collect();
            let mean = round(of.iter().sum::<f64>() / of.len() as f64);
            json!({ "mean": mean, "each": of })
        });
        each.collect::<Vec<_>>()
    });
    let nets = [1, 2].map(|way| learn(WAYS[way].1, 0).1);
    let (_, test) = images();
    let ten = (0..10).map(|d| {
        let n = test.labels.iter().position(|t| *t == d).expect("a digit");
        let x = test.x.row(n).insert_axis(Along(0));
        let pixels: Vec<f64> = x.iter().map(|x| (x + 1.) / 2.).collect();
        let guesses = nets.each_ref().map(|net| {
            let p = softmax::forward(net.forward(x).0.view());
            let best = likeliest(p.row(0));
            json!([best, round(p[[0, best]])])
        });
        json!({ "pixels": pixels, "guesses": guesses })
    });
    json!({ "ways": curves, "ten": ten.collect::<Vec<_>>() })
}

/// To six decimals.
fn round(v: f64) -> f64 {
    (v * 1e6).round() / 1e6
}

fn curve(data: &Value, way: usize) -> Vec<Point> {
    let at = |e: usize| format!("/ways/{way}/{e}/mean");
    let point = |e: usize| [e as f64, 100. * kit::get::<f64>(data, &at(e))];
    (0..=EPOCHS).map(point).collect()
}

fn epochs(data: &Value) -> String {
    let shown = [1, 5, 10, 20, 40];
    let mut text = format!("{:<30}", "test images read right, epoch");
    for e in shown {
        let _ = write!(text, "{e:>8}");
    }
    for (way, (name, _)) in WAYS.iter().enumerate() {
        let _ = write!(text, "\n{name:<30}");
        let all = curve(data, way);
        for e in shown {
            let _ = write!(text, "{:>6} %", kit::fixed(all[e][1], 1));
        }
    }
    text.push('\n');
    text
}

fn told(data: &Value) -> Picture {
    Chart::new(
        Axis::linear("epoch"),
        Axis::linear("test images read right, %").range(0., 115.),
    )
    .line(WAYS[0].0, &curve(data, 0))
    .label_at(6)
    .line(WAYS[1].0, &curve(data, 1))
    .label_at(24)
    .line("", &curve(data, 2))
    .note(curve(data, 2)[5], [60., 60.], WAYS[2].0)
    .size(640., 340.)
    .picture()
}

fn guesses(data: &Value) -> Picture {
    let mut images = Images::new(10).side(48.);
    for d in 0..10 {
        let pixels: Vec<f64> = kit::get(data, &format!("/ten/{d}/pixels"));
        let rows: Vec<_> = pixels.chunks(8).map(<[f64]>::to_vec).collect();
        let said = (0..2).map(|k| {
            let at = format!("/ten/{d}/guesses/{k}");
            let (guess, p): (usize, f64) = kit::get(data, &at);
            format!("{guess}: {}", kit::fixed(p, 2))
        });
        images = images.image(&rows, &said.collect::<Vec<_>>());
    }
    images.picture()
}

// ---- is it right? -------------------------------------------------------------------

fn report() -> String {
    let verdict = exam::LOSS_VJP.judge(
        |x, a, r, v, dloss| {
            let table = &r.insert_axis(Along(0)) - &v; // (N,N)
            let n = a.len() as f64;
            let advantages = table.sum_axis(Along(1)) / n;
            let p = softmax::forward(x);
            loss_vjp(p.view(), a, advantages.view(), dloss)
        },
        0,
    );
    match verdict {
        Verdict::Failed(report) => report.to_string(),
        other => format!("{other:?}\n"),
    }
}

// ---- a floor of five by five ------------------------------------------------

/// The world, and beside it the best that one can do.
fn world() -> String {
    let grid = Grid::default();
    let best = grid.best();
    let mut text = String::from("the floor     the best policy\n");
    let arrows = grid.picture(best.policy.view());
    for (row, arrows) in MAP.iter().zip(arrows.lines()) {
        let _ = writeln!(text, "  {row}           {arrows}");
    }
    let any = Array2::from_elem((grid.states(), MOVES), 1. / MOVES as f64);
    let _ = writeln!(
        text,
        "\nworth {} from S; moves at random {}",
        kit::fixed(best.value, 3),
        kit::fixed(grid.value(any.view()), 3)
    );
    text
}

/// The exact return of ten seeds, with the usual baseline and without one.
fn floor_run() -> Value {
    let usual = world_runs::Settings::default();
    let ways = [usual.baseline, 0.].map(|baseline| {
        let curves = (0..10).map(|seed| {
            let settings = world_runs::Settings {
                seed,
                baseline,
                ..usual.clone()
            };
            let reports =
                world_runs::curve(settings).expect("it does not diverge");
            let point = |r: world_runs::Report| json!([r.step, round(r.value)]);
            reports.into_iter().map(point).collect::<Vec<_>>()
        });
        curves.collect::<Vec<_>>()
    });
    let best = round(usual.grid().best().value);
    json!({ "best": best, "with": ways[0], "without": ways[1] })
}

fn floor(data: &Value) -> Picture {
    let best: f64 = kit::get(data, "/best");
    let mut chart = Chart::new(
        Axis::linear("steps of four episodes"),
        Axis::linear("expected return, exact").range(-1., 0.4),
    );
    for (name, label) in [("with", "baseline"), ("without", "none")] {
        let curves: Vec<Vec<Point>> = kit::get(data, &format!("/{name}"));
        let over = |of: fn(&[f64]) -> f64| -> Vec<Point> {
            let at = |k: usize| {
                let all: Vec<f64> = curves.iter().map(|c| c[k][1]).collect();
                [curves[0][k][0], of(&all)]
            };
            (0..curves[0].len()).map(at).collect()
        };
        let least = over(|v| v.iter().copied().fold(f64::INFINITY, f64::min));
        let most = over(|v| v.iter().copied().fold(-f64::INFINITY, f64::max));
        let mean = over(|v| v.iter().sum::<f64>() / v.len() as f64);
        chart = chart.line(label, &mean).band(&least, &most);
    }
    chart
        .rule(best, &format!("best possible {}", kit::fixed(best, 3)))
        .picture()
}
