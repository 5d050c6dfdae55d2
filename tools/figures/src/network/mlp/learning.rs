//! Two classes of points, learned in the page, with a bug to plant.

use std::fmt::Write;

use backprop::network::mlp::{
    Activation, Cache, Gradients, Mlp, bp1, bp2, bp3, bp4, cross_entropy,
};
use backprop::network::{optimizer, softmax_cross_entropy as softmax};
use backprop::training::data::{Dataset, Scaler, circles, moons, spirals};
use ndarray::{Array1, Array2, ArrayView2};
use serde_json::{Value, json};

use crate::kit::{
    self, Axis, Chart, Dash, Fields, Look, Paint, Picture, Point, SMALL, Type,
    WIDTH,
};
use crate::{Data, Figure, Knob, Knobs, Run, Tolerance};

/// The figure.
pub(super) const FIGURE: Figure = Figure {
    name: "learning",
    title: "Spirals, learned by the four equations",
    description: "Left, points of two classes on two spirals, and what the \
                  network thinks of the plane: its boundary follows the \
                  spirals. Right, the loss after each step, on a logarithmic \
                  axis: it falls to below 0.01. Below, a bar for each layer: \
                  the gradient points where the true one does.",
    knobs: &[
        Knob::choice("bug", &BUGS),
        Knob::choice("data", &["spirals", "circles", "moons"]),
        Knob::slider("width", 2.0..=32., 16.).step(1.),
        Knob::slider("depth", 1.0..=3., 2.)
            .step(1.)
            .unit("hidden layers"),
        Knob::choice("activation", &["tanh", "ReLU", "sigmoid", "identity"]),
        Knob::slider("rate", 0.02..=1., 0.3).step(0.02),
        Knob::index("seed", 20, 0),
    ],
    data: Data::Running(|knobs| Box::new(Learning::new(knobs)), 60),
    read_out: Some(read_out),
    draw,
    // Round-off grows along the run; the numbers are rounded besides.
    tolerance: Tolerance::absolute(5e-3),
};

/// Steps of the optimiser in one of the figure: what a page computes in a
/// frame.
const STEPS: usize = 4;
/// Points of each class.
const POINTS: usize = 100;
/// The square that is shown, and its cells.
const REACH: f64 = 3.4;
const CELLS: usize = 30;
const MOMENTUM: f64 = 0.9;

/// What may be planted, by the words of the knob.
const BUGS: [&str; 9] = [
    "none",
    "slope forgotten",
    "slope of ReLU everywhere",
    "transpose missing",
    "sign flipped in BP2",
    "sign flipped in BP1",
    "p(1 − p) once more",
    "updated too early",
    "biases not updated",
];

/// A bug of the backward pass, [`BUGS`] in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    SlopeForgotten,
    ReluEverywhere,
    TransposeMissing,
    SignInBp2,
    SignInBp1,
    SlopeOfSoftmax,
    TooEarly,
    BiasesKept,
}

const ALL: [Bug; 9] = [
    Bug::None,
    Bug::SlopeForgotten,
    Bug::ReluEverywhere,
    Bug::TransposeMissing,
    Bug::SignInBp2,
    Bug::SignInBp1,
    Bug::SlopeOfSoftmax,
    Bug::TooEarly,
    Bug::BiasesKept,
];

impl Bug {
    fn of(knobs: &Knobs) -> Self {
        let word = knobs.choice("bug");
        let at = BUGS.iter().position(|b| *b == word);
        ALL[at.unwrap_or(0)]
    }

    /// Why it changes nothing in this network, where that is so.
    fn nowhere(self, net: &Mlp) -> Option<&'static str> {
        let hidden = &net.layers[..net.layers.len() - 1];
        let activation = hidden[0].activation;
        let square = |w: &Array2<f64>| w.nrows() == w.ncols();
        match self {
            Self::SlopeForgotten if activation == Activation::Identity => {
                Some("the slope is 1 everywhere")
            }
            Self::ReluEverywhere if activation == Activation::Relu => {
                Some("the slope of ReLU is the right one")
            }
            Self::TransposeMissing
                if !net.layers[1..].iter().any(|l| square(&l.w)) =>
            {
                Some("no weight that the error crosses is square")
            }
            _ => None,
        }
    }
}

/// A network and its optimiser: plain `f64`, and the chapter's functions.
#[derive(Clone)]
struct Learner {
    net: Mlp,
    velocity: Gradients,
    /// Step and loss, thinned out as they grow.
    curve: Vec<Point>,
    loss: f64,
    right: f64,
    /// The numbers left what a computer can hold.
    lost: bool,
}

impl Learner {
    fn new(net: Mlp) -> Self {
        let zeros = |l: &backprop::network::mlp::Layer| {
            (Array2::zeros(l.w.raw_dim()), Array1::zeros(l.b.raw_dim()))
        };
        Self {
            velocity: net.layers.iter().map(zeros).collect(),
            net,
            curve: Vec::new(),
            loss: 0.,
            right: 0.,
            lost: false,
        }
    }

    /// The gradient of all parameters, with `bug` in it: the chapter's
    /// equations in the order of [`Mlp::errors`], one of them changed.
    fn gradients(
        &self,
        cache: &Cache,
        dy: ArrayView2<f64>,
        bug: Bug,
        rate: f64,
    ) -> Gradients {
        let layers = &self.net.layers;
        let last = layers.len() - 1;
        let z = cache.sums[last].view();
        let mut delta = bp1(dy, z, layers[last].activation);
        match bug {
            Bug::SignInBp1 => delta = -delta,
            Bug::SlopeOfSoftmax => {
                delta *= &softmax::forward(z).mapv(|p| p * (1. - p));
            }
            _ => {}
        }
        let mut grads = Gradients::new();
        for l in (0..=last).rev() {
            let dw = bp3(cache.inputs[l].view(), delta.view());
            let db = bp4(delta.view());
            if l > 0 {
                let (w, z) = (&layers[l].w, cache.sums[l - 1].view());
                let slope = match bug {
                    Bug::SlopeForgotten => Activation::Identity,
                    Bug::ReluEverywhere => Activation::Relu,
                    _ => layers[l - 1].activation,
                };
                let square = w.nrows() == w.ncols();
                delta = match bug {
                    // bp2 turns the weight: what it gets turned, it takes as
                    // it is.
                    Bug::TransposeMissing if square => {
                        bp2(delta.view(), w.t(), z, slope)
                    }
                    Bug::TooEarly => {
                        let (mut w, mut v) =
                            (w.clone(), self.velocity[l].0.clone());
                        descend(&mut w, &dw, &mut v, rate);
                        bp2(delta.view(), w.view(), z, slope)
                    }
                    _ => bp2(delta.view(), w.view(), z, slope),
                };
                if bug == Bug::SignInBp2 {
                    delta = -delta;
                }
            }
            let db = match bug {
                Bug::BiasesKept => Array1::zeros(db.raw_dim()),
                _ => db,
            };
            grads.push((dw, db));
        }
        grads.reverse();
        grads
    }

    /// One step on all of the data; the loss is that before it.
    fn step(&mut self, data: &Dataset, t: &Array2<f64>, bug: Bug, rate: f64) {
        if self.lost {
            return;
        }
        let (y, cache) = self.net.forward(data.x.view());
        let (_, dy) = cross_entropy(y.view(), t.view());
        let grads = self.gradients(&cache, dy.view(), bug, rate);
        let before = self.net.clone();
        let layers = self.net.layers.iter_mut().zip(&mut self.velocity);
        for ((layer, (vw, vb)), (dw, db)) in layers.zip(&grads) {
            descend(&mut layer.w, dw, vw, rate);
            descend(&mut layer.b, db, vb, rate);
        }
        let fine = |w: &f64| w.abs() < 1e9;
        let layers = &self.net.layers;
        self.lost = !layers.iter().all(|l| l.w.iter().chain(&l.b).all(fine));
        if self.lost {
            self.net = before;
        }
    }

    /// Loss and share of points right, as they are now.
    fn measure(&mut self, data: &Dataset, t: &Array2<f64>) {
        let (y, _) = self.net.forward(data.x.view());
        self.loss = cross_entropy(y.view(), t.view()).0;
        let rows = y.rows().into_iter().zip(&data.labels);
        let right = rows.filter(|(y, label)| {
            let other = 1 - **label;
            y[**label] > y[other]
        });
        self.right = right.count() as f64 / data.len() as f64;
    }
}

/// One step of SGD with momentum, the chapter's neighbour.
fn descend<D: ndarray::Dimension>(
    w: &mut ndarray::Array<f64, D>,
    dw: &ndarray::Array<f64, D>,
    v: &mut ndarray::Array<f64, D>,
    rate: f64,
) {
    optimizer::sgd(w.view_mut(), dw.view(), v.view_mut(), rate, MOMENTUM, 0.);
}

/// Cosine of the angle between two gradients of one layer; 0 where one is
/// zero and the other is not.
fn cosine(
    (aw, ab): &(Array2<f64>, Array1<f64>),
    (bw, bb): &(Array2<f64>, Array1<f64>),
) -> f64 {
    let dot = |aw: &Array2<f64>, ab: &Array1<f64>| (aw * bw).sum() + ab.dot(bb);
    let (product, b) = (dot(aw, ab), dot(bw, bb));
    let a = (aw * aw).sum() + ab.dot(ab);
    if a == b {
        // Also where both are zero.
        let same = aw == bw && ab == bb;
        return if same { 1. } else { product / a };
    }
    let size = (a * b).sqrt();
    if size > 0. { product / size } else { 0. }
}

/// The run: a learner with a bug, and beside it one without.
struct Learning {
    data: Dataset,
    targets: Array2<f64>,
    learner: Learner,
    /// The same without a bug, from the step where one was planted first.
    sound: Option<Learner>,
    /// What cannot change in the middle of a run.
    fixed: Vec<String>,
    bug: Bug,
    rate: f64,
    steps: usize,
    /// Steps of the figure from one point of the curves to the next.
    stride: usize,
}

/// Points on a curve before every second one is left out.
const MOST: usize = 160;

impl Learning {
    fn new(knobs: &Knobs) -> Self {
        let make = match knobs.choice("data") {
            "circles" => circles(POINTS, 0.06, 0),
            "moons" => moons(POINTS, 0.06, 0),
            _ => spirals(POINTS, 0.03, 0),
        };
        let mut data = make;
        Scaler::by(1. / 3., 2).apply(&mut data);
        let hidden = match knobs.choice("activation") {
            "ReLU" => Activation::Relu,
            "sigmoid" => Activation::Sigmoid,
            "identity" => Activation::Identity,
            _ => Activation::Tanh,
        };
        let width = knobs.number("width") as usize;
        let depth = knobs.number("depth") as usize;
        let sizes = [vec![2], vec![width; depth], vec![2]].concat();
        let seed = knobs.index("seed") as u64;
        let net = Mlp::new(&sizes, hidden, Activation::Identity, seed);
        let mut run = Self {
            targets: softmax::targets(&data.labels, 2, 0.),
            data,
            learner: Learner::new(net),
            sound: None,
            fixed: fixed(knobs),
            bug: Bug::None,
            rate: knobs.number("rate"),
            steps: 0,
            stride: 1,
        };
        run.plant(Bug::of(knobs));
        run.look();
        run
    }

    fn plant(&mut self, bug: Bug) {
        if bug != Bug::None && self.sound.is_none() {
            self.sound = Some(self.learner.clone());
        }
        self.bug = bug;
    }

    /// Measures, and draws the curves on.
    fn look(&mut self) {
        let learners = [Some(&mut self.learner), self.sound.as_mut()];
        for learner in learners.into_iter().flatten() {
            learner.measure(&self.data, &self.targets);
            if self.steps.is_multiple_of(self.stride) {
                let at = (self.steps * STEPS) as f64;
                learner.curve.push([at, learner.loss]);
            }
        }
        if self.learner.curve.len() > MOST {
            self.stride *= 2;
            let learners = [Some(&mut self.learner), self.sound.as_mut()];
            for learner in learners.into_iter().flatten() {
                let mut even = false;
                learner.curve.retain(|_| {
                    even = !even;
                    even
                });
            }
        }
    }

    /// Cosine of the gradient with the true one at the same weights.
    fn cosines(&self) -> Vec<f64> {
        if self.bug == Bug::None {
            // The tests hold it to be the true one.
            return vec![1.; self.learner.net.layers.len()];
        }
        let (y, cache) = self.learner.net.forward(self.data.x.view());
        let (_, dy) = cross_entropy(y.view(), self.targets.view());
        let (dy, bug, rate) = (dy.view(), self.bug, self.rate);
        let got = self.learner.gradients(&cache, dy, bug, rate);
        let net = &self.learner.net;
        let want = net.gradients(&cache, &net.errors(&cache, dy));
        got.iter().zip(&want).map(|(a, b)| cosine(a, b)).collect()
    }

    /// The probability of class 1 in the middle of each cell.
    fn field(&self) -> Vec<Vec<f64>> {
        let middle = |i| {
            let side = 2. * REACH / CELLS as f64;
            (i as f64 + 0.5) * side - REACH
        };
        let at =
            |(k, input): (usize, usize)| middle([k % CELLS, k / CELLS][input]);
        let x = Array2::from_shape_fn((CELLS * CELLS, 2), at);
        let (y, _) = self.learner.net.forward(x.view());
        let p = softmax::forward(y.view());
        let p: Vec<f64> = p.column(1).iter().map(|p| round(*p, 1e2)).collect();
        p.chunks(CELLS).map(<[f64]>::to_vec).collect()
    }
}

/// The settings that a run cannot go on without.
fn fixed(knobs: &Knobs) -> Vec<String> {
    vec![
        knobs.choice("data").into(),
        knobs.choice("activation").into(),
        knobs.number("width").to_string(),
        knobs.number("depth").to_string(),
        knobs.index("seed").to_string(),
    ]
}

impl Run for Learning {
    fn step(&mut self) {
        for _ in 0..STEPS {
            let (data, t) = (&self.data, &self.targets);
            self.learner.step(data, t, self.bug, self.rate);
            if let Some(sound) = &mut self.sound {
                sound.step(data, t, Bug::None, self.rate);
            }
        }
        self.steps += 1;
        self.look();
    }

    fn moved(&mut self, knobs: &Knobs) {
        if fixed(knobs) != self.fixed {
            *self = Self::new(knobs);
            return;
        }
        self.rate = knobs.number("rate");
        self.plant(Bug::of(knobs));
    }

    fn data(&self) -> Value {
        let points = self.data.x.rows().into_iter().zip(&self.data.labels);
        let points: Vec<_> = points
            .map(|(x, label)| {
                ([round(x[0], 1e2), round(x[1], 1e2)], *label as u8)
            })
            .collect();
        let curve = |learner: &Learner| -> Vec<Point> {
            let each = learner.curve.iter();
            each.map(|[step, loss]| [*step, round(*loss, 1e4)])
                .collect()
        };
        let cosines = self.cosines();
        let at = ALL.iter().position(|b| *b == self.bug).unwrap_or(0);
        json!({
            "step": self.steps * STEPS,
            "loss": round(self.learner.loss, 1e4),
            "right": round(self.learner.right, 1e3),
            "lost": self.learner.lost,
            "bug": BUGS[at],
            "nowhere": self.bug.nowhere(&self.learner.net).unwrap_or(""),
            "rate": self.rate,
            "curve": curve(&self.learner),
            "sound": self.sound.as_ref().map_or(Vec::new(), curve),
            "sound_loss": self.sound.as_ref()
                .map_or(0., |sound| round(sound.loss, 1e4)),
            "cosines": cosines.iter().map(|c| round(*c, 1e3))
                .collect::<Vec<_>>(),
            "points": points,
            "field": self.field(),
        })
    }
}

fn round(v: f64, per: f64) -> f64 {
    (v * per).round() / per
}

fn read_out(_: &Knobs, data: &Value) -> String {
    let loss = |at| kit::number(kit::get(data, at), 3);
    let step: usize = kit::get(data, "/step");
    let right = kit::fixed(100. * kit::get::<f64>(data, "/right"), 1);
    let bug: String = kit::get(data, "/bug");
    let rate = kit::number(kit::get(data, "/rate"), 3);
    let mut line = format!(
        "step {step}, rate {rate}: loss {}, {right} % right",
        loss("/loss")
    );
    if kit::get(data, "/lost") {
        line += "; stopped, the weights have left all bounds";
    }
    if !kit::get::<Vec<Point>>(data, "/sound").is_empty() {
        let _ = write!(line, "; without a bug {}", loss("/sound_loss"));
    }
    let nowhere: String = kit::get(data, "/nowhere");
    if bug == "none" {
        line += "; bug: none";
    } else if nowhere.is_empty() {
        let cosines: Vec<f64> = kit::get(data, "/cosines");
        let cosines: Vec<_> =
            cosines.iter().map(|c| kit::fixed(*c, 2)).collect();
        let cosines = cosines.join(", ");
        let _ = write!(line, "; bug: {bug}; cosine by layer {cosines}");
    } else {
        let _ = write!(line, "; bug: {bug}, no difference here: {nowhere}");
    }
    line
}

// ---- the picture -----------------------------------------------------------

const LOW: f64 = 1e-3;
const HIGH: f64 = 10.;

fn draw(data: &Value) -> Picture {
    let step: usize = kit::get(data, "/step");
    let right = 100. * kit::get::<f64>(data, "/right");
    let field: Vec<Vec<f64>> = kit::get(data, "/field");
    let title = format!("{step} steps, {} % right", kit::fixed(right, 1));
    let mut plane = Fields::new([-REACH, REACH], [-REACH, REACH])
        .columns(1)
        .panel(&title, "", &field, &[])
        .picture();
    points(&mut plane, &kit::get::<Vec<(Point, u8)>>(data, "/points"));
    let mut picture = Picture::new(WIDTH, 468.);
    picture.place(&plane, [0., 0.]);
    picture.place(&losses(data), [348., 0.]);
    bars(&mut picture, &kit::get::<Vec<f64>>(data, "/cosines"));
    picture
}

/// Discs for class 1, triangles for class 0, each with a rim in the colour of
/// the page: a path for each, since there are many.
fn points(picture: &mut Picture, points: &[(Point, u8)]) {
    let (side, top) = (340., 30.);
    let at = |v: f64| (v + REACH) / (2. * REACH) * side;
    for (class, paint) in [(1, Paint::Series(1)), (0, Paint::Series(2))] {
        for (r, paint) in [(4.6, Paint::Page), (3.4, paint)] {
            let mut d = String::new();
            for ([x, y], c) in points.iter().filter(|p| p.1 == class) {
                let (x, y) = (at(*x), top + side - at(*y));
                let (w, h) = (1.25 * r, 2.4 * r);
                let _ = if *c == 1 {
                    let (x, d2) = (x - r, 2. * r);
                    write!(
                        d,
                        "M{x:.1} {y:.1}a{r} {r} 0 1 0 {d2:.1} 0a{r} {r} 0 1 0 \
                         -{d2:.1} 0z"
                    )
                } else {
                    let y = y - 1.3 * r;
                    let w2 = 2. * w;
                    write!(d, "M{x:.1} {y:.1}l{w:.1} {h:.1}h-{w2:.1}z")
                };
            }
            picture.path(&d, Look::fill(paint));
        }
    }
}

/// Both losses over the steps. The axis of the steps doubles when it is full,
/// that of the loss stays.
fn losses(data: &Value) -> Picture {
    let step: f64 = kit::get(data, "/step");
    let mut most = 400.;
    while most < step {
        most *= 2.;
    }
    let curve = |name: &str| -> Vec<Point> {
        let all: Vec<Point> = kit::get(data, name);
        all.iter().map(|[s, l]| [*s, l.clamp(LOW, HIGH)]).collect()
    };
    let (own, sound) = (curve("/curve"), curve("/sound"));
    let mut chart = Chart::new(
        Axis::linear("step").range(0., most),
        Axis::log("cross-entropy, nats").range(LOW, HIGH),
    );
    if !sound.is_empty() {
        chart = chart
            .line("", &sound)
            .paint(Paint::Muted)
            .dash(Dash::Dashed);
    }
    let chart = chart
        .line("", &own)
        .paint(Paint::Series(1))
        .dash(Dash::Solid);
    let mut picture = chart.size(292., 404.).picture();
    if !sound.is_empty() {
        let style = Type::new(SMALL).end().halo();
        let blue = style.paint(Paint::Series(1)).bold();
        picture.text([268., 44.], "as it is", blue);
        picture.text([268., 66.], "without a bug", style.paint(Paint::Muted));
    }
    picture
}

/// For each layer a bar from −1 to 1.
fn bars(picture: &mut Picture, cosines: &[f64]) {
    let small = Type::new(SMALL).paint(Paint::Muted);
    let title = "cosine of each layer's gradient with the true one, −1 to 1";
    picture.text([2., 414.], title, small);
    let room = WIDTH / 4.;
    for (l, cosine) in cosines.iter().enumerate() {
        let (x, y) = (2. + room * l as f64, 445.);
        let text = Type::new(SMALL);
        picture.text([x, y], &format!("layer {}", l + 1), text);
        let (left, wide) = (x + 60., 46.);
        let middle = left + wide / 2.;
        let paint = if *cosine < 0. {
            Paint::Negative
        } else {
            Paint::Positive
        };
        let end = middle + cosine * wide / 2.;
        let bar = [middle.min(end), y - 9., (end - middle).abs(), 18.];
        picture.rectangle(bar, Look::fill(paint));
        let frame = [left, y - 9., wide, 18.];
        picture.rectangle(frame, Look::stroke(Paint::Faint, 1.));
        let axis = Look::stroke(Paint::Muted, 1.5);
        picture.line([middle, y - 12.], [middle, y + 12.], axis);
        let number = kit::fixed(*cosine, 2);
        picture.text([left + wide + 5., y], &number, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Setting;

    fn knobs(settings: &[(&str, Setting)]) -> Knobs {
        settings.iter().fold(Knobs::new(FIGURE.knobs), |k, (n, s)| {
            k.with(n, s.clone()).unwrap()
        })
    }

    fn words(text: &str) -> Setting {
        Setting::Words(text.into())
    }

    /// What a run says at its start: own gradient, and the crate's.
    fn both(settings: &[(&str, Setting)]) -> (Gradients, Gradients) {
        let mut run = Learning::new(&knobs(settings));
        run.step();
        let net = &run.learner.net;
        let (y, cache) = net.forward(run.data.x.view());
        let (_, dy) = cross_entropy(y.view(), run.targets.view());
        let dy = dy.view();
        let got = run.learner.gradients(&cache, dy, run.bug, run.rate);
        (got, net.gradients(&cache, &net.errors(&cache, dy)))
    }

    #[test]
    fn without_a_bug_it_is_the_gradient_of_the_crate_to_the_last_bit() {
        for activation in ["tanh", "ReLU", "sigmoid", "identity"] {
            for depth in [1., 2., 3.] {
                let (got, want) = both(&[
                    ("activation", words(activation)),
                    ("depth", Setting::Number(depth)),
                ]);
                assert_eq!(got, want);
                let zero = |g: &(Array2<f64>, _)| g.0.iter().all(|d| *d == 0.);
                assert!(!want.iter().any(zero));
            }
        }
    }

    #[test]
    fn every_bug_changes_the_gradient_unless_it_says_that_it_cannot() {
        let mut nowhere = 0;
        for bug in &BUGS[1..] {
            for activation in ["tanh", "ReLU", "sigmoid", "identity"] {
                for depth in [1., 2., 3.] {
                    let settings = [
                        ("bug", words(bug)),
                        ("activation", words(activation)),
                        ("depth", Setting::Number(depth)),
                    ];
                    let run = Learning::new(&knobs(&settings));
                    let says = run.bug.nowhere(&run.learner.net).is_some();
                    nowhere += usize::from(says);
                    let (got, want) = both(&settings);
                    let at = format!("{bug}, {activation}, {depth}");
                    assert_eq!(got == want, says, "{at}");
                }
            }
        }
        // Identity has no slope to forget, ReLU its own; depth 1 no square.
        assert_eq!(nowhere, 3 + 3 + 4);
    }

    #[test]
    fn two_wrong_signs_are_right_again() {
        let (got, want) = both(&[("bug", words("sign flipped in BP2"))]);
        let cosines: Vec<f64> =
            got.iter().zip(&want).map(|(a, b)| cosine(a, b)).collect();
        let signs = [1., -1., 1.];
        assert!(cosines.iter().zip(signs).all(|(c, s)| (c - s).abs() < 1e-9));
    }

    /// The loss after so many steps of the figure.
    fn loss(steps: usize, settings: &[(&str, Setting)]) -> f64 {
        let mut run = Learning::new(&knobs(settings));
        (0..steps).for_each(|_| run.step());
        run.learner.loss
    }

    #[test]
    fn what_the_caption_says_of_the_bugs() {
        let with = |bug: &str| loss(60, &[("bug", words(bug))]);
        assert!(with("none") < 0.05);
        assert!(with("transpose missing") < 0.1);
        assert!(with("updated too early") < 0.1);
        assert!(with("slope forgotten") > 0.4);
        assert!(with("sign flipped in BP2") > 0.4);
        assert!(with("sign flipped in BP1") > 10.);
        // The spirals turn into one another by half a turn, circles do not.
        let unbiased = |data: &str| {
            let bug = ("bug", words("biases not updated"));
            loss(50, &[bug, ("data", words(data))])
        };
        assert!(unbiased("circles") > 0.5);
        assert!(unbiased("moons") < 0.1);
    }

    #[test]
    fn another_machines_round_off_stays_below_the_tolerance() {
        let mut runs = [0., 1e-14].map(|off| {
            let mut run = Learning::new(&knobs(&[]));
            for layer in &mut run.learner.net.layers {
                layer.w *= 1. + off;
            }
            run
        });
        let [a, b] = runs.each_mut().map(|run| {
            (0..60).for_each(|_| run.step());
            let curve = run.learner.curve.iter().map(|p| p[1]);
            let field = run.field().into_iter().flatten();
            let all: Vec<f64> =
                curve.chain(run.cosines()).chain(field).collect();
            all
        });
        let off = a.iter().zip(&b).map(|(a, b)| (a - b).abs());
        let most = off.fold(0., f64::max);
        // Fields are rounded to a hundredth: a step of it is more than the
        // tolerance, and must not be taken.
        assert!(most < 1e-6, "{most}");
    }

    #[test]
    fn a_rate_or_a_bug_goes_on_and_a_width_starts_anew() {
        let mut run = Learning::new(&knobs(&[]));
        (0..3).for_each(|_| run.step());
        run.moved(&knobs(&[("rate", Setting::Number(0.5))]));
        assert_eq!((run.steps, run.rate), (3, 0.5));
        let before = run.learner.curve.clone();
        run.moved(&knobs(&[("bug", words(BUGS[1]))]));
        run.step();
        // Both go on from where the bug was planted.
        let sound = run.sound.as_ref().unwrap();
        assert_eq!(sound.curve[..4], before[..]);
        assert_eq!(run.learner.curve[..4], before[..]);
        assert_ne!(sound.curve[4], run.learner.curve[4]);
        run.moved(&knobs(&[]));
        assert!(run.sound.is_some() && run.bug == Bug::None);
        run.moved(&knobs(&[("width", Setting::Number(5.))]));
        assert_eq!((run.steps, run.sound.is_none()), (0, true));
    }

    #[test]
    fn what_explodes_is_stopped_while_it_is_a_number() {
        let mut run = Learning::new(&knobs(&[
            ("bug", words("sign flipped in BP1")),
            ("activation", words("ReLU")),
            ("depth", Setting::Number(3.)),
            ("rate", Setting::Number(1.)),
        ]));
        (0..100).for_each(|_| run.step());
        assert!(run.learner.lost);
        let said = read_out(&knobs(&[]), &run.data());
        assert!(said.contains("stopped") && !said.contains("NaN"), "{said}");
    }

    #[test]
    fn a_long_run_keeps_its_curve_short() {
        let mut run = Learning::new(&knobs(&[("width", Setting::Number(2.))]));
        (0..500).for_each(|_| run.step());
        assert!((80..=MOST).contains(&run.learner.curve.len()));
        assert!(run.learner.curve.is_sorted_by(|a, b| a[0] < b[0]));
        assert!(run.learner.curve.last().unwrap()[0] > 1900.);
        let svg = FIGURE.svg("network/mlp", &run.data(), None);
        assert!(svg.len() < 60_000, "{}", svg.len());
    }
}
