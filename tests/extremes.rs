//! Values that a trained network produces and a test by hand forgets: logits
//! of ten thousand, denormals, signed zeros, an empty batch, a single class.
//! What must hold is said without a second implementation wherever the
//! mathematics allows it.

use backprop::depth::{normalization, residual};
use backprop::device::Heads;
use backprop::engine::philox::Stream;
use backprop::network::softmax_cross_entropy::{self as sce, binary};
use backprop::network::{activation, linear};
use backprop::scale::flash_attention;
use backprop::transformer::attention::{
    self,
    fused::{by_head, by_head_mut},
};
use backprop::transformer::embedding;
use ndarray::{
    Array1, Array2, Array3, Array4, ArrayView2, ArrayViewMut2, Axis, s,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// Mostly ordinary numbers, with the extreme ones among them.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -5.0..5.0,
        2 => -1e4..1e4,
        1 => prop::sample::select(vec![
            1e4, -1e4, 0.0, -0.0, f64::MIN_POSITIVE, -f64::MIN_POSITIVE, 5e-324,
            1e-40,
        ]),
    ]
}

/// `rows` rows (none, sometimes) of one to eight numbers.
fn matrix(rows: std::ops::Range<usize>) -> impl Strategy<Value = Array2<f64>> {
    (rows, 1usize..9).prop_flat_map(|(b, v)| {
        vec(number(), b * v)
            .prop_map(move |x| Array2::from_shape_vec((b, v), x).unwrap())
    })
}

/// Logits with a cotangent of the same shape and a label for every row.
fn batch(
    rows: std::ops::Range<usize>,
) -> impl Strategy<Value = (Array2<f64>, Array2<f64>, Vec<usize>)> {
    matrix(rows).prop_flat_map(|x| {
        let (b, v) = x.dim();
        let dy = vec(-3.0..3.0, b * v)
            .prop_map(move |d| Array2::from_shape_vec((b, v), d).unwrap());
        (Just(x), dy, vec(0..v, b))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn softmax_stays_a_distribution((x, dy, _) in batch(0..6)) {
        let y = sce::forward(x.view());
        let dx = sce::vjp(y.view(), dy.view());
        prop_assert!(y.iter().all(|p| (0.0..=1.0).contains(p)));
        for (y, dx) in y.rows().into_iter().zip(dx.rows()) {
            prop_assert!((y.sum() - 1.0).abs() < 1e-12);
            prop_assert!(dx.sum().abs() < 1e-12);
        }
        // The same when every logit of a row is moved by a thousand.
        let moved = sce::forward((&x + 1024.0).view());
        prop_assert!((&moved - &y).iter().all(|d| d.abs() < 1e-11));
    }

    #[test]
    fn a_table_sums_what_its_rows_were_used_for(
        (w, _, _) in batch(1..6),
        ids in vec(0usize..1000, 0..20),
    ) {
        let (v, d) = w.dim();
        let ids: Vec<usize> = ids.iter().map(|i| i % v).collect();
        let y = embedding::forward(w.view(), &ids);
        let dw = embedding::vjp(v, &ids, y.view());
        for (row, (w, dw)) in w.rows().into_iter().zip(dw.rows()).enumerate() {
            let uses = ids.iter().filter(|i| **i == row).count() as f64;
            let exact = |(w, dw): (&f64, &f64)| (uses * w - dw).abs() <= 1e-9;
            prop_assert!(w.iter().zip(dw).all(exact));
        }
        // Fused: a copy, and rows that are not named keep their bits.
        let single = w.mapv(|x| x as f32);
        let ids32: Vec<u32> = ids.iter().map(|i| *i as u32).collect();
        let mut y = Array2::from_elem((ids.len(), d), f32::NAN);
        embedding::fused::forward(single.view(), &ids32, y.view_mut());
        for (y, id) in y.rows().into_iter().zip(&ids) {
            prop_assert_eq!(y, single.row(*id));
        }
        let mut dw = Array2::from_elem((v, d), -0.0f32);
        embedding::fused::vjp(&ids32, y.view(), dw.view_mut());
        for (row, dw) in dw.rows().into_iter().enumerate() {
            let named = ids.contains(&row);
            prop_assert!(named || dw.iter().all(|d| d.to_bits() == 1 << 31));
        }
    }

    #[test]
    fn a_rotation_keeps_lengths((x, dy, _) in batch(0..6), base in 2.0..1e6) {
        // Eight times as many columns: heads q q k v of an even width.
        let wide = |x: &Array2<f64>| {
            let (b, v) = x.dim();
            Array2::from_shape_fn((b, 8 * v), |(i, j)| x[[i, j % v]])
        };
        let (x, dy) = (wide(&x), wide(&dy));
        let heads = Heads { batch: 1, queries: 2, keys: 1 };
        let y = embedding::rope(x.view(), heads, base);
        let dx = embedding::rope_vjp(dy.view(), heads, base);
        let size = |a: &Array2<f64>| (a * a).sum().sqrt();
        prop_assert!((size(&y) - size(&x)).abs() <= 1e-12 * size(&x));
        let (yu, vx) = ((&y * &dy).sum(), (&x * &dx).sum());
        prop_assert!((yu - vx).abs() <= 1e-12 * (1.0 + size(&x) * size(&dy)));
        let mut fused = x.mapv(|x| x as f32);
        let want = embedding::rope(fused.mapv(f64::from).view(), heads, base);
        embedding::fused::rope(fused.view_mut(), heads, base);
        let off = size(&(fused.mapv(f64::from) - &want));
        prop_assert!(off <= 1e-6 * size(&want), "{off}");
    }

    #[test]
    fn log_sum_exp_lies_just_above_the_maximum((x, dy, _) in batch(0..6)) {
        let lse = sce::log_sum_exp(x.view());
        let width = (x.ncols() as f64).ln();
        for (row, lse) in x.rows().into_iter().zip(&lse) {
            let max = row.fold(f64::NEG_INFINITY, |m, v| m.max(*v));
            prop_assert!(*lse >= max && *lse <= max + width + 1e-11);
        }
        let dlse = dy.column(0);
        let dx = sce::log_sum_exp_vjp(x.view(), dlse);
        let sums = dx.sum_axis(Axis(1));
        prop_assert!((&sums - &dlse).iter().all(|d| d.abs() < 1e-10));

        let y = sce::log_softmax(x.view());
        prop_assert!(y.iter().all(|l| l.is_finite() && *l <= 1e-11));
        let dx = sce::log_softmax_vjp(y.view(), dy.view());
        prop_assert!(dx.rows().into_iter().all(|r| r.sum().abs() < 1e-10));
    }

    #[test]
    fn cross_entropy_is_finite_and_its_gradient_bounded(
        (x, _, labels) in batch(1..6),
        smoothing in prop::sample::select(vec![0.0, 0.1, 0.9]),
    ) {
        let (b, v) = x.dim();
        let t = sce::targets(&labels, v, smoothing);
        let (loss, p) = sce::cross_entropy(x.view(), t.view());
        prop_assert!(loss.is_finite() && loss >= -1e-11, "{loss}");
        let dx = sce::cross_entropy_vjp(p.view(), t.view(), 1.0);
        prop_assert!(dx.iter().all(|d| d.abs() <= 1.0 / b as f64 + 1e-11));
        prop_assert!(dx.rows().into_iter().all(|r| r.sum().abs() < 1e-10));

        // The fused version, from the numbers that an f32 holds.
        let mut fused = x.mapv(|v| v as f32);
        let x = fused.mapv(f64::from);
        let (loss, p) = sce::cross_entropy(x.view(), t.view());
        let labels: Vec<u32> = labels.iter().map(|l| *l as u32).collect();
        let mut losses = vec![f32::NAN; b];
        let smoothing = smoothing as f32;
        let got =
            sce::fused::cross_entropy(fused.view_mut(), &labels, smoothing, &mut losses);
        prop_assert!((got - loss).abs() <= 1e-5 + 1e-6 * loss, "{got} {loss}");
        let off = |a: &Array2<f32>, b: &Array2<f64>| {
            (a.mapv(f64::from) - b).fold(0.0, |m: f64, d| m.max(d.abs()))
        };
        prop_assert!(off(&fused, &p) < 1e-6);
        sce::fused::cross_entropy_vjp(fused.view_mut(), &labels, smoothing, 1.0);
        let dx = sce::cross_entropy_vjp(p.view(), t.view(), 1.0);
        prop_assert!(off(&fused, &dx) < 1e-6);
    }

    #[test]
    fn two_classes_and_one_logit(x in vec(number(), 1..9)) {
        let x = Array1::from(x);
        let t: Array1<f64> = (0..x.len()).map(|b| (b % 3) as f64 / 2.0).collect();
        let (loss, p) = binary::cross_entropy(x.view(), t.view());
        prop_assert!(loss.is_finite() && loss >= 0.0);
        prop_assert!(p.iter().all(|p| (0.0..=1.0).contains(p)));
        let dx = binary::cross_entropy_vjp(p.view(), t.view(), 1.0);
        prop_assert!(dx.iter().all(|d| d.abs() <= 1.0 / x.len() as f64));
        // Exchanging the classes turns the sign round and keeps the loss.
        let (other, q) =
            binary::cross_entropy((-&x).view(), (1.0 - &t).view());
        prop_assert!((other - loss).abs() <= 1e-12 * loss.max(1.0));
        let dq = binary::cross_entropy_vjp(q.view(), (1.0 - &t).view(), 1.0);
        prop_assert!((dq + dx).iter().all(|d| d.abs() < 1e-12));
    }

    #[test]
    fn activations_stay_in_range((x, dy, _) in batch(0..6)) {
        let y = activation::relu(x.view());
        prop_assert!(y.iter().zip(&x).all(|(y, x)| *y >= 0.0 && *y >= *x));
        prop_assert_eq!(activation::relu(y.view()), y.clone());
        let dx = activation::relu_vjp(y.view(), dy.view());
        let passes = |((x, d), dy): ((&f64, &f64), &f64)| {
            *d == if *x > 0.0 { *dy } else { 0.0 }
        };
        prop_assert!(x.iter().zip(&dx).zip(&dy).all(passes));

        let y = activation::tanh(x.view());
        prop_assert!(y.iter().all(|y| y.abs() <= 1.0));
        let dx = activation::tanh_vjp(y.view(), dy.view());
        prop_assert!(dx.iter().zip(&dy).all(|(d, dy)| d.abs() <= dy.abs()));
    }

    #[test]
    fn a_batch_in_two_parts_gives_the_sum(
        (x, seed, _) in batch(0..6),
        outputs in 1usize..5,
        cut in 0.0..=1.0,
    ) {
        // Also with an empty part, or an empty batch: dw and db are sums.
        let (b, i) = x.dim();
        let x = x / 1e4;
        let value = |k: usize| ((k * 37 % 19) as f64 - 9.0) / 7.0;
        let w = Array2::from_shape_fn((i, outputs), |(r, c)| value(5 * r + c));
        let dy = Array2::from_shape_fn((b, outputs), |(r, c)| {
            seed[[r, c % i]] + value(r + 11 * c)
        });
        let (dx, dw, db) = linear::vjp(x.view(), w.view(), dy.view());
        let at = (cut * b as f64) as usize;
        let mut sum = (Array2::zeros(w.dim()), Array1::zeros(outputs));
        for part in [0..at, at..b] {
            let rows = s![part, ..];
            let (px, pw, pb) =
                linear::vjp(x.slice(&rows), w.view(), dy.slice(&rows));
            prop_assert!((&dx.slice(&rows) - &px).iter().all(|d| d.abs() < 1e-12));
            sum.0 += &pw;
            sum.1 += &pb;
        }
        prop_assert!((&sum.0 - &dw).iter().all(|d| d.abs() < 1e-12));
        prop_assert!((&sum.1 - &db).iter().all(|d| d.abs() < 1e-12));
        if b == 0 {
            prop_assert!(dw.iter().chain(&db).all(|d| *d == 0.0));
        }
    }
}

#[test]
fn one_class_is_certain() {
    let x = Array2::from_shape_vec((3, 1), vec![1e4, 5e-324, -1e4]).unwrap();
    assert!(sce::forward(x.view()).iter().all(|p| *p == 1.0));
    assert_eq!(sce::log_softmax(x.view()), Array2::<f64>::zeros((3, 1)));
    let dy = Array2::ones((3, 1));
    let dx = sce::vjp(sce::forward(x.view()).view(), dy.view());
    assert_eq!(dx, Array2::<f64>::zeros((3, 1)));
    let mut p = x.mapv(|v| v as f32);
    let loss =
        sce::fused::cross_entropy(p.view_mut(), &[0; 3], 0.0, &mut [0.0; 3]);
    assert_eq!((loss, p.sum()), (0.0, 3.0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn gelu_and_silu_stay_between_zero_and_x((x, dy, _) in batch(0..6)) {
        use activation::{gelu, silu};
        type F = fn(ArrayView2<f64>) -> Array2<f64>;
        type G = fn(
            ArrayView2<f64>,
            ArrayView2<f64>,
        ) -> Array2<f64>;
        type F32 = fn(&[f32], &mut [f32]);
        let ops: [(F, G, F32, F32); 3] = [
            (gelu::exact, gelu::exact_vjp,
             gelu::fused::exact, gelu::fused::exact_vjp),
            (gelu::tanh, gelu::tanh_vjp,
             gelu::fused::tanh, gelu::fused::tanh_vjp),
            (silu::forward, silu::vjp, gate, gate_vjp),
        ];
        // The numbers that an f32 holds.
        let x = x.mapv(|x| f64::from(x as f32));
        let dy = dy.mapv(|d| f64::from(d as f32));
        for (forward, vjp, forward32, vjp32) in ops {
            let (y, dx) = (forward(x.view()), vjp(x.view(), dy.view()));
            for (y, x) in y.iter().zip(&x) {
                prop_assert!(*y <= x.max(0.0) && *y >= x.min(0.0));
                prop_assert!(*y >= -0.279, "{x} gives {y}");
            }
            for (d, dy) in dx.iter().zip(&dy) {
                prop_assert!(d.abs() <= 1.13 * dy.abs());
            }
            let x32: Vec<f32> = x.iter().map(|x| *x as f32).collect();
            let mut y32 = vec![f32::NAN; x32.len()];
            let mut dx32: Vec<f32> = dy.iter().map(|d| *d as f32).collect();
            forward32(&x32, &mut y32);
            vjp32(&x32, &mut dx32);
            for ((got, want), x) in y32.iter().zip(&y).zip(&x) {
                let off = (f64::from(*got) - want).abs();
                prop_assert!(off <= 2e-7 * x.abs() + 1e-38, "{x}: {got}");
            }
            for ((got, want), dy) in dx32.iter().zip(&dx).zip(&dy) {
                let off = (f64::from(*got) - want).abs();
                prop_assert!(off <= 1e-6 * dy.abs() + 1e-38, "{got} {want}");
            }
        }
    }

    #[test]
    fn norms_bring_every_row_to_one_scale((x, dy, _) in batch(0..6)) {
        let (n, d) = x.dim();
        let (one, zero) = (Array1::ones(d), Array1::zeros(d));
        let (y, kept) = normalization::layer_norm(
            x.view(), one.view(), zero.view(), 1e-5,
        );
        let (dx, dgamma, dbeta) = normalization::layer_norm_vjp(
            x.view(), one.view(), kept.view(), dy.view(),
        );
        let (z, r) = normalization::rms_norm(x.view(), one.view(), 1e-5);
        let (dz, _) = normalization::rms_norm_vjp(
            x.view(), one.view(), r.view(), dy.view(),
        );
        for i in 0..n {
            let mean = |a: &Array2<f64>| a.row(i).sum() / d as f64;
            let square = |a: &Array2<f64>| a.row(i).dot(&a.row(i)) / d as f64;
            prop_assert!(mean(&y).abs() < 1e-8);
            prop_assert!(square(&y) < 1.0 + 1e-9 && square(&z) < 1.0 + 1e-9);
            // No gradient along the row of ones; r is the most it is stretched.
            let size = kept[[i, 1]] * square(&dy).sqrt() + 1e-300;
            prop_assert!(mean(&dx).abs() < 1e-12 * size);
            prop_assert!(square(&dx).sqrt() <= size * (1.0 + 1e-9));
            let size = r[[i, 0]] * square(&dy).sqrt() + 1e-300;
            prop_assert!(square(&dz).sqrt() <= size * (1.0 + 1e-9));
        }
        prop_assert!(dgamma.iter().chain(&dbeta).all(|d| d.is_finite()));

        // The fused version, from the numbers that an f32 holds.
        let x32 = x.mapv(|v| v as f32);
        let x = x32.mapv(f64::from);
        let (y, _) = normalization::layer_norm(
            x.view(), one.view(), zero.view(), 1e-5,
        );
        let [one, zero] = [one, zero].map(|a| a.mapv(|v: f64| v as f32));
        let (mut y32, mut kept) = (x32.clone(), Array2::zeros((n, 2)));
        normalization::fused::layer_norm(
            x32.view(), one.view(), zero.view(), 1e-5,
            y32.view_mut(), kept.view_mut(),
        );
        let off = (&y32.mapv(f64::from) - &y).fold(0.0, |m: f64, d| m.max(d.abs()));
        prop_assert!(off < 1e-3, "{off}");
    }

    #[test]
    fn dropout_keeps_or_drops(
        (x, _, _) in batch(0..6),
        rate in 0.0..1.0f64,
        seed in any::<u64>(),
    ) {
        let stream = Stream::new(seed, 1, 2);
        let y = residual::dropout(x.view(), rate, stream);
        let mut fused: Vec<f32> = x.iter().map(|_| 1.0).collect();
        residual::fused::dropout(&mut fused, rate, stream);
        for ((x, y), kept) in x.iter().zip(&y).zip(&fused) {
            let want = if *kept > 0.0 { x / (1.0 - rate) } else { 0.0 };
            prop_assert!((y - want).abs() <= 1e-14 * want.abs());
        }
    }
}

/// A NaN or an infinite number that comes in is seen in what goes out.
#[test]
fn smooth_activations_and_norms_hide_no_nan() {
    use activation::{gelu, silu};
    for bad in [f64::NAN, f64::NEG_INFINITY] {
        let x = Array1::from_elem(3, bad);
        assert!(gelu::exact(x.view()).iter().all(|y| y.is_nan()));
        assert!(gelu::tanh(x.view()).iter().all(|y| y.is_nan()));
        assert!(silu::forward(x.view()).iter().all(|y| y.is_nan()));
        let x = [bad as f32; 20];
        for f in [gelu::fused::exact, gelu::fused::tanh, gate] {
            let mut y = [0.0; 20];
            f(&x, &mut y);
            assert!(y.iter().all(|y| y.is_nan()), "{bad}: {y:?}");
        }
    }
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut x = Array2::<f32>::ones((2, 40));
        x[[0, 37]] = bad;
        let (one, mut y) = (Array1::ones(40), x.clone());
        let mut kept = Array2::zeros((2, 2));
        normalization::fused::layer_norm(
            x.view(),
            one.view(),
            one.view(),
            1e-5,
            y.view_mut(),
            kept.view_mut(),
        );
        assert!(y.row(0)[37].is_nan() && y.row(1).iter().all(|y| *y == 1.0));
        let mut r = Array2::zeros((2, 1));
        let (out, kept) = (y.view_mut(), r.view_mut());
        normalization::fused::rms_norm(x.view(), one.view(), 1e-5, out, kept);
        assert!(y.row(0)[37].is_nan() && y.row(1).iter().all(|y| *y > 0.9));
    }
}

#[test]
fn nothing_in_nothing_out() {
    use activation::{gelu, silu};
    gelu::fused::exact(&[], &mut []);
    residual::fused::add(&[], &mut []);
    residual::fused::dropout(&mut [], 0.5, Stream::new(0, 0, 0));
    let (x, one) = (Array2::<f32>::zeros((0, 3)), Array1::ones(3));
    let (mut y, mut kept) = (x.clone(), Array2::zeros((0, 2)));
    normalization::fused::layer_norm(
        x.view(),
        one.view(),
        one.view(),
        1e-5,
        y.view_mut(),
        kept.view_mut(),
    );
    let (mut dgamma, mut dbeta) = (Array1::zeros(3), Array1::zeros(3));
    normalization::fused::layer_norm_vjp(
        x.view(),
        one.view(),
        kept.view(),
        x.view(),
        y.view_mut(),
        dgamma.view_mut(),
        dbeta.view_mut(),
        &mut [],
    );
    assert_eq!(dgamma.sum() + dbeta.sum(), 0.0);
    let mut none = Array2::<f32>::zeros((0, 2));
    silu::fused::swiglu(Array2::zeros((0, 4)).view(), none.view_mut());
}

/// `silu(x)` over `y`: SwiGLU of `x` beside ones.
fn gate(x: &[f32], y: &mut [f32]) {
    let gated = gated(x);
    let y = ArrayViewMut2::from_shape((1, x.len()), y).unwrap();
    activation::silu::fused::swiglu(gated.view(), y);
}

/// `dy` on entry, `silu'(x)·dy` on return.
fn gate_vjp(x: &[f32], dy: &mut [f32]) {
    let (gated, n) = (gated(x), x.len());
    let mut dx = Array2::from_elem((1, 2 * n), f32::NAN);
    let given = ArrayView2::from_shape((1, n), &*dy).unwrap();
    activation::silu::fused::swiglu_vjp(gated.view(), given, dx.view_mut());
    dy.copy_from_slice(&dx.as_slice().unwrap()[..n]);
}

fn gated(x: &[f32]) -> Array2<f32> {
    let row = [x, &vec![1.; x.len()]].concat();
    Array2::from_shape_vec((1, 2 * x.len()), row).unwrap()
}

/// Scores of ten thousand, positive and negative, denormals, one visible key:
/// both fused versions against the textbook.
#[test]
fn attention_with_extreme_scores() {
    let t = 20;
    let numbers = [1e2, -1e2, 1.0, 1e-40, 0.0, -0.5];
    let q = Array2::from_shape_fn((t, 3), |(i, j)| numbers[(i + 2 * j) % 6]);
    let k = Array2::from_shape_fn((t, 3), |(i, j)| numbers[(5 * i + j) % 6]);
    let v = Array2::from_shape_fn((t, 2), |(i, j)| numbers[2 + (i + j) % 4]);
    let single = |x: &Array2<f64>| x.mapv(|v| v as f32);
    let (q, k, v) = (single(&q), single(&k), single(&v));
    let wide = |x: &Array2<f32>| x.mapv(f64::from);
    for causal in [false, true] {
        let (y, p) = attention::forward(
            wide(&q).view(),
            wide(&k).view(),
            wide(&v).view(),
            causal,
        );
        assert!(p.iter().all(|p| (0.0..=1.0).contains(p)));
        let heads = [&q, &k, &v].map(|x| by_head(x.view(), 1, 1));
        let mut got = Array2::from_elem((t, 2), f32::NAN);
        let mut kept = Array4::from_elem((1, 1, t, t), f32::NAN);
        let to = by_head_mut(got.view_mut(), 1, 1);
        let [q, k, v] = heads;
        attention::fused::forward(q, k, v, causal, to, kept.view_mut());
        let off = |a: &Array2<f32>| {
            (wide(a) - &y).fold(0.0, |m: f64, d| m.max(d.abs()))
        };
        assert!(off(&got) < 1e-5, "{}", off(&got));
        let mut lse = Array3::from_elem((1, 1, t), f32::NAN);
        let to = by_head_mut(got.view_mut(), 1, 1);
        flash_attention::fused::forward(q, k, v, causal, to, lse.view_mut());
        assert!(off(&got) < 1e-5, "{}", off(&got));
        let dy = Array4::ones((1, 1, t, 2));
        let mut d =
            [3, 3, 2].map(|d| Array4::from_elem((1, 1, t, d), f32::NAN));
        let to = d.each_mut().map(|d| d.view_mut());
        let y = by_head(got.view(), 1, 1);
        let lse = lse.view();
        flash_attention::fused::vjp(heads, y, lse, dy.view(), causal, to);
        assert!(d.iter().all(|d| d.iter().all(|d| d.is_finite())));
    }
}
