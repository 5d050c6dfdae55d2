//! A network of two layers, for one example.
//!
//!   a = tanh(W₁ x + b₁)      y = W₂ a + b₂

use super::ops::{matvec, matvec_vjp, tanh, tanh_vjp};
use super::{Dual, Number};
use ndarray::{Array1, Array2, ArrayView1, Zip};

/// The parameters, or anything of their shapes: their tangents, their
/// gradients.
#[derive(Clone, Debug, PartialEq)]
pub struct Net<T = f64> {
    /// (H,I): inputs to hidden units.
    pub w1: Array2<T>,
    /// (H)
    pub b1: Array1<T>,
    /// (O,H): hidden units to outputs.
    pub w2: Array2<T>,
    /// (O)
    pub b2: Array1<T>,
}

impl<T: Number> Net<T> {
    /// The same with every number changed.
    pub fn map<U: Number>(&self, f: impl Fn(T) -> U) -> Net<U> {
        Net {
            w1: self.w1.mapv(&f),
            b1: self.b1.mapv(&f),
            w2: self.w2.mapv(&f),
            b2: self.b2.mapv(&f),
        }
    }

    /// All numbers in order: `w1`, `b1`, `w2`, `b2`.
    pub fn numbers(&self) -> impl Iterator<Item = T> {
        let weights = self.w1.iter().chain(&self.b1);
        weights.chain(&self.w2).chain(&self.b2).copied()
    }
}

// ANCHOR: forward
/// The hidden units `a` (H), which the VJP needs, and the outputs `y` (O).
#[track_caller]
pub fn forward<T: Number>(
    net: &Net<T>,
    x: ArrayView1<T>,
) -> (Array1<T>, Array1<T>) {
    let z = matvec(net.w1.view(), x) + &net.b1;
    let a = tanh(z.view());
    let y = matvec(net.w2.view(), a.view()) + &net.b2;
    (a, y)
}
// ANCHOR_END: forward

// ANCHOR: jvp
/// `y` and `y_dot`, where parameters and input move along `net_dot`, `x_dot`.
///
/// No rule of its own: the forward pass, on dual numbers.
#[track_caller]
pub fn jvp<T: Number>(
    (net, net_dot): (&Net<T>, &Net<T>),
    (x, x_dot): (ArrayView1<T>, ArrayView1<T>),
) -> (Array1<T>, Array1<T>) {
    let y = forward(&moving(net, net_dot), pair(x, x_dot).view()).1;
    (y.mapv(|y| y.value), y.mapv(|y| y.slope))
}
// ANCHOR_END: jvp

/// Values and slopes as dual numbers.
fn pair<T: Number>(x: ArrayView1<T>, x_dot: ArrayView1<T>) -> Array1<Dual<T>> {
    Zip::from(x)
        .and(x_dot)
        .map_collect(|&value, &slope| Dual { value, slope })
}

fn moving<T: Number>(net: &Net<T>, net_dot: &Net<T>) -> Net<Dual<T>> {
    let matrix = |w: &Array2<T>, w_dot: &Array2<T>| {
        Zip::from(w)
            .and(w_dot)
            .map_collect(|&value, &slope| Dual { value, slope })
    };
    Net {
        w1: matrix(&net.w1, &net_dot.w1),
        b1: pair(net.b1.view(), net_dot.b1.view()),
        w2: matrix(&net.w2, &net_dot.w2),
        b2: pair(net.b2.view(), net_dot.b2.view()),
    }
}

// ANCHOR: vjp
/// The gradients of all parameters, and `dx` (I), from the cotangent `dy` (O).
///
/// Kept from the forward pass: `a`, which gives the slope of tanh and feeds
/// `dw2`. `y` is not needed.
#[track_caller]
pub fn vjp<T: Number>(
    net: &Net<T>,
    x: ArrayView1<T>,
    a: ArrayView1<T>,
    dy: ArrayView1<T>,
) -> (Net<T>, Array1<T>) {
    let b2 = dy.to_owned(); //                               y = W₂ a + b₂
    let (w2, da) = matvec_vjp(net.w2.view(), a, dy);
    let dz = tanh_vjp(a, da.view()); //                      a = tanh z
    let (w1, dx) = matvec_vjp(net.w1.view(), x, dz.view());
    (Net { w1, b1: dz, w2, b2 }, dx) //                      z = W₁ x + b₁
}
// ANCHOR_END: vjp

#[cfg(test)]
mod tests {
    use super::super::{Counted, count, jacobian, ops};
    use super::*;
    use crate::calculus::gradcheck::Sampler;
    use ndarray::{Array, Dimension, Ix1, Ix2};

    fn draw<D: Dimension>(s: &mut Sampler, shape: &[usize]) -> Array<f64, D> {
        s.normal(shape).into_dimensionality().expect("that rank")
    }

    fn random(s: &mut Sampler, [i, h, o]: [usize; 3]) -> Net {
        Net {
            w1: draw::<Ix2>(s, &[h, i]),
            b1: draw::<Ix1>(s, &[h]),
            w2: draw::<Ix2>(s, &[o, h]),
            b2: draw::<Ix1>(s, &[o]),
        }
    }

    fn dot(a: impl Iterator<Item = f64>, b: impl Iterator<Item = f64>) -> f64 {
        a.zip(b).map(|(a, b)| a * b).sum()
    }

    /// ⟨u, J v⟩ = ⟨Jᵀu, v⟩ with everything moving, `u` and `v` unrelated.
    #[test]
    fn both_products_are_of_the_same_matrix() {
        let mut s = Sampler::new(1);
        for sizes in [[3, 4, 5], [1, 2, 1], [6, 1, 2]] {
            let (net, net_dot) = (random(&mut s, sizes), random(&mut s, sizes));
            let x: Array1<f64> = draw(&mut s, &[sizes[0]]);
            let x_dot: Array1<f64> = draw(&mut s, &[sizes[0]]);
            let u: Array1<f64> = draw(&mut s, &[sizes[2]]);
            let (y, y_dot) = jvp((&net, &net_dot), (x.view(), x_dot.view()));
            let (a, again) = forward(&net, x.view());
            assert_eq!(y, again);
            let (dnet, dx) = vjp(&net, x.view(), a.view(), u.view());
            let up = dot(u.into_iter(), y_dot.into_iter());
            let down = dot(dnet.numbers(), net_dot.numbers())
                + dot(dx.into_iter(), x_dot.into_iter());
            assert!((up - down).abs() < 1e-12 * up.abs(), "{up} {down}");
        }
    }

    /// Duals of duals through the VJP: the slope of the gradient.
    #[test]
    fn forward_over_reverse_is_the_slope_of_the_gradient() {
        let mut s = Sampler::new(2);
        let net = random(&mut s, [3, 4, 1]);
        let (x, v): (Array1<f64>, Array1<f64>) =
            (draw(&mut s, &[3]), draw(&mut s, &[3]));
        let gradient = |x: ArrayView1<f64>| {
            let a = forward(&net, x).0;
            vjp(&net, x, a.view(), ndarray::array![1.].view()).1
        };
        let moving = net.map(Dual::fixed);
        let x2 = pair(x.view(), v.view());
        let a = forward(&moving, x2.view()).0;
        let one = ndarray::array![Dual::fixed(1.)];
        let dx = vjp(&moving, x2.view(), a.view(), one.view()).1;
        let step = 1e-5;
        let up = gradient((&x + &(step * &v)).view());
        let down = gradient((&x - &(step * &v)).view());
        for (i, d) in dx.iter().enumerate() {
            let numeric = (up[i] - down[i]) / (2. * step);
            assert!((d.slope - numeric).abs() < 1e-8, "{i}");
        }
    }

    /// Forward and backward cost at most five times the forward.
    #[test]
    fn the_gradient_is_cheap() {
        let mut s = Sampler::new(3);
        for sizes in [[1, 1, 1], [64, 128, 1], [5, 40, 7]] {
            let net = random(&mut s, sizes).map(Counted);
            let x: Array1<f64> = draw(&mut s, &[sizes[0]]);
            let (x, dy) = (x.mapv(Counted), ops::copy(Counted(1.), sizes[2]));
            let ((a, _), up) = count(|| forward(&net, x.view()));
            let (_, down) = count(|| vjp(&net, x.view(), a.view(), dy.view()));
            assert!(up > 0 && down > 0 && up + down <= 5 * up, "{sizes:?}");
        }
    }

    #[test]
    fn both_ways_give_the_same_jacobian() {
        let mut s = Sampler::new(4);
        let net = random(&mut s, [3, 4, 5]);
        let x: Array1<f64> = draw(&mut s, &[3]);
        let fixed = net.map(Dual::fixed);
        let columns = jacobian::by_columns(|x| forward(&fixed, x).1, x.view());
        let a = forward(&net, x.view()).0;
        let rows =
            jacobian::by_rows(|dy| vjp(&net, x.view(), a.view(), dy).1, 5);
        assert_eq!(columns.dim(), (5, 3));
        assert!((&columns - &rows).iter().all(|d| d.abs() < 1e-13));
    }
}
