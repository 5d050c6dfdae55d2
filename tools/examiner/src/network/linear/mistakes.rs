//! The mistakes of the linear layer, and what each returns.

use crate::calculus::chain_rule::mistakes::FACTORS_SWAPPED;
use crate::general::{
    BATCH_NOT_COUNTED, BIAS_FORGOTTEN, BIAS_VIA_WEIGHTS, GRAD_OVERWRITTEN,
    ONE_EXAMPLE_ONLY, RESHAPED_NOT_TRANSPOSED, SUM_AS_N_MINUS_1,
};
use crate::judge::{
    Inputs, Wrong, array, is_chosen, matrix, number, vector, ways,
};
use ndarray::{Array1, ArrayView2, Axis, arr0, s};

crate::names! { "network/linear.md";
    TRANSPOSE_MISSING_DX "#the-input-gradient":
        "The input gradient multiplies dy by w instead of its transpose.",
        "Input i reaches output o with weight w_io; going back, output o asks \
         input i with the same w_io, so the sum runs over o.",
        "runs only for square w; the column sums of w where its row sums \
         belong";
    TRANSPOSE_MISSING_DW "#the-weight-gradient":
        "The weight gradient multiplies x by dy without transposing x.",
        "The batch is summed away, so it must stand between the two factors: x \
         brings it as its rows, and has to turn.",
        "runs only when the batch is as large as the input";
    TRANSPOSE_MISSING "#shapes-are-a-hint-not-a-proof":
        "A factor that has to be transposed is not.",
        "Write one entry of the gradient as a sum; the index that is summed \
         stands at the inner side of both factors.",
        "runs only for square shapes";
    WRONG_SIDE "#shapes-are-a-hint-not-a-proof":
        "The right factors are multiplied in the wrong order.",
        "Matrix products do not commute: in the row convention the cotangent \
         keeps its batch on the left in dx, and on the inside in dw.",
        "runs only for square shapes";
    HADAMARD_FOR_MATMUL "#the-input-gradient":
        "Entries are multiplied one by one where a matrix product is needed.",
        "Each input reaches every output, so its gradient is a sum over all of \
         them, each with its own weight.",
        "every row of the result is a multiple of one and the same row";
    BIAS_AXIS "#the-bias-gradient":
        "The bias gradient is summed over the wrong axis.",
        "Sum away the batch and keep one number per output.",
        "one number per example instead of one per output; silent when both \
         counts agree";
    BIAS_OVERREDUCED "#the-bias-gradient":
        "All outputs get the same bias gradient, the total of dy.",
        "Sum over the batch only; each output has a bias of its own.",
        "all entries equal the sum of all of dy";
    BIAS_DOWN_COLUMNS "#one-layer-one-batch":
        "The bias is added by example instead of by output.",
        "b has one number per output, and an output is a column of y.",
        "runs only when the batch is as large as the output";
    CONVENTION_MIXED "#the-other-convention":
        "A formula of the other convention is used: examples as rows and \
         examples as columns are mixed.",
        "Decide which index counts the examples, and transpose the whole \
         formula, not one factor of it.",
        "runs only for square shapes";
    EXAMPLE_SHOWS_NOTHING "#shapes-are-a-hint-not-a-proof":
        "On this example the right product and the wrong one are equal, so it \
         shows nothing.",
        "A counter-example must be one on which the two formulas give \
         different numbers.",
        "x·dy equals xᵀ·dy";
    FACTOR_FORGOTTEN "#a-weight-made-of-two-factors":
        "The gradient of the whole weight is given to one of its factors.",
        "A factor moves the weight only through its partner, so the partner \
         multiplies its gradient.",
        "the shape of w instead of the factor's";
    MULTIPLICATIONS_ONLY "#what-it-costs":
        "Only the multiplications are counted, not the additions.",
        "An entry of a product (n,k)(k,m) takes k multiplications and k \
         additions: 2nkm in all.",
        "half of the products' count";
    FIRST_LAYER_DX "#what-it-costs":
        "The input gradient is counted even where nothing needs it.",
        "The first layer of a network has no layer below to hand dx to.",
        "the same count with and without dx";
    BIAS_NOT_COUNTED "#what-it-costs":
        "The bias gradient is left out of the count.",
        "Summing B rows of O numbers costs B·O additions.",
        "too small by B·O";
    FORWARD_COUNTED "#what-it-costs":
        "One product is counted: that is the cost of the forward.",
        "The backward has a product for the weight and, above the first layer, \
         one for the input.",
        "the same count with and without dx, half as large";
}

/// Of the forward: `x`, `w` with a row for each output, `b`.
pub const FORWARD: &[Wrong] = &[
    matrix("y", &BIAS_FORGOTTEN, |i| {
        i.matrix("x").dot(&i.matrix("w").t())
    }),
    matrix("y", &BIAS_DOWN_COLUMNS, |i| {
        let y = i.matrix("x").dot(&i.matrix("w").t());
        let by_example = i.vector("b").slice_move(s![..y.nrows()]);
        y + by_example.insert_axis(Axis(1))
    }),
    matrix("y", &BIAS_DOWN_COLUMNS, |i| {
        let mut y = i.matrix("x").dot(&i.matrix("w").t());
        let b = i.vector("b");
        for (n, mut row) in y.rows_mut().into_iter().enumerate() {
            row += b[n % b.len()];
        }
        y
    }),
    matrix("y", &BIAS_DOWN_COLUMNS, |i| {
        let b = i.vector("b").insert_axis(Axis(1));
        i.matrix("x").dot(&i.matrix("w").t()) + b
    }),
    matrix("y", &CONVENTION_MIXED, |i| {
        i.matrix("x").dot(&i.matrix("w")) + i.vector("b")
    }),
    matrix("y", &RESHAPED_NOT_TRANSPOSED, |i| {
        i.matrix("x").dot(&reshaped(i.matrix("w"))) + i.vector("b")
    }),
    // The bias added afterwards, or overwritten as well.
    ways("y", &GRAD_OVERWRITTEN, 2, |i, _, way| {
        let (x, w) = (i.matrix("x"), i.matrix("w"));
        let last = x.column(x.ncols() - 1).insert_axis(Axis(1));
        let y = last.dot(&w.column(w.ncols() - 1).insert_axis(Axis(0)));
        let bias = [1., 0.][way] * &i.vector("b");
        (y + bias).into_dyn()
    }),
];

fn outer(x: ArrayView2<f64>, dy: ArrayView2<f64>, example: usize) -> Dynamic {
    let x = x.row(example).insert_axis(Axis(1));
    x.dot(&dy.row(example).insert_axis(Axis(0))).into_dyn()
}

/// The sum of the rows of `dw`, the first one, or the last.
fn one_of_rows(dw: &ndarray::Array2<f64>, way: usize) -> Dynamic {
    match way {
        0 => dw.sum_axis(Axis(0)),
        1 => dw.row(0).to_owned(),
        _ => dw.row(dw.nrows() - 1).to_owned(),
    }
    .into_dyn()
}

/// A matrix cut into rows anew, as many as it has columns.
pub fn reshaped(a: ArrayView2<f64>) -> ndarray::Array2<f64> {
    let (rows, columns) = a.dim();
    let numbers = a.iter().copied().collect::<Array1<_>>();
    let anew = numbers.into_shape_with_order((columns, rows));
    anew.expect("as many numbers")
}

type Dynamic = ndarray::ArrayD<f64>;

/// Of the gradients, rows: `x`, `w`, `b`, cotangent `dy`.
pub const VJP: &[Wrong] = &[
    matrix("dx", &TRANSPOSE_MISSING_DX, |i| {
        i.matrix("dy").dot(&i.matrix("w"))
    }),
    matrix("dw", &TRANSPOSE_MISSING_DW, |i| {
        i.matrix("x").dot(&i.matrix("dy"))
    }),
    matrix("dx", &RESHAPED_NOT_TRANSPOSED, |i| {
        i.matrix("dy").dot(&reshaped(i.matrix("w")))
    }),
    matrix("dw", &RESHAPED_NOT_TRANSPOSED, |i| {
        reshaped(i.matrix("x")).dot(&i.matrix("dy"))
    }),
    matrix("dx", &WRONG_SIDE, |i| {
        i.matrix("w").t().dot(&i.matrix("dy"))
    }),
    matrix("dw", &WRONG_SIDE, |i| {
        i.matrix("dy").dot(&i.matrix("x").t())
    }),
    matrix("dx", &HADAMARD_FOR_MATMUL, |i| {
        let reach = i.matrix("w").sum_axis(Axis(1)).insert_axis(Axis(0));
        let all = i.matrix("dy").sum_axis(Axis(1)).insert_axis(Axis(1));
        all.dot(&reach)
    }),
    matrix("dw", &HADAMARD_FOR_MATMUL, |i| {
        let inputs = i.matrix("x").sum_axis(Axis(0)).insert_axis(Axis(1));
        inputs.dot(&i.matrix("dy").sum_axis(Axis(0)).insert_axis(Axis(0)))
    }),
    array("dw", &GRAD_OVERWRITTEN, |i| {
        outer(i.matrix("x"), i.matrix("dy"), i.matrix("x").nrows() - 1)
    }),
    vector("db", &GRAD_OVERWRITTEN, |i| {
        let dy = i.matrix("dy");
        dy.row(dy.nrows() - 1).to_owned()
    }),
    array("dw", &ONE_EXAMPLE_ONLY, |i| {
        outer(i.matrix("x"), i.matrix("dy"), 0)
    }),
    vector("db", &ONE_EXAMPLE_ONLY, |i| {
        i.matrix("dy").row(0).to_owned()
    }),
    vector("db", &BIAS_AXIS, |i| i.matrix("dy").sum_axis(Axis(1))),
    ways("db", &BIAS_VIA_WEIGHTS, 3, |i, _, way| {
        one_of_rows(&i.matrix("x").t().dot(&i.matrix("dy")), way)
    }),
    vector("db", &BIAS_OVERREDUCED, |i| {
        let dy = i.matrix("dy");
        Array1::from_elem(dy.ncols(), dy.sum())
    }),
];

/// Of the column convention: `w`, `a`, `b`, cotangent `dz`.
pub const COLUMNS: &[Wrong] = &[
    matrix("dw", &CONVENTION_MIXED, |i| {
        i.matrix("a").t().dot(&i.matrix("dz"))
    }),
    matrix("dw", &RESHAPED_NOT_TRANSPOSED, |i| {
        i.matrix("a").dot(&reshaped(i.matrix("dz")))
    }),
    matrix("da", &CONVENTION_MIXED, |i| {
        i.matrix("dz").dot(&i.matrix("w").t())
    }),
    matrix("da", &CONVENTION_MIXED, |i| {
        i.matrix("w").t().dot(&i.matrix("dz"))
    }),
    matrix("dw", &TRANSPOSE_MISSING, |i| {
        i.matrix("a").dot(&i.matrix("dz"))
    }),
    matrix("dw", &WRONG_SIDE, |i| {
        i.matrix("dz").t().dot(&i.matrix("a"))
    }),
    matrix("da", &WRONG_SIDE, |i| i.matrix("dz").dot(&i.matrix("w"))),
    matrix("da", &HADAMARD_FOR_MATMUL, |i| {
        let reach = i.matrix("w").sum_axis(Axis(1)).insert_axis(Axis(1));
        let all = i.matrix("dz").sum_axis(Axis(0)).insert_axis(Axis(0));
        reach.dot(&all)
    }),
    ways("db", &BIAS_VIA_WEIGHTS, 3, |i, _, way| {
        one_of_rows(&i.matrix("a").dot(&i.matrix("dz").t()), way)
    }),
    array("dw", &GRAD_OVERWRITTEN, |i| {
        let (a, dz) = (i.matrix("a"), i.matrix("dz"));
        outer(a.t(), dz.t(), a.ncols() - 1)
    }),
    array("dw", &ONE_EXAMPLE_ONLY, |i| {
        outer(i.matrix("a").t(), i.matrix("dz").t(), 0)
    }),
    vector("db", &GRAD_OVERWRITTEN, |i| {
        let dz = i.matrix("dz");
        dz.column(dz.ncols() - 1).to_owned()
    }),
    vector("db", &ONE_EXAMPLE_ONLY, |i| {
        i.matrix("dz").column(0).to_owned()
    }),
    vector("db", &BIAS_AXIS, |i| i.matrix("dz").sum_axis(Axis(0))),
    vector("db", &BIAS_OVERREDUCED, |i| {
        let dz = i.matrix("dz");
        Array1::from_elem(dz.nrows(), dz.sum())
    }),
];

/// The gradient of a whole weight, of which the factors were to be moved.
fn whole(i: &Inputs) -> ndarray::Array2<f64> {
    i.matrix("x").t().dot(&i.matrix("dy"))
}

/// Of the low-rank weight `w = u·vᵀ`: `x`, `u`, `v`, cotangent `dy`.
pub const LOW_RANK: &[Wrong] = &[
    matrix("du", &FACTOR_FORGOTTEN, whole),
    matrix("dv", &FACTOR_FORGOTTEN, |i| whole(i).reversed_axes()),
    matrix("du", &TRANSPOSE_MISSING, |i| {
        whole(i).t().dot(&i.matrix("v"))
    }),
    matrix("dv", &TRANSPOSE_MISSING, |i| whole(i).dot(&i.matrix("u"))),
    matrix("dv", &TRANSPOSE_MISSING, |i| {
        i.matrix("dy").dot(&i.matrix("x").dot(&i.matrix("u")))
    }),
    matrix("dx", &TRANSPOSE_MISSING, |i| {
        let dy = i.matrix("dy");
        dy.dot(&i.matrix("u")).dot(&i.matrix("v").t())
    }),
    matrix("dx", &RESHAPED_NOT_TRANSPOSED, |i| {
        let w = i.matrix("u").dot(&i.matrix("v").t());
        i.matrix("dy").dot(&reshaped(w.view()))
    }),
    matrix("dx", &RESHAPED_NOT_TRANSPOSED, |i| {
        let dh = i.matrix("dy").dot(&i.matrix("v"));
        dh.dot(&reshaped(i.matrix("u")))
    }),
    matrix("du", &RESHAPED_NOT_TRANSPOSED, |i| {
        let dh = i.matrix("dy").dot(&i.matrix("v"));
        reshaped(i.matrix("x")).dot(&dh)
    }),
    matrix("dv", &RESHAPED_NOT_TRANSPOSED, |i| {
        let h = i.matrix("x").dot(&i.matrix("u"));
        reshaped(i.matrix("dy")).dot(&h)
    }),
    matrix("dx", &GRAD_OVERWRITTEN, |i| {
        let (u, v) = (i.matrix("u"), i.matrix("v"));
        let last = [u, v].map(|f| f.slice_move(s![.., f.ncols() - 1..]));
        i.matrix("dy").dot(&last[1]).dot(&last[0].t())
    }),
    matrix("du", &FACTORS_SWAPPED, |i| whole(i).t().dot(&i.matrix("u"))),
    matrix("du", &FACTORS_SWAPPED, |i| whole(i).dot(&i.matrix("u"))),
    matrix("dv", &FACTORS_SWAPPED, |i| whole(i).t().dot(&i.matrix("v"))),
    matrix("dv", &FACTORS_SWAPPED, |i| whole(i).dot(&i.matrix("v"))),
];

/// `B·I·O` and `B·O` of a layer, and whether `dx` is needed.
fn sizes(i: &Inputs) -> (f64, f64, f64) {
    let outputs = i.number("B") * i.number("O");
    (outputs * i.number("I"), outputs, i.number("needs_dx"))
}

/// Of the count of operations: `B`, `I`, `O`, `needs_dx`.
pub const FLOPS: &[Wrong] = &[
    number("the count", &MULTIPLICATIONS_ONLY, |i| {
        let (product, bias, dx) = sizes(i);
        product * (1. + dx) + bias
    }),
    number("the count", &FIRST_LAYER_DX, |i| {
        let (product, bias, _) = sizes(i);
        4. * product + bias
    }),
    number("the count", &BIAS_NOT_COUNTED, |i| {
        let (product, _, dx) = sizes(i);
        2. * product * (1. + dx)
    }),
    number("the count", &BATCH_NOT_COUNTED, |i| {
        let (product, _, dx) = sizes(i);
        2. * product * (1. + dx) + i.number("O")
    }),
    number("the count", &BATCH_NOT_COUNTED, |i| {
        let (product, bias, dx) = sizes(i);
        (2. * product * (1. + dx) + bias) / i.number("B")
    }),
    // A sum of n as n - 1: of the products for the weight, of those for the
    // input, of the bias.
    ways("the count", &SUM_AS_N_MINUS_1, 7, |i, _, way| {
        let (product, bias, dx) = sizes(i);
        let less = [
            i.number("I") * i.number("O"),
            dx * i.number("B") * i.number("I"),
            i.number("O"),
        ];
        let taken = (0..3).filter(|k| is_chosen(way, *k));
        let less = taken.map(|k| less[k]).sum::<f64>();
        arr0(2. * product * (1. + dx) + bias - less).into_dyn()
    }),
    number("the count", &FORWARD_COUNTED, |i| {
        let (product, bias, _) = sizes(i);
        2. * product + bias
    }),
];
