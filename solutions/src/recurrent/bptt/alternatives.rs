//! Right answers, written differently.

use backprop::recurrent::bptt::{self, Gradients};
use ndarray::{
    Array1, Array2, Array3, ArrayView1, ArrayView2, ArrayView3, Axis,
    concatenate, s,
};

type V<'a> = ArrayView1<'a, f64>;
type M<'a> = ArrayView2<'a, f64>;
type T<'a> = ArrayView3<'a, f64>;

/// Number by number.
pub fn forward_loops(x: T, w_x: M, w_h: M, b: V, h0: M) -> Array3<f64> {
    let ((steps, batch, inputs), units) = (x.dim(), b.len());
    let mut h = Array3::zeros((steps, batch, units));
    for t in 0..steps {
        for n in 0..batch {
            for o in 0..units {
                let mut z = b[o];
                for i in 0..inputs {
                    z += x[[t, n, i]] * w_x[[i, o]];
                }
                for k in 0..units {
                    let before =
                        if t == 0 { h0[[n, k]] } else { h[[t - 1, n, k]] };
                    z += before * w_h[[k, o]];
                }
                h[[t, n, o]] = z.tanh();
            }
        }
    }
    h
}

/// The inputs' part of all steps at once, each text by itself.
pub fn forward_by_text(x: T, w_x: M, w_h: M, b: V, h0: M) -> Array3<f64> {
    let texts = x.axis_iter(Axis(1)).zip(h0.rows()).map(|(x, h0)| {
        let mut z = x.dot(&w_x) + b;
        let mut state = h0.to_owned();
        for mut z in z.rows_mut() {
            z += &state.dot(&w_h);
            z.mapv_inplace(|z| 1. - 2. / ((2. * z).exp() + 1.));
            state.assign(&z);
        }
        z
    });
    let texts: Vec<_> = texts.collect();
    let views: Vec<_> = texts.iter().map(|h| h.view()).collect();
    ndarray::stack(Axis(1), &views).expect("of one shape")
}

/// All cotangents of the sums first, then one product for each gradient.
pub fn vjp_flat(x: T, w_x: M, w_h: M, h0: M, h: T, dh: T) -> Gradients {
    let (steps, batch, inputs) = x.dim();
    let mut delta = dh.to_owned();
    for t in (0..steps).rev() {
        if t + 1 < steps {
            let next = delta.index_axis(Axis(0), t + 1).dot(&w_h.t());
            let mut here = delta.index_axis_mut(Axis(0), t);
            here += &next;
        }
        let slope = h.index_axis(Axis(0), t).mapv(|h| (1. - h) * (1. + h));
        let mut here = delta.index_axis_mut(Axis(0), t);
        here *= &slope;
    }
    let rows = |a: T| {
        let a = a.as_standard_layout().into_owned();
        let shape = (steps * batch, a.dim().2);
        a.into_shape_with_order(shape).expect("rows")
    };
    let first = h0.insert_axis(Axis(0));
    let before = concatenate![Axis(0), first, h.slice(s![..steps - 1, .., ..])];
    let (d, x) = (rows(delta.view()), rows(x));
    let shape = (steps, batch, inputs);
    Gradients {
        dx: d.dot(&w_x.t()).into_shape_with_order(shape).expect("steps"),
        dw_x: x.t().dot(&d),
        dw_h: rows(before.view()).t().dot(&d),
        db: Array1::ones(steps * batch).dot(&d),
        dh0: delta.index_axis(Axis(0), 0).dot(&w_h.t()),
    }
}

/// By the double sum: for every loss a walk of its own.
pub fn vjp_by_loss(x: T, w_x: M, w_h: M, h0: M, h: T, dh: T) -> Gradients {
    let mut d = Gradients {
        dx: Array3::zeros(x.dim()),
        dw_x: Array2::zeros(w_x.dim()),
        dw_h: Array2::zeros(w_h.dim()),
        db: Array1::zeros(w_h.ncols()),
        dh0: Array2::zeros(h0.dim()),
    };
    for loss in 0..x.dim().0 {
        let mut state = dh.index_axis(Axis(0), loss).to_owned();
        for t in (0..=loss).rev() {
            let h_t = h.index_axis(Axis(0), t);
            state = &state - &(&h_t * &h_t * &state);
            let before = if t == 0 {
                h0
            } else {
                h.index_axis_move(Axis(0), t - 1)
            };
            let mut dx = d.dx.index_axis_mut(Axis(0), t);
            dx += &w_x.dot(&state.t()).t();
            d.dw_x += &state.t().dot(&x.index_axis(Axis(0), t)).t();
            d.dw_h += &state.t().dot(&before).t();
            for row in state.rows() {
                d.db += &row;
            }
            state = w_h.dot(&state.t()).reversed_axes();
        }
        d.dh0 += &state;
    }
    d
}

/// All states first; the cotangents walked once, dropped at every cut.
pub fn chunked_in_one_walk(
    x: T,
    w_x: M,
    w_h: M,
    b: V,
    h0: M,
    k: usize,
    dh: T,
) -> Gradients {
    let h = bptt::forward(x, w_x, w_h, b, h0);
    let mut delta = dh.to_owned();
    let mut carry = Array2::zeros(h0.dim());
    let mut d = Gradients {
        dx: Array3::zeros(x.dim()),
        dw_x: Array2::zeros(w_x.dim()),
        dw_h: Array2::zeros(w_h.dim()),
        db: Array1::zeros(b.len()),
        dh0: Array2::zeros(h0.dim()),
    };
    for t in (0..x.dim().0).rev() {
        let mut here = delta.index_axis_mut(Axis(0), t);
        here += &carry;
        here.zip_mut_with(&h.index_axis(Axis(0), t), |d, h| *d *= 1. - h * h);
        let before = match t {
            0 => h0.to_owned(),
            _ => h.index_axis(Axis(0), t - 1).to_owned(),
        };
        d.dw_x += &x.index_axis(Axis(0), t).t().dot(&here);
        d.dw_h += &before.t().dot(&here);
        d.db += &here.sum_axis(Axis(0));
        d.dx.index_axis_mut(Axis(0), t).assign(&here.dot(&w_x.t()));
        carry = here.dot(&w_h.t());
        if t == 0 {
            d.dh0 = carry.clone();
        }
        if t.is_multiple_of(k) {
            carry.fill(0.);
        }
    }
    d
}

/// With the library's stretches.
pub fn chunked_by_stretches(
    x: T,
    w_x: M,
    w_h: M,
    b: V,
    h0: M,
    k: usize,
    dh: T,
) -> Gradients {
    let h = bptt::forward(x, w_x, w_h, b, h0);
    let chunks = bptt::chunks(x.dim().0, k);
    bptt::truncated(x, w_x, w_h, h0, h.view(), dh, &chunks)
}

/// The second reading written step by step.
pub fn both_ways_by_steps(x: T, w_x: M, w_h: M, b: V, h0: M) -> Array3<f64> {
    let mut y = bptt::forward(x, w_x, w_h, b, h0);
    let mut state = h0.to_owned();
    for t in (0..x.dim().0).rev() {
        let x = x.index_axis(Axis(0), t);
        state = (x.dot(&w_x) + state.dot(&w_h) + b).tanh();
        let mut y = y.index_axis_mut(Axis(0), t);
        y += &state;
    }
    y
}

/// Both readings as one batch of twice as many texts.
pub fn both_ways_as_one_batch(
    x: T,
    w_x: M,
    w_h: M,
    b: V,
    h0: M,
    dy: T,
) -> Gradients {
    let round = |a: T| a.slice(s![..;-1, .., ..]).to_owned();
    let batch = h0.nrows();
    let both = concatenate![Axis(1), x, round(x)];
    let start = concatenate![Axis(0), h0, h0];
    let dy = concatenate![Axis(1), dy, round(dy)];
    let (both, start) = (both.view(), start.view());
    let h = bptt::forward(both, w_x, w_h, b, start);
    let d = bptt::vjp(both, w_x, w_h, start, h.view(), dy.view());
    let (f, g) = d.dx.view().split_at(Axis(1), batch);
    let (f0, g0) = d.dh0.view().split_at(Axis(0), batch);
    Gradients {
        dx: &f + &round(g),
        dh0: &f0 + &g0,
        ..d
    }
}

/// By way of what is to be taken off.
pub fn clipped_step_in_place(
    w: M,
    b: V,
    dw: M,
    db: V,
    most: f64,
    lr: f64,
) -> (Array2<f64>, Array1<f64>) {
    let norm = (dw.iter().chain(db.iter())).fold(0f64, |n, v| n.hypot(*v));
    let (mut w, mut b) = (w.to_owned(), b.to_owned());
    w.scaled_add(-lr / (norm / most).max(1.), &dw);
    b.scaled_add(-lr / (norm / most).max(1.), &db);
    (w, b)
}

/// By the two kinds of windows.
pub fn steps_back_by_kind(t: u64, k: u64) -> (u64, u64) {
    let short = t.min(k - 1);
    (t, short * (short + 1) / 2 + (t - short) * k)
}

/// Backwards by pairs of neighbours.
pub fn own_weights_by_unit(
    w: V,
    h0: M,
    h: T,
    dh: T,
) -> (Array1<f64>, Array3<f64>, Array2<f64>) {
    let (steps, batch, units) = dh.dim();
    let (mut dx, mut dw) = (dh.to_owned(), Array1::zeros(units));
    let mut dh0 = Array2::zeros((batch, units));
    for n in 0..batch {
        for o in 0..units {
            for t in (1..steps).rev() {
                dx[[t - 1, n, o]] += w[o] * dx[[t, n, o]];
                dw[o] += h[[t - 1, n, o]] * dx[[t, n, o]];
            }
            dw[o] += h0[[n, o]] * dx[[0, n, o]];
            dh0[[n, o]] = w[o] * dx[[0, n, o]];
        }
    }
    (dw, dx, dh0)
}
