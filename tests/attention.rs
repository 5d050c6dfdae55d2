//! The fused attentions where no op of `Device` takes them yet: without a
//! mask, with more keys than queries, with values of another width. Forward and
//! VJP of every head against the textbook's one head.

use backprop::device::Heads;
use backprop::engine::random;
use backprop::scale::flash_attention::fused as flash;
use backprop::transformer::attention::{
    self,
    fused::{self, by_head, by_head_mut},
};
use ndarray::{
    Array2, Array3, Array4, ArrayView2, ArrayView4, ArrayViewMut4, Axis, Zip,
    azip, concatenate, s,
};
use serde_json::Value;

const SIZES: [usize; 7] = [1, 15, 16, 17, 127, 128, 129];

#[derive(Clone, Copy, Debug)]
struct Shape {
    batch: usize,
    /// Of queries, and of keys and values.
    heads: [usize; 2],
    /// Queries and keys of a text.
    lengths: [usize; 2],
    /// Of queries and keys, and of values.
    widths: [usize; 2],
    causal: bool,
}

/// Output, and the gradients of queries, keys and values, with columns by
/// head.
type Answer = [Array2<f32>; 4];

/// Queries, keys, values and the cotangent, with columns by head.
fn inputs(shape: Shape) -> Answer {
    let ([h, k], [t, s], [d, e]) = (shape.heads, shape.lengths, shape.widths);
    let mut rng = random::rng((t * 1_000_000 + d * 1000 + e) as u64);
    let b = shape.batch;
    [(t, h * d), (s, k * d), (s, k * e), (t, h * e)].map(|(rows, columns)| {
        random::normal(&mut rng, (b * rows, columns), 0., 1.)
            .mapv(|x: f64| x as f32)
    })
}

/// What `run` writes over arrays of NaN: from queries, keys, values, cotangent
/// to output and gradients.
fn answer(
    shape: Shape,
    x: &Answer,
    run: impl Fn([ArrayView4<f32>; 4], [ArrayViewMut4<f32>; 4]),
) -> Answer {
    let ([h, k], [q, ..]) = (shape.heads, x);
    let heads = [h, k, k, h];
    let nan = |x: &Array2<f32>| Array2::from_elem(x.raw_dim(), f32::NAN);
    let mut out = [nan(&x[3]), nan(q), nan(&x[1]), nan(&x[2])];
    let from = |i: usize| by_head(x[i].view(), shape.batch, heads[i]);
    let [y, dq, dk, dv] = out.each_mut().map(|out| out.view_mut());
    let to = [(y, h), (dq, h), (dk, k), (dv, k)];
    let to = to.map(|(to, heads)| by_head_mut(to, shape.batch, heads));
    run([0, 1, 2, 3].map(from), to);
    out
}

fn textbook(shape: Shape, x: &Answer) -> Answer {
    let shared = shape.heads[0] / shape.heads[1];
    answer(
        shape,
        x,
        |[q, k, v, dy], [mut y, mut dq, mut dk, mut dv]| {
            dk.fill(0.);
            dv.fill(0.);
            for b in 0..shape.batch {
                for h in 0..shape.heads[0] {
                    let at = s![b, h, .., ..];
                    let key = s![b, h / shared, .., ..];
                    let wide = |x: ArrayView2<f32>| x.mapv(f64::from);
                    let [q, dy] = [q, dy].map(|x| wide(x.slice(at)));
                    let [k, v] = [k, v].map(|x| wide(x.slice(key)));
                    let (q, k, v, dy) =
                        (q.view(), k.view(), v.view(), dy.view());
                    let (yh, p) = attention::forward(q, k, v, shape.causal);
                    let (dqh, dkh, dvh) = attention::vjp(q, k, v, p.view(), dy);
                    azip!((y in y.slice_mut(at), a in &yh) *y = *a as f32);
                    azip!((d in dq.slice_mut(at), a in &dqh) *d = *a as f32);
                    azip!((d in dk.slice_mut(key), a in &dkh) *d += *a as f32);
                    azip!((d in dv.slice_mut(key), a in &dvh) *d += *a as f32);
                }
            }
        },
    )
}

fn check(shape: Shape) {
    let (b, h, [t, s]) = (shape.batch, shape.heads[0], shape.lengths);
    let x = inputs(shape);
    let want = textbook(shape, &x);
    let kept = answer(shape, &x, |[q, k, v, dy], [y, dq, dk, dv]| {
        let mut p = Array4::from_elem((b, h, t, s), f32::NAN);
        fused::forward(q, k, v, shape.causal, y, p.view_mut());
        let d = [dq, dk, dv];
        fused::vjp([q, k, v], p.view(), dy, shape.causal, d);
    });
    near(shape, &kept, &want, 1e-5);
    let tiled = answer(shape, &x, |[q, k, v, dy], [mut y, dq, dk, dv]| {
        let mut lse = Array3::from_elem((b, h, t), f32::NAN);
        let to = lse.view_mut();
        flash::forward(q, k, v, shape.causal, y.view_mut(), to);
        let (qkv, d) = ([q, k, v], [dq, dk, dv]);
        flash::vjp(qkv, y.view(), lse.view(), dy, shape.causal, d);
    });
    // With one key dq is 0, but here the difference of two sums.
    near(shape, &tiled, &want, if s == 1 { 1e-3 } else { 1e-5 });
}

/// Relative L2, but where the numbers happen to cancel.
#[track_caller]
fn near(shape: Shape, got: &Answer, want: &Answer, tolerance: f64) {
    let names = ["y", "dq", "dk", "dv"];
    for ((got, want), name) in got.iter().zip(want).zip(names) {
        let (mut off, mut size) = (0., 0.);
        Zip::from(got).and(want).for_each(|got, want| {
            let (got, want) = (f64::from(*got), f64::from(*want));
            off += (got - want).powi(2);
            size += want * want;
        });
        let least = 0.01 * (want.len() as f64).sqrt();
        let error = f64::sqrt(off) / f64::sqrt(size).max(least);
        assert!(error <= tolerance, "{name} is {error:.1e} off: {shape:?}");
    }
}

fn one_head(keys_more: usize, causal: bool) {
    for t in SIZES {
        for d in SIZES {
            for e in SIZES {
                check(Shape {
                    batch: 1,
                    heads: [1, 1],
                    lengths: [t, t + keys_more],
                    widths: [d, e],
                    causal,
                });
            }
        }
    }
}

#[test]
fn causal_with_values_of_another_width() {
    one_head(0, true);
}

#[test]
fn every_query_sees_every_key() {
    one_head(3, false);
}

#[test]
fn across_texts_with_shared_keys() {
    for t in SIZES {
        for d in SIZES {
            check(Shape {
                batch: 2,
                heads: [10, 5],
                lengths: [t, t + 2],
                widths: [d, d],
                causal: false,
            });
        }
    }
}

/// Longer than a tile, in fewer heads than keep the cores busy.
#[test]
fn long_texts_without_a_mask() {
    check(Shape {
        batch: 1,
        heads: [4, 2],
        lengths: [300, 513],
        widths: [20, 33],
        causal: false,
    });
}

// ---- against PyTorch, in f64: tests/reference/attention_shapes.py ----------

/// Sizes of a case, and its arrays by name: `q` and `y` by query head, `k` and
/// `v` by key head.
struct Drawn(Value);

impl Drawn {
    fn size(&self, name: &str) -> usize {
        self.0[name].as_u64().expect("a size") as usize
    }

    fn causal(&self) -> bool {
        self.0["causal"].as_bool().expect("true or false")
    }

    fn heads(&self) -> Heads {
        Heads {
            batch: self.size("batch"),
            queries: self.size("heads"),
            keys: self.size("keys"),
        }
    }

    /// (heads of all texts, rows, columns)
    fn shape(&self, name: &str) -> (usize, usize, usize) {
        let of = |name| self.size(name);
        let (heads, rows, columns) = match name.trim_start_matches('d') {
            "q" => ("heads", "queries", "d"),
            "k" => ("keys", "length", "d"),
            "v" => ("keys", "length", "e"),
            _ => ("heads", "queries", "e"),
        };
        (of("batch") * of(heads), of(rows), of(columns))
    }

    fn array(&self, name: &str) -> Array3<f64> {
        let numbers = self.0[name].as_array().expect("numbers");
        let numbers = numbers.iter().map(|v| v.as_f64().expect("a number"));
        Array3::from_shape_vec(self.shape(name), numbers.collect())
            .expect("as many numbers")
    }

    /// Output and gradients, head by head.
    fn by_one_head(&self) -> [Array3<f64>; 4] {
        let [q, k, v, dy] = ["q", "k", "v", "dy"].map(|n| self.array(n));
        let mut out =
            ["y", "q", "k", "v"].map(|n| Array3::zeros(self.shape(n)));
        let group = self.size("heads") / self.size("keys");
        for n in 0..q.len_of(Axis(0)) {
            let [q, dy] = [&q, &dy].map(|x| x.index_axis(Axis(0), n));
            let [k, v] = [&k, &v].map(|x| x.index_axis(Axis(0), n / group));
            let (y, p) = attention::forward(q, k, v, self.causal());
            let (dq, dk, dv) = attention::vjp(q, k, v, p.view(), dy);
            for (out, (n, part)) in out.iter_mut().zip([
                (n, y),
                (n, dq),
                (n / group, dk),
                (n / group, dv),
            ]) {
                let mut out = out.index_axis_mut(Axis(0), n);
                out += &part;
            }
        }
        out
    }

    /// The same from the function for all heads, where it has such shapes.
    fn by_all_heads(&self) -> Option<[Array3<f64>; 4]> {
        let heads = self.heads();
        let square = self.size("queries") == self.size("length");
        if self.size("d") != self.size("e") || self.causal() && !square {
            return None;
        }
        let side = |name: &str| self.side_by_side(self.array(name), name);
        let [q, k, v, dy] = ["q", "k", "v", "dy"].map(side);
        let kv = concatenate![Axis(1), k, v];
        let (y, dq, dkv) = if self.causal() {
            let qkv = concatenate![Axis(1), q, kv];
            let (y, p) = attention::multi_head(qkv.view(), heads, true);
            let (qkv, dy) = (qkv.view(), dy.view());
            let d = attention::multi_head_vjp(qkv, p.view(), dy, heads);
            let (dq, dkv) = d.view().split_at(Axis(1), q.ncols());
            (y, dq.to_owned(), dkv.to_owned())
        } else {
            let (q, kv, dy) = (q.view(), kv.view(), dy.view());
            let (y, p) = attention::cross(q, kv, heads);
            let (dq, dkv) = attention::cross_vjp(q, kv, p.view(), dy, heads);
            (y, dq, dkv)
        };
        let (dk, dv) = dkv.view().split_at(Axis(1), k.ncols());
        let (dk, dv) = (dk.to_owned(), dv.to_owned());
        let all = [("y", y), ("q", dq), ("k", dk), ("v", dv)];
        Some(all.map(|(name, x)| self.apart(x, name)))
    }

    /// (B·T, H·d) from (B·H,T,d).
    fn side_by_side(&self, x: Array3<f64>, name: &str) -> Array2<f64> {
        let (b, (n, rows, columns)) = (self.size("batch"), self.shape(name));
        let heads = n / b;
        Array2::from_shape_fn((b * rows, heads * columns), |(i, j)| {
            x[[i / rows * heads + j / columns, i % rows, j % columns]]
        })
    }

    /// Back again.
    fn apart(&self, x: Array2<f64>, name: &str) -> Array3<f64> {
        let (b, shape) = (self.size("batch"), self.shape(name));
        let (heads, rows, columns) = (shape.0 / b, shape.1, shape.2);
        Array3::from_shape_fn(shape, |(n, i, j)| {
            x[[n / heads * rows + i, n % heads * columns + j]]
        })
    }
}

#[test]
#[ignore = "run by tests/reference/attention_shapes.py"]
fn random_shapes() {
    let path = std::env::var("ATTENTION_CASES").expect("a file");
    let text = std::fs::read_to_string(path).expect("a file of cases");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("cases");
    let names = ["y", "dq", "dk", "dv"];
    let mut worst = names.map(|_| (0., String::new()));
    let (mut grouped, mut whole) = (0, 0);
    for case in cases.into_iter().map(Drawn) {
        let of_heads = case.by_all_heads();
        grouped += usize::from(case.size("heads") > case.size("keys"));
        whole += usize::from(of_heads.is_some());
        for got in [Some(case.by_one_head()), of_heads].iter().flatten() {
            for ((got, name), worst) in got.iter().zip(names).zip(&mut worst) {
                let want = case.array(name);
                let norm = |x: Array3<f64>| x.mapv(|v| v * v).sum().sqrt();
                // With one key dq is 0, but for rounding.
                let least = 0.01 * (want.len() as f64).sqrt();
                let size = norm(want.clone()).max(least);
                let error = norm(got - &want) / size;
                if error.is_nan() || error > worst.0 {
                    *worst = (error, case.about());
                }
            }
        }
    }
    println!("{grouped} with groups, {whole} through all heads at once");
    for (name, (error, about)) in names.iter().zip(&worst) {
        println!("{name:<3} {error:.1e}   {about}");
        assert!(*error < 1e-12, "{name} is {error:.1e} off: {about}");
    }
}

impl Drawn {
    fn about(&self) -> String {
        let sizes = "batch heads keys queries length d e".split(' ');
        let sizes = sizes.map(|n| format!("{n} {}", self.size(n)));
        let sizes: Vec<_> = sizes.collect();
        format!("{}, causal {}", sizes.join(", "), self.causal())
    }
}
