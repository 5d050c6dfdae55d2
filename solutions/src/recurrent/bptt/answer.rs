//! # Exercise: backpropagation through time
//!
//! Chapter: Backpropagation through time (recurrent/bptt).
//! Letters: T steps, B texts side by side, I inputs, H units.
//!
//! Time is the first axis: `x` (T,B,I), `h` (T,B,H). `h` holds the states `h_1`
//! to `h_T`, so `h_t` is at index t - 1, and `h_0` is an argument of its own,
//! `h0`. One step of an array: `x.index_axis(Axis(0), t)`; to write into it,
//! `h.index_axis_mut(Axis(0), t).assign(&state)`. Steps a to b:
//! `x.slice(s![a..b, .., ..])`; all of them from the last to the first:
//! `x.slice(s![..;-1, .., ..])`. To add to an array: `sum += &part;`.
//!
//! `Gradients` is the library's: `Gradients { dx, dw_x, dw_h, db, dh0 }`, each
//! of the shape of what it belongs to. In tasks 4 and 5 you may call
//! `bptt::forward(x, w_x, w_h, b, h0)` and `bptt::vjp(x, w_x, w_h, h0, h, dh)`.
//! They take views: `h.view()`. In a report `dh` is written with a row for each
//! step and text, (T·B,H), step after step.
//!
//! Grade it with `cargo grade bptt`; ask for a hint with
//! `cargo grade hint bptt vjp`.

use backprop::recurrent::bptt::{self, Gradients};
use ndarray::{
    Array1, Array2, Array3, ArrayView1, ArrayView2, ArrayView3, Axis, s,
};

// --- Task 1: predict -------------------------------------------------------

/// `h_t = w·h_{t-1} + x_t` with w = 2, h_0 = 1, x = (1, 0, 1). What is the
/// derivative of h_3 with respect to w?
// ANSWER
pub const TOTAL: Option<i64> = Some(16);
//~ pub const TOTAL: Option<i64> = None; // TODO Some(..)
// END

/// A text of six steps with a loss at every step, truncated in chunks of three.
/// Does the loss of step t reach the use of w at step s, for (t, s) = (2, 1),
/// (4, 3), (5, 2), (6, 4)? Steps are counted from 1.
// ANSWER
pub const IN_CHUNKS: Option<[bool; 4]> = Some([true, false, false, true]);
//~ pub const IN_CHUNKS: Option<[bool; 4]> = None; // TODO Some([..])
// END

/// The same four pairs, truncated in windows of three steps.
// ANSWER
pub const IN_WINDOWS: Option<[bool; 4]> = Some([true, true, false, true]);
//~ pub const IN_WINDOWS: Option<[bool; 4]> = None; // TODO Some([..])
// END

/// A text of 24 letters, counted from 0, is read in two rows side by side, three
/// letters at a time, and the state is carried. At which letters do the two
/// rows of the second batch begin?
// ANSWER
pub const ROWS: Option<[usize; 2]> = Some([3, 15]);
//~ pub const ROWS: Option<[usize; 2]> = None; // TODO Some([.., ..])
// END

/// True or false, for every network of this chapter, with tanh?
///
/// 1. If ‖w_h‖₂ < 1, a cotangent is at most ‖w_h‖₂ᵏ times as long after k steps
///    back, when no losses are added on the way.
/// 2. If the spectral radius of w_h is below 1, every step back makes a
///    cotangent shorter.
/// 3. If the spectral radius of w_h is above 1, cotangents explode.
/// 4. Gradients that are clipped by their global norm keep their direction.
// ANSWER
pub const TRUE: Option<[bool; 4]> = Some([true, false, false, true]);
//~ pub const TRUE: Option<[bool; 4]> = None; // TODO Some([..])
// END

// --- Task 2: build ---------------------------------------------------------

/// All states of `h_t = tanh(x_t·w_x + h_{t-1}·w_h + b)`.
///
/// `x` (T,B,I), `w_x` (I,H), `w_h` (H,H), `b` (H), `h0` (B,H) give `h` (T,B,H).
/// (`z.tanh()` is the tanh of every entry of an array `z`.)
pub fn forward(
    x: ArrayView3<f64>,
    w_x: ArrayView2<f64>,
    w_h: ArrayView2<f64>,
    b: ArrayView1<f64>,
    h0: ArrayView2<f64>,
) -> Array3<f64> {
    // ANSWER
    let (steps, batch, _) = x.dim();
    let mut h = Array3::zeros((steps, batch, w_h.nrows()));
    let mut state = h0.to_owned();
    for t in 0..steps {
        let x = x.index_axis(Axis(0), t);
        state = (x.dot(&w_x) + state.dot(&w_h) + b).tanh();
        h.index_axis_mut(Axis(0), t).assign(&state);
    }
    h
    // END
}

// --- Task 3: build ---------------------------------------------------------

/// All gradients of task 2, from `dh` (T,B,H), a cotangent for every state, the
/// last one's among them. `h` (T,B,H) is what the forward pass gave.
pub fn vjp(
    x: ArrayView3<f64>,
    w_x: ArrayView2<f64>,
    w_h: ArrayView2<f64>,
    h0: ArrayView2<f64>,
    h: ArrayView3<f64>,
    dh: ArrayView3<f64>,
) -> Gradients {
    // ANSWER
    let mut dx = Array3::zeros(x.dim());
    let mut dw_x = Array2::zeros(w_x.dim());
    let mut dw_h = Array2::zeros(w_h.dim());
    let mut db = Array1::zeros(w_h.nrows());
    let mut carry = Array2::zeros(h0.dim());
    for t in (0..x.dim().0).rev() {
        let state = h.index_axis(Axis(0), t);
        let mut delta = &dh.index_axis(Axis(0), t) + &carry;
        delta *= &state.mapv(|h| 1. - h * h);
        let before = match t {
            0 => h0,
            _ => h.index_axis(Axis(0), t - 1),
        };
        dx.index_axis_mut(Axis(0), t).assign(&delta.dot(&w_x.t()));
        dw_x += &x.index_axis(Axis(0), t).t().dot(&delta);
        dw_h += &before.t().dot(&delta);
        db += &delta.sum_axis(Axis(0));
        carry = delta.dot(&w_h.t());
    }
    Gradients {
        dx,
        dw_x,
        dw_h,
        db,
        dh0: carry,
    }
    // END
}

// --- Task 4: vary ----------------------------------------------------------

/// Backpropagation through time, truncated in chunks of `k` steps: steps 1 to k,
/// k+1 to 2k, and so on; the last chunk may be shorter. `k` is from 1 to a
/// million, and may be larger than T: then there is one chunk.
///
/// The state is carried: the states are those of the whole text. It is cut: the
/// state with which a later chunk begins is a constant for that chunk, and the
/// chunk gives it nothing back. `dh0` is what the first chunk gives `h0`.
pub fn chunked(
    x: ArrayView3<f64>,
    w_x: ArrayView2<f64>,
    w_h: ArrayView2<f64>,
    b: ArrayView1<f64>,
    h0: ArrayView2<f64>,
    k: usize,
    dh: ArrayView3<f64>,
) -> Gradients {
    // ANSWER
    let steps = x.dim().0;
    let mut sum = Gradients {
        dx: Array3::zeros(x.dim()),
        dw_x: Array2::zeros(w_x.dim()),
        dw_h: Array2::zeros(w_h.dim()),
        db: Array1::zeros(b.dim()),
        dh0: Array2::zeros(h0.dim()),
    };
    let mut state = h0.to_owned();
    for start in (0..steps).step_by(k) {
        let end = (start + k).min(steps);
        let of = s![start..end, .., ..];
        let h = bptt::forward(x.slice(of), w_x, w_h, b, state.view());
        let (from, dh) = (state.view(), dh.slice(of));
        let d = bptt::vjp(x.slice(of), w_x, w_h, from, h.view(), dh);
        sum.dx.slice_mut(of).assign(&d.dx);
        sum.dw_x += &d.dw_x;
        sum.dw_h += &d.dw_h;
        sum.db += &d.db;
        if start == 0 {
            sum.dh0 = d.dh0;
        }
        state = h.index_axis(Axis(0), end - start - 1).to_owned();
    }
    sum
    // END
}

// --- Task 5: vary ----------------------------------------------------------

/// A text read from both ends by one and the same network. Read from the start
/// it has the states `f_1, …, f_T`; read from its last step to its first, again
/// beginning with `h0`, it has the states `g_1, …, g_T`, where `g_1` belongs to
/// the last step of the text. Step t has the output `y_t = f_t + g_{T+1-t}`.
pub fn both_ways(
    x: ArrayView3<f64>,
    w_x: ArrayView2<f64>,
    w_h: ArrayView2<f64>,
    b: ArrayView1<f64>,
    h0: ArrayView2<f64>,
) -> Array3<f64> {
    // ANSWER
    let turned = x.slice(s![..;-1, .., ..]);
    let f = bptt::forward(x, w_x, w_h, b, h0);
    let g = bptt::forward(turned, w_x, w_h, b, h0);
    f + g.slice(s![..;-1, .., ..])
    // END
}

/// The gradients from `dy` (T,B,H), the cotangent of `y`.
pub fn both_ways_vjp(
    x: ArrayView3<f64>,
    w_x: ArrayView2<f64>,
    w_h: ArrayView2<f64>,
    b: ArrayView1<f64>,
    h0: ArrayView2<f64>,
    dy: ArrayView3<f64>,
) -> Gradients {
    // ANSWER
    let round = s![..;-1, .., ..];
    let one = |x: ArrayView3<f64>, dy: ArrayView3<f64>| {
        let h = bptt::forward(x, w_x, w_h, b, h0);
        bptt::vjp(x, w_x, w_h, h0, h.view(), dy)
    };
    let (f, g) = (one(x, dy), one(x.slice(round), dy.slice(round)));
    Gradients {
        dx: f.dx + g.dx.slice(round),
        dw_x: f.dw_x + g.dw_x,
        dw_h: f.dw_h + g.dw_h,
        db: f.db + g.db,
        dh0: f.dh0 + g.dh0,
    }
    // END
}

// --- Task 6: vary ----------------------------------------------------------

/// One step of gradient descent, `w - lr·dw` and `b - lr·db`, with gradients
/// that are clipped first: if the norm of both together is above `most`, both
/// are multiplied by the factor that brings it down to `most`. Returns the new
/// `(w, b)`. `most` is above 0, and no gradient is above 1e100.
pub fn clipped_step(
    w: ArrayView2<f64>,
    b: ArrayView1<f64>,
    dw: ArrayView2<f64>,
    db: ArrayView1<f64>,
    most: f64,
    lr: f64,
) -> (Array2<f64>, Array1<f64>) {
    // ANSWER
    let squares = |v: &f64| v * v;
    let all = dw.iter().map(squares).sum::<f64>()
        + db.iter().map(squares).sum::<f64>();
    let norm = all.sqrt();
    let factor = if norm > most { most / norm } else { 1. };
    let step = lr * factor;
    (&w - &(&dw * step), &b - &(&db * step))
    // END
}

// --- Task 7: measure -------------------------------------------------------

/// A text of `t` steps with a loss at every step is truncated, once in chunks of
/// `k` steps, once in windows of `k` steps (a window for every loss). Over how
/// many steps does the walk back go in all, `(in_chunks, in_windows)`? A walk
/// over its loss's own step alone is one step, and in a chunk a single walk
/// serves all its losses.
///
/// Both numbers are at least 1, `k` may be larger than `t`, and `t` may be
/// millions: no loop over the steps.
pub fn steps_back(t: u64, k: u64) -> (u64, u64) {
    // ANSWER
    let k = k.min(t);
    (t, t * k - k * (k - 1) / 2)
    // END
}

// --- Task 8: hunt ----------------------------------------------------------

/// In another recurrence every unit has one weight and no company: `h_t = w ⊙
/// h_{t-1} + x_t`, where `w` (H) multiplies each row of `h_{t-1}` (B,H) entry by
/// entry. `mended` below is its VJP, with a planted bug, and this is the
/// report:
///
/// ```text
///   compared  dw against central differences of the forward
///   inputs    dh (3,2)
///             [   1.3500  -1.4900 ]
///             [   1.0600  -1.1700 ]
///             [   0.4700   1.2000 ]
///             x (3,1,2)
///             [   0.8900   1.6700 ]
///             [   1.0400  -1.8200 ]
///             [   1.0400   1.8500 ]
///             w (2)
///             [   0.5150  -0.6300 ]
///             h0 (1,2)
///             [   0.1900   1.2000 ]
///   got       (2)
///             [   4.8762   8.3928 ]
///   expected  (2)
///             [   2.3980  -4.9673 ]
/// ```
///
/// Name the bug by its code in the book's catalogue of mistakes, then mend the
/// function.
// ANSWER
pub const BUG: Option<&str> = Some("STATE_INDEX_SHIFTED");
//~ pub const BUG: Option<&str> = None; // TODO Some("...")
// END

/// `(dw, dx, dh0)` from `dh` (T,B,H), a cotangent for every state; `h` (T,B,H)
/// holds the states `h_1` to `h_T`.
pub fn mended(
    w: ArrayView1<f64>,
    h0: ArrayView2<f64>,
    h: ArrayView3<f64>,
    dh: ArrayView3<f64>,
) -> (Array1<f64>, Array3<f64>, Array2<f64>) {
    let mut dw = Array1::zeros(w.dim());
    let mut dx = Array3::zeros(dh.dim());
    let mut carry = Array2::zeros(h0.dim());
    for t in (0..dh.dim().0).rev() {
        let total = &dh.index_axis(Axis(0), t) + &carry;
        // ANSWER
        let state = match t {
            0 => h0,
            _ => h.index_axis(Axis(0), t - 1),
        };
        //~ let state = h.index_axis(Axis(0), t);
        // END
        dw += &(&total * &state).sum_axis(Axis(0));
        carry = &total * &w;
        dx.index_axis_mut(Axis(0), t).assign(&total);
    }
    (dw, dx, carry)
}
