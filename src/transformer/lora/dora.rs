//! Weight-decomposed adaptation: each column of the weight has a length and a
//! direction, and they learn apart.       book: transformer/lora
//!
//!   V = w + scale·a·b
//!   n_o = √(Σ_i V_io²),   u_io = V_io / n_o
//!   W_io = m_o·u_io,      y = x·W
//!
//!   x (N,I);  w (I,O) frozen;  a (I,R), b (R,O), m (O) trained  ->  y (N,O)
//!
//! The length belongs to an output: to a column here, since our weights are
//! (I,O), and to a row of the (O,I) weights of PyTorch and of the PEFT library.
//! The paper writes columns and means the same in its own layout.
//!
//! With `dW = xᵀ·dy` the gradients are, column by column,
//!
//!   dm = ⟨dW, u⟩     dV = (m/n)·(dW - u·⟨u, dW⟩)
//!
//! and from `dV` on they are those of the adapter: `da = scale·dV·bᵀ`,
//! `db = scale·aᵀ·dV`. `dV` is orthogonal to `V` in every column: a change
//! along `V` would be a change of length, and the length is divided out.
//!
//! The paper proposes (section 4.3), and PEFT does, to treat `n` as a constant
//! on the way back: [`vjp_norm_constant`], `dV = (m/n)·dW`. That is not the
//! gradient of [`forward`], and a finite difference says so.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

/// What [`forward`] keeps for its VJP.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// `n` (O), the lengths of the columns of `V`.
    pub norm: Array1<f64>,
    /// `u` (I,O), the columns of `V` divided by them. `V` itself is not asked
    /// for again.
    pub unit: Array2<f64>,
}

/// What [`vjp`] gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients {
    /// Of `x` (N,I).
    pub dx: Array2<f64>,
    /// Of `m` (O).
    pub dm: Array1<f64>,
    /// Of `V` (I,O). It would be that of `w` as well, if `w` were trained.
    pub dv: Array2<f64>,
    /// Of `a` (I,R).
    pub da: Array2<f64>,
    /// Of `b` (R,O).
    pub db: Array2<f64>,
}

/// The magnitudes at the start: the lengths of the columns of `w` (I,O). With
/// `b = 0` they make `W = w`.
///
/// Source: Liu et al. 2024, section 4.1.
///
/// ```
/// use backprop::transformer::lora::dora;
/// use ndarray::array;
/// let w = array![[3., 0.], [4., 2.]];
/// assert_eq!(dora::magnitudes(w.view()), array![5., 2.]);
/// ```
pub fn magnitudes(w: ArrayView2<f64>) -> Array1<f64> {
    w.map_axis(Axis(0), |column| column.dot(&column).sqrt())
}

/// `y = x·W`, where column `o` of `W` has the length `m_o` and the direction of
/// `w + scale·a·b`. Returns `y` and what is kept.
///
/// `x` (N,I), `w` (I,O), `a` (I,R), `b` (R,O), `scale` (α/r, without unit) and
/// `m` (O) give `y` (N,O). `m` may have any sign.
///
/// Panics if the shapes do not fit each other, or a column of `V` is zero and
/// has no direction.
///
/// Source: Liu et al. 2024, equation 5.
///
/// ```
/// use backprop::transformer::lora::dora;
/// use ndarray::{array, aview1};
/// let (w, a, b) = (array![[3.], [1.]], array![[0.], [1.]], array![[3.]]);
/// let (x, m) = (array![[1., 1.]], aview1(&[10.]));
/// let (w, a, b) = (w.view(), a.view(), b.view());
/// let (y, kept) = dora::forward(x.view(), w, a, b, 1., m);
/// assert_eq!(kept.norm, array![5.]); // of the column (3, 4)
/// assert_eq!(y, array![[14.]]); //     (0.6 + 0.8)·10
/// ```
#[track_caller]
pub fn forward(
    x: ArrayView2<f64>,
    w: ArrayView2<f64>,
    a: ArrayView2<f64>,
    b: ArrayView2<f64>,
    scale: f64,
    m: ArrayView1<f64>,
) -> (Array2<f64>, Kept) {
    let v = super::merge(w, a, b, scale); // (I,O)
    assert_shapes(x.shape(), a.shape(), b.shape(), m.len());
    let norm = magnitudes(v.view()); //      (O) a length for each output
    assert!(norm.iter().all(|n| *n > 0.), "dora: a column of V is zero");
    let unit = v / &norm; //                 (I,O)
    let y = x.dot(&unit) * m; //             (N,O)
    (y, Kept { norm, unit })
}

/// The gradients of [`forward`], `n` being a function of `V`:
///
///   dx = dy·Wᵀ     dm = ⟨dW, u⟩     dV = (m/n)·(dW - u·dm)
///   da = scale·dV·bᵀ     db = scale·aᵀ·dV
///
/// `x`, `a`, `b`, `scale`, `m` and `kept` as in [`forward`], the cotangent `dy`
/// (N,O). Panics if their shapes do not fit each other.
///
/// ```
/// use backprop::transformer::lora::dora;
/// use ndarray::{array, aview1};
/// let (w, a, b) = (array![[3.], [1.]], array![[0.], [1.]], array![[3.]]);
/// let (x, m) = (array![[1., 1.]], aview1(&[10.]));
/// let (a, b) = (a.view(), b.view());
/// let (_, kept) = dora::forward(x.view(), w.view(), a, b, 1., m);
/// let dy = array![[1.]];
/// let d = dora::vjp(x.view(), a, b, 1., m, &kept, dy.view());
/// assert!((d.dm[0] - 1.4).abs() < 1e-15); // (1, 1) along (0.6, 0.8)
/// let right = array![[0.32], [-0.24]]; //    2·((1, 1) - 1.4·(0.6, 0.8))
/// assert!((&d.dv - &right).iter().all(|e| e.abs() < 1e-15));
/// ```
#[track_caller]
pub fn vjp(
    x: ArrayView2<f64>,
    a: ArrayView2<f64>,
    b: ArrayView2<f64>,
    scale: f64,
    m: ArrayView1<f64>,
    kept: &Kept,
    dy: ArrayView2<f64>,
) -> Gradients {
    let Kept { norm, unit } = kept;
    super::assert_shapes(x.shape(), a.shape(), b.shape(), dy.shape());
    assert_shapes(x.shape(), a.shape(), b.shape(), m.len());
    assert!(
        unit.dim() == (a.nrows(), b.ncols()) && norm.len() == m.len(),
        "dora: what was kept is of another layer",
    );
    let dw = x.t().dot(&dy); //                 (I,O) of the finished weight
    let dm = (&dw * unit).sum_axis(Axis(0)); // (O)
    let across = &dw - &(unit * &dm); //        (I,O) what does not lie along V
    let dv = across * &(&m / norm); //          (I,O)
    let dx = dy.dot(&(unit * &m).t()); //       (N,O)(O,I)
    let da = dv.dot(&b.t()) * scale; //         (I,O)(O,R)
    let db = a.t().dot(&dv) * scale; //         (R,I)(I,O)
    Gradients { dx, dm, dv, da, db }
}

/// The same with the norm declared constant: `dV = (m/n)·dW`, and `dx` and `dm`
/// as in [`vjp`]. Saves the projection, at the price of not being the gradient
/// of [`forward`]: by design, finite differences do not agree with it.
///
/// It is the gradient of `y = x·V·(m/n)` for an `n` that is given.
///
/// Source: Liu et al. 2024, section 4.3.
#[track_caller]
pub fn vjp_norm_constant(
    x: ArrayView2<f64>,
    a: ArrayView2<f64>,
    b: ArrayView2<f64>,
    scale: f64,
    m: ArrayView1<f64>,
    kept: &Kept,
    dy: ArrayView2<f64>,
) -> Gradients {
    let all = vjp(x, a, b, scale, m, kept, dy);
    let dv = x.t().dot(&dy) * &(&m / &kept.norm); // nothing is taken out
    let da = dv.dot(&b.t()) * scale;
    let db = a.t().dot(&dv) * scale;
    Gradients { dv, da, db, ..all }
}

/// `x` (N,I), `a` (I,R), `b` (R,O), `m` (O); `a` and `b` fit `w` already.
#[track_caller]
fn assert_shapes(x: &[usize], a: &[usize], b: &[usize], m: usize) {
    assert!(
        x[1] == a[0] && m == b[1],
        "dora: x {x:?} and m ({m}) do not fit a {a:?} and b {b:?}",
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{arr1, array};

    /// What the paper writes as columns: `W₀ = ((1,2),(3,5))`, `B = (2,1)ᵀ`,
    /// `A = (1,-1)`, `α/r = 1.5`, `m = (2,3)`, `x = (1,2)`, `dy = (1,-1)`.
    fn by_hand() -> ([Array2<f64>; 5], Array1<f64>) {
        let w = array![[1., 3.], [2., 5.]];
        let (a, b) = (array![[1.], [-1.]], array![[2., 1.]]);
        let (x, dy) = (array![[1., 2.]], array![[1., -1.]]);
        ([x, w, a, b, dy], arr1(&[2., 3.]))
    }

    fn near(got: impl IntoIterator<Item = f64>, want: &[f64]) {
        let got: Vec<_> = got.into_iter().collect();
        assert_eq!(got.len(), want.len());
        for (g, w) in got.iter().zip(want) {
            assert!((g - w).abs() < 5e-5, "{got:?}, not {want:?}");
        }
    }

    #[test]
    fn the_example_by_hand() {
        let ([x, w, a, b, dy], m) = by_hand();
        let (a, b) = (a.view(), b.view());
        let (_, kept) = forward(x.view(), w.view(), a, b, 1.5, m.view());
        let v = &kept.unit * &kept.norm;
        near(v, &[4., 4.5, -1., 3.5]);
        near(kept.norm.clone(), &[4.1231, 5.7009]);
        let d = vjp(x.view(), a, b, 1.5, m.view(), &kept, dy.view());
        near(d.dm, &[0.4851, -2.0172]);
        near(d.da, &[1.2379, 2.4805]);
        near(d.db, &[-1.1556, 1.0687]);
        let (x, dy, m) = (x.view(), dy.view(), m.view());
        let d = vjp_norm_constant(x, a, b, 1.5, m, &kept, dy);
        near(d.da, &[0.6659, 1.3317]);
    }

    #[test]
    fn what_holds_without_differences() {
        let ([x, w, a, b, dy], m) = by_hand();
        let (a, b) = (a.view(), b.view());
        let (_, kept) = forward(x.view(), w.view(), a, b, 1.5, m.view());
        let d = vjp(x.view(), a, b, 1.5, m.view(), &kept, dy.view());
        let along = (&d.dv * &kept.unit).sum_axis(Axis(0));
        assert!(along.iter().all(|v| v.abs() < 1e-15), "{along}");
        let of_factors = (&d.da * &a).sum() - (&d.db * &b).sum();
        assert!(of_factors.abs() < 1e-14);
        let (x, dy, m) = (x.view(), dy.view(), m.view());
        let d = vjp_norm_constant(x, a, b, 1.5, m, &kept, dy);
        let along = (&d.dv * &kept.unit).sum_axis(Axis(0));
        assert!(along.iter().all(|v| v.abs() > 0.2), "{along}");
    }

    #[test]
    fn it_starts_as_the_base() {
        let ([x, w, a, _, _], _) = by_hand();
        let (b, m) = (Array2::zeros((1, 2)), magnitudes(w.view()));
        let (x, a) = (x.view(), a.view());
        let (y, _) = forward(x, w.view(), a, b.view(), 1.5, m.view());
        near(y, &[5., 13.]);
    }

    #[test]
    #[should_panic(expected = "dora: a column of V is zero")]
    fn a_column_without_a_direction() {
        let ([x, w, a, b, _], m) = by_hand();
        let (a, b) = (a.view(), b.view());
        forward(x.view(), (w * 0.).view(), a, b, 0., m.view());
    }

    #[test]
    #[should_panic(expected = "m (3) do not fit a [2, 1] and b [1, 2]")]
    fn magnitudes_of_another_layer() {
        let ([x, w, a, b, _], _) = by_hand();
        let (a, b, m) = (a.view(), b.view(), Array1::ones(3));
        forward(x.view(), w.view(), a, b, 1., m.view());
    }

    /// One number would be taken for as many.
    #[test]
    #[should_panic(expected = "m (1) do not fit a [2, 1] and b [1, 2]")]
    fn one_magnitude_for_two_columns() {
        let ([x, w, a, b, dy], m) = by_hand();
        let (a, b) = (a.view(), b.view());
        let (_, kept) = forward(x.view(), w.view(), a, b, 1., m.view());
        vjp(x.view(), a, b, 1., arr1(&[2.]).view(), &kept, dy.view());
    }
}
