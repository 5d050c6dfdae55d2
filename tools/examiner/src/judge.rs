//! How a check compares values and names a mistake.
//!
//! A check collects [`Observation`]s: what the learner's function returned on
//! several independent inputs, beside what is right. If they differ, it asks
//! every [`Explanation`], a named mistake with the values it would have
//! returned, whether it fits all of them.

use crate::verdict::{Evidence, Panic, Report, Verdict, attempt};
use ndarray::{ArrayD, Axis, Dimension, IxDyn};

/// Relative to the largest entry. The differences of [`slopes`] are good to
/// about 1e-10; a result that was computed in f32 is not.
pub const TOLERANCE: f64 = 1e-8;

/// One input, what is right for it, and what the answer gave.
#[derive(Debug)]
pub struct Observation {
    /// The shapes or numbers that tell this case from others.
    pub case: String,
    /// The right value.
    pub expected: ArrayD<f64>,
    /// The learner's value, or how the code stopped.
    pub got: Result<ArrayD<f64>, Panic>,
}

impl Observation {
    fn is_right(&self) -> bool {
        self.got.as_ref().is_ok_and(|g| close(g, &self.expected))
    }
}

/// A mistake and what it would have returned in each observation; `None`
/// where the mistake itself would not run.
#[derive(Debug)]
pub struct Explanation {
    /// The catalogue's code.
    pub code: &'static str,
    /// What kind of evidence a match is.
    pub evidence: Evidence,
    /// One value per observation.
    pub values: Vec<Option<ArrayD<f64>>>,
}

impl Explanation {
    /// It fits if it agrees wherever both have a value, at least `2` times (or
    /// in the only observation), and at least once where the right value
    /// would not have agreed.
    fn fits(&self, seen: &[Observation]) -> bool {
        let mut agreed = 0;
        let mut told_apart = false;
        for (o, value) in seen.iter().zip(&self.values) {
            match (&o.got, value) {
                (Ok(g), Some(v)) if close(g, v) => {
                    agreed += 1;
                    told_apart |= !o.is_right();
                }
                (Ok(_), _) => return false,
                (Err(_), _) => {}
            }
        }
        told_apart && agreed >= seen.len().min(2)
    }
}

/// Same shape, and no entry further off than [`TOLERANCE`] times the largest
/// expected entry (at least 1e-3). NaN is close to nothing.
pub fn close(got: &ArrayD<f64>, expected: &ArrayD<f64>) -> bool {
    got.shape() == expected.shape() && first_wrong(got, expected).is_none()
}

fn first_wrong(got: &ArrayD<f64>, expected: &ArrayD<f64>) -> Option<IxDyn> {
    let largest = expected.iter().fold(1e-3, |m: f64, v| m.max(v.abs()));
    let bound = TOLERANCE * largest;
    got.indexed_iter()
        .find(|(i, g)| {
            let gap = (*g - expected[i]).abs();
            gap.is_nan() || gap > bound
        })
        .map(|(i, _)| i)
}

/// Compares all observations of one result; `None` if all are right.
///
/// `what` is the name of the result (`dw`), `against` what it is compared with.
pub fn compare(
    what: &str,
    against: &str,
    seen: &[Observation],
    explanations: &[Explanation],
) -> Option<Verdict> {
    let wrong: Vec<_> = seen.iter().filter(|o| !o.is_right()).collect();
    if wrong.is_empty() {
        return None;
    }
    if let Some(p) = wrong.iter().find_map(|o| o.got.as_ref().err())
        && p.is_todo()
    {
        return Some(Verdict::NotAttempted);
    }
    // Show the smallest failing case that has values; else the first panic.
    let returned: Vec<_> = (wrong.iter())
        .filter_map(|o| o.got.as_ref().ok().map(|g| (*o, g)))
        .collect();
    let smallest = returned.iter().min_by_key(|(o, _)| o.expected.len());
    let shown = smallest.map_or(wrong[0], |(o, _)| *o);
    let mut report = describe(what, against, shown);
    let stopped = wrong.iter().find_map(|o| o.got.as_ref().err());
    if let Some(p) = stopped
        && shown.got.is_ok()
    {
        let also = format!("on other shapes it panics: {}", p.message);
        report.remark = [report.remark, also].join("; ");
    }
    let mut fitting: Vec<_> =
        explanations.iter().filter(|e| e.fits(seen)).collect();
    if let Some(first) = fitting.iter().map(|e| e.evidence).min() {
        fitting.retain(|e| e.evidence == first);
        fitting.dedup_by_key(|e| e.code);
        report.mistakes = fitting.iter().map(|e| e.code.to_owned()).collect();
        report.evidence = Some(first);
    } else if wrong
        .iter()
        .all(|o| o.got.as_ref().is_err_and(does_not_fit))
    {
        report = report.name("SHAPES_DO_NOT_FIT", Evidence::Shape);
    } else if returned.len() > 1
        && returned
            .iter()
            .all(|(o, g)| g.shape() != o.expected.shape())
    {
        report = report.name("WRONG_SHAPE", Evidence::Shape);
    } else if let Some(k) = ratio(seen).filter(|k| (k - 1.).abs() > NEARLY) {
        let k = significant(k);
        report =
            report.remark(format!("{what} is {k} times what it should be"));
    }
    Some(Verdict::Failed(report))
}

/// Wrong by less than this part of the largest entry: rounding, most likely.
const NEARLY: f64 = 1e-4;

/// How the remark begins on what is wrong by less than that.
pub(crate) const NEARLY_RIGHT: &str = "off by only";

fn does_not_fit(p: &Panic) -> bool {
    p.message
        .contains("not compatible for matrix multiplication")
        || p.message.contains("could not broadcast")
        || p.message.contains("incompatible shapes")
}

/// The constant `k` with `got = k * expected` everywhere, if there is one.
fn ratio(seen: &[Observation]) -> Option<f64> {
    let mut k = None;
    for o in seen {
        let g = o.got.as_ref().ok()?;
        let norm: f64 = o.expected.iter().map(|e| e * e).sum();
        let dot: f64 = g.iter().zip(&o.expected).map(|(g, e)| g * e).sum();
        let here = *k.get_or_insert(dot / norm);
        if g.shape() != o.expected.shape() || !close(g, &(&o.expected * here)) {
            return None;
        }
    }
    k
}

fn describe(what: &str, against: &str, o: &Observation) -> Report {
    difference(what, against, o).on(o.case.as_str())
}

fn difference(what: &str, against: &str, o: &Observation) -> Report {
    let compared = format!("{what} against {against}");
    let expected = show(&o.expected);
    match &o.got {
        Err(p) => {
            let report = Report::new(
                compared,
                format!("a panic: {}", p.message),
                expected,
            );
            // A place inside a library tells the learner nothing.
            if p.place.contains(".cargo") || p.place.is_empty() {
                report
            } else {
                report.remark(format!("it panicked at {}", p.place))
            }
        }
        Ok(g) if g.shape() != o.expected.shape() => {
            Report::new(compared, show(g), expected)
        }
        Ok(g) => {
            let i = first_wrong(g, &o.expected).expect("this one is wrong");
            let place: Vec<_> =
                i.slice().iter().map(ToString::to_string).collect();
            let gap = (g - &o.expected).iter().fold(0., |m: f64, v| {
                if v.is_nan() { f64::NAN } else { m.max(v.abs()) }
            });
            let largest =
                o.expected.iter().fold(1e-3, |m: f64, v| v.abs().max(m));
            let part = gap / largest;
            let entry =
                format!("the first wrong entry is [{}]", place.join(", "));
            let remark = if g.iter().any(|v| !v.is_finite()) {
                format!("{what} is not finite everywhere")
            } else if part < NEARLY {
                format!(
                    "{NEARLY_RIGHT} {part:.0e} of the largest entry: is anything \
                     computed in f32, by differences, or with a small number \
                     added or clipped?"
                )
            } else if place.is_empty() {
                String::new()
            } else if same_when_shown(g[&i], o.expected[&i]) {
                format!("{entry}: {} instead of {}", g[&i], o.expected[&i])
            } else {
                entry
            };
            Report::new(compared, show(g), expected).remark(remark)
        }
    }
}

/// Whether [`show`] prints two numbers alike.
fn same_when_shown(a: f64, b: f64) -> bool {
    cell(a) == cell(b)
}

/// Nine letters that begin with a space: four decimals, fewer for large
/// numbers, and no sign before a zero.
fn cell(v: f64) -> String {
    match v.abs() {
        size if size < 100. => format!("{v:9.4}").replace("-0.0000", " 0.0000"),
        size if size < 1e4 => format!("{v:9.2}"),
        _ => format!("{v:9.1e}"),
    }
}

/// Four significant digits, without zeros at the end: 0.25, 0.995, -3.
fn significant(k: f64) -> f64 {
    format!("{k:.3e}").parse().expect("a number, printed")
}

/// Shape and values of an array, one row a line; large ones are cut.
pub fn show(a: &ArrayD<f64>) -> String {
    let shape: Vec<_> = a.shape().iter().map(ToString::to_string).collect();
    let row = |r: &mut dyn Iterator<Item = &f64>| {
        let mut cells: Vec<_> = r.take(9).map(|v| cell(*v)).collect();
        if cells.len() == 9 {
            cells[8] = "...".into();
        }
        format!("[{} ]", cells.join(""))
    };
    match a.ndim() {
        0 => match *a.first().expect("a scalar has one entry") {
            v if v.fract() == 0. && v.abs() < 1e15 => format!("{}", v + 0.),
            v => format!("{v:.10}"),
        },
        1 => format!("({})\n{}", shape.join(","), row(&mut a.iter())),
        _ => {
            let last = a.ndim() - 1;
            let rows = a.lanes(Axis(last));
            let mut text = format!("({})", shape.join(","));
            for (i, r) in rows.into_iter().enumerate() {
                if i == 8 {
                    text += "\n[ ... ]";
                    break;
                }
                text += "\n";
                text += &row(&mut r.iter());
            }
            text
        }
    }
}

/// One input of a VJP task: the arrays that the op takes, and a cotangent.
#[derive(Clone, Debug)]
pub struct Case {
    /// The inputs of the forward, in order.
    pub inputs: Vec<ArrayD<f64>>,
    /// A random cotangent with the shape of the output.
    pub dy: ArrayD<f64>,
}

impl Case {
    /// The same case with all numbers that many times as large.
    pub fn times(mut self, factor: f64) -> Self {
        for a in self.inputs.iter_mut().chain([&mut self.dy]) {
            *a *= factor;
        }
        self
    }

    /// The same case with whole numbers: zeros, and many ties.
    pub fn rounded(mut self) -> Self {
        for a in self.inputs.iter_mut().chain([&mut self.dy]) {
            a.mapv_inplace(f64::round);
        }
        self
    }
}

/// The gradient of input `k` by central differences of fourth order, at `h`
/// and `2h`: good to about 1e-10 where `f` is smooth.
pub fn slopes(
    f: &dyn Fn(&[ArrayD<f64>]) -> ArrayD<f64>,
    inputs: &[ArrayD<f64>],
    k: usize,
    dy: &ArrayD<f64>,
) -> ArrayD<f64> {
    let mut x = inputs.to_vec();
    let mut dx = ArrayD::zeros(inputs[k].raw_dim());
    for (index, slope) in dx.indexed_iter_mut() {
        let at = inputs[k][&index];
        let h = 1e-4 * at.abs().max(1.);
        let mut difference = |h: f64| {
            x[k][&index] = at + h;
            let up = f(&x);
            x[k][&index] = at - h;
            let down = f(&x);
            x[k][&index] = at;
            (dy * &(up - down)).sum() / (2. * h)
        };
        *slope = (4. * difference(h) - difference(2. * h)) / 3.;
    }
    dx
}

/// The VJP judge: a learner's backward against central differences of the
/// reference forward.
pub struct Vjp<'a> {
    /// The forward that the VJP belongs to.
    pub forward: &'a dyn Fn(&[ArrayD<f64>]) -> ArrayD<f64>,
    /// Names of the inputs, for the report: `["x", "w", "b"]`; one more is the
    /// name of the cotangent, which is `dy` otherwise.
    pub inputs: &'a [&'a str],
    /// The gradients in backward order, counted from the loss: name and the
    /// index of the input that it belongs to. The first wrong one is reported.
    pub order: &'a [(&'a str, usize)],
    /// Constant factors that have a name, per gradient.
    pub ratios: &'a Ratios<'a>,
    /// What each mistake of this task would return for a gradient.
    pub mistakes: &'a [(&'static str, Mistaken<'a>)],
}

/// A learner's VJP: the inputs and a cotangent give one gradient per input.
pub type Backward<'a> =
    dyn Fn(&[ArrayD<f64>], &ArrayD<f64>) -> Vec<ArrayD<f64>> + 'a;

/// Constant factors that have a name: the case and a gradient's name give
/// code and factor, always the same codes in the same order.
pub type Ratios<'a> = dyn Fn(&Case, &str) -> Vec<(&'static str, f64)> + 'a;

/// A mistake's value for a gradient; `None` if it does not touch it, or would
/// not run on these shapes.
pub type Mistaken<'a> = &'a dyn Fn(&Case, &str) -> Option<ArrayD<f64>>;

impl std::fmt::Debug for Vjp<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vjp").field("order", &self.order).finish()
    }
}

impl Vjp<'_> {
    /// Judges `answer`, which returns one gradient per input, in their order.
    ///
    /// Give several cases with pairwise different dimensions, and at least two
    /// square ones: some mistakes run only where the shapes cannot object.
    pub fn judge(&self, cases: &[Case], answer: &Backward) -> Verdict {
        self.judge_also(cases, &[], answer)
    }

    /// The same, and an answer that is right on all `cases` also has to be
    /// right on `rare`: one row, one column, many, zeros and ties, large
    /// numbers. A mistake is named by `cases` alone.
    pub fn judge_also(
        &self,
        cases: &[Case],
        rare: &[Case],
        answer: &Backward,
    ) -> Verdict {
        let truth: Vec<_> = cases.iter().map(|c| self.truth(c)).collect();
        let given: Vec<_> = cases
            .iter()
            .map(|c| attempt(|| answer(&c.inputs, &c.dy)))
            .collect();
        // The same inputs with another cotangent, and with the sum of both.
        let other: Vec<_> = cases
            .iter()
            .map(|c| c.dy.mapv(|v| 0.7 - 1.3 * v * v))
            .collect();
        let given_other: Vec<_> = (cases.iter().zip(&other))
            .map(|(c, dy)| attempt(|| answer(&c.inputs, dy)))
            .collect();
        let observe = |k: usize| -> Vec<_> {
            (0..cases.len())
                .map(|c| Observation {
                    case: self.case(&cases[c]),
                    expected: truth[c][k].clone(),
                    got: given[c].clone().map(|g| g[k].clone()),
                })
                .collect()
        };
        // A panic stops all gradients at once: look first for one that has a
        // wrong value, and only then at those that have none.
        let has_wrong_value = |&&(_, k): &&(&str, usize)| {
            observe(k).iter().any(|o| o.got.is_ok() && !o.is_right())
        };
        let wrong = self.order.iter().filter(has_wrong_value);
        for &(name, k) in wrong.chain(self.order) {
            let seen = observe(k);
            let explanations =
                self.explanations(cases, &seen, name, k, &given_other);
            let against = "central differences of the forward";
            let verdict = compare(name, against, &seen, &explanations);
            if let Some(Verdict::Failed(report)) = &verdict
                && report.mistakes.is_empty()
                && !linear(cases, &given, &other, &given_other, answer, k)
            {
                return Verdict::Failed(
                    report
                        .clone()
                        .name("NOT_LINEAR_IN_UPSTREAM", Evidence::Linearity),
                );
            }
            if let Some(verdict) = verdict {
                return verdict;
            }
        }
        self.other_cotangents(cases, &truth, answer)
            .or_else(|| self.other_inputs(rare, answer))
            .unwrap_or_else(Verdict::passed)
    }

    /// The right gradients, by the index of their input; nothing where none
    /// is asked for.
    fn truth(&self, c: &Case) -> Vec<ArrayD<f64>> {
        let asked = |k| self.order.iter().any(|(_, of)| *of == k);
        (0..c.inputs.len())
            .map(|k| match asked(k) {
                true => slopes(self.forward, &c.inputs, k, &c.dy),
                false => ArrayD::zeros(IxDyn(&[0])),
            })
            .collect()
    }

    /// An answer that is right for one cotangent, judged on others: a hundred
    /// times that one, and zero. What differs there is not linear in dy, or
    /// remembers earlier calls.
    fn other_cotangents(
        &self,
        cases: &[Case],
        truth: &[Vec<ArrayD<f64>>],
        answer: &Backward,
    ) -> Option<Verdict> {
        for factor in [1., 100., 0.] {
            let cases: Vec<_> = (cases.iter())
                .map(|c| Case {
                    inputs: c.inputs.clone(),
                    dy: &c.dy * factor,
                })
                .collect();
            let given: Vec<_> = (cases.iter())
                .map(|c| attempt(|| answer(&c.inputs, &c.dy)))
                .collect();
            for &(name, k) in self.order {
                let seen: Vec<_> = (0..cases.len())
                    .map(|c| Observation {
                        case: self.case(&cases[c]),
                        expected: &truth[c][k] * factor,
                        got: given[c].clone().map(|g| g[k].clone()),
                    })
                    .collect();
                let against = "central differences of the forward";
                match compare(name, against, &seen, &[]) {
                    None => {}
                    Some(Verdict::Failed(report)) if factor == 1. => {
                        let remark = "the same arguments gave the right \
                                      result before: nothing may be kept from \
                                      one call to the next";
                        return Some(Verdict::Failed(report.remark(remark)));
                    }
                    Some(Verdict::Failed(mut report))
                        if seen.iter().all(|o| o.got.is_ok()) =>
                    {
                        report.remark.clear();
                        return Some(Verdict::Failed(report.name(
                            "NOT_LINEAR_IN_UPSTREAM",
                            Evidence::Linearity,
                        )));
                    }
                    verdict => return verdict,
                }
            }
        }
        None
    }

    fn other_inputs(
        &self,
        rare: &[Case],
        answer: &Backward,
    ) -> Option<Verdict> {
        let truth: Vec<_> = rare.iter().map(|c| self.truth(c)).collect();
        let given: Vec<_> = (rare.iter())
            .map(|c| attempt(|| answer(&c.inputs, &c.dy)))
            .collect();
        self.order.iter().find_map(|&(name, k)| {
            let seen: Vec<_> = (0..rare.len())
                .map(|c| Observation {
                    case: self.case(&rare[c]),
                    expected: truth[c][k].clone(),
                    got: given[c].clone().map(|g| g[k].clone()),
                })
                .collect();
            let against = "central differences of the forward";
            compare(name, against, &seen, &[])
        })
    }

    /// The inputs of a case under their names: their values if they are few.
    fn case(&self, c: &Case) -> String {
        let cotangent = self.inputs.get(c.inputs.len()).unwrap_or(&"dy");
        let names = self.inputs.iter().take(c.inputs.len()).chain([cotangent]);
        let arrays = || c.inputs.iter().chain([&c.dy]);
        let few = arrays().map(|a| a.len()).sum::<usize>() <= 36;
        let scalars = arrays().all(|a| a.ndim() == 0);
        let all: Vec<_> = (names.zip(arrays()))
            .map(|(name, a)| match a.ndim() {
                0 => format!("{name} = {:.2}", a.sum()),
                _ if few => format!("{name} {}", show(a)),
                _ => {
                    let all = a.shape().iter().map(ToString::to_string);
                    let all: Vec<_> = all.collect();
                    format!("{name} ({})", all.join(","))
                }
            })
            .collect();
        all.join(if few && !scalars { "\n" } else { ", " })
    }

    fn explanations(
        &self,
        cases: &[Case],
        seen: &[Observation],
        name: &str,
        k: usize,
        other: &[Result<Vec<ArrayD<f64>>, Panic>],
    ) -> Vec<Explanation> {
        let each = |code, evidence, value: &dyn Fn(usize) -> Option<_>| {
            let values = (0..cases.len()).map(value).collect();
            Explanation {
                code,
                evidence,
                values,
            }
        };
        let zero = each("ALL_ZERO", Evidence::Cotangent, &|c| {
            Some(ArrayD::zeros(seen[c].expected.shape()))
        });
        if zero.fits(seen) {
            return vec![zero];
        }
        let mut all = vec![
            each("UPSTREAM_IGNORED", Evidence::Cotangent, &|c| {
                other[c].as_ref().ok().map(|g| g[k].clone())
            }),
            each("SIGN_FLIPPED", Evidence::Ratio, &|c| {
                Some(-&seen[c].expected)
            }),
            each("TRANSPOSED", Evidence::Structure, &|c| {
                let t = seen[c].expected.t();
                (t.ndim() > 1).then(|| t.to_owned())
            }),
        ];
        let named: Vec<_> =
            cases.iter().map(|c| (self.ratios)(c, name)).collect();
        for (i, (code, _)) in named[0].iter().enumerate() {
            all.push(each(code, Evidence::Ratio, &|c| {
                Some(&seen[c].expected * named[c][i].1)
            }));
        }
        for (code, mistaken) in self.mistakes {
            let alone = each(code, Evidence::Prediction, &|c| {
                attempt(|| mistaken(&cases[c], name)).ok().flatten()
            });
            if alone.values.iter().any(Option::is_some) {
                all.push(alone);
            }
        }
        all
    }
}

/// Whether the answer's gradient `k` of a sum of cotangents is the sum of its
/// gradients.
fn linear(
    cases: &[Case],
    given: &[Result<Vec<ArrayD<f64>>, Panic>],
    other: &[ArrayD<f64>],
    given_other: &[Result<Vec<ArrayD<f64>>, Panic>],
    answer: &Backward<'_>,
    k: usize,
) -> bool {
    (0..cases.len()).all(|c| {
        let (Ok(one), Ok(two)) = (&given[c], &given_other[c]) else {
            return true;
        };
        if one[k].shape() != two[k].shape() {
            return true;
        }
        let both = &cases[c].dy + &other[c];
        match attempt(|| answer(&cases[c].inputs, &both)) {
            Ok(sum) => close(&sum[k], &(&one[k] + &two[k])),
            Err(_) => true,
        }
    })
}

/// A prediction: right, not attempted, or wrong and perhaps a known wrong one.
///
/// `why` is shown after a right one. The right value is never shown.
pub fn predict<T: PartialEq + std::fmt::Debug>(
    question: &str,
    answer: Option<T>,
    right: T,
    known_wrong: &[(T, &'static str)],
    why: &str,
) -> Verdict {
    match answer {
        None => Verdict::NotAttempted,
        Some(a) if a == right => Verdict::Passed {
            note: why.to_owned(),
        },
        Some(a) => {
            let report = Report::new(question, format!("{a:?}"), "")
                .remark("predict again before you compute it");
            let known = known_wrong.iter().find(|(w, _)| *w == a);
            Verdict::Failed(match known {
                Some((_, code)) => report.name(code, Evidence::Choice),
                None => report,
            })
        }
    }
}

/// A hunt: the learner names the planted bug by its code; then `mended` judges
/// the mended function.
pub fn hunt(
    named: Option<&str>,
    planted: &str,
    mended: impl FnOnce() -> Verdict,
) -> Verdict {
    let Some(named) = named else {
        return Verdict::NotAttempted;
    };
    if named.trim().eq_ignore_ascii_case(planted) {
        return match mended() {
            Verdict::Failed(mut report) => {
                let right = "the name is right; mend the function";
                report.remark = match report.remark.as_str() {
                    "" => right.to_owned(),
                    more => format!("{right}; {more}"),
                };
                Verdict::Failed(report)
            }
            other => other,
        };
    }
    let question = "the name you gave the bug";
    let known = crate::catalogue::find(&named.trim().to_ascii_uppercase());
    let report = match known {
        Some(m) => Report::new(question, m.code, "").remark(format!(
            "that one would read: {} Does the report say that?",
            m.sentence
        )),
        None => Report::new(question, named, "").remark(
            "no mistake has this code; the appendix \"Catalogue of mistakes\" \
             lists them all",
        ),
    };
    Verdict::Failed(report.name("WRONG_BUG", Evidence::Choice))
}
