//! How a check compares values and names a mistake.
//!
//! A check collects [`Observation`]s: what the learner's function returned on
//! several independent inputs, beside what is right. If they differ, it asks
//! every [`Explanation`], a named mistake with the values it would have
//! returned, whether it fits all of them.

use super::Inputs;
use super::show::{same_when_shown, show, significant};
use crate::Mistake;
use crate::arrays::Arrays;
use crate::general::{
    OUTPUTS_REORDERED, RESHAPED_NOT_TRANSPOSED, SHAPES_DO_NOT_FIT,
    SIGN_FLIPPED, TRANSPOSED, WRONG_SHAPE,
};
use crate::verdict::{Evidence, Panic, Report, Verdict};
use ndarray::{ArrayD, Dimension, IxDyn};

/// Relative to the largest entry. The differences of
/// [`slopes`](super::slopes) are good to
/// about 1e-10; a result that was computed in f32 is not.
pub const TOLERANCE: f64 = 1e-8;

/// The tolerance of a count.
pub const EXACTLY: f64 = 0.;

/// One input, what is right for it, and what the answer gave.
#[derive(Debug)]
pub struct Observation<'a> {
    /// What it was given.
    pub inputs: &'a Inputs,
    /// The right value.
    pub expected: ArrayD<f64>,
    /// The learner's value, or how the code stopped.
    pub got: Result<ArrayD<f64>, Panic>,
    /// How far off an entry may be, relative to the largest.
    pub tolerance: f64,
}

impl Observation<'_> {
    pub(super) fn is_right(&self) -> bool {
        self.got
            .as_ref()
            .is_ok_and(|g| self.agrees(g, &self.expected))
    }

    /// How many entries are wrong and not zero, if all wrong ones are what a
    /// mistake gives there: zeros have many causes.
    fn wrong_as(
        &self,
        got: &ArrayD<f64>,
        mistake: &ArrayD<f64>,
    ) -> Option<usize> {
        let shape = self.expected.shape();
        if got.shape() != shape || mistake.shape() != shape {
            return None;
        }
        let bound = self.tolerance * size(&self.expected, self.inputs.least());
        let is = |a: f64, b: f64| (a - b).abs() <= bound;
        let mut wrong = 0;
        for ((g, e), m) in got.iter().zip(&self.expected).zip(mistake) {
            if !is(*g, *e) {
                if !is(*g, *m) {
                    return None;
                }
                wrong += usize::from(*g != 0.);
            }
        }
        Some(wrong)
    }

    /// Whether two values are the same here.
    fn agrees(&self, a: &ArrayD<f64>, b: &ArrayD<f64>) -> bool {
        within(a, b, self.tolerance, self.inputs.least())
    }
}

/// A mistake and what it would have returned in each observation; `None`
/// where the mistake itself would not run.
#[derive(Debug)]
pub struct Explanation {
    /// Its name.
    pub mistake: &'static Mistake,
    /// What kind of evidence a match is.
    pub evidence: Evidence,
    /// One value per observation.
    pub values: Vec<Option<ArrayD<f64>>>,
}

/// What a mistake would return in a case, if it would run there.
pub(super) type Values<'a> = &'a dyn Fn(usize) -> Option<ArrayD<f64>>;

impl Explanation {
    /// A mistake with what it would return in each case, unless what it would
    /// return where the answer is wrong is something else. The smallest case
    /// is tried first: most mistakes are out of the question then. Where the
    /// answer is right, a rare case is not looked at.
    pub(super) fn of(
        mistake: &'static Mistake,
        evidence: Evidence,
        seen: &[Observation],
        rare: bool,
        value: Values,
    ) -> Option<Self> {
        let mut values = vec![None; seen.len()];
        let mut order: Vec<_> = (0..seen.len())
            .filter(|k| !(rare && seen[*k].is_right()))
            .collect();
        order.sort_by_key(|k| (seen[*k].is_right(), seen[*k].expected.len()));
        for k in order {
            values[k] = value(k);
            let explained = match (&seen[k].got, &values[k]) {
                (Ok(got), Some(v)) => {
                    seen[k].is_right()
                        || seen[k].agrees(got, v)
                        || seen[k].wrong_as(got, v).is_some()
                }
                (Ok(_), None) => seen[k].is_right(),
                (Err(_), _) => true,
            };
            if !explained {
                return None;
            }
        }
        Some(Self {
            mistake,
            evidence,
            values,
        })
    }

    /// It fits if it agrees wherever both have a value, at least `2` times (or
    /// in the only observation), and at least once where the right value
    /// would not have agreed. Where the mistake itself would not run, the
    /// answer may be right: it was turned until the shapes fitted.
    pub(super) fn fits(&self, seen: &[Observation]) -> bool {
        let mut agreed = 0;
        let mut told_apart = false;
        for (o, value) in seen.iter().zip(&self.values) {
            match (&o.got, value) {
                (Ok(g), Some(v)) if o.agrees(g, v) => {
                    agreed += 1;
                    told_apart |= !o.is_right();
                }
                (Ok(_), None) if o.is_right() => {}
                // Of another shape, it would not be taken for a result either.
                (Ok(_), Some(v))
                    if o.is_right() && v.shape() != o.expected.shape() => {}
                (Ok(_), _) => return false,
                (Err(_), _) => {}
            }
        }
        told_apart && agreed >= seen.len().min(2)
    }
}

impl Explanation {
    /// It fits in part if it agrees wherever the answer is wrong, and elsewhere
    /// the answer is right: a mistake under a condition, for one row or where
    /// the shapes allow it. Of an array it may be some entries that are wrong,
    /// three at least.
    fn fits_in_part<'a>(&'a self, seen: &'a [Observation]) -> bool {
        let wrong = || {
            let all = seen.iter().zip(&self.values);
            all.filter(|(o, _)| !o.is_right())
        };
        let entries = wrong().map(|(o, _)| o.expected.len()).sum::<usize>();
        let both = |(o, value): (&'a Observation, &'a Option<_>)| {
            Some((o, o.got.as_ref().ok()?, value.as_ref()?))
        };
        let Some(both) = wrong().map(both).collect::<Option<Vec<_>>>() else {
            return false;
        };
        let counts: Vec<_> =
            both.iter().map(|(o, g, v)| o.wrong_as(g, v)).collect();
        // Zeros have many causes, also among other numbers.
        let alike = both.iter().zip(&counts).all(|((o, g, v), count)| {
            let more = match count {
                Some(wrong) => *wrong > 0,
                None => {
                    g.shape() != o.expected.shape()
                        && v.iter().any(|v| *v != 0.)
                }
            };
            more && o.agrees(g, v)
        });
        let some = counts.into_iter().sum::<Option<usize>>();
        let all = some == Some(entries);
        let some = some.is_some_and(|wrong| wrong >= 3);
        // One number may agree by chance, unless it is a count or the negative
        // of what is right, and one list whose beginning is right. The wrong
        // order of numbers in memory is a cause of its own.
        let negative = self.mistake.code == SIGN_FLIPPED.code && alike;
        let several = |o: &Observation| o.expected.len() > 1;
        let count = |o: &Observation| o.tolerance == EXACTLY;
        let order = [&TRANSPOSED, &RESHAPED_NOT_TRANSPOSED];
        negative
            || self.evidence != Evidence::Cotangent
                && self.mistake.code != SIGN_FLIPPED.code
                && (wrong().all(|(o, _)| count(o))
                    || entries > 1
                        && (all
                            || wrong().count() > 1
                            || wrong().any(|(o, _)| o.expected.ndim() > 1)))
                && (self.evidence != Evidence::Ratio
                    || wrong().all(|(o, _)| several(o)))
                && (order.iter().all(|m| m.code != self.mistake.code)
                    || wrong().all(|(o, _)| !o.inputs.is_scattered()))
                && (some || alike)
    }
}

/// Same shape, and no entry further off than [`TOLERANCE`] times the largest
/// expected entry (at least 1e-3). NaN is close to nothing.
pub fn close(got: &ArrayD<f64>, expected: &ArrayD<f64>) -> bool {
    within(got, expected, TOLERANCE, Inputs::LEAST)
}

/// The same with another tolerance, relative to `least` at least.
pub(super) fn within(
    a: &ArrayD<f64>,
    b: &ArrayD<f64>,
    tolerance: f64,
    least: f64,
) -> bool {
    a.shape() == b.shape() && first_wrong(a, b, tolerance, least).is_none()
}

fn first_wrong(
    got: &ArrayD<f64>,
    expected: &ArrayD<f64>,
    tolerance: f64,
    least: f64,
) -> Option<IxDyn> {
    let bound = tolerance * size(expected, least);
    got.indexed_iter()
        .find(|(i, g)| {
            let gap = (*g - expected[i]).abs();
            gap.is_nan() || gap > bound
        })
        .map(|(i, _)| i)
}

/// The size that errors are measured by.
fn size(expected: &ArrayD<f64>, least: f64) -> f64 {
    expected.iter().fold(least, |m: f64, v| m.max(v.abs()))
}

/// The verdict on rare cases, of which one result is wrong, with the name of
/// the one mistake that would have given it.
pub(super) fn named_in_part(
    verdict: Verdict,
    seen: &[Observation],
    explanations: &[Explanation],
) -> Verdict {
    let fitting = explanations.iter().filter(|e| e.fits_in_part(seen));
    let mut fitting: Vec<_> = fitting.collect();
    fitting.sort_by_key(|e| e.mistake.code);
    fitting.dedup_by_key(|e| e.mistake.code);
    match (verdict, fitting.as_slice()) {
        (Verdict::Failed(report), [one])
            if report.mistakes.is_empty() && !is_numeric(seen, &report) =>
        {
            Verdict::Failed(report.name(one.mistake, one.evidence))
        }
        (verdict, _) => verdict,
    }
}

/// The same array, turned and then cut into rows as if it had not been.
pub(super) fn reshaped(a: &ArrayD<f64>) -> Option<ArrayD<f64>> {
    let numbers: Vec<_> = a.t().iter().copied().collect();
    let again = ArrayD::from_shape_vec(a.raw_dim(), numbers);
    again.ok().filter(|_| a.ndim() == 2)
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
    let returned: Vec<_> = (wrong.iter())
        .filter_map(|o| o.got.as_ref().ok().map(|g| (*o, g)))
        .collect();
    let telling = wrong.iter().min_by_key(|o| (rank(o), o.expected.len()));
    let shown = telling.expect("one is wrong");
    let mut report = describe(what, against, shown);
    report.scope = scope(seen, &wrong);
    let stopped = wrong.iter().find_map(|o| o.got.as_ref().err());
    let also = match (&shown.got, stopped, returned.first()) {
        (Ok(_), Some(p), _) => {
            format!("on other shapes it panics: {}", p.message)
        }
        (Err(_), _, Some((o, _))) if !o.inputs.shapes().is_empty() => {
            format!("with {} it runs, and {what} is wrong", o.inputs.shapes())
        }
        _ => String::new(),
    };
    report = report.also(also);
    let mut fitting: Vec<_> =
        explanations.iter().filter(|e| e.fits(seen)).collect();
    if fitting.is_empty() {
        fitting = { explanations.iter() }
            .filter(|e| e.fits_in_part(seen))
            .collect();
    }
    // Where the answer panics, a mistake that would run explains less.
    let runs = |e: &Explanation| {
        let all = seen.iter().zip(&e.values);
        all.filter(|(o, v)| o.got.is_err() && v.is_some()).count()
    };
    let fewest = fitting.iter().map(|e| runs(e)).min();
    fitting.retain(|e| Some(runs(e)) == fewest);
    // A square that is cut into rows anew is not turned at all.
    if fitting.len() > 1 {
        let cut = RESHAPED_NOT_TRANSPOSED.code;
        fitting.retain(|e| e.mistake.code != cut);
    }
    fitting.sort_by_key(|e| e.mistake.code);
    if let Some(first) = fitting.iter().map(|e| e.evidence).min() {
        fitting.retain(|e| e.evidence == first);
        fitting.dedup_by_key(|e| e.mistake.code);
        report.mistakes = fitting.iter().map(|e| e.mistake.into()).collect();
        report.evidence = Some(first);
    } else if wrong
        .iter()
        .all(|o| o.got.as_ref().is_err_and(does_not_fit))
    {
        report = report.name(&SHAPES_DO_NOT_FIT, Evidence::Shape);
    } else if returned
        .iter()
        .filter(|(o, g)| g.shape() != o.expected.shape())
        .nth(1)
        .is_some()
    {
        report = report.name(&WRONG_SHAPE, Evidence::Shape);
    } else if permuted(&wrong) {
        report = report.name(&OUTPUTS_REORDERED, Evidence::Structure);
    } else if let Some(k) =
        ratio(seen).filter(|k| (k - 1.).abs() > NEARLY && k.abs() > NEARLY)
    {
        let k = significant(k);
        report = report.remark(format!("what you return is {k} times {what}"));
    }
    Some(Verdict::Failed(report))
}

/// Whether the wrong arrays hold the right numbers, in other places.
fn permuted(wrong: &[&Observation]) -> bool {
    let sorted = |a: &ArrayD<f64>| {
        let mut all: Vec<_> = a.iter().copied().collect();
        all.sort_by(f64::total_cmp);
        ArrayD::from_shape_vec(a.raw_dim(), all).expect("as many numbers")
    };
    let moved = |o: &&Observation| match &o.got {
        Ok(g) if g.shape() == o.expected.shape() => {
            o.agrees(&sorted(g), &sorted(&o.expected))
        }
        _ => false,
    };
    let numbers = wrong.iter().map(|o| o.expected.len()).sum::<usize>();
    numbers > 4 && wrong.iter().all(moved)
}

/// How plainly a wrong result shows what is wrong: by its shape, or because
/// shapes did not fit; by values; not at all. A square shape hides much.
fn rank(o: &Observation) -> usize {
    match &o.got {
        Ok(g) if g.shape() == o.expected.shape() => 1,
        Err(p) if !does_not_fit(p) => 2,
        _ => 0,
    }
}

/// On which of the inputs it is wrong, if not on all.
fn scope(seen: &[Observation], wrong: &[&Observation]) -> String {
    let right: Vec<_> = seen.iter().filter(|o| o.is_right()).collect();
    if right.is_empty() {
        return String::new();
    }
    let count = format!("wrong on {} of {} inputs", wrong.len(), seen.len());
    let shapes: Vec<_> = right.iter().map(|o| o.inputs.shapes()).collect();
    let alike = |o: &&Observation| shapes.contains(&o.inputs.shapes());
    // Shapes say something only if they tell the right from the wrong.
    if wrong.iter().any(alike) {
        return count;
    }
    let more = if shapes.len() > 1 {
        ", for example"
    } else {
        ""
    };
    format!("{count}; right with {}{more}", shapes[0])
}

/// Wrong by less than this part of the largest entry: rounding, most likely.
const NEARLY: f64 = 1e-4;

/// Whether an answer's fault is one of numbers, not of formulas: it is not
/// finite, or nearly right. No other name is sought for it.
pub(super) fn is_numeric(seen: &[Observation], report: &Report) -> bool {
    let wild = |g: &ArrayD<f64>| g.iter().any(|v| !v.is_finite());
    report.remark.starts_with(NEARLY_RIGHT)
        || seen.iter().any(|o| o.got.as_ref().is_ok_and(wild))
}

/// Whether all results are right to a hundredth, as differences with a bad step
/// are.
pub(super) fn is_rough(seen: &[Observation]) -> bool {
    let rough = |o: &Observation| {
        let least = o.inputs.least();
        { o.got.as_ref() }.is_ok_and(|g| within(g, &o.expected, 0.01, least))
    };
    seen.iter().all(rough)
}

/// How the remark begins on what is wrong by less than that.
pub(super) const NEARLY_RIGHT: &str = "off by only";

fn does_not_fit(p: &Panic) -> bool {
    p.message
        .contains("not compatible for matrix multiplication")
        || p.message.contains("could not broadcast")
        // The lengths of a product of vectors.
        || p.message.contains("left == right") && p.place.contains("ndarray")
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
        if g.shape() != o.expected.shape()
            || !o.agrees(g, &(&o.expected * here))
        {
            return None;
        }
    }
    k
}

fn describe(what: &str, against: &str, o: &Observation) -> Report {
    difference(what, against, o).on(o.inputs.describe())
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
            // A place inside a library, or in here, tells the learner nothing.
            let theirs = [".cargo", "tools/examiner"];
            if p.place.is_empty() || theirs.iter().any(|t| p.place.contains(t))
            {
                report
            } else {
                report.remark(format!("it panicked at {}", p.place))
            }
        }
        Ok(g) if g.shape() != o.expected.shape() => Report::new(
            compared,
            show(g),
            expected,
        )
        .drawn(Arrays::of(g, &o.expected, None)),
        Ok(g) => {
            let least = o.inputs.least();
            let i = first_wrong(g, &o.expected, o.tolerance, least)
                .expect("this one is wrong");
            let place: Vec<_> =
                i.slice().iter().map(ToString::to_string).collect();
            let gap = (g - &o.expected).iter().fold(0., |m: f64, v| {
                if v.is_nan() { f64::NAN } else { m.max(v.abs()) }
            });
            let largest =
                o.expected.iter().fold(0., |m: f64, v| v.abs().max(m));
            let part = gap / if largest == 0. { least } else { largest };
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
                format!("{entry}: got {}, expected {}", g[&i], o.expected[&i])
            } else {
                entry
            };
            Report::new(compared, show(g), expected)
                .remark(remark)
                .drawn(Arrays::of(g, &o.expected, Some(&i)))
        }
    }
}
