//! The mistakes of the norms, and what each returns.
//!
//! All norms have one backward, `Dx`; they differ in which entries share a
//! mean. A mistake changes one letter of it, in one place or in several: its
//! ways.

use crate::calculus::chain_rule::mistakes::POWER_WITHOUT_TWO;
use crate::judge::{Inputs, Wrong, is_chosen, made, vector, ways};
use crate::network::softmax_cross_entropy::mistakes::MEAN_OVER_ENTRIES;
use ndarray::{Array1, Array2, ArrayD, Axis};

crate::names! { "depth/normalization.md";
    GAMMA_LOST "#what-goes-wrong":
        "dx, or one of its terms, is computed from dy, without the scale γ.",
        "x̂ reaches y through γ, so what arrives at x̂ is dy ⊙ γ.",
        "right for γ = 1; the sums that the projection makes 0 are 0 all the \
         same";
    GAMMA_AT_END "#what-goes-wrong":
        "γ multiplies dx after the projection instead of dy before it.",
        "Going down, γ comes first; a row's means are taken of dy ⊙ γ, in \
         which every entry has its own factor.",
        "right for γ = 1; rows of dx no longer sum to 0";
    GAMMA_TWICE "#what-goes-wrong":
        "γ multiplies twice: dy before the projection, and dx after it.",
        "x̂ met γ once on the way up, so the cotangent meets it once on the \
         way down.",
        "right for γ = 1; off by γ where a column has one γ";
    STATS_CONSTANT "#by-the-graph":
        "Mean and variance are treated as constants.",
        "They are functions of x: each entry moves the statistics, and \
         through them every entry that shares them.",
        "a constant times dy ⊙ γ; neither of the two sums is 0";
    VAR_TERM_DROPPED "#by-the-graph":
        "The path through the variance is left out.",
        "x moves the variance, the variance moves every x̂: that is the term \
         along x̂.",
        "dx sums to 0, but its product with x̂ does not";
    MEAN_TERM_DROPPED "#by-the-graph":
        "The path through the mean is left out.",
        "x moves the mean, and the mean is taken off every entry: that is the \
         term along the constant direction.",
        "dx does not sum to 0";
    TERM_ADDED "#by-projection":
        "A term of the projection is added, not taken off.",
        "What lies along 1 and along x̂ is removed from g: two minus signs.",
        "the sum of dx, or its product with x̂, is twice that of r·g";
    ROOT_WITHOUT_HALF "#by-the-graph":
        "The root is differentiated without its factor 1/2.",
        "The slope of v^(-1/2) is -v^(-3/2)/2; that half cancels the 2 of the \
         squares.",
        "the term along x̂ is twice as large";
    MEAN_TERMS_SUMMED "#by-projection":
        "Sums are taken in dx, or in r, where means belong.",
        "The mean of D numbers hands each of them a share of 1/D.",
        "the projections are taken off D times over";
    INVERSE_STD_TWICE "#rows-of-a-matrix":
        "r is 1/√(variance + ε) already, and a root or an inverse is taken of \
         it again, or it multiplies once more.",
        "r is the finished factor: x̂ is (x - μ) times r.",
        "right only where the variance is near 1";
    INVERSE_STD_LOST "#by-projection":
        "The factor r is left out, of x̂ or of a term of dx.",
        "x̂ is (x - μ) times r, and what is left of g is divided by the \
         deviation, like x was.",
        "right only where the variance is near 1";
    SQUARE_FOR_ROOT "#one-row":
        "Another power of the variance is taken than its inverse root.",
        "x̂ is divided by the standard deviation, √(variance + ε), and not by \
         the variance or its square.",
        "right only where the variance is near 1";
    BN_BESSEL "#in-company":
        "The variance that normalises is divided by n - 1.",
        "A batch or a row normalises itself with the mean of its squares; n \
         - 1 belongs to what is kept for evaluation.",
        "off by √((n-1)/n), worst for small n";
    EPSILON_MISPLACED "#one-row":
        "ε is left out, or added after the root.",
        "r = 1/√(variance + ε): ε belongs to the variance.",
        "right where the variance is far above ε";
    ROW_TERM_ON_COLUMNS "#other-axes":
        "A statistic or a sum is taken, or spread, along the other axis.",
        "LayerNorm and RMSNorm take means over a row, BatchNorm over a \
         column; γ and β belong to columns in all of them.",
        "runs for square matrices, or everywhere and wrong";
    TRAIN_RULE_IN_EVAL "#in-company":
        "The projection of training, or half of it, is used in evaluation.",
        "Running statistics do not depend on this batch: nothing is projected \
         away.",
        "columns of dx sum to 0 where they should not";
    BATCH_STATS_IN_EVAL "#in-company":
        "Evaluation normalises with a statistic of its own batch.",
        "In evaluation mean and variance are given, so that an example's \
         result does not depend on its company.",
        "right only if batch and running statistics agree";
    RUNNING_VAR_BIASED "#in-company":
        "The variance that is kept is divided by B.",
        "This task, like PyTorch, keeps the unbiased one: divide by B - 1.",
        "the batch's share is too small by (B-1)/B";
    MOMENTUM_SWAPPED "#in-company":
        "The momentum is the share of the old statistics.",
        "Here, as in PyTorch, the batch gets the share m and the old \
         statistics 1 - m.",
        "right only for a momentum of one half";
    X_FOR_X_HAT "#rows-of-a-matrix":
        "x stands where x̂ belongs, with r or without.",
        "γ multiplies x̂ in the forward pass, so x̂ is its slope, and x̂ is one \
         of the directions that are projected away.",
        "right only if x has the mean 0 already";
    GAMMA_IN_DGAMMA "#rows-of-a-matrix":
        "dγ or dβ has a factor γ.",
        "γ's own slope is x̂ and β's is 1; only what goes on to x is multiplied \
         by γ.",
        "right for γ = 1";
    RMS_CENTRED "#other-axes":
        "RMSNorm is treated as if it took off the mean.",
        "Nothing is centred in RMSNorm: the constant direction is not taken \
         out, and r comes from the squares of x itself.",
        "LayerNorm's value; right for rows with mean 0";
    GROUP_PARAMETERS "#other-axes":
        "γ or β has one number for each group.",
        "A group shares its mean and r; γ and β belong to columns, as in every \
         norm here.",
        "G numbers where D belong";
    GROUPS_INTERLEAVED "#other-axes":
        "Every G-th column is put into one group.",
        "A group is D/G columns that lie side by side.",
        "right for one group and for as many as columns";
    GROUPS_IGNORED "#other-axes":
        "The whole row is normalised as one.",
        "Each group has a mean and an r of its own.",
        "LayerNorm's value; right for one group";
    LN_NEVER_ZERO "#by-projection":
        "The gradient through a norm is thought never to vanish.",
        "It is 0 as soon as g lies along the directions that are projected \
         away, as for a loss that is the sum of all y.",
        "a prediction";
    BATCH_OF_TWO "#by-projection":
        "Two numbers are thought to have something left.",
        "Two numbers less two directions: x̂ = ±1 whatever they are.",
        "a prediction";
}

/// Which entries of a matrix share a mean.
#[derive(Clone, Copy)]
enum Over {
    Rows,
    Columns,
    All,
    /// So many parts of each row, side by side.
    Groups(usize),
    /// The same parts of all rows at once.
    Parts(usize),
    /// So many parts of each row, of every so-many-th column.
    Interleaved(usize),
}

/// The mean of those that share one, at each entry.
fn mean(a: &Array2<f64>, over: Over) -> Array2<f64> {
    let (n, d) = a.dim();
    let lane = |(row, column): (usize, usize)| match over {
        Over::Rows => row,
        Over::Columns => column,
        Over::All => 0,
        Over::Groups(many) => row * many + column / (d / many),
        Over::Parts(many) => column / (d / many),
        Over::Interleaved(many) => row * many + column % many,
    };
    let mut lanes = vec![(0., 0.); n * d];
    for (at, v) in a.indexed_iter() {
        let (sum, many) = &mut lanes[lane(at)];
        *sum += v;
        *many += 1.;
    }
    Array2::from_shape_fn((n, d), |at| {
        let (sum, many) = lanes[lane(at)];
        sum / many
    })
}

/// What a norm computed on its way up, and what arrives on the way down; all
/// of the shape of `x`.
#[derive(Clone)]
struct Norm {
    over: Over,
    x: Array2<f64>,
    /// `x` without its mean, if the norm takes it off.
    u: Array2<f64>,
    variance: Array2<f64>,
    eps: f64,
    gamma: Array2<f64>,
    dy: Array2<f64>,
    /// How much of the two terms of `dx` the norm has.
    terms: [f64; 2],
}

impl Norm {
    /// A norm whose entries share a mean and a variance.
    fn of(i: &Inputs, over: Over) -> Self {
        let x = i.matrix("x").to_owned();
        let gamma = i.vector("gamma");
        let gamma = gamma.broadcast(x.raw_dim()).expect("γ of each column");
        let norm = Self {
            over,
            u: x.clone(),
            variance: x.clone(),
            eps: i.number("eps"),
            gamma: gamma.to_owned(),
            dy: i.matrix("dy").to_owned(),
            terms: [1., 1.],
            x,
        };
        norm.with_statistics(over, over)
    }

    /// The same, its mean and its variance taken elsewhere.
    fn with_statistics(&self, of_mean: Over, of_variance: Over) -> Self {
        let u = &self.x - &mean(&self.x, of_mean);
        let variance = mean(&(&u * &u), of_variance);
        Self {
            u,
            variance,
            ..self.clone()
        }
    }

    /// `variance + ε` to some power.
    fn power(&self, exponent: f64) -> Array2<f64> {
        (&self.variance + self.eps).mapv(|v| v.powf(exponent))
    }

    fn r(&self) -> Array2<f64> {
        self.power(-0.5)
    }

    fn x_hat(&self) -> Array2<f64> {
        &self.u * &self.r()
    }

    /// How many entries share a mean.
    fn shared(&self) -> f64 {
        let (n, d) = self.x.dim();
        let many = match self.over {
            Over::Rows => d,
            Over::Columns => n,
            Over::All => n * d,
            Over::Groups(many) | Over::Interleaved(many) => d / many,
            Over::Parts(many) => n * d / many,
        };
        many as f64
    }

    /// The backward, before a mistake is made in it.
    fn backward(&self) -> Dx {
        let g = &self.dy * &self.gamma;
        Dx {
            g: [g.clone(), g.clone(), g],
            x_hat: [self.x_hat(), self.x_hat()],
            r: [self.r(), self.r(), self.r()],
            over: [self.over; 2],
            terms: self.terms,
        }
    }

    /// `dγ` by what is taken for x̂.
    fn dgamma(&self, x_hat: &Array2<f64>) -> Array1<f64> {
        (&self.dy * x_hat).sum_axis(Axis(0))
    }
}

/// `dx = r·(g - mean(g) - x̂·mean(g ⊙ x̂))`, every letter by itself.
struct Dx {
    /// Alone, in its mean, in the product.
    g: [Array2<f64>; 3],
    /// In front of the mean and in it.
    x_hat: [Array2<f64>; 2],
    /// Of each of the three terms.
    r: [Array2<f64>; 3],
    /// Of each of the two means.
    over: [Over; 2],
    /// How much of each of them.
    terms: [f64; 2],
}

impl Dx {
    fn value(&self) -> Array2<f64> {
        let along = &self.g[2] * &self.x_hat[1];
        &self.g[0] * &self.r[0]
            - mean(&self.g[1], self.over[0]) * self.terms[0] * &self.r[1]
            - mean(&along, self.over[1])
                * self.terms[1]
                * &self.x_hat[0]
                * &self.r[2]
    }

    /// So many times as much of each term.
    fn times(mut self, factors: [f64; 2]) -> Self {
        for (term, factor) in self.terms.iter_mut().zip(factors) {
            *term *= factor;
        }
        self
    }

    /// Another factor in x̂, another in front, or both.
    fn scaled(mut self, norm: &Norm, by: &Array2<f64>, way: usize) -> Self {
        if way != 1 {
            self.x_hat = [&norm.u * by, &norm.u * by];
        }
        if way != 0 {
            self.r = [by.clone(), by.clone(), by.clone()];
        }
        self
    }
}

fn gamma_lost(norm: &Norm, way: usize) -> Dx {
    let mut dx = norm.backward();
    for (k, g) in dx.g.iter_mut().enumerate() {
        if is_chosen(way, k) {
            g.assign(&norm.dy);
        }
    }
    dx
}

/// γ once more at the end.
fn gamma_twice(norm: &Norm, _: usize) -> Dx {
    at_end(norm.backward(), norm)
}

/// γ at the end instead of at the beginning.
fn gamma_at_end(norm: &Norm, _: usize) -> Dx {
    at_end(gamma_lost(norm, 6), norm)
}

fn at_end(mut dx: Dx, norm: &Norm) -> Dx {
    for r in &mut dx.r {
        *r *= &norm.gamma;
    }
    dx
}

fn constants(norm: &Norm, _: usize) -> Dx {
    norm.backward().times([0., 0.])
}

fn no_variance(norm: &Norm, _: usize) -> Dx {
    norm.backward().times([1., 0.])
}

/// Of a single number there is no other path: that is both.
fn no_mean(norm: &Norm, _: usize) -> Dx {
    let alone = norm.shared() == 1.;
    let none = if alone { f64::NAN } else { 0. };
    norm.backward().times([none, 1.])
}

/// One term of the two, the other, both.
fn some_terms(way: usize, factor: f64) -> [f64; 2] {
    [0, 1].map(|k| if is_chosen(way, k) { factor } else { 1. })
}

fn added(norm: &Norm, way: usize) -> Dx {
    norm.backward().times(some_terms(way, -1.))
}

fn summed(norm: &Norm, way: usize) -> Dx {
    norm.backward().times(some_terms(way, norm.shared()))
}

fn half(norm: &Norm, _: usize) -> Dx {
    norm.backward().times([1., 0.5])
}

fn twice(norm: &Norm, _: usize) -> Dx {
    norm.backward().times([1., 2.])
}

/// x in x̂'s places, as it is or multiplied by r.
fn x_for_x_hat(norm: &Norm, way: usize) -> Dx {
    let mut dx = norm.backward();
    for (k, x_hat) in dx.x_hat.iter_mut().enumerate() {
        if is_chosen(way / 2, k) {
            *x_hat = x_scaled(norm, way % 2);
        }
    }
    dx
}

fn x_scaled(norm: &Norm, way: usize) -> Array2<f64> {
    match way {
        0 => norm.x.clone(),
        _ => &norm.x * &norm.r(),
    }
}

/// r left out of some terms, or of some x̂.
fn r_lost(norm: &Norm, way: usize) -> Dx {
    let mut dx = norm.backward();
    for (k, r) in dx.r.iter_mut().enumerate() {
        if way < 7 && is_chosen(way, k) {
            r.fill(1.);
        }
    }
    for (k, x_hat) in dx.x_hat.iter_mut().enumerate() {
        if way >= 7 && is_chosen(way - 7, k) {
            x_hat.assign(&norm.u);
        }
    }
    dx
}

/// r once more: in front, or in the term along x̂.
fn r_again(norm: &Norm, way: usize) -> Dx {
    let mut dx = norm.backward();
    for (k, r) in dx.r.iter_mut().enumerate() {
        if way == 0 || k == 2 {
            *r *= &norm.r();
        }
    }
    dx
}

/// What is made of a kept r: an inverse, a root and an inverse, a square; as
/// powers of the variance.
const OF_KEPT: [f64; 3] = [0.5, 0.25, -1.];

fn r_transformed(norm: &Norm, way: usize) -> Dx {
    match way {
        9 => r_again(norm, 1),
        _ => {
            let r = norm.power(OF_KEPT[way / 3]);
            norm.backward().scaled(norm, &r, way % 3)
        }
    }
}

/// Powers that are taken instead of -1/2.
const POWERS: [f64; 3] = [-1., -2., 0.5];

fn other_power(norm: &Norm, way: usize) -> Dx {
    let r = norm.power(POWERS[way / 2]);
    norm.backward().scaled(norm, &r, way % 2 * 2)
}

/// r without ε, or with ε after the root.
fn eps_misplaced(norm: &Norm, way: usize) -> Array2<f64> {
    match way {
        0 => norm.variance.sqrt().recip(),
        _ => (norm.variance.sqrt() + norm.eps).recip(),
    }
}

fn eps_elsewhere(norm: &Norm, way: usize) -> Dx {
    let r = eps_misplaced(norm, way / 3);
    norm.backward().scaled(norm, &r, way % 3)
}

/// r of a variance that is so many times as large.
fn r_of_more(norm: &Norm, factor: f64) -> Array2<f64> {
    (&norm.variance * factor + norm.eps).sqrt().recip()
}

fn bessel(norm: &Norm) -> f64 {
    norm.shared() / (norm.shared() - 1.)
}

/// n - 1 in the variance, in the means of `dx`, or in both.
fn unbiased(norm: &Norm, way: usize) -> Dx {
    let k = bessel(norm);
    let r = r_of_more(norm, k);
    let dx = norm.backward();
    match way {
        0..3 => dx.scaled(norm, &r, way),
        3 => dx.scaled(norm, &r, 2).times([1., k]),
        4 => dx.times([1., k]),
        _ => dx.times([k, k]),
    }
}

/// Of the mean of g, that of g ⊙ x̂, the mean and the variance, some are taken
/// elsewhere: 15 ways, and as many with γ at the end, where it may stand if
/// those that share a mean share a γ.
fn elsewhere(norm: &Norm, over: Over, way: usize) -> Dx {
    if way >= 15 {
        let plain = Norm {
            gamma: Array2::ones(norm.gamma.raw_dim()),
            ..norm.clone()
        };
        return at_end(elsewhere(&plain, over, way - 15), norm);
    }
    let place = |k| if is_chosen(way, k) { over } else { norm.over };
    let norm = norm.with_statistics(place(2), place(3));
    let over = [place(0), place(1)];
    Dx {
        over,
        ..norm.backward()
    }
}

/// x̂ whose mean, variance or both are taken elsewhere.
fn x_hat_elsewhere(norm: &Norm, over: Over, way: usize) -> Array2<f64> {
    let place = |k| if is_chosen(way, k) { over } else { norm.over };
    norm.with_statistics(place(0), place(1)).x_hat()
}

/// The other axis.
fn other_axis(norm: &Norm) -> Over {
    match norm.over {
        Over::Columns => Over::Rows,
        _ => Over::Columns,
    }
}

/// A row about `dx`, by a function of the norm and the way.
macro_rules! dx {
    ($norm:path, $mistake:expr, $many:expr, $how:expr) => {
        ways("dx", $mistake, $many, |i, _, way| {
            $how(&$norm(i), way).value().into_dyn()
        })
    };
}

/// A row about `dγ`, by what is taken for x̂.
macro_rules! dgamma {
    ($norm:path, $mistake:expr, $many:expr, $how:expr) => {
        ways("dgamma", $mistake, $many, |i, _, way| {
            let norm = $norm(i);
            norm.dgamma(&$how(&norm, way)).into_dyn()
        })
    };
}

/// The mistakes that every norm with both terms has, and more; so many ways to
/// take means elsewhere.
macro_rules! rows {
    ($norm:path, $many:expr; $($more:expr),* $(,)?) => {
        &[
            dx!($norm, &GAMMA_LOST, 7, gamma_lost),
            dx!($norm, &GAMMA_TWICE, 1, gamma_twice),
            dx!($norm, &STATS_CONSTANT, 1, constants),
            dx!($norm, &VAR_TERM_DROPPED, 1, no_variance),
            dx!($norm, &MEAN_TERM_DROPPED, 1, no_mean),
            dx!($norm, &TERM_ADDED, 3, added),
            dx!($norm, &MEAN_TERMS_SUMMED, 3, summed),
            dgamma!($norm, &MEAN_TERMS_SUMMED, 1, |n: &Norm, _| {
                &n.u * &r_of_more(n, n.shared())
            }),
            dx!($norm, &POWER_WITHOUT_TWO, 1, half),
            dx!($norm, &ROOT_WITHOUT_HALF, 1, twice),
            dx!($norm, &X_FOR_X_HAT, 6, x_for_x_hat),
            dgamma!($norm, &X_FOR_X_HAT, 2, x_scaled),
            dx!($norm, &INVERSE_STD_LOST, 10, r_lost),
            dgamma!($norm, &INVERSE_STD_LOST, 1, |n: &Norm, _| n.u.clone()),
            dx!($norm, &EPSILON_MISPLACED, 6, eps_elsewhere),
            dgamma!($norm, &EPSILON_MISPLACED, 2, |n: &Norm, way| {
                &n.u * &eps_misplaced(n, way)
            }),
            dx!($norm, &BN_BESSEL, 6, unbiased),
            dgamma!($norm, &BN_BESSEL, 1, |n: &Norm, _| {
                &n.u * &r_of_more(n, bessel(n))
            }),
            dx!($norm, &ROW_TERM_ON_COLUMNS, $many, |n: &Norm, way| {
                elsewhere(n, other_axis(n), way)
            }),
            dgamma!($norm, &ROW_TERM_ON_COLUMNS, 3, |n: &Norm, way| {
                x_hat_elsewhere(n, other_axis(n), way)
            }),
            dx!($norm, &MEAN_OVER_ENTRIES, $many, |n: &Norm, way| {
                elsewhere(n, Over::All, way)
            }),
            dgamma!($norm, &MEAN_OVER_ENTRIES, 3, |n: &Norm, way| {
                x_hat_elsewhere(n, Over::All, way)
            }),
            made("dgamma", &GAMMA_IN_DGAMMA, times_gamma),
            made("dbeta", &GAMMA_IN_DGAMMA, times_gamma),
            vector("dgamma", &ROW_TERM_ON_COLUMNS, |i| {
                let norm = $norm(i);
                (&norm.dy * &norm.x_hat()).sum_axis(Axis(1))
            }),
            vector("dbeta", &ROW_TERM_ON_COLUMNS, |i| {
                i.matrix("dy").sum_axis(Axis(1))
            }),
            $($more),*
        ]
    };
}

fn times_gamma(i: &Inputs, right: &ArrayD<f64>) -> ArrayD<f64> {
    right * &i.vector("gamma")
}

fn layer(i: &Inputs) -> Norm {
    Norm::of(i, Over::Rows)
}

fn batch(i: &Inputs) -> Norm {
    Norm::of(i, Over::Columns)
}

fn group(i: &Inputs) -> Norm {
    Norm::of(i, Over::Groups(i.whole("groups") as usize))
}

/// Not centred, and without the term along 1.
fn rms(i: &Inputs) -> Norm {
    let norm = Norm::of(i, Over::Rows);
    Norm {
        u: norm.x.clone(),
        variance: mean(&(&norm.x * &norm.x), Over::Rows),
        terms: [0., 1.],
        ..norm
    }
}

/// With given statistics, and without either term.
fn evaluation(i: &Inputs) -> Norm {
    let norm = batch(i);
    let variance = i.vector("variance");
    let variance = variance.broadcast(norm.x.raw_dim());
    Norm {
        u: &norm.x - &i.vector("mean"),
        variance: variance.expect("one of each column").to_owned(),
        terms: [0., 0.],
        ..norm
    }
}

/// Of LayerNorm's `stats`: `x`, `gamma`, `beta`, `eps`, `dy`.
pub const LAYER: &[Wrong] = rows![layer, 15;
    dx!(layer, &GAMMA_AT_END, 1, gamma_at_end),
    dx!(layer, &INVERSE_STD_TWICE, 10, r_transformed),
    dgamma!(layer, &INVERSE_STD_TWICE, 3, |n: &Norm, way: usize| {
        &n.u * &n.power(OF_KEPT[way])
    }),
];

/// Of BatchNorm in training: `x`, `gamma`, `beta`, `eps`, `dy`.
pub const BATCH: &[Wrong] = rows![batch, 30;
    dx!(batch, &INVERSE_STD_TWICE, 2, r_again),
    dx!(batch, &SQUARE_FOR_ROOT, 6, other_power),
    dgamma!(batch, &SQUARE_FOR_ROOT, 3, |n: &Norm, way: usize| {
        &n.u * &n.power(POWERS[way])
    }),
];

/// Of GroupNorm: `x`, `gamma`, `beta`, `groups`, `eps`, `dy`.
pub const GROUP: &[Wrong] = rows![group, 15;
    dx!(group, &GAMMA_AT_END, 1, gamma_at_end),
    dx!(group, &INVERSE_STD_TWICE, 2, r_again),
    dx!(group, &SQUARE_FOR_ROOT, 6, other_power),
    dgamma!(group, &SQUARE_FOR_ROOT, 3, |n: &Norm, way: usize| {
        &n.u * &n.power(POWERS[way])
    }),
    ways("dbeta", &GROUP_PARAMETERS, 2, |i, _, way| {
        by_group(i, i.matrix("dy").sum_axis(Axis(0)), way)
    }),
    ways("dgamma", &GROUP_PARAMETERS, 2, |i, _, way| {
        let norm = group(i);
        by_group(i, norm.dgamma(&norm.x_hat()), way)
    }),
    // γ by the number of the group.
    ways("dx", &GROUP_PARAMETERS, 1, |i, _, _| {
        let mut norm = group(i);
        let long = norm.shared() as usize;
        let gamma = norm.gamma.clone();
        for ((row, column), v) in norm.gamma.indexed_iter_mut() {
            *v = gamma[[row, column / long]];
        }
        norm.backward().value().into_dyn()
    }),
    dx!(group, &GROUPS_INTERLEAVED, 15, |n: &Norm, way| {
        elsewhere(n, interleaved(n), way)
    }),
    dgamma!(group, &GROUPS_INTERLEAVED, 3, |n: &Norm, way| {
        x_hat_elsewhere(n, interleaved(n), way)
    }),
    dx!(group, &GROUPS_IGNORED, 15, |n: &Norm, way| {
        elsewhere(n, Over::Rows, way)
    }),
    dgamma!(group, &GROUPS_IGNORED, 3, |n: &Norm, way| {
        x_hat_elsewhere(n, Over::Rows, way)
    }),
    dx!(group, &MEAN_OVER_ENTRIES, 15, |n: &Norm, way| {
        elsewhere(n, of_all_rows(n), way)
    }),
    dgamma!(group, &MEAN_OVER_ENTRIES, 3, |n: &Norm, way| {
        x_hat_elsewhere(n, of_all_rows(n), way)
    }),
];

fn many(norm: &Norm) -> usize {
    norm.x.ncols() / norm.shared() as usize
}

fn interleaved(norm: &Norm) -> Over {
    Over::Interleaved(many(norm))
}

fn of_all_rows(norm: &Norm) -> Over {
    Over::Parts(many(norm))
}

/// One number for each group, summed over its columns; or that number in each
/// of them.
fn by_group(i: &Inputs, sums: Array1<f64>, way: usize) -> ArrayD<f64> {
    let long = sums.len() / i.whole("groups") as usize;
    let sum = |group: usize| -> f64 {
        sums.iter().skip(group * long).take(long).sum()
    };
    let all = match way {
        0 => (0..sums.len() / long).map(sum).collect::<Array1<_>>(),
        _ => (0..sums.len()).map(|c| sum(c / long)).collect(),
    };
    all.into_dyn()
}

/// Of RMSNorm: `x`, `gamma`, `eps`, `dy`.
pub const RMS: &[Wrong] = &[
    dx!(rms, &GAMMA_LOST, 2, |n: &Norm, way| {
        gamma_lost(n, [0, 6][way])
    }),
    dx!(rms, &GAMMA_LOST, 1, |n: &Norm, _| gamma_lost(n, 3)),
    dx!(rms, &GAMMA_AT_END, 1, gamma_at_end),
    dx!(rms, &GAMMA_TWICE, 1, gamma_twice),
    dx!(rms, &STATS_CONSTANT, 1, constants),
    dx!(rms, &TERM_ADDED, 1, |n: &Norm, _| added(n, 1)),
    dx!(rms, &MEAN_TERMS_SUMMED, 1, |n: &Norm, _| summed(n, 1)),
    dgamma!(rms, &MEAN_TERMS_SUMMED, 1, |n: &Norm, _| {
        &n.u * &r_of_more(n, n.shared())
    }),
    dx!(rms, &POWER_WITHOUT_TWO, 1, half),
    dx!(rms, &ROOT_WITHOUT_HALF, 1, twice),
    dx!(rms, &X_FOR_X_HAT, 3, |n: &Norm, way| x_for_x_hat(
        n,
        2 * way
    )),
    dgamma!(rms, &X_FOR_X_HAT, 1, x_scaled),
    dx!(rms, &INVERSE_STD_LOST, 2, |n: &Norm, way| {
        r_lost(n, [0, 6][way])
    }),
    dx!(rms, &INVERSE_STD_TWICE, 1, r_again),
    dx!(rms, &SQUARE_FOR_ROOT, 6, other_power),
    dgamma!(rms, &SQUARE_FOR_ROOT, 3, |n: &Norm, way: usize| {
        &n.u * &n.power(POWERS[way])
    }),
    dx!(rms, &EPSILON_MISPLACED, 6, eps_elsewhere),
    dgamma!(rms, &EPSILON_MISPLACED, 2, |n: &Norm, way| {
        &n.u * &eps_misplaced(n, way)
    }),
    dx!(rms, &BN_BESSEL, 5, unbiased),
    dgamma!(rms, &BN_BESSEL, 1, |n: &Norm, _| {
        &n.u * &r_of_more(n, bessel(n))
    }),
    // x centred, r that of LayerNorm, the term along 1: some of these.
    dx!(rms, &RMS_CENTRED, 7, |n: &Norm, way| {
        let centred = n.with_statistics(Over::Rows, Over::Rows);
        let one = if is_chosen(way, 0) { 1. } else { 0. };
        Norm {
            terms: [one, 1.],
            u: [n, &centred][usize::from(is_chosen(way, 1))].u.clone(),
            variance: { [n, &centred][usize::from(is_chosen(way, 2))] }
                .variance
                .clone(),
            ..n.clone()
        }
        .backward()
    }),
    dgamma!(rms, &RMS_CENTRED, 3, |n: &Norm, way| {
        let centred = n.with_statistics(Over::Rows, Over::Rows);
        let u = [n, &centred][usize::from(is_chosen(way, 0))];
        let r = [n, &centred][usize::from(is_chosen(way, 1))];
        &u.u * &r.r()
    }),
    // The mean of the product, that of the squares, or both.
    dx!(rms, &ROW_TERM_ON_COLUMNS, 3, |n: &Norm, way| {
        rms_elsewhere(n, Over::Columns, way)
    }),
    dgamma!(rms, &ROW_TERM_ON_COLUMNS, 1, |n: &Norm, _| {
        rms_of(n, Over::Columns).x_hat()
    }),
    dx!(rms, &MEAN_OVER_ENTRIES, 3, |n: &Norm, way| {
        rms_elsewhere(n, Over::All, way)
    }),
    dgamma!(rms, &MEAN_OVER_ENTRIES, 1, |n: &Norm, _| {
        rms_of(n, Over::All).x_hat()
    }),
    made("dgamma", &GAMMA_IN_DGAMMA, times_gamma),
    vector("dgamma", &ROW_TERM_ON_COLUMNS, |i| {
        let norm = rms(i);
        (&norm.dy * &norm.x_hat()).sum_axis(Axis(1))
    }),
];

fn rms_of(norm: &Norm, over: Over) -> Norm {
    Norm {
        variance: mean(&(&norm.x * &norm.x), over),
        ..norm.clone()
    }
}

fn rms_elsewhere(norm: &Norm, over: Over, way: usize) -> Dx {
    let place = |k| if is_chosen(way, k) { over } else { norm.over };
    let mut dx = rms_of(norm, place(1)).backward();
    dx.over[1] = place(0);
    dx
}

/// Of BatchNorm in evaluation: the same as in training, `mean` and
/// `variance`.
pub const EVALUATION: &[Wrong] = &[
    dx!(evaluation, &GAMMA_LOST, 1, |n: &Norm, _| gamma_lost(n, 6)),
    dx!(evaluation, &GAMMA_TWICE, 1, gamma_twice),
    dx!(evaluation, &INVERSE_STD_LOST, 1, |n: &Norm, _| r_lost(n, 6)),
    dgamma!(evaluation, &INVERSE_STD_LOST, 1, |n: &Norm, _| n.u.clone()),
    dx!(evaluation, &INVERSE_STD_TWICE, 1, r_again),
    dx!(evaluation, &SQUARE_FOR_ROOT, 2, |n: &Norm, way| {
        other_power(n, 2 * way + 3)
    }),
    dgamma!(evaluation, &SQUARE_FOR_ROOT, 3, |n: &Norm, way: usize| {
        &n.u * &n.power(POWERS[way])
    }),
    dx!(evaluation, &EPSILON_MISPLACED, 2, |n: &Norm, way| {
        eps_elsewhere(n, 3 * way + 2)
    }),
    dgamma!(evaluation, &EPSILON_MISPLACED, 2, |n: &Norm, way| {
        &n.u * &eps_misplaced(n, way)
    }),
    dgamma!(evaluation, &X_FOR_X_HAT, 2, x_scaled),
    // Along 1, along the given x̂, both; then along that of the batch.
    ways("dx", &TRAIN_RULE_IN_EVAL, 5, |i, _, way| {
        let mut dx = evaluation(i).backward();
        dx.terms = [[1., 0.], [0., 1.], [1., 1.], [0., 1.], [1., 1.]][way];
        if way > 2 {
            dx.x_hat = batch(i).backward().x_hat;
        }
        dx.value().into_dyn()
    }),
    ways("dx", &BATCH_STATS_IN_EVAL, 4, |i, _, way| {
        let terms = [[0., 0.], [1., 0.], [0., 1.], [1., 1.]][way];
        batch(i).backward().times(terms).value().into_dyn()
    }),
    // The batch's mean, its r, both.
    ways("dgamma", &BATCH_STATS_IN_EVAL, 3, |i, _, way| {
        let (given, own) = (evaluation(i), batch(i));
        let u = [&given, &own][usize::from(is_chosen(way, 0))];
        let r = [&given, &own][usize::from(is_chosen(way, 1))];
        given.dgamma(&(&u.u * &r.r())).into_dyn()
    }),
    made("dgamma", &GAMMA_IN_DGAMMA, times_gamma),
    made("dbeta", &GAMMA_IN_DGAMMA, times_gamma),
    vector("dgamma", &ROW_TERM_ON_COLUMNS, |i| {
        let norm = evaluation(i);
        (&norm.dy * &norm.x_hat()).sum_axis(Axis(1))
    }),
    vector("dbeta", &ROW_TERM_ON_COLUMNS, |i| {
        i.matrix("dy").sum_axis(Axis(1))
    }),
];

/// Of the running statistics: `x`, `mean`, `variance`, `momentum`.
pub const RUNNING: &[Wrong] = &[
    vector("mean", &MOMENTUM_SWAPPED, |i| {
        moved(i, "mean", batch_mean(i), 1. - i.number("momentum"))
    }),
    vector("variance", &MOMENTUM_SWAPPED, |i| {
        let n = i.matrix("x").nrows() as f64;
        let variance = batch_variance(i) * (n / (n - 1.));
        moved(i, "variance", variance, 1. - i.number("momentum"))
    }),
    vector("variance", &RUNNING_VAR_BIASED, |i| {
        moved(i, "variance", batch_variance(i), i.number("momentum"))
    }),
];

fn batch_mean(i: &Inputs) -> Array1<f64> {
    let x = i.matrix("x");
    x.sum_axis(Axis(0)) / x.nrows() as f64
}

fn batch_variance(i: &Inputs) -> Array1<f64> {
    let d = &i.matrix("x") - &batch_mean(i);
    (&d * &d).sum_axis(Axis(0)) / d.nrows() as f64
}

fn moved(i: &Inputs, old: &str, batch: Array1<f64>, share: f64) -> Array1<f64> {
    &i.vector(old) * (1. - share) + batch * share
}
