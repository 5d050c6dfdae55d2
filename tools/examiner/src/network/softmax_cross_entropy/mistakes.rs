//! The mistakes of softmax and cross-entropy, and what each returns.

use crate::calculus::chain_rule::mistakes::SLOPE_OF_OUTPUT;
use crate::general::{
    BATCH_MEAN_MISSING, BATCH_NOT_COUNTED, GRAD_OVERWRITTEN, ONE_EXAMPLE_ONLY,
    SUM_AS_N_MINUS_1, UPSTREAM_ONLY,
};
use crate::judge::{
    EVERY, Inputs, Wrong, array, each, factor, made, matrix, number, slopes,
    ways,
};
use crate::network::linear::mistakes::{
    MULTIPLICATIONS_ONLY, TRANSPOSE_MISSING,
};
use backprop::network::softmax_cross_entropy as softmax;
use ndarray::{
    Array1, Array2, ArrayD, ArrayView1, ArrayView2, Axis, Slice, arr0,
};
use std::f64::consts::E;

crate::names! { "network/softmax_cross_entropy.md";
    DIAGONAL_JACOBIAN "#the-jacobian":
        "Softmax is treated entry by entry: only the diagonal of its Jacobian, \
         p(1 - p), is used.",
        "All probabilities share one denominator, so every probability moves \
         with every logit; the off-diagonal entries are -p_i·p_j.",
        "equals diag(J)·dy; rows of dx do not sum to 0; with one-hot targets \
         every entry but the label's is 0";
    SUM_NOT_DIFFERENCE "#one-number-per-row":
        "The row's scalar is added where it belongs subtracted.",
        "The off-diagonal entries of the Jacobian are negative: one class's \
         gain is the others' loss.",
        "plus where a minus belongs; rows of dx do not sum to 0";
    DOT_DROPPED "#one-number-per-row":
        "The row's scalar ⟨y, dy⟩ is missing.",
        "Raising a logit raises its own share and lowers all others; the dot \
         product is those others.",
        "each class sees its own cotangent only; rows of dx do not sum to 0";
    PLAIN_SUM_FOR_DOT "#one-number-per-row":
        "The row's scalar is the plain sum of dy, not its dot product with y.",
        "Each class's cotangent counts in proportion to that class's output.",
        "Σ dy where ⟨y, dy⟩ belongs";
    DOT_FOR_PLAIN_SUM "#log-softmax":
        "The row's scalar is a dot product with the probabilities where a \
         plain sum of dy belongs.",
        "The logarithm has divided the probabilities out: in log-softmax every \
         class's cotangent counts once.",
        "dx = dy - p·⟨p, dy⟩";
    DIAGONAL_DROPPED "#the-jacobian":
        "Only the off-diagonal entries of the Jacobian are used.",
        "A logit moves its own probability too, by p(1 - p).",
        "a class's own cotangent does not reach its logit";
    PROBABILITY_FACTOR_DROPPED "#one-number-per-row":
        "The factor in front, the class's own output, is missing.",
        "A logit moves things in proportion to its probability: a class of \
         probability 0 cannot be lowered.",
        "the result divided by the right one is 1/y, entry by entry";
    SOFTMAX_AXIS "#one-denominator":
        "The sum runs over the batch instead of the classes.",
        "Each example has a distribution of its own: exponentials, \
         denominators and dot products belong to one row.",
        "columns of p sum to 1 instead of rows";
    ONE_DOT_FOR_BATCH "#one-number-per-row":
        "One scalar is used for the whole batch, or runs on from row to row.",
        "The scalar ⟨y, dy⟩ belongs to one row; keep the batch axis when you \
         sum.",
        "right for a batch of one";
    ROW_SUMS_AS_A_ROW "#one-number-per-row":
        "The sums of the rows are laid along the columns: their axis was not \
         kept.",
        "A vector (B) meets a matrix (B,V) as a row. Make it a column first, \
         (B,1), and each sum meets its own row.",
        "runs only where there are as many classes as examples, or one \
         example; right for one";
    LOG_AS_PROBABILITY "#log-softmax":
        "The output of log-softmax is used as if it were a probability.",
        "Log-softmax returns ln p; the probability is its exponential.",
        "negative numbers where probabilities belong";
    SOFTMAX_RULE_ON_LOG "#log-softmax":
        "The VJP of softmax is applied to log-softmax.",
        "A logarithm stands in between: its derivative 1/p cancels the factor \
         p in front.",
        "a factor p too many in every entry";
    SOFTMAX_RULE_ON_ROOT "#one-number-per-row":
        "The VJP of softmax is applied to the square root of softmax.",
        "The root has outputs of its own: derive ∂y_i/∂x_j for y_i = √p_i, \
         with the slope of the root times the Jacobian of softmax.",
        "rows of dx do not sum to 0; their outputs have squares that sum to 1";
    ROOT_HALF_FORGOTTEN "#one-number-per-row":
        "The factor ½ of the root's slope is missing.",
        "The derivative of √p is 1/(2·√p): the half stays when the root \
         cancels.",
        "twice the right gradient, in every entry";
    ROOT_SLOPE_FORGOTTEN "#one-number-per-row":
        "The step from p to √p is left out: the cotangent of the root is taken \
         for that of the probability.",
        "A root is a step of the chain like any other: its slope is 1/(2·√p).",
        "the ratio to the right gradient is twice the output, entry by entry, \
         up to the row's scalar";
    MEAN_OVER_ENTRIES "#cross-entropy":
        "The mean is taken over all entries of the matrix, not along one axis.",
        "A cross-entropy sums over the classes and averages over the examples: \
         divide by B, not by B·V. A norm averages over a row, or over a \
         column.",
        "in a loss, a constant ratio of 1/V";
    LOG_BASE_2 "#cross-entropy":
        "The logarithm has base 2: the result is in bits, not in nats.",
        "Use the natural logarithm: only its derivative is 1/p without a \
         factor.",
        "a constant ratio of 1/ln 2 = 1.4427";
    SOFT_TARGETS_IGNORED "#soft-targets":
        "Only the likeliest class of each target row is used.",
        "Every class with a positive target contributes its share, to the loss \
         and to the gradient.",
        "right for one-hot targets only";
    ENTROPY_SUBTRACTED "#soft-targets":
        "The entropy of the targets is subtracted: that is the \
         Kullback-Leibler divergence.",
        "Cross-entropy is entropy plus divergence. Both have the same gradient \
         in the logits, not the same value.",
        "right for one-hot targets only; the loss of p = t is 0";
    TARGET_FORGOTTEN "#p-minus-t":
        "The target is missing: the result is the probability alone.",
        "p is the gradient of log-sum-exp; the label's own logit enters the \
         loss once more, with a minus.",
        "no entry is negative; a row sums to 1/B instead of 0";
    JACOBIAN_SKIPPED "#p-minus-t":
        "The gradient with respect to the probabilities is returned as that of \
         the logits.",
        "One more step of the chain: from the probabilities through the \
         softmax, or sigmoid, to the logits.",
        "-t/p; entries of the classes that are not the label are 0";
    JACOBIAN_TWICE "#what-goes-wrong":
        "p - t is passed through the softmax's VJP once more.",
        "p - t is the gradient with respect to the logits already: the softmax \
         is inside it.",
        "too small by about p; a row still sums to 0";
    DOUBLE_SOFTMAX_GRAD "#what-goes-wrong":
        "p - t is multiplied by p(1 - p) once more.",
        "p - t is the gradient with respect to the logits already: the \
         softmax, or sigmoid, is inside it.",
        "the ratio to the numeric gradient is p(1 - p), entry by entry; it \
         vanishes where the prediction is most wrong";
    DOUBLE_SOFTMAX "#what-goes-wrong":
        "Softmax is applied twice: probabilities are handed to a loss that \
         expects logits.",
        "A loss with logits in its name contains the softmax; give it the raw \
         outputs of the last layer.",
        "the loss cannot fall below ln(1 + (V-1)/e); the gradient check passes";
    LOGITS_FOR_PROBABILITIES "#one-denominator":
        "The logits stand where the probabilities belong.",
        "What was multiplied in the forward was the output of the softmax.",
        "the gradient changes when all logits are shifted";
    OVERFLOW "#log-sum-exp":
        "An exponential overflows, or its reciprocal rounds to 0 before a \
         logarithm.",
        "Subtract the row's largest logit first (or use exp(-|x|)): the shift \
         cancels in the quotient, and no exponent is above 0.",
        "NaN or ∞ from logits of about 710 (f64) or 89 (f32)";
    UNDERFLOW "#log-sum-exp":
        "All exponentials of a row round to 0, and so does their sum.",
        "Subtract the row's own largest logit, found anew for every row: then \
         its largest exponential is 1.",
        "NaN (0/0) where a whole row lies some 745 below what was subtracted";
    LOG_OF_ZERO "#log-softmax":
        "A probability rounds to 0 and its logarithm, or its reciprocal, is \
         taken.",
        "Never form p and then ln p: ln p is x - lse, and in the gradient the \
         division by p has cancelled on paper.",
        "a loss of ∞, a gradient of NaN (0·∞), though the logits are finite";
    EPSILON_IN_LOG "#what-goes-wrong":
        "A small number guards the logarithm: very wrong predictions all cost \
         the same, and their gradient is 0.",
        "Do not repair ln 0, avoid it: ln p is x - lse.",
        "the loss stops rising at -ln ε (18.42 for 1e-8), and the gradient \
         vanishes there";
    LOGITS_CLIPPED "#log-sum-exp":
        "The logits are clipped to a range before the softmax or the sigmoid.",
        "Only differences between logits matter: subtract the row's maximum, \
         which changes no result, instead of clipping, which does.",
        "logits that differ become equal when a large number is added to all";
    STOPS_WHEN_RIGHT "#p-minus-t":
        "An example that is already classified right is thought to have no \
         gradient.",
        "That is the hinge loss. The cross-entropy asks for a probability of \
         1, which no finite logits reach.",
        "zeros where the label has the largest logit";
    TARGET_ALWAYS_RAISED "#soft-targets":
        "Every class that has a target is thought to be pulled up.",
        "What counts is p - t: a class whose probability is above its target \
         is pushed down.",
        "a minus on every class with a target";
    TARGET_SUM_IGNORED "#soft-targets":
        "The gradient is taken to be p - t, although the targets do not sum to \
         1.",
        "Every target pulls on the denominator: the gradient is (Σ t)·p - t, \
         and that is p - t only where Σ t = 1.",
        "a row sums to 1 - Σ t instead of 0";
    TRIVIAL_COTANGENT "#what-a-sum-cannot-see":
        "A row of the cotangent is zero.",
        "With a zero cotangent every VJP is zero, right or wrong; look for \
         another.",
        "all entries 0";
    NOT_BLIND "#what-a-sum-cannot-see":
        "This cotangent has a gradient that is not zero.",
        "The softmax does not notice a shift of all logits together; which \
         cotangent asks only for that?",
        "its entries are not all equal";
    TEMPERATURE_FORGOTTEN "#temperature":
        "A factor 1/τ is missing.",
        "Dividing by τ is a step of the chain like any other: dx gets one \
         factor 1/τ, dτ gets two.",
        "a constant ratio of τ";
    TEMPERATURE_TWICE "#temperature":
        "There is one factor 1/τ too many.",
        "Start both from the gradient of z = x/τ: dx = dz/τ and dτ = -Σ dz ⊙ \
         x/τ². A dx in place of dz already has its factor.",
        "a constant ratio of 1/τ";
    TEMPERATURE_INVERTED "#temperature":
        "The gradient is multiplied by the temperature instead of divided.",
        "The forward divides by τ, so the backward divides by τ.",
        "a constant ratio of τ²";
    TEMPERATURE_NOT_IN_SOFTMAX "#temperature":
        "The probabilities are those of the logits without the temperature.",
        "The residual p - t is taken where the loss is: after the division by \
         τ.",
        "right for τ = 1 only";
    SMOOTHING_FORGOTTEN "#soft-targets":
        "The targets are one-hot: the smoothing is missing.",
        "The gradient is p minus the target that the loss uses.",
        "right for ε = 0 only";
    SMOOTHING_SPARES_LABEL "#soft-targets":
        "The smoothing mass ε is shared by the other V - 1 classes only.",
        "The uniform share ε/V goes to every class, the label included.",
        "ε/(V-1) on the other classes, 1 - ε on the label";
    TARGETS_NOT_ONE "#soft-targets":
        "The smoothed targets do not sum to 1.",
        "What is given to the other classes is taken from the label; p - t is \
         the gradient only if t sums to 1.",
        "a row of dx does not sum to 0";
    WEIGHT_FORGOTTEN "#p-minus-t":
        "The weight of the positive class is missing.",
        "A positive example counts w times, in the loss and in the gradient.",
        "right for w = 1 only";
    WEIGHT_ON_BOTH "#p-minus-t":
        "The weight multiplies both classes.",
        "Only the term with t, the positive one, carries the weight.",
        "right where every target is 1";
    WEIGHT_ON_TARGET_ONLY "#p-minus-t":
        "The gradient is σ(x) - w·t: the weight is on the target alone.",
        "The weighted targets w·t and 1 - t do not sum to 1, and as for any \
         such targets their sum multiplies the probability.",
        "right for t = 0 only; for t = 1 it is σ(x) - w instead of w·(σ(x) - \
         1)";
    WEIGHT_PER_EXAMPLE "#p-minus-t":
        "The weight multiplies a whole example, by 1 + t·(w - 1).",
        "w belongs to the term with t. For a target between 0 and 1 both terms \
         count, and only one of them is weighted.",
        "right for targets of 0 or 1 only";
    MEAN_OVER_WEIGHTS "#in-practice":
        "The sum over the batch is divided by the sum of the weights, not by \
         B.",
        "Both means are in use. This one divides by B; what counts is that the \
         loss and its gradient divide by the same number.",
        "right for w = 1 only; a ratio that depends on how many targets are \
         positive";
    TABLE_SKIPPED "#one-number-per-row":
        "dy, the cotangent of the product p·e, stands where the cotangent of p \
         belongs.",
        "One step at a time: first through the product, dp = dy·eᵀ, then \
         through the softmax.",
        "runs only where the table is square";
    NEGATIVE_CLASS_FORGOTTEN "#p-minus-t":
        "The term of the negative class is missing.",
        "A target of 0 costs too: -(1-t)·ln(1 - σ(x)).",
        "a batch of negatives costs nothing";
    SOFTMAX_OF_ONE_LOGIT "#p-minus-t":
        "Softmax is applied to a single logit: the probability is always 1.",
        "One logit needs a sigmoid, which is the softmax of (x, 0).",
        "a gradient that does not depend on the logit";
    JACOBIAN_SHARED "#what-it-costs":
        "One Jacobian is counted for all rows.",
        "Every row has probabilities of its own, and so a Jacobian of its own.",
        "too small by a factor of B";
    JACOBIAN_OF_BATCH "#what-it-costs":
        "The Jacobian of the whole batch is counted, zeros included.",
        "Rows do not interact: of the (B·V)² entries only B blocks of V² are \
         not zero.",
        "too large by a factor of B";
    PASS_FORGOTTEN "#what-it-costs":
        "One of the four passes over the row is not counted.",
        "The dot product takes V products and a sum of V numbers; the \
         differences and the last products take V each.",
        "3V for a row instead of 4V";
    DOT_PER_ENTRY "#what-it-costs":
        "The dot product is computed again for every entry.",
        "The scalar is the same for the whole row: compute it once.",
        "grows with V², like the Jacobian's product";
}

/// One number per row, as a column.
fn per_row(a: Array2<f64>) -> Array2<f64> {
    a.sum_axis(Axis(1)).insert_axis(Axis(1))
}

/// Softmax along the wrong axis.
fn down_columns(x: ArrayView2<f64>) -> Array2<f64> {
    softmax::forward(x.t()).reversed_axes()
}

/// One-hot rows with the largest entry of each row of `t`.
fn likeliest(t: ArrayView2<f64>) -> Array2<f64> {
    let best = |row: ArrayView1<f64>| {
        let all = row.iter().enumerate();
        all.max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(v, _)| v)
    };
    let labels: Vec<_> = t.rows().into_iter().map(best).collect();
    softmax::targets(&labels, t.ncols(), 0.)
}

/// A mistake of a VJP whose only gradient is computed from `y` and `dy`.
macro_rules! from_output {
    ($op:path, $output:expr, $mistake:expr, |$y:ident, $dy:ident| $v:expr) => {
        matrix($output, $mistake, |i| {
            let ($y, $dy) = ($op(i.matrix("x")), i.matrix("dy"));
            ($v)
        })
    };
}

macro_rules! of_root {
    ($mistake:expr, |$y:ident, $dy:ident| $v:expr) => {
        from_output!(root, ROOT_DX, $mistake, |$y, $dy| $v)
    };
}

macro_rules! of_log {
    ($mistake:expr, |$y:ident, $dy:ident| $v:expr) => {
        from_output!(softmax::log_softmax, LOG_DX, $mistake, |$y, $dy| $v)
    };
}

/// The square root of softmax.
pub fn root(x: ArrayView2<f64>) -> Array2<f64> {
    softmax::forward(x).mapv(f64::sqrt)
}

/// What the two VJPs return, as reports call it.
pub const ROOT_DX: &str = "root dx";
/// The same for log-softmax.
pub const LOG_DX: &str = "log-softmax dx";

/// `dx` with `scalars` where `⟨y, dy⟩` belongs.
fn with_scalars(
    y: &Array2<f64>,
    dy: ArrayView2<f64>,
    scalars: &Array2<f64>,
) -> Array2<f64> {
    y * &(&dy - &(y * scalars)) * 0.5
}

/// Of the VJP of the root.
pub const ROOT: &[Wrong] = &[
    of_root!(&DIAGONAL_JACOBIAN, |y, dy| &y * &(1. - &y * &y) * dy * 0.5),
    of_root!(&SUM_NOT_DIFFERENCE, |y, dy| {
        with_scalars(&y, dy, &-per_row(&y * &dy))
    }),
    of_root!(&DOT_DROPPED, |y, dy| y * dy * 0.5),
    of_root!(&PLAIN_SUM_FOR_DOT, |y, dy| {
        with_scalars(&y, dy, &per_row(dy.to_owned()))
    }),
    of_root!(&SOFTMAX_AXIS, |y, dy| {
        let dots = (&y * &dy).sum_axis(Axis(0)).insert_axis(Axis(0));
        with_scalars(&y, dy, &dots)
    }),
    of_root!(&ONE_DOT_FOR_BATCH, |y, dy| {
        let dot = (&y * &dy).sum();
        with_scalars(&y, dy, &Array2::from_elem((1, 1), dot))
    }),
    of_root!(&ONE_DOT_FOR_BATCH, |y, dy| {
        // Not set back to 0 from row to row.
        let mut sums = per_row(&y * &dy);
        sums.accumulate_axis_inplace(Axis(0), |before, sum| *sum += before);
        with_scalars(&y, dy, &sums)
    }),
    of_root!(&ROW_SUMS_AS_A_ROW, |y, dy| {
        let dots = (&y * &dy).sum_axis(Axis(1)).insert_axis(Axis(0));
        with_scalars(&y, dy, &dots)
    }),
    of_root!(&PROBABILITY_FACTOR_DROPPED, |y, dy| {
        (&dy - &(&y * &per_row(&y * &dy))) * 0.5
    }),
    of_root!(&SOFTMAX_RULE_ON_ROOT, |y, dy| softmax::vjp(y.view(), dy)),
    // The same with the half.
    of_root!(&SOFTMAX_RULE_ON_ROOT, |y, dy| {
        softmax::vjp(y.view(), dy) * 0.5
    }),
    of_root!(&ROOT_SLOPE_FORGOTTEN, |y, dy| {
        softmax::vjp((&y * &y).view(), dy)
    }),
    factor(ROOT_DX, &ROOT_HALF_FORGOTTEN, |_| 2.),
    of_root!(&SLOPE_OF_OUTPUT, |y, dy| {
        let again = root(y.view());
        let dots = per_row(&again * &dy);
        with_scalars(&again, dy, &dots)
    }),
    of_root!(&DIAGONAL_DROPPED, |y, dy| {
        &y * &(&y * &(&y * &dy - per_row(&y * &dy))) * 0.5
    }),
    // A sum that is set anew for each class, not added to.
    of_root!(&GRAD_OVERWRITTEN, |y, dy| {
        let last = y.ncols() - 1;
        let term = (&y * &dy).column(last).to_owned();
        with_scalars(&y, dy, &term.insert_axis(Axis(1)))
    }),
    array(ROOT_DX, &UPSTREAM_ONLY, |i| i.array("dy").clone()),
];

/// Of the log-softmax VJP.
pub const LOG_SOFTMAX: &[Wrong] = &[
    of_log!(&ONE_DOT_FOR_BATCH, |y, dy| &dy - &(y.exp() * dy.sum())),
    of_log!(&ROW_SUMS_AS_A_ROW, |y, dy| {
        let sums = dy.sum_axis(Axis(1)).insert_axis(Axis(0));
        &dy - &(y.exp() * sums)
    }),
    of_log!(&LOG_AS_PROBABILITY, |y, dy| {
        &dy - &(y * per_row(dy.to_owned()))
    }),
    of_log!(&SOFTMAX_RULE_ON_LOG, |y, dy| {
        softmax::vjp(y.exp().view(), dy)
    }),
    of_log!(&DOT_FOR_PLAIN_SUM, |y, dy| {
        &dy - &(y.exp() * per_row(y.exp() * dy))
    }),
    of_log!(&DIAGONAL_JACOBIAN, |y, dy| (1. - y.exp()) * dy),
    of_log!(&SUM_NOT_DIFFERENCE, |y, dy| {
        &dy + &(y.exp() * per_row(dy.to_owned()))
    }),
    of_log!(&SOFTMAX_AXIS, |y, dy| {
        &dy - &(y.exp() * dy.sum_axis(Axis(0)))
    }),
    of_log!(&GRAD_OVERWRITTEN, |y, dy| {
        let last = dy.column(dy.ncols() - 1).insert_axis(Axis(1));
        &dy - &(y.exp() * last)
    }),
    of_log!(&DIAGONAL_DROPPED, |y, dy| {
        y.exp() * (&dy - &per_row(dy.to_owned()))
    }),
    matrix(LOG_DX, &PROBABILITY_FACTOR_DROPPED, |i| {
        let dy = i.matrix("dy");
        &dy - &per_row(dy.to_owned())
    }),
    array(LOG_DX, &UPSTREAM_ONLY, |i| i.array("dy").clone()),
];

/// The name of a loss in reports.
pub const LOSS_IS: &str = "the loss";

fn rows(i: &Inputs) -> f64 {
    i.array("x").shape()[0] as f64
}

fn loss_of(x: ArrayView2<f64>, t: ArrayView2<f64>) -> f64 {
    softmax::cross_entropy(x, t).0
}

fn loss_with_epsilon(i: &Inputs, eps: f64) -> f64 {
    let p = softmax::forward(i.matrix("x"));
    -((p + eps).ln() * i.matrix("t")).sum() / rows(i)
}

/// Of the loss: `x`, `t`.
pub const LOSS: &[Wrong] = &[
    factor(LOSS_IS, &BATCH_MEAN_MISSING, rows),
    factor(LOSS_IS, &MEAN_OVER_ENTRIES, |i| {
        1. / i.matrix("x").ncols() as f64
    }),
    factor(LOSS_IS, &LOG_BASE_2, |_| 1. / 2f64.ln()),
    number(LOSS_IS, &DOUBLE_SOFTMAX, |i| {
        loss_of(softmax::forward(i.matrix("x")).view(), i.matrix("t"))
    }),
    // Its floor taken away.
    number(LOSS_IS, &DOUBLE_SOFTMAX, |i| {
        let others = i.matrix("x").ncols() as f64 - 1.;
        let again = softmax::forward(i.matrix("x"));
        loss_of(again.view(), i.matrix("t")) - (others / E).ln_1p()
    }),
    // Of the sum only; with the largest logit taken out of it, or not.
    ways(LOSS_IS, &LOG_BASE_2, 2, |i, _, way| {
        let x = i.matrix("x");
        let most = x.fold_axis(Axis(1), f64::MIN, |m, v| m.max(*v));
        let most = [most, Array1::zeros(x.nrows())];
        let z = &x - &most[way].view().insert_axis(Axis(1));
        let bits = z.exp().sum_axis(Axis(1)).mapv(f64::log2);
        let loss = (bits.insert_axis(Axis(1)) - z) * i.matrix("t");
        arr0(loss.sum() / rows(i)).into_dyn()
    }),
    number(LOSS_IS, &SOFT_TARGETS_IGNORED, |i| {
        loss_of(i.matrix("x"), likeliest(i.matrix("t")).view())
    }),
    number(LOSS_IS, &ENTROPY_SUBTRACTED, |i| {
        let entropy = |t: &f64| if *t > 0. { t * t.ln() } else { 0. };
        let entropy = i.array("t").iter().map(entropy).sum::<f64>();
        loss_of(i.matrix("x"), i.matrix("t")) + entropy / rows(i)
    }),
    number(LOSS_IS, &SOFTMAX_AXIS, |i| {
        let log_p = down_columns(i.matrix("x")).ln();
        -(log_p * i.matrix("t")).sum() / rows(i)
    }),
    number(LOSS_IS, &EPSILON_IN_LOG, |i| loss_with_epsilon(i, 1e-8)),
    number(LOSS_IS, &EPSILON_IN_LOG, |i| loss_with_epsilon(i, 1e-7)),
    number(LOSS_IS, &EPSILON_IN_LOG, |i| loss_with_epsilon(i, 1e-6)),
];

/// Of the loss at logits that are extreme.
pub const EXTREME: &[Wrong] =
    &[ways(LOSS_IS, &LOGITS_CLIPPED, 12, |i, _, w| {
        let most = [
            10., 15., 20., 30., 50., 80., 88., 100., 500., 700., 1e3, 1e4,
        ][w];
        let x = i.matrix("x").mapv(|x| x.clamp(-most, most));
        arr0(loss_of(x.view(), i.matrix("t"))).into_dyn()
    })];

/// What a gradient of the loss is made of: `t`, `p`, and the factor `dloss/B`.
fn parts(i: &Inputs) -> (ArrayView2<'_, f64>, Array2<f64>, f64) {
    let p = softmax::forward(i.matrix("x"));
    (i.matrix("t"), p, i.number("dloss") / rows(i))
}

fn gradient_with_epsilon(i: &Inputs, eps: f64) -> ArrayD<f64> {
    let (t, p, s) = parts(i);
    let dp = -&t / &(&p + eps) * s;
    softmax::vjp(p.view(), dp.view()).into_dyn()
}

/// Of the gradient of the loss: `x`, `t`, cotangent `dloss`.
pub const LOSS_VJP: &[Wrong] = &[
    factor("dx", &BATCH_MEAN_MISSING, rows),
    factor("dx", &MEAN_OVER_ENTRIES, |i| {
        1. / i.matrix("x").ncols() as f64
    }),
    matrix("dx", &DIAGONAL_JACOBIAN, |i| {
        let (t, p, s) = parts(i);
        (p - 1.) * t * s
    }),
    matrix("dx", &DOUBLE_SOFTMAX_GRAD, |i| {
        let (t, p, s) = parts(i);
        (&p - &t) * &p * (1. - &p) * s
    }),
    matrix("dx", &DOUBLE_SOFTMAX, |i| {
        let (t, p, s) = parts(i);
        (softmax::forward(p.view()) - t) * s
    }),
    matrix("dx", &DOUBLE_SOFTMAX, |i| {
        let (t, p, s) = parts(i);
        let dp = (softmax::forward(p.view()) - t) * s;
        softmax::vjp(p.view(), dp.view())
    }),
    matrix("dx", &JACOBIAN_TWICE, |i| {
        let (t, p, s) = parts(i);
        let dp = (&p - &t) * s;
        softmax::vjp(p.view(), dp.view())
    }),
    matrix("dx", &TARGET_FORGOTTEN, |i| {
        let (_, p, s) = parts(i);
        p * s
    }),
    matrix("dx", &JACOBIAN_SKIPPED, |i| {
        let (t, p, s) = parts(i);
        -&t / &p * s
    }),
    matrix("dx", &SOFT_TARGETS_IGNORED, |i| {
        let (t, p, s) = parts(i);
        (p - likeliest(t)) * s
    }),
    matrix("dx", &SOFTMAX_AXIS, |i| {
        let (t, _, s) = parts(i);
        (down_columns(i.matrix("x")) - t) * s
    }),
    array("dx", &EPSILON_IN_LOG, |i| gradient_with_epsilon(i, 1e-8)),
    array("dx", &EPSILON_IN_LOG, |i| gradient_with_epsilon(i, 1e-7)),
    array("dx", &EPSILON_IN_LOG, |i| gradient_with_epsilon(i, 1e-6)),
];

/// The gradient of that name (`dx`, `dtau`) for targets with one value for the
/// label and one for all others, by differences. The softmax is that of
/// `x/tau + offset`.
fn tempered(
    i: &Inputs,
    gradient: &str,
    (label, other): (f64, f64),
    offset: Array2<f64>,
) -> ArrayD<f64> {
    let mut t = Array2::from_elem(offset.raw_dim(), other);
    for (b, v) in i.wholes("labels").into_iter().enumerate() {
        t[[b, v]] = label;
    }
    let given = i.clone().with("t", t).with("offset", offset);
    let forward = |i: &Inputs| {
        let z = &i.matrix("x") / i.number("tau");
        let lse = softmax::log_sum_exp((&z + &i.matrix("offset")).view());
        arr0((lse.sum() - (z * i.matrix("t")).sum()) / rows(i)).into_dyn()
    };
    slopes(forward, &given, &gradient[1..], "dloss")
}

/// The same where the softmax is the right one.
fn smoothed(i: &Inputs, gradient: &str, targets: (f64, f64)) -> ArrayD<f64> {
    let offset = Array2::zeros(i.matrix("x").raw_dim());
    tempered(i, gradient, targets, offset)
}

/// ε, and ε/V.
fn smoothing(i: &Inputs) -> (f64, f64) {
    let eps = i.number("smoothing");
    (eps, eps / i.matrix("x").ncols() as f64)
}

/// Of temperature and smoothing: `x`, `tau`, `labels`, `smoothing`, cotangent
/// `dloss`.
pub const TEMPERED: &[Wrong] = &[
    factor(EVERY, &BATCH_MEAN_MISSING, rows),
    factor(EVERY, &TEMPERATURE_FORGOTTEN, |i| i.number("tau")),
    factor(EVERY, &TEMPERATURE_TWICE, |i| 1. / i.number("tau")),
    factor("dx", &TEMPERATURE_INVERTED, |i| i.number("tau").powi(2)),
    factor("dtau", &TEMPERATURE_INVERTED, |i| i.number("tau").powi(3)),
    factor(EVERY, &MEAN_OVER_ENTRIES, |i| {
        1. / i.matrix("x").ncols() as f64
    }),
    each(&TEMPERATURE_NOT_IN_SOFTMAX, |i, g| {
        let ((eps, share), x) = (smoothing(i), i.matrix("x"));
        let offset = &x - &(&x / i.number("tau"));
        tempered(i, g, (1. - eps + share, share), offset)
    }),
    each(&SMOOTHING_FORGOTTEN, |i, g| smoothed(i, g, (1., 0.))),
    each(&SMOOTHING_SPARES_LABEL, |i, g| {
        let others = i.matrix("x").ncols() as f64 - 1.;
        let eps = smoothing(i).0;
        smoothed(i, g, (1. - eps, eps / others))
    }),
    each(&TARGETS_NOT_ONE, |i, g| smoothed(i, g, label_keeps(i))),
    each(&TARGETS_NOT_ONE, |i, g| smoothed(i, g, label_gives(i))),
    each(&TARGETS_NOT_ONE, |i, g| smoothed(i, g, all_get(i))),
    each(&TARGETS_NOT_ONE, |i, g| {
        let (eps, share) = (smoothing(i).0, share_of_others(i));
        smoothed(i, g, (1. - eps + share, share))
    }),
    each(&TARGETS_NOT_ONE, |i, g| of_true_mass(i, g, label_keeps(i))),
    each(&TARGETS_NOT_ONE, |i, g| of_true_mass(i, g, label_gives(i))),
    each(&TARGETS_NOT_ONE, |i, g| of_true_mass(i, g, all_get(i))),
    number("dtau", &GRAD_OVERWRITTEN, |i| {
        of_row(i, rows(i) as usize - 1)
    }),
    number("dtau", &ONE_EXAMPLE_ONLY, |i| of_row(i, 0)),
];

/// Targets, of the label and of the others, that do not sum to 1: the label
/// keeps all its mass, the label gives ε and does not get its share, every
/// class gets a share.
fn label_keeps(i: &Inputs) -> (f64, f64) {
    (1., smoothing(i).1)
}
fn label_gives(i: &Inputs) -> (f64, f64) {
    let (eps, share) = smoothing(i);
    (1. - eps, share)
}
fn share_of_others(i: &Inputs) -> f64 {
    smoothing(i).0 / (i.matrix("x").ncols() as f64 - 1.)
}
fn all_get(i: &Inputs) -> (f64, f64) {
    let share = smoothing(i).1;
    (1. + share, share)
}

/// The gradient for targets that do not sum to 1, as it should be for those:
/// `Σt·p - t`.
fn of_true_mass(i: &Inputs, gradient: &str, t: (f64, f64)) -> ArrayD<f64> {
    let others = i.matrix("x").ncols() as f64 - 1.;
    let mass = t.0 + others * t.1;
    mass * smoothed(i, gradient, (t.0 / mass, t.1 / mass))
}

/// What one example says of the temperature.
fn of_row(i: &Inputs, row: usize) -> f64 {
    let mut one = i.clone();
    let n = rows(i);
    let keep = |a: &mut ArrayD<f64>| {
        a.slice_axis_inplace(Axis(0), Slice::from(row..=row));
    };
    keep(one.array_mut("x"));
    keep(one.array_mut("labels"));
    let (eps, share) = smoothing(i);
    smoothed(&one, "dtau", (1. - eps + share, share)).sum() / n
}

/// Logits, targets, weight and `1/B` of a two-class case.
fn binary(i: &Inputs) -> (ArrayView1<'_, f64>, Array1<f64>, f64, f64) {
    let (x, t) = (i.vector("x"), i.vector("t").to_owned());
    (x, t, i.number("w"), 1. / rows(i))
}

fn sigmoid(x: ArrayView1<f64>) -> Array1<f64> {
    x.mapv(|x| 1. / (1. + (-x).exp()))
}

/// What an example weighs in all: `1 + t·(w - 1)`.
fn weights(t: &Array1<f64>, w: f64) -> Array1<f64> {
    1. - t + w * t
}

/// Of the two-class loss: `x`, `t`, `w`.
pub const BINARY: &[Wrong] = &[
    factor(LOSS_IS, &BATCH_MEAN_MISSING, rows),
    factor(LOSS_IS, &LOG_BASE_2, |_| 1. / 2f64.ln()),
    number(LOSS_IS, &WEIGHT_FORGOTTEN, |i| {
        softmax::binary::cross_entropy(i.vector("x"), i.vector("t")).0
    }),
    // In front of one of the two parts of -ln σ(x) only.
    ways(LOSS_IS, &WEIGHT_FORGOTTEN, 2, |i, _, way| {
        let (x, t, w, share) = binary(i);
        let on = [(w, 1.), (1., w)][way];
        let cost = |(x, t): (&f64, &f64)| {
            let rest = (-x.abs()).exp().ln_1p();
            t * (on.0 * (-x).max(0.) + on.1 * rest)
                + (1. - t) * (x.max(0.) + rest)
        };
        let loss = x.iter().zip(&t).map(cost).sum::<f64>() * share;
        arr0(loss).into_dyn()
    }),
    number(LOSS_IS, &WEIGHT_ON_BOTH, |i| {
        let (x, t, w, _) = binary(i);
        w * softmax::binary::cross_entropy(x, t.view()).0
    }),
    number(LOSS_IS, &NEGATIVE_CLASS_FORGOTTEN, |i| {
        let (x, t, w, share) = binary(i);
        -(w * t * sigmoid(x).ln()).sum() * share
    }),
    number(LOSS_IS, &WEIGHT_PER_EXAMPLE, |i| {
        let (x, t, w, share) = binary(i);
        let p = sigmoid(x);
        let costs = -(&t * &p.ln() + (1. - &t) * (1. - &p).ln());
        (costs * weights(&t, w)).sum() * share
    }),
    number(LOSS_IS, &WEIGHT_PER_EXAMPLE, |i| {
        let (x, t, w, share) = binary(i);
        let p = sigmoid(x);
        let costs = -(&t * &p.ln() + (1. - &t) * (1. - &p).ln());
        (costs * t.mapv(|t| if t > 0.5 { w } else { 1. })).sum() * share
    }),
    number(LOSS_IS, &SOFT_TARGETS_IGNORED, |i| {
        let (x, t, w, share) = binary(i);
        let (p, t) = (sigmoid(x), t.mapv(f64::round));
        -(w * &t * p.ln() + (1. - &t) * (1. - &p).ln()).sum() * share
    }),
    number(LOSS_IS, &MEAN_OVER_WEIGHTS, |i| {
        let (x, t, w, _) = binary(i);
        let p = sigmoid(x);
        let sum = (w * &t * p.ln() + (1. - &t) * (1. - &p).ln()).sum();
        -sum / weights(&t, w).sum()
    }),
];

/// `dloss/B` times that.
fn shared(i: &Inputs, slope: Array1<f64>) -> ArrayD<f64> {
    (slope * (i.number("dloss") / rows(i))).into_dyn()
}

/// Of its gradient: `x`, `t`, `w`, cotangent `dloss`.
pub const BINARY_VJP: &[Wrong] = &[
    factor("dx", &BATCH_MEAN_MISSING, rows),
    array("dx", &WEIGHT_FORGOTTEN, |i| {
        shared(i, sigmoid(i.vector("x")) - i.vector("t"))
    }),
    array("dx", &WEIGHT_ON_BOTH, |i| {
        shared(i, (sigmoid(i.vector("x")) - i.vector("t")) * i.number("w"))
    }),
    made("dx", &DOUBLE_SOFTMAX_GRAD, |i, right| {
        let p = sigmoid(i.vector("x"));
        right * &(&p * &(1. - &p)).into_dyn()
    }),
    made("dx", &JACOBIAN_SKIPPED, |i, right| {
        let p = sigmoid(i.vector("x"));
        right / &(&p * &(1. - &p)).into_dyn()
    }),
    array("dx", &SOFTMAX_AXIS, |i| {
        let (x, t, w, _) = binary(i);
        let p = softmax::forward(x.insert_axis(Axis(0)));
        shared(i, &p.row(0) * &weights(&t, w) - w * &t)
    }),
    array("dx", &SOFTMAX_OF_ONE_LOGIT, |i| {
        shared(i, 1. - &i.vector("t"))
    }),
    array("dx", &WEIGHT_ON_TARGET_ONLY, |i| {
        let (x, t, w, _) = binary(i);
        shared(i, sigmoid(x) - w * t)
    }),
    array("dx", &WEIGHT_PER_EXAMPLE, |i| {
        let (x, t, w, _) = binary(i);
        shared(i, (sigmoid(x) - &t) * weights(&t, w))
    }),
    array("dx", &WEIGHT_PER_EXAMPLE, |i| {
        let (x, t, w, _) = binary(i);
        let weights = t.mapv(|t| if t > 0.5 { w } else { 1. });
        shared(i, (sigmoid(x) - &t) * weights)
    }),
    array("dx", &SOFT_TARGETS_IGNORED, |i| {
        let (x, t, w, _) = binary(i);
        let t = t.mapv(f64::round);
        shared(i, sigmoid(x) * weights(&t, w) - w * &t)
    }),
    array("dx", &NEGATIVE_CLASS_FORGOTTEN, |i| {
        let (x, t, w, _) = binary(i);
        shared(i, (sigmoid(x) - 1.) * w * t)
    }),
    factor("dx", &MEAN_OVER_WEIGHTS, |i| {
        let (_, t, w, _) = binary(i);
        rows(i) / weights(&t, w).sum()
    }),
];

/// `p` and `dp` of a soft lookup `softmax(x)·e`.
fn lookup(i: &Inputs) -> (Array2<f64>, Array2<f64>) {
    let dp = i.matrix("dy").dot(&i.matrix("e").t());
    (softmax::forward(i.matrix("x")), dp)
}

/// Of the soft lookup: `x`, `e`, cotangent `dy`.
pub const LOOKUP: &[Wrong] = &[
    matrix("dx", &DIAGONAL_JACOBIAN, |i| {
        let (p, dp) = lookup(i);
        &p * &(1. - &p) * dp
    }),
    matrix("dx", &DOT_DROPPED, |i| {
        let (p, dp) = lookup(i);
        p * dp
    }),
    matrix("dx", &SUM_NOT_DIFFERENCE, |i| {
        let (p, dp) = lookup(i);
        &p * &(&dp + &per_row(&p * &dp))
    }),
    matrix("dx", &SOFTMAX_AXIS, |i| {
        let (p, dp) = lookup(i);
        &p * &(&dp - &(&p * &dp).sum_axis(Axis(0)))
    }),
    matrix("dx", &PLAIN_SUM_FOR_DOT, |i| {
        let (p, dp) = lookup(i);
        p * (&dp - &per_row(dp.clone()))
    }),
    matrix("dx", &ONE_DOT_FOR_BATCH, |i| {
        let (p, dp) = lookup(i);
        let s = (&p * &dp).sum();
        p * (dp - s)
    }),
    matrix("dx", &DIAGONAL_DROPPED, |i| {
        let (p, dp) = lookup(i);
        &p * &(&p * &dp - per_row(&p * &dp))
    }),
    matrix("dx", &PROBABILITY_FACTOR_DROPPED, |i| {
        let (p, dp) = lookup(i);
        &dp - &per_row(p * &dp)
    }),
    matrix("dx", &TABLE_SKIPPED, |i| {
        let (p, _) = lookup(i);
        softmax::vjp(p.view(), i.matrix("dy"))
    }),
    matrix("dx", &JACOBIAN_SKIPPED, |i| lookup(i).1),
    matrix("dx", &TRANSPOSE_MISSING, |i| {
        let dp = i.matrix("dy").dot(&i.matrix("e"));
        softmax::vjp(lookup(i).0.view(), dp.view())
    }),
    matrix("de", &TRANSPOSE_MISSING, |i| {
        lookup(i).0.dot(&i.matrix("dy"))
    }),
    matrix("de", &LOGITS_FOR_PROBABILITIES, |i| {
        i.matrix("x").t().dot(&i.matrix("dy"))
    }),
];

/// What is counted, as reports call it.
pub const COUNTS: &[&str] = &[ENTRIES, THROUGH, OF_VJP];
const ENTRIES: &str = "the Jacobians' entries";
const THROUGH: &str = "the operations through the Jacobians";
const OF_VJP: &str = "the operations of the VJP";

/// Rows and classes.
fn sizes(i: &Inputs) -> (f64, f64) {
    (i.number("rows"), i.number("classes"))
}

/// Of the counts.
pub const WORK: &[Wrong] = &[
    factor(ENTRIES, &JACOBIAN_SHARED, |i| 1. / sizes(i).0),
    factor(ENTRIES, &JACOBIAN_OF_BATCH, |i| sizes(i).0),
    factor(THROUGH, &JACOBIAN_SHARED, |i| 1. / sizes(i).0),
    factor(THROUGH, &JACOBIAN_OF_BATCH, |i| sizes(i).0),
    factor(THROUGH, &MULTIPLICATIONS_ONLY, |_| 0.5),
    number(THROUGH, &SUM_AS_N_MINUS_1, |i| {
        let (b, v) = sizes(i);
        b * v * (2. * v - 1.)
    }),
    number(OF_VJP, &DOT_PER_ENTRY, |i| {
        let (b, v) = sizes(i);
        b * v * (2. * v + 2.)
    }),
    number(OF_VJP, &SUM_AS_N_MINUS_1, |i| {
        let (b, v) = sizes(i);
        b * (4. * v - 1.)
    }),
    factor(OF_VJP, &PASS_FORGOTTEN, |_| 0.75),
    factor(OF_VJP, &BATCH_NOT_COUNTED, |i| 1. / sizes(i).0),
];
