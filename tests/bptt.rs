//! Backpropagation through time: what the catalogue of mistakes says it gives
//! on the smallest examples, and PyTorch's `RNN` on a hundred random shapes.

use backprop::network::optimizer;
use backprop::recurrent::bptt::{self, Gradients, chunks, scalar, windows};
use ndarray::{
    Array1, Array2, Array3, Axis, arr1, arr2, arr3, array, concatenate, s,
};
use serde_json::Value;

fn near(got: f64, want: f64, digits: i32) {
    let most = 0.6 * 10f64.powi(-digits);
    assert!((got - want).abs() <= most, "{got}, not {want}");
}

// ------------------------------------------------- one number, no activation

const W: f64 = 0.5;
const H0: f64 = 0.4;
const X: [f64; 3] = [1., 2., -1.];
const DH: [f64; 3] = [0.3, -0.7, 2.];

/// What the slips of the chapter give where the right answer is 5.74.
#[test]
fn every_slip_has_its_number() {
    let h = scalar::forward(W, &X, H0);
    let (dw, dx, dh0) = scalar::vjp(W, H0, &h, &DH);
    near(dw, 5.74, 12);
    near(dh0, 0.225, 12);
    let before = [H0, h[0], h[1]];
    let sum = |d: &[f64], h: &[f64]| -> f64 {
        d.iter().zip(h).map(|(d, h)| d * h).sum()
    };
    near(sum(&DH, &before), 4.48, 12); // nothing from the step after
    near(sum(&dx, &h), 1.92, 12); // h_t for h_{t-1}
    near(dx[0] * before[0], 0.18, 12); // assigned, not added
    // Only what comes from the step after: the loss of the last step alone.
    let (last, dx, _) = scalar::vjp(W, H0, &h, &[0., 0., 2.]);
    near(last, 6.6, 12);
    assert_eq!(dx, [0.5, 1., 2.]);
    // The second chunk begins at 0: its use of w has nothing to multiply.
    let first = scalar::vjp(W, H0, &h[..2], &DH[..2]).0;
    let second = scalar::forward(W, &X[2..], 0.);
    let second = scalar::vjp(W, 0., &second, &DH[2..]).0;
    near(first + second, -0.86, 12);
}

/// A longer look back can be further off.
#[test]
fn two_truncations_and_six_terms() {
    let h = scalar::forward(W, &X, H0);
    let of = |stretches: &[_]| scalar::truncated(W, H0, &h, &DH, stretches);
    for (k, in_chunks, in_windows) in
        [(1, 4.48, 4.48), (2, 4.34, 5.54), (3, 5.74, 5.74)]
    {
        near(of(&chunks(3, k)), in_chunks, 12);
        near(of(&windows(3, k)), in_windows, 12);
    }
    let terms = scalar::terms(W, H0, &h, &DH);
    let want = [[0.12, 0., 0.], [-0.14, -0.84, 0.], [0.2, 1.2, 5.2]];
    for (row, want) in terms.iter().zip(want) {
        row.iter().zip(want).for_each(|(t, w)| near(*t, w, 12));
    }
}

/// `h_t = w·h_{t-1} + 1` from 0: the derivative is 2, what the first use alone
/// gives is 0, and so is what only `∂h_1/∂w` is followed through.
#[test]
fn the_total_derivative_of_a_linear_network() {
    let h = scalar::forward(0.5, &[1.; 3], 0.);
    assert_eq!(h, [1., 1.5, 1.75]);
    let dh = [0., 0., 1.];
    assert_eq!(scalar::vjp(0.5, 0., &h, &dh).0, 2.);
    let terms = scalar::terms(0.5, 0., &h, &dh);
    assert_eq!(terms[2], [0., 0.5, 1.5]);
}

// --------------------------------------------------- one unit with tanh, by hand

struct Unit {
    x: Array3<f64>,
    w_x: Array2<f64>,
    w_h: Array2<f64>,
    h0: Array2<f64>,
    h: Array3<f64>,
}

fn unit() -> Unit {
    let x = arr3(&[[[1.]], [[-1.]], [[0.5]]]);
    let (w_x, w_h) = (arr2(&[[0.5]]), arr2(&[[0.8]]));
    let (b, h0) = (arr1(&[0.1]), arr2(&[[0.4]]));
    let h =
        bptt::forward(x.view(), w_x.view(), w_h.view(), b.view(), h0.view());
    Unit { x, w_x, w_h, h0, h }
}

impl Unit {
    fn vjp(&self, dh: [f64; 3]) -> Gradients {
        let dh = Array1::from(dh.to_vec()).into_shape_with_order((3, 1, 1));
        let dh = dh.expect("three numbers");
        let (x, w_x, w_h) = (self.x.view(), self.w_x.view(), self.w_h.view());
        bptt::vjp(x, w_x, w_h, self.h0.view(), self.h.view(), dh.view())
    }
}

#[test]
fn losses_at_every_step() {
    near(unit().vjp([1.; 3]).dw_h[[0, 0]], 1.7177183229, 10);
}

/// The path through the first use alone, and the slope of the wrong step.
#[test]
fn two_wrong_formulas() {
    let u = unit();
    let d = u.vjp([0., 0., 1.]);
    let first = d.dh0[[0, 0]] / 0.8; // δ_1
    near(first * 0.4, 0.0927930806, 10);
    let h: Vec<f64> = u.h.iter().copied().collect();
    let (before, x) = ([0.4, h[0], h[1]], [1., -1., 0.5]);
    let slope = |h: f64| 1. - h * h;
    let (mut dw, mut du, mut total) = (0., 0., 1.);
    for t in (0..3).rev() {
        let delta = total * slope(h[t]);
        dw += delta * before[t];
        du += delta * x[t];
        total *= 0.8 * slope(before[t]);
    }
    near(dw, 0.7411542052, 10);
    near(du, -0.2152735578, 10);
}

/// Clipped to norm 1: all together, each tensor alone, each entry alone.
#[test]
fn three_ways_to_clip() {
    let (a, b) = (array![3., 4.], array![12.]);
    let squares = array![a.pow2().sum(), b.pow2().sum()];
    let factor = optimizer::clip(squares.view(), 1.);
    let both = concatenate![Axis(0), &a * factor, &b * factor];
    for (got, want) in both.iter().zip([0.231, 0.308, 0.923]) {
        near(*got, want, 3);
    }
    let alone = |g: &Array1<f64>| {
        let norm = arr1(&[g.pow2().sum()]);
        g * optimizer::clip(norm.view(), 1.)
    };
    assert!(
        (alone(&a) - array![0.6, 0.8])
            .iter()
            .all(|d| d.abs() < 1e-15)
    );
    assert_eq!(alone(&b), array![1.]);
    assert_eq!(a.mapv(|g| g.clamp(-1., 1.)), array![1., 1.]);
}

// ------------------------------------------------------------- more than one

/// The double sum, term by term, against the recursion: two units, three
/// steps, factors with the latest step last (row convention).
#[test]
fn the_double_sum_is_the_recursion() {
    let x = arr3(&[[[1., -0.5]], [[0.2, 0.7]], [[-1., 0.3]]]);
    let w_x = array![[0.4, -0.3], [0.8, 0.1]];
    let w_h = array![[0.5, -1.1], [0.7, 0.2]];
    let (b, h0) = (array![0.1, -0.2], array![[0.3, -0.6]]);
    let dh = arr3(&[[[0.3, -1.]], [[-0.7, 0.4]], [[2., 0.5]]]);
    let (x, w_x, w_h) = (x.view(), w_x.view(), w_h.view());
    let h = bptt::forward(x, w_x, w_h, b.view(), h0.view());
    let step = |t: usize| h.index_axis(Axis(0), t).to_owned();
    let before = |t: usize| if t == 0 { h0.clone() } else { step(t - 1) };
    let slope = |t: usize| 1. - step(t).pow2();
    let mut sums = [Array2::<f64>::zeros((2, 2)), Array2::zeros((2, 2))];
    for (order, sum) in sums.iter_mut().enumerate() {
        for t in 0..3 {
            for k in 0..=t {
                // ∂h_j/∂h_{j-1} as a matrix that multiplies a row from the right:
                // w_h·diag(slope_j). Back from t to k it is transposed.
                let back = |j: usize| (&w_h * &slope(j)).reversed_axes();
                let mut row = dh.index_axis(Axis(0), t).to_owned();
                match order {
                    0 => {
                        (k + 1..=t).rev().for_each(|j| row = row.dot(&back(j)))
                    }
                    _ => (k + 1..=t).for_each(|j| row = row.dot(&back(j))),
                }
                *sum += &before(k).t().dot(&(row * slope(k)));
            }
        }
    }
    let d = bptt::vjp(x, w_x, w_h, h0.view(), h.view(), dh.view());
    let off = |sum: &Array2<f64>| (sum - &d.dw_h).pow2().sum().sqrt();
    assert!(off(&sums[0]) < 1e-14, "{:e}", off(&sums[0]));
    assert!(off(&sums[1]) > 1e-2, "{:e}", off(&sums[1]));
}

/// A state that is carried: two halves one after the other are the whole.
#[test]
fn the_state_is_carried() {
    let x = Array3::from_shape_fn((5, 2, 3), |(t, n, i)| {
        (1.3 * t as f64 + 0.7 * n as f64 + i as f64).sin()
    });
    let w = |rows| {
        Array2::from_shape_fn((rows, 4), |(i, o)| ((3 * i + o) as f64).cos())
    };
    let (w_x, w_h, b) = (w(3), w(4), Array1::zeros(4));
    let h0 = Array2::from_elem((2, 4), 0.3);
    let of = |x: ndarray::ArrayView3<f64>, h0: ndarray::ArrayView2<f64>| {
        bptt::forward(x, w_x.view(), w_h.view(), b.view(), h0)
    };
    let whole = of(x.view(), h0.view());
    let (first, second) = x.view().split_at(Axis(0), 2);
    let first = of(first, h0.view());
    let second = of(second, first.index_axis(Axis(0), 1));
    assert_eq!(concatenate![Axis(0), first, second], whole);
    // No step at all: nothing comes out, and nothing comes back.
    let none = x.slice(s![..0, .., ..]);
    let h = of(none, h0.view());
    assert_eq!(h.dim(), (0, 2, 4));
    let (w_x, w_h) = (w_x.view(), w_h.view());
    let d = bptt::vjp(none, w_x, w_h, h0.view(), h.view(), h.view());
    assert_eq!(d.dh0.sum() + d.dw_h.sum() + d.db.sum(), 0.);
}

#[test]
#[should_panic(expected = "do not fit")]
fn sizes_that_differ() {
    let (x, w_x) = (Array3::zeros((3, 2, 4)), Array2::zeros((4, 5)));
    let (w_h, h0) = (Array2::zeros((5, 4)), Array2::zeros((2, 5)));
    let b = Array1::zeros(5);
    bptt::forward(x.view(), w_x.view(), w_h.view(), b.view(), h0.view());
}

/// One number would be taken for as many.
#[test]
#[should_panic(expected = "b [1] and h0 [2, 5] do not fit")]
fn a_bias_for_one_unit() {
    let (x, w_x) = (Array3::zeros((3, 2, 4)), Array2::zeros((4, 5)));
    let (w_h, h0) = (Array2::zeros((5, 5)), Array2::zeros((2, 5)));
    let b = Array1::zeros(1);
    bptt::forward(x.view(), w_x.view(), w_h.view(), b.view(), h0.view());
}

// -------------------------------------------------------- beside PyTorch's RNN

#[test]
#[ignore = "run by tests/reference/rnn.py"]
fn random_shapes() {
    let path = std::env::var("RNN_CASES").expect("a file");
    let text = std::fs::read_to_string(path).expect("a file of cases");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("cases");
    let names = ["h", "dx", "dw_x", "dw_h", "db", "dh0"];
    let mut worst = names.map(|_| (0., String::new()));
    for case in &cases {
        let size = |name: &str| case[name].as_u64().expect("a size") as usize;
        let (t, b, i, h) = (size("t"), size("batch"), size("i"), size("units"));
        let numbers = |name: &str| -> Vec<f64> {
            serde_json::from_value(case[name].clone()).expect("numbers")
        };
        let of = |name: &str, shape: [usize; 3]| {
            Array3::from_shape_vec(shape, numbers(name)).expect("its shape")
        };
        let matrix = |name: &str, rows, columns| {
            of(name, [1, rows, columns]).index_axis_move(Axis(0), 0)
        };
        let (x, dh) = (of("x", [t, b, i]), of("dh", [t, b, h]));
        let (w_x, w_h) = (matrix("w_x", i, h), matrix("w_h", h, h));
        let (bias, h0) = (Array1::from(numbers("b")), matrix("h0", b, h));
        let (x, w_x, w_h) = (x.view(), w_x.view(), w_h.view());
        let states = bptt::forward(x, w_x, w_h, bias.view(), h0.view());
        let d = bptt::vjp(x, w_x, w_h, h0.view(), states.view(), dh.view());
        let got = [
            states.into_dyn(),
            d.dx.into_dyn(),
            d.dw_x.into_dyn(),
            d.dw_h.into_dyn(),
            d.db.into_dyn(),
            d.dh0.into_dyn(),
        ];
        for ((got, name), worst) in got.iter().zip(names).zip(&mut worst) {
            let norm = |x: &[f64]| x.iter().map(|v| v * v).sum::<f64>().sqrt();
            let want = numbers(name);
            let off: Vec<f64> =
                got.iter().zip(&want).map(|(a, b)| a - b).collect();
            assert_eq!(off.len(), want.len(), "{name}");
            let error = norm(&off) / norm(&want);
            if error.is_nan() || error > worst.0 {
                *worst = (error, format!("T {t}, B {b}, I {i}, H {h}"));
            }
        }
    }
    println!("{} networks", cases.len());
    for (name, (error, about)) in names.iter().zip(&worst) {
        println!("{name:<4} {error:.1e}   {about}");
        assert!(*error < 1e-12, "{name} is {error:.1e} off: {about}");
    }
}
