//! What the mistakes of the linear layer return.

use crate::judge::{Case, Mistaken};
use ndarray::{Array1, Array2, ArrayD, ArrayView2, Axis, Ix2};

/// Views of two inputs and the cotangent of a case.
fn parts(c: &Case) -> (ArrayView2<'_, f64>, ArrayView2<'_, f64>, Array2<f64>) {
    let two = |k: usize| {
        c.inputs[k]
            .view()
            .into_dimensionality::<Ix2>()
            .expect("a matrix")
    };
    let dy = c.dy.clone().into_dimensionality::<Ix2>().expect("a matrix");
    (two(0), two(1), dy)
}

/// `Some` on the named gradient, computed only then.
fn on<D: ndarray::Dimension>(
    name: &str,
    gradient: &str,
    value: impl FnOnce() -> ndarray::Array<f64, D>,
) -> Option<ArrayD<f64>> {
    (name == gradient).then(|| value().into_dyn())
}

/// Mistakes of `vjp`, rows: inputs `x, w, b`.
pub const VJP: &[(&str, Mistaken<'static>)] = &[
    ("TRANSPOSE_MISSING_DX", &|c, g| {
        let (_, w, dy) = parts(c);
        on(g, "dx", || dy.dot(&w))
    }),
    ("TRANSPOSE_MISSING_DW", &|c, g| {
        let (x, _, dy) = parts(c);
        on(g, "dw", || x.dot(&dy))
    }),
    ("WRONG_SIDE", &|c, g| {
        let (x, w, dy) = parts(c);
        on(g, "dx", || w.t().dot(&dy)).or(on(g, "dw", || dy.dot(&x.t())))
    }),
    ("HADAMARD_FOR_MATMUL", &|c, g| {
        let (_, w, dy) = parts(c);
        on(g, "dx", || {
            let (rows, cols) = (dy.sum_axis(Axis(1)), w.sum_axis(Axis(1)));
            rows.insert_axis(Axis(1)).dot(&cols.insert_axis(Axis(0)))
        })
    }),
    ("GRAD_OVERWRITTEN", &|c, g| {
        let (x, _, dy) = parts(c);
        let last = x.nrows() - 1;
        let outer =
            |x: ArrayView2<f64>| x.t().dot(&dy.row(last).insert_axis(Axis(0)));
        on(g, "dw", || outer(x.row(last).insert_axis(Axis(0)))).or(on(
            g,
            "db",
            || dy.row(last).to_owned(),
        ))
    }),
    ("ONE_EXAMPLE_ONLY", &|c, g| {
        let (x, _, dy) = parts(c);
        on(g, "dw", || {
            let x0 = x.row(0).insert_axis(Axis(1));
            x0.dot(&dy.row(0).insert_axis(Axis(0)))
        })
        .or(on(g, "db", || dy.row(0).to_owned()))
    }),
    ("BIAS_AXIS", &|c, g| {
        let (_, _, dy) = parts(c);
        on(g, "db", || dy.sum_axis(Axis(1)))
    }),
    ("BIAS_VIA_WEIGHTS", &|c, g| {
        let (x, _, dy) = parts(c);
        on(g, "db", || x.t().dot(&dy).sum_axis(Axis(0)))
    }),
    ("BIAS_OVERREDUCED", &|c, g| {
        let (_, _, dy) = parts(c);
        on(g, "db", || Array1::from_elem(dy.ncols(), dy.sum()))
    }),
];

/// Mistakes of the column convention: inputs `w, a, b`, cotangent `dz`.
pub const COLUMNS: &[(&str, Mistaken<'static>)] = &[
    ("CONVENTION_MIXED", &|c, g| {
        let (w, a, dz) = parts(c);
        on(g, "dw", || a.t().dot(&dz)).or(on(g, "da", || dz.dot(&w.t())))
    }),
    ("CONVENTION_MIXED", &|c, g| {
        let (w, _, dz) = parts(c);
        on(g, "da", || w.t().dot(&dz))
    }),
    ("TRANSPOSE_MISSING", &|c, g| {
        let (_, a, dz) = parts(c);
        on(g, "dw", || a.dot(&dz))
    }),
    ("BIAS_AXIS", &|c, g| {
        let (_, _, dz) = parts(c);
        on(g, "db", || dz.sum_axis(Axis(0)))
    }),
];

/// Mistakes of the low-rank weight `w = u·vᵀ`: inputs `x, u, v`.
pub const LOW_RANK: &[(&str, Mistaken<'static>)] = &[
    ("FACTOR_FORGOTTEN", &|c, g| {
        let (x, _, dy) = parts(c);
        on(g, "du", || x.t().dot(&dy)).or(on(g, "dv", || dy.t().dot(&x)))
    }),
    ("TRANSPOSE_MISSING", &|c, g| {
        let (x, u, dy) = parts(c);
        let v = c.inputs[2].view().into_dimensionality::<Ix2>().ok()?;
        let dw = x.t().dot(&dy);
        on(g, "du", || dw.t().dot(&v))
            .or(on(g, "dv", || dw.dot(&u)))
            .or(on(g, "dx", || dy.dot(&u).dot(&v.t())))
    }),
    ("FACTORS_SWAPPED", &|c, g| {
        let (x, u, dy) = parts(c);
        let v = c.inputs[2].view().into_dimensionality::<Ix2>().ok()?;
        let dw = x.t().dot(&dy);
        on(g, "du", || dw.t().dot(&u)).or(on(g, "dv", || dw.dot(&v)))
    }),
];
