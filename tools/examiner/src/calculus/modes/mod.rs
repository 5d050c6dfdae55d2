//! The exam of forward and reverse mode.

pub mod mistakes;
mod tasks;

use self::mistakes::{
    ABSOLUTE_TOLERANCE, BLIND_VECTORS, DA, DB, MATRIX, MATRIX_FOR_PRODUCT,
    MEAN, MODE_BY_HABIT, MODES_SWAPPED, NAMES, PASSES, PERTURBATION_CONFUSION,
    POWER_AT_ZERO, REFLECTED_SIGN, ROOT, SLOPE, SUMS, UNIT, VALUE,
};
use crate::judge::{
    Cases, Hunt, Inputs, Observation, Predict, Special, TOLERANCE, Two, Value,
    Vjp,
};
use crate::verdict::{Evidence, Report, Verdict, attempt};
use crate::{Exercise, Mistake, Sampler, arrays};
use backprop::calculus::modes::{Dual, Number};
use ndarray::{
    Array1, Array2, ArrayD, ArrayView1, ArrayView2, Axis, arr0, arr1,
};
use std::cell::{Cell, RefCell};

/// The exercise of forward and reverse mode.
pub const EXERCISE: Exercise = Exercise {
    slug: "calculus/modes",
    title: "Forward and reverse mode",
    minutes: 75,
    tasks: tasks::TASKS,
    names: NAMES,
};

/// Which mode is cheaper, before any code.
pub static CHEAPER: Predict<[bool; 4]> = Predict {
    question: "for which of the four questions reverse mode is cheaper",
    right: [true, true, false, false],
    wrong: &[
        ([false, false, true, true], &MODES_SWAPPED),
        ([false, false, true, false], &MODES_SWAPPED),
        ([true; 4], &MODE_BY_HABIT),
        ([false; 4], &MODE_BY_HABIT),
        ([true, true, false, true], &MATRIX_FOR_PRODUCT),
    ],
    why: "One loss: one backward pass against 9,610 forward ones. Ten scores \
          of 64 pixels: 10 against 64. One rate and 9,610 weights: one forward \
          pass. And along one direction a single JVP answers, whatever the \
          size of the Jacobian.",
};

/// `fn(a, b) -> y` on dual numbers.
pub type Binary = fn(Dual, Dual) -> Dual;

/// `fn(x, n) -> xⁿ`, the exponent a constant.
pub type Power = fn(Dual, f64) -> Dual;

/// `fn(x) -> y` on dual numbers.
pub type Unary = fn(Dual) -> Dual;

/// The inputs `name` and `name_dot` as one number.
fn dual(i: &Inputs, name: &str, name_dot: &str) -> Dual {
    Dual {
        value: i.number(name),
        slope: i.number(name_dot),
    }
}

fn parts(y: Dual) -> Vec<ArrayD<f64>> {
    arrays![y.value, y.slope]
}

const AGAINST: &str = "the rule";

fn both(i: &Inputs) -> (Dual, Dual) {
    (dual(i, "a", "a_dot"), dual(i, "b", "b_dot"))
}

fn pairs(draw: &mut Sampler) -> Cases {
    let case = |[a, a_dot, b, b_dot]: [f64; 4]| {
        let first = Inputs::default().with("a", a).with("a_dot", a_dot);
        first.with("b", b).with("b_dot", b_dot)
    };
    let usual = [0.; 6].map(|_| case([0.; 4].map(|_| draw.number())));
    // Constants, ones, a zero that moves, large and small numbers.
    let rare = [
        [3., 1., 2., 0.],
        [3., 0., 2., 1.],
        [1., 1., 1., 1.],
        [0., 1.5, 0.7, -2.],
        [0., 0., -0.7, 2.],
        [1.5, -0.7, -0.4, 0.9],
        [40., -300., 25., 70.],
        [-3e-3, 0.5, 2e-2, 1.25],
    ];
    Cases::new(usual.into(), rare.map(case).into())
}

/// `a·b`, then `a/b`.
pub static DUAL: Two<Binary, Binary> = Two(
    &Value {
        outputs: &[VALUE, SLOPE],
        against: "a·b by the product rule",
        right: |i| parts(both(i).0 * both(i).1),
        tolerance: TOLERANCE,
        call: |f: &Binary, i| parts(f(both(i).0, both(i).1)),
        cases: pairs,
        wrong: mistakes::PRODUCT,
        symptom: None,
    },
    &Value {
        outputs: &[VALUE, SLOPE],
        against: "a/b by the quotient rule",
        right: |i| parts(both(i).0 / both(i).1),
        tolerance: TOLERANCE,
        call: |f: &Binary, i| parts(f(both(i).0, both(i).1)),
        cases: pairs,
        wrong: mistakes::QUOTIENT,
        symptom: None,
    },
);

/// A power that is not a number: wherever that is, it has one name.
fn is_nan(seen: &[Observation]) -> Option<&'static Mistake> {
    let nan = |o: &Observation| {
        o.got.as_ref().is_ok_and(|g| g.iter().any(|v| v.is_nan()))
    };
    seen.iter().any(nan).then_some(&POWER_AT_ZERO)
}

fn power_of(draw: &mut Sampler) -> Cases {
    let case = |x: f64, x_dot: f64, n: f64| {
        let x = Inputs::default().with("x", x).with("x_dot", x_dot);
        x.with("n", n)
    };
    let ordinary = [2.5, -1.5, 0.75, 3.25, 1.5]
        .map(|n| case(draw.between(0.2, 2.), draw.number(), n));
    let whole = [3., -2., 4., 5.]
        .map(|n| case(draw.between(-2., -0.2), draw.number(), n));
    let zero = [0., 1., 1.875, 2., 3.].map(|n| case(0., draw.number(), n));
    let rare = [
        case(1., 1., 1.),
        case(1.3, -0.7, 0.),
        case(-1.3, -0.7, 0.),
        case(-0.4, 0.8, 1.),
        case(1.7, 0., 2.5),
        case(0., 0., 2.),
        case(30., 2., 3.5),
        case(2e-3, 1.5, 2.5),
        case(-1., 0.7, 4_294_967_298.),
        case(-1.3, 0.7, -3.),
    ];
    Cases {
        usual: vec![ordinary.into(), whole.into(), zero.into()],
        rare: rare.into(),
        ..Cases::default()
    }
}

fn point(draw: &mut Sampler) -> Cases {
    let case = |[y, y_dot, x, x_dot]: [f64; 4]| {
        let y = Inputs::default().with("y", y).with("y_dot", y_dot);
        y.with("x", x).with("x_dot", x_dot)
    };
    // All four quarters of the plane, twice.
    let usual = [[1., 1.], [1., -1.], [-1., -1.], [-1., 1.]];
    let usual: Vec<_> = (usual.iter().chain(&usual))
        .map(|[sy, sx]| {
            let [y, x] = [sy, sx].map(|s| s * draw.between(0.2, 2.));
            case([y, draw.number(), x, draw.number()])
        })
        .collect();
    // On the axes, on the unit circle, far from it; one of the two at rest.
    let rare = [
        [1.5, 0.7, 0., -1.2],
        [-1.5, 0.7, 0., -1.2],
        [0., 0.7, 2., -1.2],
        [0., 0.7, -2., 1.2],
        [0.6, 1., -0.8, 0.],
        [0.6, 0., 0.8, 1.],
        [300., 20., -400., 50.],
        [3e-3, 0.02, 4e-3, -0.05],
        [1e-9, 0.7, 1.5, 0.2],
        [-1e-9, 0.7, 1.5, 0.2],
    ];
    Cases::new(usual, rare.map(case).into())
}

/// `xⁿ` also where `x` is 0 or negative, then the angle of a point.
pub static POWER_AND_ANGLE: Two<Power, Binary> = Two(
    &Value {
        outputs: &[VALUE, SLOPE],
        against: "xⁿ and n·xⁿ⁻¹·ẋ",
        right: |i| {
            let n = Dual::constant(i.number("n"));
            parts(dual(i, "x", "x_dot").powf(n))
        },
        tolerance: TOLERANCE,
        call: |f: &Power, i| parts(f(dual(i, "x", "x_dot"), i.number("n"))),
        cases: power_of,
        wrong: mistakes::POWER,
        symptom: Some(is_nan),
    },
    &Value {
        outputs: &[VALUE, SLOPE],
        against: "the angle of (x, y) and how fast it turns",
        right: |i| {
            let y = dual(i, "y", "y_dot");
            parts(y.atan2(dual(i, "x", "x_dot")))
        },
        tolerance: TOLERANCE,
        call: |f: &Binary, i| {
            parts(f(dual(i, "y", "y_dot"), dual(i, "x", "x_dot")))
        },
        cases: point,
        wrong: mistakes::ANGLE,
        symptom: None,
    },
);

/// `fn(y, dy) -> dx` for roots, from the output.
pub type RootVjp = fn(ArrayView1<f64>, ArrayView1<f64>) -> Array1<f64>;

/// `fn(n, dy) -> dx` for the mean of `n` numbers.
pub type MeanVjp = fn(usize, f64) -> Array1<f64>;

/// `fn(dy) -> dx` for running sums.
pub type SumsVjp = fn(ArrayView1<f64>) -> Array1<f64>;

/// `fn(a, b, dy) -> (da, db)` for `a bᵀ`.
pub type OuterVjp = fn(
    ArrayView1<f64>,
    ArrayView1<f64>,
    ArrayView2<f64>,
) -> (Array1<f64>, Array1<f64>);

/// `fn(x, dy) -> dx` for `x/‖x‖`.
pub type UnitVjp = fn(ArrayView1<f64>, ArrayView1<f64>) -> Array1<f64>;

/// The five of them.
pub type Five = (RootVjp, MeanVjp, SumsVjp, OuterVjp, UnitVjp);

/// The op that a case is of: its input has a name of its own.
fn one_of_five(i: &Inputs) -> ArrayD<f64> {
    if i.has("r") {
        i.vector("r").sqrt().into_dyn()
    } else if i.has("m") {
        let m = i.vector("m");
        arr0(m.sum() / m.len() as f64).into_dyn()
    } else if i.has("s") {
        let mut sums = i.vector("s").to_owned();
        sums.accumulate_axis_inplace(Axis(0), |before, now| *now += before);
        sums.into_dyn()
    } else if i.has("a") {
        let (a, b) = (i.vector("a"), i.vector("b"));
        let outer = |(k, l): (usize, usize)| a[k] * b[l];
        Array2::from_shape_fn((a.len(), b.len()), outer).into_dyn()
    } else {
        let x = i.vector("x");
        (&x / x.dot(&x).sqrt()).into_dyn()
    }
}

fn call_five(
    (root, mean, sums, outer, unit): &Five,
    i: &Inputs,
) -> Vec<ArrayD<f64>> {
    if i.has("r") {
        let y = i.vector("r").sqrt();
        arrays![root(y.view(), i.vector("dy"))]
    } else if i.has("m") {
        arrays![mean(i.vector("m").len(), i.number("dy"))]
    } else if i.has("s") {
        arrays![sums(i.vector("dy"))]
    } else if i.has("a") {
        let (a, b) = (i.vector("a"), i.vector("b"));
        let (da, db) = outer(a, b, i.matrix("dy"));
        arrays![da, db]
    } else {
        arrays![unit(i.vector("x"), i.vector("dy"))]
    }
}

fn five_cases(draw: &mut Sampler) -> Cases {
    let positive = |i: Inputs| {
        let mut i = i;
        i.array_mut("r").mapv_inplace(f64::abs);
        i
    };
    let mut vectors = |name: &'static str, n: usize| -> Inputs {
        let i = match name {
            "m" => draw.inputs(&[(name, &[n]), ("dy", &[])]),
            _ => draw.inputs(&[(name, &[n]), ("dy", &[n])]),
        };
        if name == "r" { positive(i) } else { i }
    };
    let mut usual = Vec::new();
    let mut rare = Vec::new();
    let mut large = Vec::new();
    for name in ["r", "m", "s", "x"] {
        usual.push([3, 2, 5, 4].map(|n| vectors(name, n)).to_vec());
        rare.extend([1, 17].map(|n| vectors(name, n)));
        large.push(vectors(name, 300));
    }
    large.push(vectors("m", 70_000));
    // Ties, and a zero among the entries.
    for name in ["s", "x"] {
        let tied = arr1(&[1., 0., 1., -2.]);
        let dy = arr1(&[1., 1., -0.5, 2.]);
        rare.push(Inputs::default().with(name, tied).with("dy", dy));
    }
    // Short and long vectors, whose gradients are large and small.
    for scale in [0.1, 40.] {
        let x = vectors("x", 4);
        let long = scale * x.array("x");
        rare.push(x.clone().without("x").with("x", long));
    }
    for dy in [1.25, -0.75] {
        let tied = arr1(&[1., 2., 2.]);
        rare.push(Inputs::default().with("m", tied).with("dy", dy));
    }
    let mut outer = |[k, l]: [usize; 2]| {
        draw.inputs(&[("a", &[k]), ("b", &[l]), ("dy", &[k, l])])
    };
    let shapes = [[3, 2], [2, 4], [3, 3], [2, 2], [5, 4]];
    usual.insert(3, shapes.map(&mut outer).to_vec());
    large.extend([[300, 2], [2, 300]].map(&mut outer));
    rare.extend([[1, 1], [1, 3], [3, 1], [10, 17]].map(outer));
    Cases { usual, rare, large }
}

/// Five VJPs, each judged by itself.
pub static FIVE_VJPS: Vjp<Five> = Vjp {
    forward: one_of_five,
    cotangent: "dy",
    gradients: &[
        (ROOT, "r"),
        (MEAN, "m"),
        (SUMS, "s"),
        (DB, "b"),
        (DA, "a"),
        (UNIT, "x"),
    ],
    call: |f, i| {
        let mut all = call_five(f, i);
        all.reverse(); // db before da
        all
    },
    cases: five_cases,
    batch: None,
    wrong: mistakes::FIVE,
};

/// A product with a Jacobian, or with its transpose.
pub type Product<'a> = &'a dyn Fn(ArrayView1<f64>) -> Array1<f64>;

/// `fn(n, m, jvp, vjp) -> J`.
pub type Jacobian =
    for<'a> fn(usize, usize, Product<'a>, Product<'a>) -> Array2<f64>;

/// The Jacobian, and by how many passes.
pub static JACOBIAN: Value<Jacobian> = Value {
    outputs: &[MATRIX, PASSES],
    against: "the matrix of the two products",
    right: |i| {
        let j = i.matrix("J");
        arrays![j.to_owned(), j.nrows().min(j.ncols())]
    },
    tolerance: TOLERANCE,
    call: |f, i| {
        let j = i.matrix("J");
        let passes = Cell::new(0_usize);
        let pass = || passes.set(passes.get() + 1);
        let jvp = |v: ArrayView1<f64>| {
            pass();
            j.dot(&v)
        };
        let vjp = |u: ArrayView1<f64>| {
            pass();
            j.t().dot(&u)
        };
        let jacobian = f(j.ncols(), j.nrows(), &jvp, &vjp);
        arrays![jacobian, passes.get()]
    },
    cases: |draw| {
        let mut case = |[m, n]: [usize; 2]| draw.inputs(&[("J", &[m, n])]);
        let usual = [[2, 3], [4, 2], [3, 5], [5, 3]].map(&mut case);
        let rare = [[1, 1], [1, 4], [4, 1], [3, 3], [2, 2], [17, 10], [10, 17]];
        let mut rare = rare.map(&mut case).to_vec();
        // Rows and columns of zeros stand before others.
        for shape in [[3, 5], [5, 3]] {
            let mut zeros = case(shape);
            let j = zeros.array_mut("J");
            for axis in [0, 1] {
                j.index_axis_mut(Axis(axis), 0).fill(0.);
            }
            rare.push(zeros);
        }
        Cases::new(usual.into(), rare)
    },
    wrong: mistakes::JACOBIAN,
    symptom: None,
};

/// `fn(n, m, jvp, vjp) -> whether they are adjoint`.
pub type IsAdjoint = for<'a> fn(usize, usize, Product<'a>, Product<'a>) -> bool;

/// A test that tells a VJP from what is none.
pub static IS_ADJOINT: Special<IsAdjoint> = Special(is_adjoint);

/// A Jacobian, and the matrix whose transpose its VJP multiplies with.
struct Claimed {
    what: String,
    jvp: Array2<f64>,
    vjp: Array2<f64>,
    /// Whether the numbers are far from 1.
    scaled: bool,
}

impl Claimed {
    fn new(
        what: impl Into<String>,
        jvp: &Array2<f64>,
        vjp: Array2<f64>,
    ) -> Self {
        Self {
            what: what.into(),
            jvp: jvp.clone(),
            vjp,
            scaled: false,
        }
    }

    fn is_right(&self) -> bool {
        self.jvp == self.vjp
    }
}

fn claims(draw: &mut Sampler) -> Vec<Claimed> {
    let mut all = Vec::new();
    for (m, n) in [(3, 4), (4, 2), (3, 3), (1, 3), (2, 1), (20, 30), (60, 70)] {
        let j = draw.matrix(m, n);
        all.push(Claimed::new("the right VJP", &j, j.clone()));
    }
    let j = draw.matrix(3, 3);
    let symmetric = &j + &j.t();
    let right = "the right VJP of a symmetric Jacobian";
    all.push(Claimed::new(right, &symmetric, symmetric.clone()));
    let none = Array2::zeros((3, 2));
    all.push(Claimed::new(
        "the right VJP of a constant",
        &none,
        none.clone(),
    ));
    for n in [2, 3, 4] {
        let j = draw.matrix(n, n);
        let turned = j.t().to_owned();
        all.push(Claimed::new("the JVP once more for the VJP", &j, turned));
        // What u = v cannot see.
        let mut skew = j.clone();
        skew[[0, 1]] += 0.5;
        skew[[1, 0]] -= 0.5;
        let what = "a VJP with two opposite errors";
        all.push(Claimed::new(what, &j, skew));
        // What equal entries cannot see.
        let mut even = j.clone();
        even[[0, 0]] += 0.5;
        even[[0, 1]] -= 0.5;
        even[[1, 0]] -= 0.5;
        even[[1, 1]] += 0.5;
        let what = "a VJP with four errors that add up to 0";
        all.push(Claimed::new(what, &j, even));
    }
    let j = draw.matrix(3, 2);
    all.push(Claimed::new("a VJP with the wrong sign", &j, -&j));
    all.push(Claimed::new("a VJP twice too large", &j, &j * 2.));
    all.push(Claimed::new("a VJP that returns 0", &j, &j * 0.));
    for (index, _) in j.indexed_iter() {
        for error in [0.5, 2e-3] {
            let mut off = j.clone();
            off[index] += error;
            let (i, k) = index;
            let what = format!("a VJP with entry [{i}, {k}] off by {error}");
            all.push(Claimed::new(what, &j, off));
        }
    }
    // One of many, and no number at all.
    let j = draw.matrix(60, 70);
    for index in [(0, 0), (59, 0), (0, 69), (59, 69), (31, 33)] {
        let mut off = j.clone();
        off[index] += 2e-3;
        let what = format!("a VJP with entry {index:?} off by 2e-3");
        all.push(Claimed::new(what, &j, off));
    }
    let j = draw.matrix(3, 2);
    all.push(Claimed::new("a VJP that returns NaN", &j, &j * f64::NAN));
    // The same at another scale.
    for scale in [1e9, 1e-12, 1e100, 1e-100] {
        let j = draw.matrix(3, 4) * scale;
        let right = format!("the right VJP, its numbers near {scale:e}");
        let wrong = format!("a VJP one percent too large, near {scale:e}");
        let scaled = true;
        all.push(Claimed {
            scaled,
            ..Claimed::new(right, &j, j.clone())
        });
        all.push(Claimed {
            scaled,
            ..Claimed::new(wrong, &j, &j * 1.01)
        });
    }
    all
}

fn is_adjoint(answer: IsAdjoint, seed: u64) -> Verdict {
    let mut count = [0, 0];
    // Twice, so that nothing can be kept from one call to the next.
    let draws = [seed, seed + 1000].map(|s| claims(&mut Sampler::new(s)));
    for claim in draws.into_iter().flatten() {
        let (m, n) = claim.jvp.dim();
        let (us, vs) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        let jvp = |v: ArrayView1<f64>| {
            vs.borrow_mut().push(v.to_owned());
            claim.jvp.dot(&v)
        };
        let vjp = |u: ArrayView1<f64>| {
            us.borrow_mut().push(u.to_owned());
            claim.vjp.t().dot(&u)
        };
        let right = claim.is_right();
        let word = |accepted| if accepted { "accepted" } else { "rejected" };
        let what = format!("{}, n = {n}, m = {m}", claim.what);
        let accepted = match attempt(|| answer(n, m, &jvp, &vjp)) {
            Ok(accepted) => accepted,
            Err(p) if p.is_todo() => return Verdict::NotAttempted,
            Err(p) => {
                let got = format!("a panic: {}", p.message);
                return Verdict::Failed(Report::new(what, got, word(right)));
            }
        };
        if accepted == right {
            count[usize::from(right)] += 1;
            continue;
        }
        let report = Report::new(what, word(accepted), word(right));
        let (us, vs) = (us.into_inner(), vs.into_inner());
        return Verdict::Failed(explained(report, &claim, accepted, &us, &vs));
    }
    let [wrong, right] = count;
    Verdict::Passed {
        note: format!(
            "{wrong} wrong VJPs rejected, {right} right ones accepted, and \
             not one finite difference was taken."
        ),
    }
}

fn explained(
    report: Report,
    claim: &Claimed,
    accepted: bool,
    us: &[Array1<f64>],
    vs: &[Array1<f64>],
) -> Report {
    let even = |v: &Array1<f64>| v.len() > 1 && v.iter().all(|x| *x == v[0]);
    let blind =
        us.iter().chain(vs).all(even) || us.iter().zip(vs).all(|(u, v)| u == v);
    if us.is_empty() || vs.is_empty() {
        report.remark("both products are needed, and one was not called")
    } else if accepted && !claim.scaled && blind {
        report.name(&BLIND_VECTORS, Evidence::Structure)
    } else if claim.scaled {
        report.name(&ABSOLUTE_TOLERANCE, Evidence::Structure)
    } else if accepted {
        report.remark("is any entry of u or v 0, or the tolerance wide?")
    } else {
        report.remark(
            "u has m entries and v has n; the two sides differ by rounding",
        )
    }
}

fn reflected(x: Dual) -> Dual {
    x * (Dual::constant(1.) - x)
}

static MENDED: Value<Unary> = Value {
    outputs: &[VALUE, SLOPE],
    against: AGAINST,
    right: |i| parts(reflected(dual(i, "x", "x_dot"))),
    tolerance: TOLERANCE,
    call: |f, i| parts(f(dual(i, "x", "x_dot"))),
    cases: |draw| {
        let case = |x: f64, x_dot: f64| {
            Inputs::default().with("x", x).with("x_dot", x_dot)
        };
        let usual = [0.; 5].map(|_| case(draw.number(), draw.number()));
        let rare = [
            (0., 1.),
            (1., 1.),
            (0.5, 2.),
            (3., 0.),
            (2.5, 1.5),
            (-40., 7.),
        ];
        Cases::new(usual.into(), rare.map(|(x, d)| case(x, d)).into())
    },
    wrong: mistakes::REFLECTED,
    symptom: None,
};

/// The planted bug's name, then the mended function.
pub static FIND_THE_BUG: Hunt<Unary> = Hunt {
    planted: &REFLECTED_SIGN,
    among: NAMES,
    mended: &MENDED,
};

/// A derivative inside a derivative: with two ε, and with one for both.
pub static NESTED: Predict<[f64; 2]> = Predict {
    question: "the slope of x·(d/dy (x·y) at y = 1) at x = 3, right, then \
               with a single ε",
    right: [6., 4.],
    wrong: &[
        ([4., 6.], &PERTURBATION_CONFUSION),
        ([4., 4.], &PERTURBATION_CONFUSION),
        ([6., 6.], &PERTURBATION_CONFUSION),
        ([3., 4.], &mistakes::TANGENT_DROPPED),
    ],
    why: "The inner derivative is x, so the whole is x², with slope 6. With \
          one ε the inner product is (3 + ε)(1 + ε), whose slope 1 + 3 = 4 \
          has the outer variable's motion in it; and 4 is then a number that \
          stands still, so the outer slope is 1·4.",
};
