//! The gradient checker, checked: wrong rules that it must reject, correct
//! ones that it must not, and points at which it must decline to judge.
//!
//! The first 24 tests are the wrong backwards on which common checking
//! policies were compared: with ones as cotangent, or in `f32`, or with one
//! entry looked at, between two and twenty-two of them pass.

use std::cell::{Cell, RefCell};

use backprop::calculus::gradcheck::{
    Check, CheckError, Report, Sample, Sampler, central,
};
use ndarray::{
    Array1, Array2, ArrayD, ArrayView1, ArrayView2, Axis, arr0, arr1, array, s,
};

type Arrays = Vec<ArrayD<f64>>;
type F<'a> = &'a dyn Fn(&[ArrayD<f64>]) -> ArrayD<f64>;
type V<'a> = &'a dyn Fn(&[ArrayD<f64>], &ArrayD<f64>) -> Arrays;

const SEEDS: u64 = 20;

/// Both rules over twenty seeds: the right one passes each time, the wrong
/// one never. The error of the first seed is handed on.
#[track_caller]
fn rejects(
    names: &'static [&'static str],
    sample: &Sample,
    f: F,
    right: V,
    wrong: V,
) -> CheckError {
    let mut first = None;
    for seed in 0..SEEDS {
        let check = Check {
            names,
            seed: 100 * seed,
            ..Check::default()
        };
        if let Err(error) = check.all(sample, f, right) {
            panic!("the right rule, seed {seed}: {error}");
        }
        match check.all(sample, f, wrong) {
            Ok(_) => panic!("the wrong rule passes with seed {seed}"),
            Err(error) => first = first.or(Some(error)),
        }
    }
    first.expect("at least one seed")
}

#[track_caller]
fn wrong_in(error: &CheckError, name: &str) -> (f64, f64) {
    match error {
        CheckError::Wrong {
            input,
            got,
            expected,
            ..
        } if input == name => (*got, *expected),
        other => panic!("not a wrong d{name}: {other}"),
    }
}

fn m(a: &ArrayD<f64>) -> ArrayView2<'_, f64> {
    a.view().into_dimensionality().expect("a matrix")
}

fn v(a: &ArrayD<f64>) -> ArrayView1<'_, f64> {
    a.view().into_dimensionality().expect("a vector")
}

fn column(a: Array1<f64>) -> Array2<f64> {
    a.insert_axis(Axis(1))
}

// ------------------------------------------------- any op: upstream ignored

fn product(x: &[ArrayD<f64>]) -> ArrayD<f64> {
    &x[0] * &x[1]
}

fn product_vjp(x: &[ArrayD<f64>], dy: &ArrayD<f64>) -> Arrays {
    vec![dy * &x[1], dy * &x[0]]
}

fn two_alike(s: &mut Sampler) -> Arrays {
    vec![s.normal(&[3, 4]), s.normal(&[3, 4])]
}

#[test]
fn upstream_ignored_in_a_product() {
    let error =
        rejects(&["a", "b"], &two_alike, &product, &product_vjp, &|x, _| {
            vec![x[1].clone(), x[0].clone()]
        });
    let CheckError::NotLinear { input, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(input, "a");
}

#[test]
fn upstream_ignored_in_tanh() {
    let slope = |x: &ArrayD<f64>| x.mapv(|x| 1.0 - x.tanh().powi(2));
    let error = rejects(
        &["x"],
        &|s| vec![s.normal(&[3, 4])],
        &|x| x[0].mapv(f64::tanh),
        &|x, dy| vec![dy * &slope(&x[0])],
        &|x, _| vec![slope(&x[0])],
    );
    assert!(matches!(error, CheckError::NotLinear { .. }), "{error}");
}

fn matmul(x: &[ArrayD<f64>]) -> ArrayD<f64> {
    m(&x[0]).dot(&m(&x[1])).into_dyn()
}

fn matmul_vjp(x: &[ArrayD<f64>], dy: &ArrayD<f64>) -> Arrays {
    let (x, w, dy) = (m(&x[0]), m(&x[1]), m(dy));
    vec![dy.dot(&w.t()).into_dyn(), x.t().dot(&dy).into_dyn()]
}

fn two_factors(s: &mut Sampler) -> Arrays {
    vec![s.normal(&[3, 4]), s.normal(&[4, 5])]
}

#[test]
fn upstream_ignored_in_a_matrix_product() {
    let error =
        rejects(&["x", "w"], &two_factors, &matmul, &matmul_vjp, &|x, dy| {
            matmul_vjp(x, &ArrayD::ones(dy.raw_dim()))
        });
    assert!(matches!(error, CheckError::NotLinear { .. }), "{error}");
}

// ------------------------------------------------------------------ softmax

fn softmax_rows(x: ArrayView2<f64>) -> Array2<f64> {
    let max = x.fold_axis(Axis(1), f64::NEG_INFINITY, |a, b| a.max(*b));
    let e = (&x - &column(max)).exp();
    let sum = column(e.sum_axis(Axis(1)));
    e / sum
}

fn softmax(x: &[ArrayD<f64>]) -> ArrayD<f64> {
    softmax_rows(m(&x[0])).into_dyn()
}

fn softmax_vjp(x: &[ArrayD<f64>], dy: &ArrayD<f64>) -> Arrays {
    let (y, dy) = (softmax_rows(m(&x[0])), m(dy));
    let s = column((&y * &dy).sum_axis(Axis(1)));
    vec![(&y * &(&dy - &s)).into_dyn()]
}

fn logits(s: &mut Sampler) -> Arrays {
    vec![s.normal(&[3, 5])]
}

#[test]
fn softmax_returns_zeros() {
    let error = rejects(&["x"], &logits, &softmax, &softmax_vjp, &|x, _| {
        vec![ArrayD::zeros(x[0].raw_dim())]
    });
    let (got, expected) = wrong_in(&error, "x");
    assert!(got == 0.0 && expected.abs() > 0.01);
}

#[test]
fn softmax_diagonal_only() {
    let error = rejects(&["x"], &logits, &softmax, &softmax_vjp, &|x, dy| {
        let y = softmax(x);
        vec![dy * &(&y * &(1.0 - &y))]
    });
    wrong_in(&error, "x");
}

#[test]
fn softmax_jacobian_times_ones() {
    // Zero up to rounding, and the same for every cotangent.
    let error = rejects(&["x"], &logits, &softmax, &softmax_vjp, &|x, dy| {
        softmax_vjp(x, &ArrayD::ones(dy.raw_dim()))
    });
    let CheckError::NotLinear { got, .. } = error else {
        panic!("{error}")
    };
    assert!(got.abs() < 1e-15);
}

// --------------------------------------------------------------- layer norm

/// `x̂` and `1/σ` of every row.
fn normalised(x: ArrayView2<f64>) -> (Array2<f64>, Array2<f64>) {
    let mean = |a: &Array2<f64>| column(a.mean_axis(Axis(1)).expect("columns"));
    let centred = &x - &mean(&x.to_owned());
    let variance = mean(&(&centred * &centred));
    let inverse = variance.mapv(|v| 1.0 / (v + 1e-5).sqrt());
    (&centred * &inverse, inverse)
}

fn layer_norm(x: &[ArrayD<f64>]) -> ArrayD<f64> {
    let (hat, _) = normalised(m(&x[0]));
    (hat * v(&x[1]) + v(&x[2])).into_dyn()
}

/// The mean and variance terms of `dx` can be switched off.
fn layer_norm_rule(
    x: &[ArrayD<f64>],
    dy: &ArrayD<f64>,
    mean_term: f64,
    variance_term: f64,
) -> Arrays {
    let (hat, inverse) = normalised(m(&x[0]));
    let dy = m(dy);
    let dhat = &dy * &v(&x[1]);
    let mean = column(dhat.mean_axis(Axis(1)).expect("columns"));
    let along = column((&dhat * &hat).mean_axis(Axis(1)).expect("columns"));
    let dx = &dhat - &(mean * mean_term) - &hat * &(along * variance_term);
    vec![
        (dx * &inverse).into_dyn(),
        (&dy * &hat).sum_axis(Axis(0)).into_dyn(),
        dy.sum_axis(Axis(0)).into_dyn(),
    ]
}

#[track_caller]
fn layer_norm_rejects(wrong: V) {
    let error = rejects(
        &["x", "gamma", "beta"],
        &|s| vec![s.normal(&[3, 5]), ArrayD::ones(vec![5]), s.normal(&[5])],
        &layer_norm,
        &|x, dy| layer_norm_rule(x, dy, 1.0, 1.0),
        wrong,
    );
    wrong_in(&error, "x");
}

#[test]
fn layer_norm_dx_zero() {
    layer_norm_rejects(&|x, dy| {
        let mut d = layer_norm_rule(x, dy, 1.0, 1.0);
        d[0].fill(0.0);
        d
    });
}

#[test]
fn layer_norm_variance_term_dropped() {
    layer_norm_rejects(&|x, dy| layer_norm_rule(x, dy, 1.0, 0.0));
}

#[test]
fn layer_norm_statistics_constant() {
    layer_norm_rejects(&|x, dy| layer_norm_rule(x, dy, 0.0, 0.0));
}

// ---------------------------------------------------------------- embedding

/// Row 2 is read three times, row 0 once, row 1 never.
const TOKENS: [usize; 4] = [2, 0, 2, 2];

fn embedding(table: &[ArrayD<f64>]) -> ArrayD<f64> {
    m(&table[0]).select(Axis(0), &TOKENS).into_dyn()
}

fn embedding_rule(x: &[ArrayD<f64>], dy: &ArrayD<f64>, add: bool) -> Arrays {
    let mut d = Array2::<f64>::zeros(m(&x[0]).raw_dim());
    for (row, &token) in m(dy).rows().into_iter().zip(&TOKENS) {
        if add {
            d.row_mut(token).scaled_add(1.0, &row);
        } else {
            d.row_mut(token).assign(&row);
        }
    }
    vec![d.into_dyn()]
}

#[test]
fn embedding_assigned_instead_of_added() {
    let error = rejects(
        &["table"],
        &|s| vec![s.normal(&[3, 5])],
        &embedding,
        &|x, dy| embedding_rule(x, dy, true),
        &|x, dy| embedding_rule(x, dy, false),
    );
    let CheckError::Wrong {
        index, wrong, of, ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!((index[0], wrong, of), (2, 5, 15), "only the repeated row");
}

// ------------------------------------------------------------ cross-entropy

const LABELS: [usize; 3] = [1, 4, 0];

/// Mean over the rows of `log Σ e^x - x_label`.
fn cross_entropy(x: &[ArrayD<f64>]) -> ArrayD<f64> {
    let p = softmax_rows(m(&x[0]));
    let rows = LABELS.iter().enumerate();
    let nats: f64 = rows.map(|(b, &k)| -p[[b, k]].ln()).sum();
    arr0(nats / LABELS.len() as f64).into_dyn()
}

fn cross_entropy_vjp(x: &[ArrayD<f64>], dy: &ArrayD<f64>) -> Arrays {
    let mut d = softmax_rows(m(&x[0]));
    for (b, &k) in LABELS.iter().enumerate() {
        d[[b, k]] -= 1.0;
    }
    vec![(d * (dy.sum() / LABELS.len() as f64)).into_dyn()]
}

/// By what factor the wrong rule is off.
#[track_caller]
fn cross_entropy_ratio(factor: f64) -> f64 {
    let error = rejects(
        &["logits"],
        &logits,
        &cross_entropy,
        &cross_entropy_vjp,
        &|x, dy| vec![&cross_entropy_vjp(x, dy)[0] * factor],
    );
    let (got, expected) = wrong_in(&error, "logits");
    got / expected
}

#[test]
fn cross_entropy_without_one_over_n() {
    let ratio = cross_entropy_ratio(LABELS.len() as f64);
    assert!((ratio - 3.0).abs() < 1e-6);
}

#[test]
fn cross_entropy_with_the_sign_flipped() {
    assert!((cross_entropy_ratio(-1.0) + 1.0).abs() < 1e-6);
}

// ---------------------------------------------------------- half a per cent

#[test]
fn off_by_half_a_per_cent() {
    let error =
        rejects(&["x", "w"], &two_factors, &matmul, &matmul_vjp, &|x, dy| {
            matmul_vjp(x, dy).iter().map(|d| d * 1.005).collect()
        });
    let (got, expected) = wrong_in(&error, "x");
    assert!((got / expected - 1.005).abs() < 1e-6);
}

// --------------------------------------------------------------- transposes

#[test]
fn weight_gradient_transposed() {
    // With pairwise different dimensions the shape gives it away.
    let error =
        rejects(&["x", "w"], &two_factors, &matmul, &matmul_vjp, &|x, dy| {
            let dx = m(dy).dot(&m(&x[1]).t()).into_dyn();
            vec![dx, m(dy).t().dot(&m(&x[0])).into_dyn()]
        });
    let expected = CheckError::Shape {
        input: "w".into(),
        expected: vec![4, 5],
        got: vec![5, 4],
    };
    assert_eq!(error, expected);
    assert_eq!(error.to_string(), "dw has shape [5, 4], w has shape [4, 5]");
}

#[test]
fn input_gradient_on_the_wrong_side() {
    // Square weights hide it from a look at the shapes, not from the check.
    let error = rejects(
        &["x", "w"],
        &|s| vec![s.normal(&[3, 4]), s.normal(&[4, 4])],
        &matmul,
        &matmul_vjp,
        &|x, dy| {
            let dw = m(&x[0]).t().dot(&m(dy)).into_dyn();
            vec![m(dy).dot(&m(&x[1])).into_dyn(), dw]
        },
    );
    wrong_in(&error, "x");
}

// ----------------------------------------------------------- bias reduction

#[track_caller]
fn bias_error(wrong: fn(&ArrayD<f64>) -> ArrayD<f64>) -> CheckError {
    rejects(
        &["x", "b"],
        &|s| vec![s.normal(&[3, 5]), s.normal(&[5])],
        &|x| &x[0] + &v(&x[1]),
        &|_, dy| vec![dy.clone(), dy.sum_axis(Axis(0))],
        &|_, dy| vec![dy.clone(), wrong(dy)],
    )
}

#[test]
fn bias_gradient_averaged_over_the_batch() {
    let error = bias_error(|dy| dy.mean_axis(Axis(0)).expect("rows"));
    let (got, expected) = wrong_in(&error, "b");
    assert!((expected / got - 3.0).abs() < 1e-6);
}

#[test]
fn bias_gradient_summed_over_the_units_too() {
    let error = bias_error(|dy| ArrayD::from_elem(vec![5], dy.sum()));
    wrong_in(&error, "b");
}

#[test]
fn bias_gradient_not_summed_at_all() {
    let error = bias_error(ArrayD::clone);
    let CheckError::Shape { expected, got, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((expected, got), (vec![5], vec![3, 5]));
}

// ---------------------------------------------------------------- attention

const KEY: usize = 4;

fn attention(x: &[ArrayD<f64>]) -> ArrayD<f64> {
    let (q, k, v) = (m(&x[0]), m(&x[1]), m(&x[2]));
    let scores = q.dot(&k.t()) / (KEY as f64).sqrt();
    softmax_rows(scores.view()).dot(&v).into_dyn()
}

fn attention_rule(x: &[ArrayD<f64>], dy: &ArrayD<f64>, scale: f64) -> Arrays {
    let (q, k, v, dy) = (m(&x[0]), m(&x[1]), m(&x[2]), m(dy));
    let p = softmax_rows((q.dot(&k.t()) / (KEY as f64).sqrt()).view());
    let dp = dy.dot(&v.t());
    let along = column((&p * &dp).sum_axis(Axis(1)));
    let ds = &p * &(&dp - &along) * scale;
    vec![
        ds.dot(&k).into_dyn(),
        ds.t().dot(&q).into_dyn(),
        p.t().dot(&dy).into_dyn(),
    ]
}

#[test]
fn attention_scale_missing_in_the_backward() {
    let error = rejects(
        &["q", "k", "v"],
        &|s| vec![s.normal(&[3, KEY]), s.normal(&[5, KEY]), s.normal(&[5, 2])],
        &attention,
        &|x, dy| attention_rule(x, dy, 1.0 / (KEY as f64).sqrt()),
        &|x, dy| attention_rule(x, dy, 1.0),
    );
    let (got, expected) = wrong_in(&error, "q");
    assert!((got / expected - 2.0).abs() < 1e-5, "the root of {KEY}");
}

// --------------------------------------------------------------------- bptt

/// `h_t = tanh(W h_{t-1} + x_t)`, all of them, from `h_0 = 0`.
fn recurrence(x: &[ArrayD<f64>]) -> Vec<Array1<f64>> {
    let (w, x) = (m(&x[0]), m(&x[1]));
    let mut h = vec![Array1::zeros(w.nrows())];
    for x_t in x.rows() {
        let next = (w.dot(&h[h.len() - 1]) + x_t).mapv(f64::tanh);
        h.push(next);
    }
    h
}

/// Walks back over at most `steps` steps.
fn recurrence_rule(
    x: &[ArrayD<f64>],
    dy: &ArrayD<f64>,
    steps: usize,
) -> Arrays {
    let h = recurrence(x);
    let w = m(&x[0]);
    let mut dw = Array2::<f64>::zeros(w.raw_dim());
    let mut dx = Array2::<f64>::zeros(m(&x[1]).raw_dim());
    let mut dh = v(dy).to_owned();
    for t in (0..dx.nrows()).rev().take(steps) {
        let da = &dh * &h[t + 1].mapv(|h| 1.0 - h * h);
        dx.row_mut(t).assign(&da);
        dw += &column(da.clone()).dot(&h[t].view().insert_axis(Axis(0)));
        dh = w.t().dot(&da);
    }
    vec![dw.into_dyn(), dx.into_dyn()]
}

#[test]
fn backpropagation_through_time_cut_short() {
    let error = rejects(
        &["w", "x"],
        &|s| vec![s.normal(&[3, 3]), s.normal(&[4, 3])],
        &|x| recurrence(x)[4].clone().into_dyn(),
        &|x, dy| recurrence_rule(x, dy, 4),
        &|x, dy| recurrence_rule(x, dy, 1),
    );
    wrong_in(&error, "w");
}

// --------------------------------------------------------------------- relu

fn relu(x: &[ArrayD<f64>]) -> ArrayD<f64> {
    x[0].mapv(|x| x.max(0.0))
}

/// ReLU'(0) = 0.
fn relu_vjp(x: &[ArrayD<f64>], dy: &ArrayD<f64>) -> Arrays {
    vec![dy * &x[0].mapv(|x| f64::from(x > 0.0))]
}

#[test]
fn relu_mask_taken_from_the_cotangent() {
    let error = rejects(
        &["x"],
        &|s| vec![s.away_from(&[3, 5], &[0.0], 0.05)],
        &relu,
        &relu_vjp,
        &|_, dy| vec![dy.mapv(|g| g.max(0.0))],
    );
    assert!(matches!(error, CheckError::NotLinear { .. }), "{error}");
}

// --------------------------------------------------------------------- lora

const ALPHA: f64 = 6.0;
const RANK: usize = 2;

/// `y = (α/r) x a b` with `a` (D,r) and `b` (r,H); the frozen weight would
/// add nothing to the question.
fn lora(x: &[ArrayD<f64>]) -> ArrayD<f64> {
    let (x, a, b) = (m(&x[0]), m(&x[1]), m(&x[2]));
    (x.dot(&a).dot(&b) * (ALPHA / RANK as f64)).into_dyn()
}

fn lora_rule(x: &[ArrayD<f64>], dy: &ArrayD<f64>, scale: f64) -> Arrays {
    let (x, a, b, dy) = (m(&x[0]), m(&x[1]), m(&x[2]), m(dy));
    let du = dy.dot(&b.t()) * scale;
    vec![
        du.dot(&a.t()).into_dyn(),
        x.t().dot(&du).into_dyn(),
        (x.dot(&a).t().dot(&dy) * scale).into_dyn(),
    ]
}

fn lora_point(s: &mut Sampler) -> Arrays {
    vec![
        s.normal(&[3, 5]),
        s.normal(&[5, RANK]),
        s.normal(&[RANK, 4]),
    ]
}

#[test]
fn lora_scaled_by_alpha_alone() {
    let error = rejects(
        &["x", "a", "b"],
        &lora_point,
        &lora,
        &|x, dy| lora_rule(x, dy, ALPHA / RANK as f64),
        &|x, dy| lora_rule(x, dy, ALPHA),
    );
    let (got, expected) = wrong_in(&error, "x");
    assert!((got / expected - RANK as f64).abs() < 1e-6);
}

// -------------------------------------------------------- degenerate points

/// Neither rule is to be believed there, the right one no more than zeros.
#[track_caller]
fn declines(
    names: &'static [&'static str],
    sample: &Sample,
    f: F,
    rules: [V; 2],
    flat: &str,
) {
    let check = Check {
        names,
        ..Check::default()
    };
    for rule in rules {
        match check.all(sample, f, rule) {
            Err(CheckError::Degenerate { input, .. }) => {
                assert_eq!(input, flat)
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_power_at_exponent_zero_is_degenerate() {
    // y = x^n with n = 0: dx = n x^(n-1) = 0, so zeros are right.
    let power = |n| move |x: &[ArrayD<f64>]| x[0].mapv(|x| x.powi(n));
    let rule = |n: i32| {
        move |x: &[ArrayD<f64>], dy: &ArrayD<f64>| {
            vec![dy * &x[0].mapv(|x| f64::from(n) * x.powi(n - 1))]
        }
    };
    let zeros = |x: &[ArrayD<f64>], _: &ArrayD<f64>| {
        vec![ArrayD::zeros(x[0].raw_dim())]
    };
    let sample = |s: &mut Sampler| vec![s.away_from(&[3, 4], &[0.0], 0.2)];
    declines(&["x"], &sample, &power(0), [&rule(0), &zeros], "x");
    // At any other exponent the check has something to say.
    let error = rejects(&["x"], &sample, &power(3), &rule(3), &zeros);
    wrong_in(&error, "x");
}

#[test]
fn lora_with_b_zero_is_degenerate() {
    // b = 0 at the start of training: da = 0 there is right, and so the
    // point shows nothing about the rule for da. (x is held fixed: its
    // gradient is zero as well and would be named first.)
    let x = Sampler::new(9).normal(&[3, 5]);
    let join = |p: &[ArrayD<f64>]| vec![x.clone(), p[0].clone(), p[1].clone()];
    let f = |p: &[ArrayD<f64>]| lora(&join(p));
    let right = |p: &[ArrayD<f64>], dy: &ArrayD<f64>| {
        lora_rule(&join(p), dy, ALPHA / RANK as f64).split_off(1)
    };
    let no_da = |p: &[ArrayD<f64>], dy: &ArrayD<f64>| {
        let mut d = right(p, dy);
        d[0].fill(0.0);
        d
    };
    let trained = |s: &mut Sampler| lora_point(s).split_off(1);
    let start = |s: &mut Sampler| {
        let mut p = trained(s);
        p[1].fill(0.0);
        p
    };
    declines(&["a", "b"], &start, &f, [&right, &no_da], "a");
    wrong_in(&rejects(&["a", "b"], &trained, &f, &right, &no_da), "a");
}

// ----------------------------------------------- beyond the classic mistakes

#[test]
fn ones_as_cotangent_are_degenerate_for_softmax() {
    // The gradient of a sum of probabilities is zero: the lazy check that
    // lets "softmax returns zeros" pass is reported, not believed.
    let x = logits(&mut Sampler::new(0));
    let ones = ArrayD::ones(x[0].raw_dim());
    match Check::default().gradient_at(&x, &ones, &softmax, &softmax_vjp) {
        Err(CheckError::Degenerate { largest, .. }) => assert!(largest < 1e-9),
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_gradient_too_few() {
    let error =
        rejects(&["a", "b"], &two_alike, &product, &product_vjp, &|x, dy| {
            vec![dy * &x[1]]
        });
    assert_eq!(
        error,
        CheckError::Count {
            expected: 2,
            got: 1
        }
    );
}

#[test]
fn a_gradient_that_is_not_a_number() {
    let error =
        rejects(&["a", "b"], &two_alike, &product, &product_vjp, &|x, dy| {
            vec![dy * &x[1], dy * &x[0] / 0.0]
        });
    let CheckError::NotFinite { what, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(what, "db");
}

#[test]
fn a_cache_changed_in_place_is_not_repeatable() {
    // The backward multiplies into its cache and leaves it changed.
    let cache: RefCell<Option<ArrayD<f64>>> = RefCell::new(None);
    let vjp = |x: &[ArrayD<f64>], dy: &ArrayD<f64>| {
        let mut cache = cache.borrow_mut();
        let y = cache.get_or_insert_with(|| x[0].mapv(f64::exp));
        *y *= dy;
        vec![y.clone()]
    };
    let check = Check {
        names: &["x"],
        ..Check::default()
    };
    let sample = |s: &mut Sampler| vec![s.normal(&[3, 4])];
    match check.all(&sample, &|x| x[0].mapv(f64::exp), &vjp) {
        Err(CheckError::NotRepeatable { what, .. }) => assert_eq!(what, "dx"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn dropout_drawn_anew_is_not_repeatable() {
    let seed = Cell::new(0);
    let f = |x: &[ArrayD<f64>]| {
        seed.set(seed.get() + 1);
        &x[0] * &Sampler::new(seed.get()).signs(x[0].shape())
    };
    let sample = |s: &mut Sampler| vec![s.normal(&[3, 4])];
    match Check::default().repeat(&sample, &f, &|_, dy| vec![dy.clone()]) {
        Err(CheckError::NotRepeatable { what, .. }) => assert_eq!(what, "y"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_adjoint_alone_finds_a_wrong_rule() {
    let check = Check::default();
    assert_eq!(check.adjoint(&two_factors, &matmul, &matmul_vjp), Ok(()));
    let wrong = |x: &[ArrayD<f64>], dy: &ArrayD<f64>| {
        let mut d = matmul_vjp(x, dy);
        d[1] *= 1.005;
        d
    };
    let error = check.adjoint(&two_factors, &matmul, &wrong).unwrap_err();
    assert!(matches!(error, CheckError::Adjoint { .. }), "{error}");
}

#[test]
fn a_large_input_goes_along_directions() {
    let check = Check {
        names: &["x"],
        whole: 100,
        ..Check::default()
    };
    let sample = |s: &mut Sampler| vec![s.normal(&[40, 50])];
    let f = |x: &[ArrayD<f64>]| x[0].mapv(f64::sin);
    let right =
        |x: &[ArrayD<f64>], dy: &ArrayD<f64>| vec![dy * &x[0].mapv(f64::cos)];
    let report = check.gradient(&sample, &f, &right).unwrap();
    assert_eq!(report.compared, 3 * 8, "points times directions");
    let wrong = |x: &[ArrayD<f64>], dy: &ArrayD<f64>| {
        let mut d = right(x, dy);
        d[0][[17, 3]] += 0.001; // one entry of two thousand
        d
    };
    let error = check.gradient(&sample, &f, &wrong).unwrap_err();
    assert!(matches!(error, CheckError::WrongAlong { .. }), "{error}");
}

#[test]
fn an_empty_batch_has_nothing_to_compare() {
    let sample = |s: &mut Sampler| vec![s.normal(&[0, 4])];
    let report = Check::default().all(&sample, &relu, &relu_vjp);
    assert_eq!(report, Ok(Report::default()));
}

#[test]
fn a_dead_unit_is_counted_and_a_dead_layer_declined() {
    // The second column of w feeds a unit that ReLU has switched off.
    let w = array![[0.5, -0.5], [1.0, -2.0]];
    let x = array![1.0, 1.0];
    let units = |w: &ArrayD<f64>| x.dot(&m(w));
    let f = |p: &[ArrayD<f64>]| units(&p[0]).mapv(|a| a.max(0.0)).into_dyn();
    let vjp = |p: &[ArrayD<f64>], dy: &ArrayD<f64>| {
        let da = &v(dy) * &units(&p[0]).mapv(|a| f64::from(a > 0.0));
        vec![column(x.clone()).dot(&da.insert_axis(Axis(0))).into_dyn()]
    };
    let check = Check::default();
    let dy = arr1(&[1.0, 1.0]).into_dyn();
    let whole = [w.clone().into_dyn()];
    let report = check.gradient_at(&whole, &dy, &f, &vjp).unwrap();
    assert_eq!((report.compared, report.zeros), (4, 2));
    // That column alone: zero on both sides, and no verdict.
    let dy = arr1(&[1.0]).into_dyn();
    let dead = [w.slice(s![.., 1..]).to_owned().into_dyn()];
    match check.gradient_at(&dead, &dy, &f, &vjp) {
        Err(CheckError::Degenerate { largest, .. }) => assert_eq!(largest, 0.0),
        other => panic!("{other:?}"),
    }
}

// ------------------------------------------------------------- false alarms

#[test]
fn correct_relu_near_its_kink_is_not_called_wrong() {
    // Distances to the kink, in steps, on both sides and exactly on it.
    let h = 2_f64.powi(-17);
    let check = Check {
        names: &["x"],
        ..Check::default()
    };
    let dy = arr1(&[1.0]).into_dyn();
    for hundredths in 0..100 {
        for side in [1.0, -1.0] {
            let at = side * f64::from(hundredths) / 100.0 * h;
            let x = [arr1(&[at]).into_dyn()];
            match check.gradient_at(&x, &dy, &relu, &relu_vjp) {
                Err(CheckError::Kink { left, right, .. }) => {
                    assert!(right - left > 0.009, "{left} {right}");
                }
                other => panic!("at {side} · 0.{hundredths:02} h: {other:?}"),
            }
        }
    }
    // One step away there is nothing to report.
    let x = [arr1(&[h]).into_dyn()];
    assert!(check.gradient_at(&x, &dy, &relu, &relu_vjp).is_ok());
}

#[test]
fn a_wrong_entry_outranks_a_kink() {
    // One entry on the kink must not hide that all the others are wrong.
    let x = [arr1(&[0.0, 1.0, 2.0]).into_dyn()];
    let dy = arr1(&[1.0, 1.0, 1.0]).into_dyn();
    let twice =
        |x: &[ArrayD<f64>], dy: &ArrayD<f64>| vec![2.0 * &relu_vjp(x, dy)[0]];
    match Check::default().gradient_at(&x, &dy, &relu, &twice) {
        Err(CheckError::Wrong { wrong, of, .. }) => {
            assert_eq!((wrong, of), (2, 3))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_tie_of_the_maximum_is_a_kink() {
    let top = |x: &[ArrayD<f64>]| x[0].fold(f64::MIN, |a, b| a.max(*b));
    let f = |x: &[ArrayD<f64>]| arr0(top(x)).into_dyn();
    let vjp = |x: &[ArrayD<f64>], dy: &ArrayD<f64>| {
        let first = x[0].iter().position(|v| *v == top(x)).expect("a maximum");
        let mut d = ArrayD::zeros(x[0].raw_dim());
        d[first] = dy.sum();
        vec![d]
    };
    let check = Check::default();
    let tied = [arr1(&[1.0, 3.0, 3.0]).into_dyn()];
    let dy = arr0(1.0).into_dyn();
    let error = check.gradient_at(&tied, &dy, &f, &vjp).unwrap_err();
    assert!(matches!(error, CheckError::Kink { .. }), "{error}");
    // Away from ties the same rule passes.
    assert!(
        check
            .all(&|s| vec![s.distinct(&[7], 0.1)], &f, &vjp)
            .is_ok()
    );
}

#[test]
fn a_steep_sine_passes_with_smaller_steps() {
    // sin(e^(6t)) at t = 1: at the usual step the central difference is off
    // by 6e-5, sixty times the tolerance, and the derivative is right.
    let f = |t: f64| (6.0 * t).exp().sin();
    let df = |t: f64| 6.0 * (6.0 * t).exp() * (6.0 * t).exp().cos();
    let check = Check::default();
    let off = (central(f, 1.0, 2_f64.powi(-17)) / df(1.0) - 1.0).abs();
    assert!(off > 5e-5 && off < 7e-5, "{off}");
    let report = check.derivative(f, df, 1.0).unwrap();
    assert_eq!((report.compared, report.refined), (1, 1));
    // The same patience does not let a wrong rule through,
    let error = check.derivative(f, |t| 1.00001 * df(t), 1.0).unwrap_err();
    assert!(matches!(error, CheckError::Wrong { .. }), "{error}");
    // and where the step spans whole oscillations there is no verdict.
    let error = check.derivative(f, df, 2.0).unwrap_err();
    assert!(matches!(error, CheckError::Kink { .. }), "{error}");
    // A smaller step resolves them again.
    let fine = Check {
        step: 1e-9,
        rtol: 1e-4,
        ..check
    };
    assert!(fine.derivative(f, df, 2.0).is_ok());
}

#[test]
fn linear_and_quadratic_functions_leave_no_error() {
    // Central differences are exact there: a tiny error is normal.
    let check = Check::default();
    let line = check.derivative(|x| 3.0 * x - 1.0, |_| 3.0, 0.7).unwrap();
    let square = check.derivative(|x| x * x, |x| 2.0 * x, 0.7).unwrap();
    assert!(
        line.worst < 1e-3 && square.worst < 1e-3,
        "{line:?} {square:?}"
    );
}

#[test]
fn small_and_huge_gradients_are_both_judged() {
    // A fixed absolute tolerance of 1e-5 would pass the wrong rule of the
    // small function and fail the right one of the huge function.
    let check = Check::default();
    let sine = |k: f64| move |x: &[ArrayD<f64>]| x[0].mapv(|x| k * x.sin());
    let rule = |k: f64| {
        move |x: &[ArrayD<f64>], dy: &ArrayD<f64>| {
            vec![dy * &x[0].mapv(|x| k * x.cos())]
        }
    };
    for k in [1e-4, 1.0, 1e8] {
        let at = |wrong: f64| {
            check.all(&|s| vec![s.normal(&[5])], &sine(k), &rule(k * wrong))
        };
        assert!(at(1.0).is_ok(), "{k}: {:?}", at(1.0));
        assert!(matches!(at(1.005), Err(CheckError::Wrong { .. })), "{k}");
    }
}
