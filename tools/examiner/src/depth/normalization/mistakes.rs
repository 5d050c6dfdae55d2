//! The mistakes of the norms, and what each returns.
//!
//! Rows of BatchNorm are columns of LayerNorm: one function says what a
//! mistake makes of a matrix whose rows are normalised.

use crate::judge::{Inputs, Wrong, made, matrix, vector};
use ndarray::{Array1, Array2, ArrayView2, Axis};

crate::names! { "depth/normalization.md";
    GAMMA_LOST "#what-goes-wrong":
        "dx is computed from dy, without the scale γ.",
        "x̂ reaches y through γ, so what arrives at x̂ is dy ⊙ γ.",
        "right for γ = 1; the sums that the projection makes 0 are 0 all the \
         same";
    GAMMA_AT_END "#what-goes-wrong":
        "γ multiplies dx after the projection instead of dy before it.",
        "Going down, γ comes first; a row's means are taken of dy ⊙ γ, in \
         which every entry has its own factor.",
        "right for γ = 1; rows of dx no longer sum to 0";
    LN_STATS_CONSTANT "#by-the-graph":
        "Mean and variance are treated as constants.",
        "They are functions of x: each entry moves the statistics, and \
         through them every entry that shares them.",
        "a constant times dy ⊙ γ; neither of the two sums is 0";
    LN_VAR_TERM_DROPPED "#by-the-graph":
        "The path through the variance is left out.",
        "x moves the variance, the variance moves every x̂: that is the term \
         along x̂.",
        "dx sums to 0, but its product with x̂ does not";
    LN_MEAN_TERM_DROPPED "#by-the-graph":
        "The path through the mean is left out.",
        "x moves the mean, and the mean is taken off every entry: that is the \
         term along the constant direction.",
        "dx does not sum to 0";
    MEAN_TERMS_SUMMED "#by-projection":
        "Sums are taken inside dx where means belong.",
        "The mean of D numbers hands each of them a share of 1/D.",
        "the projections are taken off D times over";
    INVERSE_STD_TWICE "#rows-of-a-matrix":
        "What was kept is 1/√(variance + ε), and a root or an inverse is \
         taken of it again.",
        "r is the finished factor: x̂ is (x - μ) times r.",
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
        "A statistic is taken, or spread, along the other axis.",
        "LayerNorm and RMSNorm take means over a row, BatchNorm over a \
         column; every number is normalised by its own.",
        "runs for square matrices, or everywhere and wrong";
    TRAIN_RULE_IN_EVAL "#in-company":
        "The projection of training is used in evaluation.",
        "Running statistics do not depend on this batch: nothing is projected \
         away.",
        "columns of dx sum to 0 where they should not";
    BATCH_STATS_IN_EVAL "#in-company":
        "Evaluation normalises with the statistics of its own batch.",
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
        "dγ multiplies dy by x instead of x̂.",
        "γ multiplies x̂ in the forward pass, so x̂ is its slope.",
        "right only if rows are normalised already";
    GAMMA_IN_DGAMMA "#rows-of-a-matrix":
        "dγ has a factor γ.",
        "γ's own slope is x̂; only what goes on to x is multiplied by γ.",
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

/// What arrives, to be normalised by rows.
struct Rows {
    x: Array2<f64>,
    /// The cotangent of x̂.
    g: Array2<f64>,
    eps: f64,
}

/// A number for each row, times each of its entries.
fn times(a: &Array2<f64>, by: &Array1<f64>) -> Array2<f64> {
    a * &by.view().insert_axis(Axis(1))
}

fn mean(a: &Array2<f64>) -> Array1<f64> {
    a.sum_axis(Axis(1)) / a.ncols() as f64
}

impl Rows {
    /// Rows of `x`, `g = dy ⊙ γ`.
    fn of(i: &Inputs) -> Self {
        Self {
            x: i.matrix("x").to_owned(),
            g: &i.matrix("dy") * &i.vector("gamma"),
            eps: i.number("eps"),
        }
    }

    /// Columns as rows.
    fn turned(i: &Inputs) -> Self {
        let Self { x, g, eps } = Self::of(i);
        let [x, g] = [x, g].map(Array2::reversed_axes);
        Self { x, g, eps }
    }

    fn centred(&self) -> Array2<f64> {
        &self.x - &mean(&self.x).insert_axis(Axis(1))
    }

    fn variance(&self) -> Array1<f64> {
        let d = self.centred();
        mean(&(&d * &d))
    }

    fn r(&self) -> Array1<f64> {
        (self.variance() + self.eps).sqrt().recip()
    }

    /// The projection by this `r`, with so much of each of the two terms.
    fn dx(&self, r: &Array1<f64>, one: f64, along: f64) -> Array2<f64> {
        self.dx_of(&times(&self.centred(), r), r, one, along)
    }

    /// The same, of another `x̂`.
    fn dx_of(
        &self,
        x_hat: &Array2<f64>,
        r: &Array1<f64>,
        one: f64,
        along: f64,
    ) -> Array2<f64> {
        let means = mean(&self.g).insert_axis(Axis(1)) * one;
        let dot = mean(&(&self.g * x_hat)) * along;
        times(&(&self.g - &means - times(x_hat, &dot)), r)
    }

    /// The variance divided by n - 1.
    fn unbiased(&self) -> Array1<f64> {
        let n = self.x.ncols() as f64;
        (self.variance() * (n / (n - 1.)) + self.eps).sqrt().recip()
    }

    fn r_without_eps(&self) -> Array1<f64> {
        self.variance().sqrt().recip()
    }

    fn r_with_eps_outside(&self) -> Array1<f64> {
        (self.variance().sqrt() + self.eps).recip()
    }

    fn square(&self) -> Array1<f64> {
        (self.variance() + self.eps).mapv(|v| 1. / (v * v))
    }

    fn no_root(&self) -> Array1<f64> {
        (self.variance() + self.eps).recip()
    }

    /// `dγ` of `x̂` by this `r`; the sum over examples, of the rows' layout.
    fn dgamma(&self, i: &Inputs, r: &Array1<f64>, turned: bool) -> Array1<f64> {
        let x_hat = times(&self.centred(), r);
        let x_hat = if turned { x_hat.reversed_axes() } else { x_hat };
        (&i.matrix("dy") * &x_hat).sum_axis(Axis(0))
    }

    /// A stretch of 1/√ of a kept 1/σ.
    fn twice(&self) -> Array1<f64> {
        self.r().sqrt().recip()
    }

    /// σ where 1/σ was kept.
    fn inverse(&self) -> Array1<f64> {
        self.r().recip()
    }

    fn length(&self) -> f64 {
        self.x.ncols() as f64
    }
}

/// The rows' layout undone.
fn back(dx: Array2<f64>) -> Array2<f64> {
    dx.reversed_axes()
}

/// `dx` of rows whose γ was lost: of `dy` as it is.
fn without_gamma(mut rows: Rows, dy: ArrayView2<f64>) -> Array2<f64> {
    rows.g = dy.to_owned();
    rows.dx(&rows.r(), 1., 1.)
}

/// The statistics of each column, taken for a row's.
fn of_columns(i: &Inputs) -> Array2<f64> {
    let rows = Rows::turned(i);
    back(rows.dx(&rows.r(), 1., 1.))
}

/// Of LayerNorm's `stats`: `x`, `gamma`, `beta`, `eps`, `dy`.
pub const LAYER: &[Wrong] = &[
    matrix("dx", &GAMMA_LOST, |i| {
        without_gamma(Rows::of(i), i.matrix("dy"))
    }),
    matrix("dx", &GAMMA_AT_END, |i| {
        without_gamma(Rows::of(i), i.matrix("dy")) * i.vector("gamma")
    }),
    matrix("dx", &LN_STATS_CONSTANT, |i| {
        let rows = Rows::of(i);
        rows.dx(&rows.r(), 0., 0.)
    }),
    matrix("dx", &LN_VAR_TERM_DROPPED, |i| {
        let rows = Rows::of(i);
        rows.dx(&rows.r(), 1., 0.)
    }),
    matrix("dx", &LN_MEAN_TERM_DROPPED, |i| {
        let rows = Rows::of(i);
        rows.dx(&rows.r(), 0., 1.)
    }),
    matrix("dx", &MEAN_TERMS_SUMMED, |i| {
        let rows = Rows::of(i);
        let d = rows.length();
        rows.dx(&rows.r(), d, d)
    }),
    matrix("dx", &INVERSE_STD_TWICE, |i| {
        let rows = Rows::of(i);
        rows.dx(&rows.twice(), 1., 1.)
    }),
    matrix("dx", &INVERSE_STD_TWICE, |i| {
        let rows = Rows::of(i);
        rows.dx(&rows.inverse(), 1., 1.)
    }),
    vector("dgamma", &INVERSE_STD_TWICE, |i| {
        let rows = Rows::of(i);
        rows.dgamma(i, &rows.twice(), false)
    }),
    vector("dgamma", &INVERSE_STD_TWICE, |i| {
        let rows = Rows::of(i);
        rows.dgamma(i, &rows.inverse(), false)
    }),
    vector("dgamma", &X_FOR_X_HAT, |i| {
        (&i.matrix("dy") * &i.matrix("x")).sum_axis(Axis(0))
    }),
    made("dgamma", &GAMMA_IN_DGAMMA, |i, right| {
        right * &i.vector("gamma")
    }),
    matrix("dx", &ROW_TERM_ON_COLUMNS, |i| {
        let rows = Rows::of(i);
        let x_hat = times(&rows.centred(), &rows.r());
        let column = |a: &Array2<f64>| a.sum_axis(Axis(0)) / a.nrows() as f64;
        let g = &rows.g - &column(&rows.g);
        let along = column(&(&rows.g * &x_hat));
        times(&(g - x_hat * along), &rows.r())
    }),
];

/// Of RMSNorm: `x`, `gamma`, `eps`, `dy`.
pub const RMS: &[Wrong] = &[
    matrix("dx", &GAMMA_LOST, |i| {
        let (x_hat, r) = rms(i, |v| v.sqrt().recip(), i.number("eps"), 1.);
        let mut rows = Rows::of(i);
        rows.g = i.matrix("dy").to_owned();
        rows.dx_of(&x_hat, &r, 0., 1.)
    }),
    matrix("dx", &GAMMA_AT_END, |i| {
        let (x_hat, r) = rms(i, |v| v.sqrt().recip(), i.number("eps"), 1.);
        let mut rows = Rows::of(i);
        rows.g = i.matrix("dy").to_owned();
        rows.dx_of(&x_hat, &r, 0., 1.) * i.vector("gamma")
    }),
    matrix("dx", &LN_STATS_CONSTANT, |i| {
        let (_, r) = rms(i, |v| v.sqrt().recip(), i.number("eps"), 1.);
        times(&Rows::of(i).g, &r)
    }),
    matrix("dx", &MEAN_TERMS_SUMMED, |i| {
        let (x_hat, r) = rms(i, |v| v.sqrt().recip(), i.number("eps"), 1.);
        let rows = Rows::of(i);
        rows.dx_of(&x_hat, &r, 0., rows.length())
    }),
    matrix("dx", &RMS_CENTRED, |i| {
        let rows = Rows::of(i);
        rows.dx(&rows.r(), 1., 1.)
    }),
    matrix("dx", &RMS_CENTRED, |i| {
        let (x_hat, r) = rms(i, |v| v.sqrt().recip(), i.number("eps"), 1.);
        Rows::of(i).dx_of(&x_hat, &r, 1., 1.)
    }),
    vector("dgamma", &RMS_CENTRED, |i| {
        let rows = Rows::of(i);
        rows.dgamma(i, &rows.r(), false)
    }),
    vector("dgamma", &EPSILON_MISPLACED, |i| {
        rms_dgamma(i, rms(i, |v| v.sqrt().recip(), 0., 1.).0)
    }),
    vector("dgamma", &EPSILON_MISPLACED, |i| {
        let eps = i.number("eps");
        let x = i.matrix("x").to_owned();
        let r = (mean(&(&x * &x)).sqrt() + eps).recip();
        rms_dgamma(i, times(&x, &r))
    }),
    vector("dgamma", &SQUARE_FOR_ROOT, |i| {
        rms_dgamma(i, rms(i, f64::recip, i.number("eps"), 1.).0)
    }),
    vector("dgamma", &SQUARE_FOR_ROOT, |i| {
        let power = |v: f64| 1. / (v * v);
        rms_dgamma(i, rms(i, power, i.number("eps"), 1.).0)
    }),
    vector("dgamma", &MEAN_TERMS_SUMMED, |i| {
        let d = i.matrix("x").ncols() as f64;
        let r = rms(i, |v| v.sqrt().recip(), i.number("eps"), d);
        rms_dgamma(i, r.0)
    }),
    vector("dgamma", &X_FOR_X_HAT, |i| {
        (&i.matrix("dy") * &i.matrix("x")).sum_axis(Axis(0))
    }),
    made("dgamma", &GAMMA_IN_DGAMMA, |i, right| {
        right * &i.vector("gamma")
    }),
    vector("dgamma", &ROW_TERM_ON_COLUMNS, |i| {
        let x = i.matrix("x");
        let square = (&x * &x).sum_axis(Axis(0)) / x.nrows() as f64;
        let r = (square + i.number("eps")).sqrt().recip();
        rms_dgamma(i, &x * &r)
    }),
];

/// `x̂` and `r` of RMSNorm, by some power of `so many·mean(x²) + ε`.
fn rms(
    i: &Inputs,
    power: impl Fn(f64) -> f64,
    eps: f64,
    many: f64,
) -> (Array2<f64>, Array1<f64>) {
    let x = i.matrix("x").to_owned();
    let r = (mean(&(&x * &x)) * many + eps).mapv(power);
    (times(&x, &r), r)
}

fn rms_dgamma(i: &Inputs, x_hat: Array2<f64>) -> Array1<f64> {
    (&i.matrix("dy") * &x_hat).sum_axis(Axis(0))
}

/// Of BatchNorm in training: `x`, `gamma`, `beta`, `eps`, `dy`.
pub const BATCH: &[Wrong] = &[
    made("dx", &GAMMA_LOST, |i, right| right / &i.vector("gamma")),
    matrix("dx", &LN_STATS_CONSTANT, |i| {
        let rows = Rows::turned(i);
        back(rows.dx(&rows.r(), 0., 0.))
    }),
    matrix("dx", &LN_VAR_TERM_DROPPED, |i| {
        let rows = Rows::turned(i);
        back(rows.dx(&rows.r(), 1., 0.))
    }),
    matrix("dx", &LN_MEAN_TERM_DROPPED, |i| {
        let rows = Rows::turned(i);
        back(rows.dx(&rows.r(), 0., 1.))
    }),
    matrix("dx", &MEAN_TERMS_SUMMED, |i| {
        let rows = Rows::turned(i);
        let n = rows.length();
        back(rows.dx(&rows.r(), n, n))
    }),
    vector("dgamma", &BN_BESSEL, |i| {
        let rows = Rows::turned(i);
        rows.dgamma(i, &rows.unbiased(), true)
    }),
    matrix("dx", &BN_BESSEL, |i| {
        let rows = Rows::turned(i);
        back(rows.dx(&rows.unbiased(), 1., 1.))
    }),
    vector("dgamma", &EPSILON_MISPLACED, |i| {
        let rows = Rows::turned(i);
        rows.dgamma(i, &rows.r_without_eps(), true)
    }),
    vector("dgamma", &EPSILON_MISPLACED, |i| {
        let rows = Rows::turned(i);
        rows.dgamma(i, &rows.r_with_eps_outside(), true)
    }),
    vector("dgamma", &SQUARE_FOR_ROOT, |i| {
        let rows = Rows::turned(i);
        rows.dgamma(i, &rows.square(), true)
    }),
    vector("dgamma", &SQUARE_FOR_ROOT, |i| {
        let rows = Rows::turned(i);
        rows.dgamma(i, &rows.no_root(), true)
    }),
    vector("dgamma", &ROW_TERM_ON_COLUMNS, |i| {
        let rows = Rows::of(i);
        rows.dgamma(i, &rows.r(), false)
    }),
    matrix("dx", &ROW_TERM_ON_COLUMNS, |i| {
        let rows = Rows::of(i);
        rows.dx(&rows.r(), 1., 1.)
    }),
    vector("dgamma", &X_FOR_X_HAT, |i| {
        (&i.matrix("dy") * &i.matrix("x")).sum_axis(Axis(0))
    }),
    made("dgamma", &GAMMA_IN_DGAMMA, |i, right| {
        right * &i.vector("gamma")
    }),
];

/// Of BatchNorm in evaluation: the same, `mean` and `variance`.
pub const EVALUATION: &[Wrong] = &[
    made("dx", &GAMMA_LOST, |i, right| right / &i.vector("gamma")),
    matrix("dx", &TRAIN_RULE_IN_EVAL, |i| {
        let mut rows = Rows::turned(i);
        let (mu, r) = given(i);
        let x_hat = back((&i.matrix("x") - &mu) * &r);
        rows.x = x_hat.clone();
        back(rows.dx_of(&x_hat, &r, 1., 1.))
    }),
    matrix("dx", &BATCH_STATS_IN_EVAL, of_columns),
    matrix("dx", &BATCH_STATS_IN_EVAL, |i| {
        let rows = Rows::turned(i);
        back(rows.dx(&rows.r(), 0., 0.))
    }),
    vector("dgamma", &BATCH_STATS_IN_EVAL, |i| {
        let rows = Rows::turned(i);
        rows.dgamma(i, &rows.r(), true)
    }),
    vector("dgamma", &EPSILON_MISPLACED, |i| {
        let r = i.vector("variance").sqrt().recip();
        eval_dgamma(i, &r)
    }),
    vector("dgamma", &EPSILON_MISPLACED, |i| {
        let r = (i.vector("variance").sqrt() + i.number("eps")).recip();
        eval_dgamma(i, &r)
    }),
    vector("dgamma", &SQUARE_FOR_ROOT, |i| {
        let r = (&i.vector("variance") + i.number("eps")).recip();
        eval_dgamma(i, &r)
    }),
    vector("dgamma", &SQUARE_FOR_ROOT, |i| {
        let v = &i.vector("variance") + i.number("eps");
        eval_dgamma(i, &(&v * &v).recip())
    }),
    vector("dgamma", &X_FOR_X_HAT, |i| {
        (&i.matrix("dy") * &i.matrix("x")).sum_axis(Axis(0))
    }),
    made("dgamma", &GAMMA_IN_DGAMMA, |i, right| {
        right * &i.vector("gamma")
    }),
];

/// The running mean, and `r` of the running variance.
fn given(i: &Inputs) -> (Array1<f64>, Array1<f64>) {
    let r = (&i.vector("variance") + i.number("eps")).sqrt().recip();
    (i.vector("mean").to_owned(), r)
}

fn eval_dgamma(i: &Inputs, r: &Array1<f64>) -> Array1<f64> {
    let x_hat = (&i.matrix("x") - &i.vector("mean")) * r;
    (&i.matrix("dy") * &x_hat).sum_axis(Axis(0))
}

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

/// The groups of all rows as rows, entry `at(group, k)` of a row its `k`-th.
fn groups(
    i: &Inputs,
    at: fn(usize, usize, usize, usize) -> usize,
) -> (Rows, impl Fn(Array2<f64>) -> Array2<f64>) {
    let all = Rows::of(i);
    let (n, d) = all.x.dim();
    let many = i.whole("groups") as usize;
    let long = d / many;
    let cut = |a: &Array2<f64>| {
        Array2::from_shape_fn((n * many, long), |(row, k)| {
            a[[row / many, at(row % many, k, many, long)]]
        })
    };
    let rows = Rows {
        x: cut(&all.x),
        g: cut(&all.g),
        eps: all.eps,
    };
    let whole = move |a: Array2<f64>| {
        let mut out = Array2::zeros((n, d));
        for ((row, k), v) in a.indexed_iter() {
            out[[row / many, at(row % many, k, many, long)]] = *v;
        }
        out
    };
    (rows, whole)
}

/// Side by side.
fn beside(group: usize, k: usize, _: usize, long: usize) -> usize {
    group * long + k
}

/// Every so many.
fn interleaved(group: usize, k: usize, many: usize, _: usize) -> usize {
    k * many + group
}

/// One number for each group, summed over its columns.
fn by_group(i: &Inputs, sums: Array1<f64>) -> Array1<f64> {
    let long = sums.len() / i.whole("groups") as usize;
    sums.exact_chunks(long)
        .into_iter()
        .map(|c| c.sum())
        .collect()
}

/// `dγ` of x̂ by groups that are cut in this way.
fn group_dgamma(
    i: &Inputs,
    at: fn(usize, usize, usize, usize) -> usize,
) -> Array1<f64> {
    let (rows, whole) = groups(i, at);
    let x_hat = whole(times(&rows.centred(), &rows.r()));
    (&i.matrix("dy") * &x_hat).sum_axis(Axis(0))
}

/// Of GroupNorm: `x`, `gamma`, `beta`, `groups`, `eps`, `dy`.
pub const GROUP: &[Wrong] = &[
    vector("dbeta", &GROUP_PARAMETERS, |i| {
        by_group(i, i.matrix("dy").sum_axis(Axis(0)))
    }),
    vector("dgamma", &GROUP_PARAMETERS, |i| {
        by_group(i, group_dgamma(i, beside))
    }),
    vector("dgamma", &GROUPS_INTERLEAVED, |i| {
        group_dgamma(i, interleaved)
    }),
    vector("dgamma", &GROUPS_IGNORED, |i| {
        let rows = Rows::of(i);
        rows.dgamma(i, &rows.r(), false)
    }),
    matrix("dx", &GROUPS_IGNORED, |i| {
        let rows = Rows::of(i);
        rows.dx(&rows.r(), 1., 1.)
    }),
    matrix("dx", &LN_STATS_CONSTANT, |i| {
        let (rows, whole) = groups(i, beside);
        whole(rows.dx(&rows.r(), 0., 0.))
    }),
    matrix("dx", &LN_VAR_TERM_DROPPED, |i| {
        let (rows, whole) = groups(i, beside);
        whole(rows.dx(&rows.r(), 1., 0.))
    }),
    matrix("dx", &LN_MEAN_TERM_DROPPED, |i| {
        let (rows, whole) = groups(i, beside);
        whole(rows.dx(&rows.r(), 0., 1.))
    }),
    matrix("dx", &MEAN_TERMS_SUMMED, |i| {
        let (rows, whole) = groups(i, beside);
        let long = rows.length();
        whole(rows.dx(&rows.r(), long, long))
    }),
    matrix("dx", &GAMMA_LOST, |i| {
        let (mut rows, whole) = groups(i, beside);
        let gamma = i.array("gamma").mapv(|_| 1.);
        let plain = i.clone().without("gamma").with("gamma", gamma);
        rows.g = groups(&plain, beside).0.g;
        whole(rows.dx(&rows.r(), 1., 1.))
    }),
    matrix("dx", &GAMMA_AT_END, |i| {
        let (mut rows, whole) = groups(i, beside);
        let gamma = i.array("gamma").mapv(|_| 1.);
        let plain = i.clone().without("gamma").with("gamma", gamma);
        rows.g = groups(&plain, beside).0.g;
        whole(rows.dx(&rows.r(), 1., 1.)) * i.vector("gamma")
    }),
    vector("dgamma", &BN_BESSEL, |i| {
        let (rows, whole) = groups(i, beside);
        let x_hat = whole(times(&rows.centred(), &rows.unbiased()));
        (&i.matrix("dy") * &x_hat).sum_axis(Axis(0))
    }),
    vector("dgamma", &EPSILON_MISPLACED, |i| {
        let (rows, whole) = groups(i, beside);
        let x_hat = whole(times(&rows.centred(), &rows.r_without_eps()));
        (&i.matrix("dy") * &x_hat).sum_axis(Axis(0))
    }),
    vector("dgamma", &X_FOR_X_HAT, |i| {
        (&i.matrix("dy") * &i.matrix("x")).sum_axis(Axis(0))
    }),
    made("dgamma", &GAMMA_IN_DGAMMA, |i, right| {
        right * &i.vector("gamma")
    }),
];
