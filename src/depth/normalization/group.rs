//! GroupNorm: the channels of an example in groups, each at one scale.
//!
//!   x (B,C,S): examples, channels, positions;  γ (C), β (C)  ->  y (B,C,S)
//!
//! Means are over the C/G channels of a group and all their positions: a group
//! is a row of LayerNorm. One group is LayerNorm over the whole example; as
//! many groups as channels are InstanceNorm. γ and β belong to channels, so
//! with `g = dy ⊙ γ` the gradient of a group is that of a row.

use super::{layer_norm, layer_norm_vjp};
use ndarray::{
    Array1, Array2, Array3, ArrayView1, ArrayView2, ArrayView3, Axis,
};

/// `y = γ ⊙ x̂ + β`, `x̂ = (x - μ)·r` with `μ` and `r` of each group. Returns
/// `(y, stats)`.
///
/// `x` (B,C,S), `groups` G, which divides C, `gamma` and `beta` (C), `eps`
/// ε ≥ 0; `y` (B,C,S), and `stats` (B·G,2), kept for the VJP beside `x`.
///
/// Panics if the shapes differ, G does not divide C, or a group is empty.
///
/// Source: Wu and He 2018, section 3.
///
/// ```
/// use backprop::depth::normalization::group;
/// use ndarray::array;
/// // Two groups of two channels: means 4 and 20.
/// let x = array![[[3.], [5.], [10.], [30.]]];
/// let (one, zero) = (array![1., 1., 1., 3.], array![0., 0., 0., 0.5]);
/// let (y, _) = group::forward(x.view(), 2, one.view(), zero.view(), 0.);
/// assert_eq!(y, array![[[-1.], [1.], [-1.], [3.5]]]);
/// ```
#[track_caller]
pub fn forward(
    x: ArrayView3<f64>,
    groups: usize,
    gamma: ArrayView1<f64>,
    beta: ArrayView1<f64>,
    eps: f64,
) -> (Array3<f64>, Array2<f64>) {
    let rows = rows(x, groups); //                      (B·G, C/G·S)
    let (one, zero) = (Array1::ones(rows.ncols()), Array1::zeros(rows.ncols()));
    let (x_hat, stats) = layer_norm(rows.view(), one.view(), zero.view(), eps);
    let x_hat = x_hat
        .into_shape_with_order(x.dim())
        .expect("as many numbers");
    (x_hat * by_channel(&gamma) + by_channel(&beta), stats)
}

/// The gradients `(dx, dgamma, dbeta)`: those of LayerNorm, group by group;
/// `dγ` and `dβ` sum over examples and positions.
///
/// `x` (B,C,S), `groups`, `gamma` (C) and `stats` as in [`forward`], `dy`
/// (B,C,S) give `dx` (B,C,S), `dgamma` and `dbeta` (C).
///
/// Panics if the shapes do not fit.
#[track_caller]
pub fn vjp(
    x: ArrayView3<f64>,
    groups: usize,
    gamma: ArrayView1<f64>,
    stats: ArrayView2<f64>,
    dy: ArrayView3<f64>,
) -> (Array3<f64>, Array1<f64>, Array1<f64>) {
    let (x_rows, one) = (rows(x, groups), Array1::ones(x.len()));
    let one = one.slice_move(ndarray::s![..x_rows.ncols()]);
    let g = rows((&dy * &by_channel(&gamma)).view(), groups);
    let (dx, ..) = layer_norm_vjp(x_rows.view(), one.view(), stats, g.view());
    let (mu, r) = (stats.column(0), stats.column(1));
    let x_hat = (&x_rows - &mu.insert_axis(Axis(1))) * r.insert_axis(Axis(1));
    let whole = |a: Array2<f64>| a.into_shape_with_order(x.dim());
    let x_hat = whole(x_hat).expect("as many numbers");
    let over = |a: Array3<f64>| a.sum_axis(Axis(2)).sum_axis(Axis(0));
    let dx = whole(dx).expect("as many numbers");
    (dx, over(&dy * &x_hat), over(dy.to_owned()))
}

/// A group of an example as a row: (B,C,S) to (B·G, C/G·S).
#[track_caller]
fn rows(x: ArrayView3<f64>, groups: usize) -> Array2<f64> {
    let (b, c, s) = x.dim();
    assert!(
        groups > 0 && c % groups == 0,
        "group norm: {c} channels in {groups} groups"
    );
    let shape = (b * groups, c / groups * s);
    let rows = x.as_standard_layout().into_owned();
    rows.into_shape_with_order(shape).expect("as many numbers")
}

/// A number for each channel: (C) to (C,1).
fn by_channel<'a>(v: &ArrayView1<'a, f64>) -> ArrayView2<'a, f64> {
    v.insert_axis(Axis(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::depth::normalization::{layer_norm, layer_norm_vjp};
    use ndarray::{array, s};

    #[test]
    fn one_group_without_positions_is_layer_norm() {
        let x = array![[1., 2., 4., 9.], [0., -3., 1., 2.]];
        let (gamma, beta) = (array![2., 0.5, 1., -1.], array![0., 1., 2., 3.]);
        let dy = array![[1., -2., 0.5, 3.], [2., 1., 0., -1.]];
        let (y, stats) = layer_norm(x.view(), gamma.view(), beta.view(), 0.1);
        let wide = |a: &Array2<f64>| a.clone().insert_axis(Axis(2));
        let (grouped, kept) =
            forward(wide(&x).view(), 1, gamma.view(), beta.view(), 0.1);
        assert_eq!(grouped.index_axis(Axis(2), 0), y);
        assert_eq!(kept, stats);
        let want =
            layer_norm_vjp(x.view(), gamma.view(), stats.view(), dy.view());
        let (dx, dgamma, dbeta) = vjp(
            wide(&x).view(),
            1,
            gamma.view(),
            kept.view(),
            wide(&dy).view(),
        );
        let dx = dx.slice(s![.., .., 0]).to_owned();
        assert!((&dx - &want.0).iter().all(|v| v.abs() < 1e-15));
        assert_eq!((dgamma, dbeta), (want.1, want.2));
    }

    /// Two channels to a group and one position: nothing comes back.
    #[test]
    fn groups_of_two_numbers_are_blind() {
        let x = array![[[3.], [7.], [-1.], [4.]]];
        let dy = array![[[1.], [0.5], [2.], [-3.]]];
        let (gamma, beta) = (array![1., 2., 3., 4.], Array1::zeros(4));
        let (_, stats) = forward(x.view(), 2, gamma.view(), beta.view(), 0.);
        let (dx, ..) = vjp(x.view(), 2, gamma.view(), stats.view(), dy.view());
        assert!(dx.iter().all(|d| d.abs() < 1e-15), "{dx}");
    }

    #[test]
    #[should_panic(expected = "group norm: 4 channels in 3 groups")]
    fn groups_that_do_not_divide() {
        let (x, g) = (Array3::zeros((1, 4, 1)), Array1::zeros(4));
        forward(x.view(), 3, g.view(), g.view(), 0.);
    }
}
