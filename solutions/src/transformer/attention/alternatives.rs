//! Right answers, written differently.

use backprop::network::linear;
use backprop::transformer::attention;
use ndarray::{
    Array1, Array2, Array3, ArrayView2, Axis, concatenate, linalg, s,
};

type M<'a> = ArrayView2<'a, f64>;
type Pair = (Array2<f64>, Array2<f64>);
type Three = (Array2<f64>, Array2<f64>, Array2<f64>);

/// Query by query, with the shift by the row's largest score.
pub fn forward_loops(q: M, k: M, v: M) -> Pair {
    let mut p = Array2::zeros((q.nrows(), k.nrows()));
    let mut y = Array2::zeros((q.nrows(), v.ncols()));
    let scale = 1. / (k.ncols() as f64).sqrt();
    for i in 0..q.nrows() {
        let s: Vec<_> = k
            .rows()
            .into_iter()
            .map(|k| q.row(i).dot(&k) * scale)
            .collect();
        let top = s.iter().copied().fold(f64::MIN, f64::max);
        let total: f64 = s.iter().map(|s| (s - top).exp()).sum();
        for (j, s) in s.iter().enumerate() {
            p[[i, j]] = (s - top).exp() / total;
            y.row_mut(i).scaled_add(p[[i, j]], &v.row(j));
        }
    }
    (y, p)
}

/// The scale on the queries, transposed throughout.
pub fn forward_transposed(q: M, k: M, v: M) -> Pair {
    let q = q.mapv(|v| v / (q.ncols() as f64).sqrt());
    let st = k.dot(&q.t());
    let lse = st.map_axis(Axis(0), |s| {
        let top = s.fold(f64::MIN, |m, s| m.max(*s));
        top + s.mapv(|s| (s - top).exp()).sum().ln()
    });
    let pt = (st - &lse).mapv(f64::exp);
    (v.t().dot(&pt).reversed_axes(), pt.reversed_axes())
}

/// Pair by pair, the scalar of a row from the output: ⟨p, dp⟩ = ⟨y, dy⟩.
pub fn vjp_loops(q: M, k: M, v: M, p: M, dy: M) -> Three {
    let (mut dq, mut dk) = (Array2::zeros(q.dim()), Array2::zeros(k.dim()));
    let mut dv = Array2::zeros(v.dim());
    let y = p.dot(&v);
    for i in 0..q.nrows() {
        let all = y.row(i).dot(&dy.row(i));
        for j in 0..k.nrows() {
            let dp = dy.row(i).dot(&v.row(j));
            let ds = p[[i, j]] * (dp - all) / (q.ncols() as f64).sqrt();
            dq.row_mut(i).scaled_add(ds, &k.row(j));
            dk.row_mut(j).scaled_add(ds, &q.row(i));
            dv.row_mut(j).scaled_add(p[[i, j]], &dy.row(i));
        }
    }
    (dq, dk, dv)
}

/// With each row's whole Jacobian, and the mask once more, which does nothing.
pub fn vjp_by_jacobian(q: M, k: M, v: M, p: M, dy: M) -> Three {
    let dp = dy.dot(&v.t());
    let mut ds = Array2::zeros(p.dim());
    for i in 0..p.nrows() {
        let row = p.row(i).insert_axis(Axis(1));
        let j = Array2::from_diag(&p.row(i)) - row.dot(&row.t());
        ds.row_mut(i).assign(&j.dot(&dp.row(i)));
    }
    ds.zip_mut_with(&p, |d, p| {
        if *p == 0. {
            *d = 0.;
        }
    });
    let r = 1. / (k.ncols() as f64).sqrt();
    let (mut dq, mut dk) = (Array2::zeros(q.dim()), Array2::zeros(k.dim()));
    linalg::general_mat_mul(r, &ds, &k, 0., &mut dq);
    linalg::general_mat_mul(r, &ds.t(), &q, 0., &mut dk);
    (dq, dk, dy.t().dot(&p).reversed_axes())
}

/// Without a mask over what each query may see.
pub fn causal_by_query(q: M, k: M, v: M) -> Pair {
    let mut p = Array2::zeros((q.nrows(), k.nrows()));
    let mut y = Array2::zeros((q.nrows(), v.ncols()));
    for back in 0..q.nrows().min(k.nrows()) {
        let (i, seen) = (q.nrows() - 1 - back, k.nrows() - back);
        let (of, to) = (s![i..=i, ..], s![..seen, ..]);
        let (yi, pi) =
            attention::forward(q.slice(of), k.slice(to), v.slice(to), false);
        y.slice_mut(of).assign(&yi);
        p.slice_mut(s![i..=i, ..seen]).assign(&pi);
    }
    (y, p)
}

/// Mask after the softmax, and then normalised again: the same function.
pub fn causal_normalised_again(q: M, k: M, v: M) -> Pair {
    let s = q.dot(&k.t()) / (q.ncols() as f64).sqrt();
    let shown = |i: usize, j: usize| i + k.nrows() >= q.nrows() + j;
    let mut p = Array2::zeros(s.dim());
    for i in 0..q.nrows() {
        // The largest that is seen, or else a row might round to nothing.
        let seen = (0..k.nrows()).filter(|j| shown(i, *j));
        let top = seen.map(|j| s[[i, j]]).fold(f64::MIN, f64::max);
        for j in 0..k.nrows() {
            p[[i, j]] = f64::from(u8::from(shown(i, j)))
                * (s[[i, j]].min(top) - top).exp();
        }
        let total: f64 = p.row(i).sum();
        if total > 0. {
            p.row_mut(i).mapv_inplace(|v| v / total);
        }
    }
    (p.dot(&v), p)
}

/// Heads as an axis: (H,T,d), and back by a transpose.
pub fn grouped_by_axes(q: M, kv: M, heads: usize, keys: usize) -> Array2<f64> {
    let (t, n) = (q.nrows(), kv.nrows());
    let (d, both) = (q.ncols() / heads, kv.ncols() / keys);
    let axes = |a: M, (rows, n, width)| {
        let a = a.as_standard_layout().into_owned();
        let a = a.into_shape_with_order((rows, n, width));
        let a: Array3<f64> = a.expect("as many numbers");
        a.permuted_axes([1, 0, 2])
    };
    let (q, kv) = (axes(q, (t, heads, d)), axes(kv, (n, keys, both)));
    let mut y = Array3::zeros((heads, t, both - d));
    for (h, mut y) in y.outer_iter_mut().enumerate() {
        let kv = kv.index_axis(Axis(0), h / (heads / keys));
        let (k, v) = kv.split_at(Axis(1), d);
        y.assign(&forward_loops(q.index_axis(Axis(0), h), k, v).0);
    }
    let y = y.permuted_axes([1, 0, 2]);
    let y = y.as_standard_layout().into_owned();
    let y = y.into_shape_with_order((t, heads * (both - d)));
    y.expect("as many numbers")
}

/// Group by group: the queries of a group are more rows of one head.
pub fn grouped_vjp_by_rows(
    q: M,
    kv: M,
    heads: usize,
    keys: usize,
    dy: M,
) -> Pair {
    let (d, both, group) = (q.ncols() / heads, kv.ncols() / keys, heads / keys);
    let (e, t) = (both - d, q.nrows());
    let mut dq = Array2::zeros(q.dim());
    let mut dkv = Array2::zeros(kv.dim());
    for g in 0..keys {
        let of = g * group..(g + 1) * group;
        let stacked = |a: M, width: usize| {
            let parts: Vec<_> = of
                .clone()
                .map(|h| a.slice_move(s![.., h * width..(h + 1) * width]))
                .collect();
            concatenate(Axis(0), &parts).expect("one width")
        };
        let (q, dy) = (stacked(q, d), stacked(dy, e));
        let kv = kv.slice(s![.., g * both..(g + 1) * both]);
        let (k, v) = kv.split_at(Axis(1), d);
        let (_, p) = forward_transposed(q.view(), k, v);
        let (dq_group, dk, dv) = vjp_loops(q.view(), k, v, p.view(), dy.view());
        for (n, h) in of.enumerate() {
            let rows = dq_group.slice(s![n * t..(n + 1) * t, ..]);
            dq.slice_mut(s![.., h * d..(h + 1) * d]).assign(&rows);
        }
        let to = s![.., g * both..(g + 1) * both];
        dkv.slice_mut(to).assign(&concatenate![Axis(1), dk, dv]);
    }
    (dq, dkv)
}

/// Every projection as a linear layer with a bias of zeros.
pub fn cross_by_layers(
    x: M,
    m: M,
    [wq, wk, wv, wo]: [M; 4],
    dy: M,
) -> (Array2<f64>, Array2<f64>, [Array2<f64>; 4]) {
    let layer =
        |x: M, w: M| linear::forward(x, w, Array1::zeros(w.ncols()).view());
    let (q, k, v) = (layer(x, wq), layer(m, wk), layer(m, wv));
    let (o, p) = forward_loops(q.view(), k.view(), v.view());
    let (d_o, dwo, _) = linear::vjp(o.view(), wo, dy);
    let (dq, dk, dv) =
        vjp_by_jacobian(q.view(), k.view(), v.view(), p.view(), d_o.view());
    let (dx, dwq, _) = linear::vjp(x, wq, dq.view());
    let (mut dm, dwk, _) = linear::vjp(m, wk, dk.view());
    let (along_values, dwv, _) = linear::vjp(m, wv, dv.view());
    dm += &along_values;
    (dx, dm, [dwq, dwk, dwv, dwo])
}

/// Keys and values as one projection of both weights side by side.
pub fn cross_packed(
    x: M,
    m: M,
    [wq, wk, wv, wo]: [M; 4],
    dy: M,
) -> (Array2<f64>, Array2<f64>, [Array2<f64>; 4]) {
    let w = concatenate![Axis(1), wk, wv];
    let (q, kv) = (x.dot(&wq), m.dot(&w));
    let (k, v) = kv.view().split_at(Axis(1), wk.ncols());
    let (o, p) = attention::forward(q.view(), k, v, false);
    let (dq, dk, dv) =
        attention::vjp(q.view(), k, v, p.view(), dy.dot(&wo.t()).view());
    let dkv = concatenate![Axis(1), dk, dv];
    let dw = m.t().dot(&dkv);
    let (dwk, dwv) = dw.view().split_at(Axis(1), wk.ncols());
    let all = [
        x.t().dot(&dq),
        dwk.to_owned(),
        dwv.to_owned(),
        o.t().dot(&dy),
    ];
    (dq.dot(&wq.t()), dkv.dot(&w.t()), all)
}

/// As many small attentions as there are heads.
pub fn heads_by_calls(q: M, k: M, v: M, heads: usize) -> Array2<f64> {
    let (d, e) = (q.ncols() / heads, v.ncols() / heads);
    let each = (0..heads).map(|h| {
        let of = s![.., h * d..(h + 1) * d];
        let v = v.slice(s![.., h * e..(h + 1) * e]);
        attention::forward(q.slice(of), k.slice(of), v, false).0
    });
    let each: Vec<_> = each.collect();
    let each: Vec<_> = each.iter().map(|y| y.view()).collect();
    concatenate(Axis(1), &each).expect("one length")
}
