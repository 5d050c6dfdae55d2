//! The mistakes of low-rank adaptation, and what each returns.

use super::{Stale, Tuning, direct, lengths, made_of, scale};
use crate::depth::normalization::mistakes::TERM_ADDED;
use crate::general::{
    BATCH_MEAN_MISSING, BATCH_NOT_COUNTED, RESHAPED_NOT_TRANSPOSED,
    SIGN_FLIPPED,
};
use crate::judge::{
    EVERY, Inputs, Wrong, array, each, factor, is_chosen, made, matrix, number,
    slopes, ways,
};
use crate::network::linear::mistakes::{
    FACTOR_FORGOTTEN, FORWARD_COUNTED, MULTIPLICATIONS_ONLY, TRANSPOSE_MISSING,
    reshaped,
};
use crate::network::mlp::mistakes::{
    HALF_FORGOTTEN, LOSSES, LOSSES_SHIFTED, STALE_FORWARD, UPDATED_TOO_EARLY,
    WEIGHT_NOT_UPDATED,
};
use crate::network::softmax_cross_entropy::mistakes::MEAN_OVER_ENTRIES;
use ndarray::{Array1, Array2, ArrayD, Axis};

crate::names! { "transformer/lora.md";
    LORA_SCALE "#the-scale":
        "The low-rank product, or a gradient, is scaled by another number than \
         α/R, or what stands beside it is scaled as well.",
        "s = α/R counts once in the forward pass, and so once in da, in db and \
         in the adapter's part of dx.",
        "a constant ratio: R where α was taken; 1/s where s was lost and s \
         where it counts twice, and these two are right for s = 1";
    RSLORA_SCALE "#the-scale":
        "The product is scaled by α/√R.",
        "That is another convention, rank-stabilised LoRA; an adapter has to \
         be used with the scale that it was trained with.",
        "the change is too large by √R; with rank 1 all is right";
    LORA_SCALE_ONE_SIDE "#the-scale":
        "The scale acts in training and is missing in what is merged.",
        "The product that is added to the weight is the one that the forward \
         pass used: s·a·b.",
        "the change is too large by 1/s; for s = 1 all is right";
    BASE_FORGOTTEN "#two-slabs":
        "The frozen layer's output is left out.",
        "The adapter stands beside the layer: its product is added to x·w.",
        "what is returned is the adapter's share alone";
    ADAPTER_FORGOTTEN "#two-slabs":
        "The adapter's product is left out.",
        "The layer's output is x·w and s·(x·a)·b together.",
        "right as long as b is 0";
    LORA_DX_HALF "#three-gradients":
        "The input gets the gradient along one path only.",
        "x reaches y through the frozen weight and through the adapter; \
         frozen means not changed, and what passes through passes back.",
        "dx is dy·wᵀ alone, which for b = 0 is right, or the adapter's part \
         alone";
    LORA_B_ZERO "#the-start":
        "Both factors begin at zero.",
        "da has a factor b and db a factor a: if both are 0, both gradients \
         are 0, now and after every step.",
        "da = db = 0 for ever";
    LORA_START_NOT_BASE "#the-start":
        "Neither factor begins at zero.",
        "Before the first step the adapted model has to be the one that was \
         trained: a·b must be 0.",
        "the output at step 0 differs from the base's";
    LORA_ONE_START "#the-start":
        "Only one of the two starts with a zero factor is thought to work.",
        "a and b play the same part in a·b: if one is 0, the other's gradient \
         is 0 in the first step, and its own is not.",
        "the start with a zero and b random is taken for a dead one";
    FROZEN_IS_ZERO "#what-is-not-computed":
        "The gradient of a frozen weight is said to be 0.",
        "It is xᵀ·dy like that of any weight. It is not computed, because \
         nobody asks for it.",
        "zeros where the whole weight's gradient was asked for";
    FROZEN_TRAINED "#what-is-not-computed":
        "The frozen weight is trained, beside the factors or in their place, \
         or has room for a gradient.",
        "What is frozen takes no step and has no buffer: a and b are all that \
         an optimiser knows.",
        "w has changed after a step; its I·O numbers are counted";
    SCALE_COUNTED_ONCE "#the-scale":
        "The scale is thought to count once in the first change of the weight.",
        "db has a factor s, and the product s·a·b has another: under gradient \
         descent the change goes with s².",
        "twice where four times is right";
    ADAM_FOLLOWS_SIZE "#the-scale":
        "Adam's first step is thought to grow with the gradient.",
        "Its first step has the length of the learning rate in every entry, \
         whatever the gradient's size.",
        "four times where twice is right";
    DW_COUNTED "#what-is-not-computed":
        "The product xᵀ·dy is counted, though nobody computes it.",
        "da and db are made of dh and h; the frozen weight's gradient is never \
         formed.",
        "too large by 2·N·I·O";
    DX_NOT_COUNTED "#what-is-not-computed":
        "The product dy·wᵀ is not counted.",
        "The cotangent has to cross the frozen weight to reach what lies \
         below.",
        "too small by 2·N·I·O";
    PRODUCT_FORMED "#what-is-not-computed":
        "The product a·b is formed, and x multiplied with it.",
        "(x·a)·b is the same and takes 2·N·R(I + O) operations; x·(a·b) takes \
         as many as the frozen layer, and a·b comes on top.",
        "right values, too many operations";
    DORA_NORM_AXIS "#length-and-direction":
        "The lengths are taken along the other axis.",
        "A length belongs to an output. In a weight (I,O) that is a column; \
         PyTorch's weight is (O,I), and there it is a row.",
        "runs everywhere; the weight's columns do not have the lengths m";
    DORA_NORM_OF_BASE "#length-and-direction":
        "The lengths are those of w, not of w + s·a·b.",
        "It is the adapted weight that is brought to length 1; at the start \
         the two agree.",
        "right for b = 0";
    DORA_NORM_SKIPPED "#length-and-direction":
        "The columns are multiplied with m and not divided by their lengths, \
         or by the squares of those.",
        "m is the length itself, so it multiplies a direction, of length 1.",
        "columns too long by n, or too short by n";
    DORA_NORM_CONSTANT "#length-and-direction":
        "The norm is treated as a constant.",
        "That is what the paper proposes, but not the gradient of this \
         forward: n is a function of V, and takes out what lies along V.",
        "⟨v, dV⟩ is not 0 by columns; dm and dx are right";
    DORA_NORM_MOVES "#length-and-direction":
        "The norm is differentiated, though it was declared constant.",
        "Where n is a constant, nothing is taken out of dW: dV = dW·m/n.",
        "⟨v, dV⟩ is 0 by columns";
    DORA_AS_LORA "#length-and-direction":
        "The gradients of the plain adapter are used.",
        "Between V and W stand m/n and, unless the norm is constant, a \
         projection.",
        "right only where m = n and dW has nothing along V";
    DORA_MAGNITUDE_LOST "#length-and-direction":
        "m/n, or a part of it, is left out of a gradient.",
        "W's column is V's column times m/n, so the cotangent meets m/n on the \
         way to V, and on the way to x.",
        "off by m/n, m or 1/n in each column; at the start m/n = 1";
    DORA_MAGNITUDE_TWICE "#length-and-direction":
        "dm is made of what is scaled already, or not yet divided by n.",
        "m multiplies the direction u, so dm = ⟨dW, u⟩, with neither m nor n.",
        "off by m/n, m or n in each entry: at the start m/n = 1";
}

/// How many other scales there are.
const SCALES: usize = 9;

/// What the right scale is multiplied with by other scales than `α/R` and
/// `α/√R`: α, 1, s², 1/R, α·R, α/I, α/O, whole numbers of α over R, and α over
/// the rank that a·b can have.
fn other_scales(i: &Inputs) -> [f64; SCALES] {
    let (s, alpha) = (scale(i), i.number("alpha"));
    let (n, r) = i.matrix("a").dim();
    let (n, r, o) = (n as f64, r as f64, i.matrix("b").ncols() as f64);
    let whole = alpha.trunc() / alpha;
    let possible = r / r.min(n).min(o);
    [
        r,
        1. / s,
        s,
        1. / alpha,
        r * r,
        r / n,
        r / o,
        whole,
        possible,
    ]
}

fn root(i: &Inputs) -> f64 {
    (i.matrix("a").ncols() as f64).sqrt()
}

fn base(i: &Inputs) -> Array2<f64> {
    i.matrix("x").dot(&i.matrix("w"))
}

fn beside(i: &Inputs) -> Array2<f64> {
    made_of(i, "x", "a", "b") * scale(i)
}

/// Of the adapted layer.
pub const FORWARD: &[Wrong] = &[
    ways("y", &LORA_SCALE, SCALES, |i, _, way| {
        (base(i) + beside(i) * other_scales(i)[way]).into_dyn()
    }),
    matrix("y", &LORA_SCALE, |i| {
        (base(i) + beside(i) / scale(i)) * scale(i)
    }),
    factor("y", &LORA_SCALE, scale),
    matrix("y", &RSLORA_SCALE, |i| base(i) + beside(i) * root(i)),
    matrix("y", &BASE_FORGOTTEN, beside),
    matrix("y", &ADAPTER_FORGOTTEN, base),
];

/// `dx` through the frozen weight.
fn through_w(i: &Inputs) -> Array2<f64> {
    i.matrix("dy").dot(&i.matrix("w").t())
}

/// The gradient of an input of the adapter alone, by differences.
fn of_adapter(i: &Inputs, of: &str) -> ArrayD<f64> {
    slopes(|i| beside(i).into_dyn(), i, of, "dy")
}

/// An output with what goes through the adapter multiplied.
fn scaled(i: &Inputs, output: &str, by: f64) -> ArrayD<f64> {
    let part = of_adapter(i, &output[1..]) * by;
    match output {
        "dx" => part + through_w(i),
        _ => part,
    }
}

/// Of its gradients.
pub const VJP: &[Wrong] = &[
    matrix("dx", &LORA_DX_HALF, through_w),
    array("dx", &LORA_DX_HALF, |i| of_adapter(i, "x")),
    ways(EVERY, &LORA_SCALE, SCALES, |i, output, way| {
        scaled(i, output, other_scales(i)[way])
    }),
    factor("dx", &LORA_SCALE, scale),
    array("dx", &LORA_SCALE, |i| {
        of_adapter(i, "x") + through_w(i) * scale(i)
    }),
    each(&RSLORA_SCALE, |i, output| scaled(i, output, root(i))),
    // These run only where sizes agree.
    array("dx", &TRANSPOSE_MISSING, |i| {
        of_adapter(i, "x") + i.matrix("dy").dot(&i.matrix("w"))
    }),
    matrix("dx", &TRANSPOSE_MISSING, |i| {
        let dh = i.matrix("dy").dot(&i.matrix("b").t()) * scale(i);
        through_w(i) + dh.dot(&i.matrix("a"))
    }),
    matrix("dx", &TRANSPOSE_MISSING, |i| {
        let dh = i.matrix("dy").dot(&i.matrix("b")) * scale(i);
        through_w(i) + dh.dot(&i.matrix("a").t())
    }),
    matrix("da", &TRANSPOSE_MISSING, |i| {
        let dh = i.matrix("dy").dot(&i.matrix("b")) * scale(i);
        i.matrix("x").t().dot(&dh)
    }),
    matrix("da", &TRANSPOSE_MISSING, |i| {
        let dh = i.matrix("dy").dot(&i.matrix("b").t()) * scale(i);
        i.matrix("x").dot(&dh)
    }),
    matrix("db", &TRANSPOSE_MISSING, |i| {
        let h = i.matrix("x").dot(&i.matrix("a"));
        h.dot(&i.matrix("dy")) * scale(i)
    }),
    // The factor nearest the cotangent cut anew, the other one, or both.
    ways("dx", &RESHAPED_NOT_TRANSPOSED, 4, |i, _, way| {
        let turned = |name: &str, anew: bool| match anew {
            true => reshaped(i.matrix(name)),
            false => i.matrix(name).t().to_owned(),
        };
        let dy = i.matrix("dy");
        let dh = dy.dot(&turned("b", way % 2 == 0)) * scale(i);
        let beside = dh.dot(&turned("a", way == 1 || way == 2));
        (dy.dot(&turned("w", way == 3)) + beside).into_dyn()
    }),
    ways("da", &RESHAPED_NOT_TRANSPOSED, 2, |i, _, way| {
        let (x, b) = (i.matrix("x"), i.matrix("b"));
        let dh = |b: Array2<f64>| i.matrix("dy").dot(&b) * scale(i);
        match way {
            0 => x.t().dot(&dh(reshaped(b))),
            _ => reshaped(x).dot(&dh(b.t().to_owned())),
        }
        .into_dyn()
    }),
    matrix("db", &RESHAPED_NOT_TRANSPOSED, |i| {
        let h = i.matrix("x").dot(&i.matrix("a"));
        reshaped(h.view()).dot(&i.matrix("dy")) * scale(i)
    }),
    ways("da", &FACTOR_FORGOTTEN, 2, whole),
    ways("db", &FACTOR_FORGOTTEN, 2, whole),
];

/// The gradient of the whole weight, given to a factor that happens to be as
/// large; scaled or not.
fn whole(i: &Inputs, _: &str, way: usize) -> ArrayD<f64> {
    let dw = i.matrix("x").t().dot(&i.matrix("dy"));
    (dw * [scale(i), 1.][way]).into_dyn()
}

fn tuned(i: &Inputs, change: impl FnOnce(&mut Tuning)) -> ArrayD<f64> {
    let mut tuning = Tuning::of(i);
    change(&mut tuning);
    tuning.losses()
}

/// Short enough to be run again for every mistake.
fn short(i: &Inputs, change: impl FnOnce(&mut Tuning)) -> ArrayD<f64> {
    assert!(i.whole("steps") <= 20, "too long to try every way");
    tuned(i, change)
}

/// Losses moved by one place: without the first, or with the first twice.
const SHIFTED: [Wrong; 3] = [
    array(LOSSES, &LOSSES_SHIFTED, |i| {
        let all = short(i, |t| t.steps += 1);
        all.slice_axis(Axis(0), (1..).into()).to_owned()
    }),
    made(LOSSES, &LOSSES_SHIFTED, |_, right| {
        let last = right.len() - 1;
        let of = |k: usize| right[(k + 1).min(last)];
        (0..=last).map(of).collect::<Array1<_>>().into_dyn()
    }),
    made(LOSSES, &LOSSES_SHIFTED, |_, right| {
        let of = |k: usize| right[k.saturating_sub(1)];
        (0..right.len()).map(of).collect::<Array1<_>>().into_dyn()
    }),
];

/// What is wrong in the loss, in its gradient, or in both.
const OF_LOSS: [Wrong; 10] = [
    array(LOSSES, &MEAN_OVER_ENTRIES, |i| {
        let o = i.matrix("w").ncols() as f64;
        short(i, |t| t.back /= o) / o
    }),
    array(LOSSES, &STALE_FORWARD, |i| {
        short(i, |t| t.stale = Some(Stale::Errors))
    }),
    array(LOSSES, &SIGN_FLIPPED, |i| short(i, |t| t.back *= -1.)),
    array(LOSSES, &HALF_FORGOTTEN, |i| short(i, |t| t.back *= 2.)),
    array(LOSSES, &HALF_FORGOTTEN, |i| short(i, |t| t.back *= 2.) * 2.),
    factor(LOSSES, &HALF_FORGOTTEN, |_| 2.),
    array(LOSSES, &BATCH_MEAN_MISSING, |i| {
        short(i, |t| t.back *= i.matrix("x").nrows() as f64)
    }),
    array(LOSSES, &BATCH_MEAN_MISSING, |i| {
        let n = i.matrix("x").nrows() as f64;
        short(i, |t| t.back *= n) * n
    }),
    factor(LOSSES, &BATCH_MEAN_MISSING, |i| {
        i.matrix("x").nrows() as f64
    }),
    made(LOSSES, &WEIGHT_NOT_UPDATED, |_, right| {
        ArrayD::from_elem(right.raw_dim(), right[0])
    }),
];

/// Of the losses of adapters that are trained.
pub const TUNE: &[Wrong] = &{
    let own = [
        array(LOSSES, &FROZEN_TRAINED, |i| short(i, |t| t.moves[0] = true)),
        array(LOSSES, &FROZEN_TRAINED, |i| {
            short(i, |t| t.moves = [true, false, false])
        }),
        array(LOSSES, &UPDATED_TOO_EARLY, |i| {
            short(i, |t| t.first = Some("a"))
        }),
        array(LOSSES, &UPDATED_TOO_EARLY, |i| {
            short(i, |t| t.first = Some("b"))
        }),
        array(LOSSES, &WEIGHT_NOT_UPDATED, |i| {
            short(i, |t| t.moves[1] = false)
        }),
        array(LOSSES, &WEIGHT_NOT_UPDATED, |i| {
            short(i, |t| t.moves[2] = false)
        }),
        // Everywhere, or in some of the forward pass, da and db.
        ways(LOSSES, &LORA_SCALE, SCALES * 7, |i, _, way| {
            let by = other_scales(i)[way / 7];
            short(i, |t| {
                for (k, s) in t.scales.iter_mut().enumerate() {
                    if is_chosen(way % 7, k) {
                        *s *= by;
                    }
                }
            })
        }),
        ways(LOSSES, &RSLORA_SCALE, 7, |i, _, way| {
            short(i, |t| {
                for (k, s) in t.scales.iter_mut().enumerate() {
                    if is_chosen(way, k) {
                        *s *= root(i);
                    }
                }
            })
        }),
        array(LOSSES, &BASE_FORGOTTEN, |i| short(i, |t| t.w.fill(0.))),
        array(LOSSES, &STALE_FORWARD, |i| {
            short(i, |t| t.stale = Some(Stale::Steps))
        }),
    ];
    let mut all = [own[0]; 23];
    let mut k = 0;
    while k < all.len() {
        all[k] = match k {
            0..10 => own[k],
            10..20 => OF_LOSS[k - 10],
            _ => SHIFTED[k - 20],
        };
        k += 1;
    }
    all
};

/// Of the losses of a whole weight that is trained.
pub const TUNE_ALL: &[Wrong] = &{
    let mut all = [SHIFTED[0]; 13];
    let mut k = 0;
    while k < all.len() {
        all[k] = match k {
            0..10 => OF_LOSS[k],
            _ => SHIFTED[k - 10],
        };
        k += 1;
    }
    all
};

/// Products of a step: the frozen layer's, and all of the adapter's together.
fn products(i: &Inputs) -> [f64; 2] {
    let [n, rows, o, r] = ["N", "I", "O", "R"].map(|name| i.number(name));
    [2. * n * rows * o, 2. * n * r * (rows + o)]
}

/// Of what is trained, and of the operations of a step.
pub const COUNTS: &[Wrong] = &[
    number("trained", &FROZEN_TRAINED, |i| {
        let [n, o, r] = ["I", "O", "R"].map(|name| i.number(name));
        r * (n + o) + n * o
    }),
    number("trained", &FROZEN_TRAINED, |i| {
        i.number("I") * i.number("O")
    }),
    number("flops", &DW_COUNTED, |i| {
        let [whole, thin] = products(i);
        3. * whole + 3. * thin
    }),
    number("flops", &DX_NOT_COUNTED, |i| {
        let [whole, thin] = products(i);
        whole + 3. * thin
    }),
    factor("flops", &MULTIPLICATIONS_ONLY, |_| 0.5),
    number("flops", &FORWARD_COUNTED, |i| {
        let [whole, thin] = products(i);
        whole + thin
    }),
    // In the products of the weight, in the adapter's forward, on its way to
    // dx, in the factors' gradients, or in some of these.
    ways("flops", &BATCH_NOT_COUNTED, 15, |i, _, way| {
        let [whole, thin] = products(i);
        let terms = [2. * whole, thin, thin, thin].into_iter().enumerate();
        let counted = terms.map(|(k, term)| match is_chosen(way, k) {
            true => term / i.number("N"),
            false => term,
        });
        ndarray::arr0(counted.sum::<f64>()).into_dyn()
    }),
    number("flops", &BASE_FORGOTTEN, |i| 3. * products(i)[1]),
    number("flops", &ADAPTER_FORGOTTEN, |i| 2. * products(i)[0]),
    number("flops", &PRODUCT_FORMED, |i| {
        let [whole, thin] = products(i);
        3. * whole + 2. * thin + whole / i.number("N") * i.number("R")
    }),
];

/// The weight of DoRA made of other lengths, or with another scale.
fn weight(i: &Inputs, n: impl Fn(&Array2<f64>) -> Array2<f64>) -> Array2<f64> {
    let v = direct(i);
    let n = n(&v);
    i.matrix("x").dot(&(v / n * i.vector("m")))
}

fn columns(v: &Array2<f64>) -> Array2<f64> {
    lengths(v).insert_axis(Axis(0))
}

/// The same inputs, the scale multiplied.
fn with_scale(i: &Inputs, by: f64) -> Inputs {
    let mut i = i.clone();
    i.array_mut("alpha").mapv_inplace(|a| a * by);
    i
}

/// Of the layer with lengths and directions.
pub const DORA: &[Wrong] = &[
    matrix("y", &DORA_NORM_AXIS, |i| {
        weight(i, |v| lengths(&v.t().to_owned()).insert_axis(Axis(1)))
    }),
    matrix("y", &DORA_NORM_OF_BASE, |i| {
        weight(i, |_| columns(&i.matrix("w").to_owned()))
    }),
    matrix("y", &SIGN_FLIPPED, |i| {
        let mut i = i.clone();
        i.array_mut("m").mapv_inplace(f64::abs);
        super::dora(&i)
    }),
    matrix("y", &DORA_NORM_SKIPPED, |i| {
        weight(i, |v| Array2::ones((1, v.ncols())))
    }),
    matrix("y", &DORA_NORM_SKIPPED, |i| {
        weight(i, |v| columns(v).mapv(|n| n * n))
    }),
    ways("y", &LORA_SCALE, SCALES, |i, _, way| {
        super::dora(&with_scale(i, other_scales(i)[way])).into_dyn()
    }),
    matrix("y", &RSLORA_SCALE, |i| super::dora(&with_scale(i, root(i)))),
    matrix("y", &ADAPTER_FORGOTTEN, |i| super::dora(&with_scale(i, 0.))),
    matrix("y", &BASE_FORGOTTEN, |i| {
        let mut i = i.clone();
        i.array_mut("w").fill(0.);
        super::dora(&i)
    }),
];

/// The gradient of a forward that is wrong in the same way.
fn of_forward(
    i: &Inputs,
    output: &str,
    forward: impl Fn(&Inputs, &Array2<f64>) -> Array2<f64>,
) -> ArrayD<f64> {
    let own = direct(i);
    slopes(|i| forward(i, &own).into_dyn(), i, &output[1..], "dy")
}

/// A forward in which the norm is what it was.
fn norm_is_given(i: &Inputs, own: &Array2<f64>) -> Array2<f64> {
    i.matrix("x")
        .dot(&(direct(i) * i.vector("m") / lengths(own)))
}

/// A forward in which the norm is that of the frozen weight.
fn norm_of_base(i: &Inputs, _: &Array2<f64>) -> Array2<f64> {
    norm_is_given(i, &i.matrix("w").to_owned())
}

/// The gradient of a factor where its partner is cut anew, from that of `V`.
fn reshaped_partner(
    i: &Inputs,
    output: &str,
    forward: impl Fn(&Inputs, &Array2<f64>) -> Array2<f64>,
) -> ArrayD<f64> {
    let dv = of_forward(i, "dw", forward) * scale(i);
    let dv = dv.into_dimensionality::<ndarray::Ix2>().expect("a matrix");
    match output {
        "da" => dv.dot(&reshaped(i.matrix("b"))),
        _ => reshaped(i.matrix("a")).dot(&dv),
    }
    .into_dyn()
}

/// What lies along `V` added where it is taken off: as far beyond the gradient
/// with a constant norm as the right one falls short of it.
fn added(i: &Inputs, output: &str, right: &ArrayD<f64>) -> ArrayD<f64> {
    of_forward(i, output, norm_is_given) * 2. - right
}

/// That of the plain adapter.
fn plain(i: &Inputs, _: &Array2<f64>) -> Array2<f64> {
    base(i) + beside(i)
}

/// Gradients of the factors that are right but for their scale.
fn factors_scaled(i: &Inputs, output: &str, way: usize) -> ArrayD<f64> {
    of_forward(i, output, |i, _| super::dora(i)) * other_scales(i)[way]
}

/// `m/n`, `m` or `n`.
fn by_column(i: &Inputs, way: usize) -> Array1<f64> {
    let (n, m) = (lengths(&direct(i)), i.vector("m"));
    match way {
        0 => &m / &n,
        1 => m.to_owned(),
        _ => n,
    }
}

/// Of its gradients.
pub const DORA_VJP: &[Wrong] = &[
    made("dm", &DORA_MAGNITUDE_TWICE, |i, dm| dm * &by_column(i, 0)),
    made("dm", &DORA_MAGNITUDE_TWICE, |i, dm| dm * &by_column(i, 1)),
    made("dm", &DORA_MAGNITUDE_TWICE, |i, dm| dm * &by_column(i, 2)),
    array("da", &DORA_NORM_CONSTANT, |i| {
        of_forward(i, "da", norm_is_given)
    }),
    array("db", &DORA_NORM_CONSTANT, |i| {
        of_forward(i, "db", norm_is_given)
    }),
    made("da", &TERM_ADDED, |i, right| added(i, "da", right)),
    made("db", &TERM_ADDED, |i, right| added(i, "db", right)),
    // The factor m is lost from one of the two terms.
    made("da", &DORA_MAGNITUDE_LOST, |i, right| {
        right + lost_in(i, "da", 1, norm_is_given)
            - of_forward(i, "da", norm_is_given)
    }),
    made("db", &DORA_MAGNITUDE_LOST, |i, right| {
        right + lost_in(i, "db", 1, norm_is_given)
            - of_forward(i, "db", norm_is_given)
    }),
    array("da", &DORA_NORM_OF_BASE, |i| {
        of_forward(i, "da", norm_of_base)
    }),
    array("db", &DORA_NORM_OF_BASE, |i| {
        of_forward(i, "db", norm_of_base)
    }),
    array("da", &RESHAPED_NOT_TRANSPOSED, |i| {
        reshaped_partner(i, "da", |i, _| super::dora(i))
    }),
    array("db", &RESHAPED_NOT_TRANSPOSED, |i| {
        reshaped_partner(i, "db", |i, _| super::dora(i))
    }),
    array("da", &DORA_AS_LORA, |i| of_forward(i, "da", plain)),
    array("db", &DORA_AS_LORA, |i| of_forward(i, "db", plain)),
    // The factor m, or 1/n, or both, lost from dV.
    ways("da", &DORA_MAGNITUDE_LOST, 3, lost),
    ways("db", &DORA_MAGNITUDE_LOST, 3, lost),
    ways("dx", &DORA_MAGNITUDE_LOST, 3, lost),
    array("dx", &LORA_DX_HALF, |i| {
        of_forward(i, "dx", |i, own| {
            i.matrix("x")
                .dot(&(&i.matrix("w") * &i.vector("m") / lengths(own)))
        })
    }),
    ways("da", &LORA_SCALE, SCALES, factors_scaled),
    ways("db", &LORA_SCALE, SCALES, factors_scaled),
    made("da", &RSLORA_SCALE, |i, right| right * root(i)),
    made("db", &RSLORA_SCALE, |i, right| right * root(i)),
];

/// The gradient with a column's `m/n`, `m` or `1/n` taken out of the cotangent.
fn lost(i: &Inputs, output: &str, way: usize) -> ArrayD<f64> {
    lost_in(i, output, way, |i, _| super::dora(i))
}

/// The same of another forward.
fn lost_in(
    i: &Inputs,
    output: &str,
    way: usize,
    forward: impl Fn(&Inputs, &Array2<f64>) -> Array2<f64>,
) -> ArrayD<f64> {
    let by = match way {
        0 => by_column(i, 0),
        1 => by_column(i, 1),
        _ => by_column(i, 2).mapv(f64::recip),
    };
    let mut i = i.clone();
    let dy = &i.matrix("dy") / &by;
    i.array_mut("dy").assign(&dy);
    of_forward(&i, output, forward)
}

/// Of the factors' gradients where the norm is a constant.
pub const NORM_CONSTANT: &[Wrong] = &[
    each(&DORA_NORM_MOVES, |i, output| {
        of_forward(i, output, |i, _| super::dora(i))
    }),
    each(&DORA_AS_LORA, |i, output| of_forward(i, output, plain)),
    each(&DORA_NORM_OF_BASE, |i, output| {
        of_forward(i, output, norm_of_base)
    }),
    each(&RESHAPED_NOT_TRANSPOSED, |i, output| {
        reshaped_partner(i, output, norm_is_given)
    }),
    ways(EVERY, &DORA_MAGNITUDE_LOST, 2, |i, output, way| {
        lost_in(i, output, way + 1, norm_is_given)
    }),
    ways(EVERY, &LORA_SCALE, SCALES, |i, output, way| {
        of_forward(i, output, norm_is_given) * other_scales(i)[way]
    }),
    made(EVERY, &RSLORA_SCALE, |i, right| right * root(i)),
];

fn product(i: &Inputs) -> Array2<f64> {
    i.matrix("a").dot(&i.matrix("b"))
}

/// Of a merged weight.
pub const MERGED: &[Wrong] = &[
    matrix("w", &RSLORA_SCALE, |i| {
        &i.matrix("w") + &(product(i) * scale(i) * root(i))
    }),
    matrix("w", &LORA_SCALE_ONE_SIDE, |i| &i.matrix("w") + &product(i)),
    ways("w", &LORA_SCALE, SCALES - 1, |i, _, way| {
        let by = other_scales(i)[[0, 2, 3, 4, 5, 6, 7, 8][way]];
        (&i.matrix("w") + &(product(i) * scale(i) * by)).into_dyn()
    }),
    matrix("w", &LORA_SCALE, |i| {
        (&i.matrix("w") + &product(i)) * scale(i)
    }),
    // The rank of the report's case for every rank.
    matrix("w", &LORA_SCALE, |i| {
        &i.matrix("w") + &(product(i) * (i.number("alpha") / 2.))
    }),
    matrix("w", &BASE_FORGOTTEN, |i| product(i) * scale(i)),
    matrix("w", &ADAPTER_FORGOTTEN, |i| i.matrix("w").to_owned()),
];
