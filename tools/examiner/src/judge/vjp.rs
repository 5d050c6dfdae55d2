//! The judge of a backward: against central differences of the forward.

use super::compare::{
    Explanation, Observation, TOLERANCE, Values, close, compare, is_numeric,
    is_rough, named_in_part, reshaped,
};
use super::show::show;
use super::whole::{KEPT, Whole};
use super::{Cases, Change, Drawn, Exam, Inputs, Known, Part, Wrong};
use super::{changed, drawn, ways_of};
use crate::general::{
    ALL_ZERO, BATCH_MEAN_TWICE, BIAS_MEAN_NOT_SUM, GRAD_OVERWRITTEN,
    NOT_LINEAR_IN_UPSTREAM, ONE_EXAMPLE_ONLY, RESHAPED_NOT_TRANSPOSED,
    SIGN_FLIPPED, TRANSPOSED, UPSTREAM_IGNORED, VALUE_AS_GRADIENT,
};
use crate::verdict::{Evidence, Panic, Report, Verdict, attempt};
use crate::{Mistake, Sampler};
use ndarray::{ArrayD, Axis, arr0};
use std::iter::once_with;

/// The exam of a VJP, the answer of type `F`.
#[derive(Debug)]
pub struct Vjp<F: 'static> {
    /// The reference forward that the VJP belongs to.
    pub forward: fn(&Inputs) -> ArrayD<f64>,
    /// The input that is the cotangent of the forward's result.
    pub cotangent: &'static str,
    /// The gradients in backward order, counted from the loss, each with the
    /// input that it belongs to; the first wrong one is reported. A gradient
    /// whose input a case has not is not asked for there.
    pub gradients: &'static [(&'static str, &'static str)],
    /// Calls the answer; one array for each gradient, in that order.
    pub call: fn(&F, &Inputs) -> Vec<ArrayD<f64>>,
    /// Draws the cases.
    pub cases: fn(&mut Sampler) -> Cases,
    /// How many examples a case has, where they share parameters: a gradient
    /// that is too small by that number has a name.
    pub batch: Option<fn(&Inputs) -> usize>,
    /// What each mistake returns for a gradient.
    pub wrong: &'static [Wrong],
}

const AGAINST: &str = "central differences of the forward";

/// The gradient of an input by central differences of fourth order, at `h`
/// and `2h`: good to about 1e-10 where `f` is smooth.
pub fn slopes(
    f: impl Fn(&Inputs) -> ArrayD<f64>,
    inputs: &Inputs,
    input: &str,
    cotangent: &str,
) -> ArrayD<f64> {
    let dy = inputs.array(cotangent);
    let mut x = inputs.clone();
    let mut dx = ArrayD::zeros(inputs.array(input).raw_dim());
    for (index, slope) in dx.indexed_iter_mut() {
        let at = inputs.array(input)[&index];
        let h = 1e-4 * at.abs().max(1.);
        let mut difference = |h: f64| {
            x.array_mut(input)[&index] = at + h;
            let up = f(&x);
            x.array_mut(input)[&index] = at - h;
            let down = f(&x);
            x.array_mut(input)[&index] = at;
            (dy * &(up - down)).sum() / (2. * h)
        };
        *slope = (4. * difference(h) - difference(2. * h)) / 3.;
    }
    dx
}

/// The verdict on what is not linear in its cotangent, named so unless it has
/// a name or its fault is one of numbers. A sign that is wrong here and there is
/// such a case.
fn not_linear(verdict: Verdict, seen: &[Observation]) -> Verdict {
    let sign = |report: &Report| {
        report.mistakes.iter().all(|m| m.code == SIGN_FLIPPED.code)
            && seen.iter().any(Observation::is_right)
    };
    match verdict {
        Verdict::Failed(report)
            if (report.mistakes.is_empty() || sign(&report))
                && !is_numeric(seen, &report)
                && !is_rough(seen) =>
        {
            let how = Evidence::Linearity;
            Verdict::Failed(report.name(&NOT_LINEAR_IN_UPSTREAM, how))
        }
        named => named,
    }
}

/// A step in all entries, each of its own length.
fn direction(shape: &[usize]) -> ArrayD<f64> {
    let mut step = ArrayD::zeros(shape);
    for (k, v) in step.iter_mut().enumerate() {
        *v = 1.9 * (0.618_033_988_7 * (k + 1) as f64).fract() - 0.95;
    }
    step
}

/// How a large gradient is shown, if its slope along its direction is wrong.
fn wrong_along(
    got: &ArrayD<f64>,
    shape: &[usize],
    right: f64,
) -> Option<String> {
    if got.shape() != shape {
        return Some(show(got));
    }
    let parts = direction(shape) * got;
    let size = parts.iter().fold(1e-3, |s, v| s + v.abs());
    let is_right = (parts.sum() - right).abs() <= 1e-7 * size;
    (!is_right).then(|| show(&arr0(parts.sum()).into_dyn()))
}

const LARGE_ONLY: &str = "smaller ones are right: does every loop run to the \
    end, and does every count fit its type?";

pub(super) type Given = Result<Vec<ArrayD<f64>>, Panic>;
pub(super) type Call<'a> = &'a dyn Fn(&Inputs) -> Vec<ArrayD<f64>>;

impl<F: Copy + Send + Sync + 'static> Exam for Vjp<F> {
    type Answer = F;

    fn judge_changed(
        &self,
        answer: F,
        seed: u64,
        change: Option<&Change>,
    ) -> Verdict {
        let truth = |i: &Inputs| {
            let asked = self.gradients.iter().filter(|(_, of)| i.has(of));
            asked
                .map(|(_, of)| slopes(self.forward, i, of, self.cotangent))
                .collect()
        };
        let drawn = drawn(self as *const _ as usize, seed, || {
            let along = |i: &Inputs| self.in_one_direction(i);
            let cotangent = Some(self.cotangent);
            Drawn::new(seed, self.cases, cotangent, &truth, &along)
        });
        let call = |i: &Inputs| {
            changed(change, i, &self.names(i), (self.call)(&answer, i))
        };
        let mut stages = (drawn.usual.iter())
            .map(|group| self.usual(group, &call))
            .chain(once_with(|| self.rare(&drawn.rare, &call)))
            .chain(once_with(|| self.large(&drawn.large, &call)));
        stages.find_map(|v| v).unwrap_or_else(Verdict::passed)
    }

    fn parts(&self) -> Vec<Part> {
        vec![Part {
            outputs: self.gradients.iter().map(|(name, _)| *name).collect(),
            rows: self.wrong.iter().collect(),
        }]
    }
}

impl<F> Vjp<F> {
    /// The gradients that these inputs have.
    fn names(&self, inputs: &Inputs) -> Vec<&'static str> {
        let asked = self.gradients.iter().filter(|(_, of)| inputs.has(of));
        asked.map(|(name, _)| *name).collect()
    }

    /// The verdict on cases that name a mistake; `None` if all are right.
    fn usual(&self, cases: &[Known], call: Call) -> Option<Verdict> {
        let given = given(cases.iter().map(|c| &c.inputs), call);
        let other: Vec<_> =
            cases.iter().map(|c| self.other(&c.inputs)).collect();
        let given_other = self::given(&other, call);
        let names = self.names(&cases.first()?.inputs);
        // A panic stops all gradients at once: look first for one that has a
        // wrong value, and only then at those that have none.
        let has_wrong_value = |k: &usize| {
            let seen = observed(cases, &given, *k, TOLERANCE);
            seen.iter().any(|o| o.got.is_ok() && !o.is_right())
        };
        let wrong = (0..names.len()).filter(has_wrong_value);
        for k in wrong.chain(0..names.len()) {
            let seen = observed(cases, &given, k, TOLERANCE);
            if seen.iter().all(Observation::is_right) {
                continue;
            }
            let all = self.explained(cases, &seen, names[k], k, &given_other);
            let Some(verdict) = compare(names[k], AGAINST, &seen, &all) else {
                continue;
            };
            let both = [&given[..], &given_other];
            let verdict = match self.linear(cases, both, &other, call, k) {
                false => not_linear(verdict, &seen),
                true => verdict,
            };
            let verdict = self.too_small(verdict, cases, &given, &names);
            let code = verdict.named().map(str::to_owned);
            let explains = |k: usize| {
                let seen = observed(cases, &given, k, TOLERANCE);
                let all =
                    self.explained(cases, &seen, names[k], k, &given_other);
                compare(names[k], AGAINST, &seen, &all)
                    .is_none_or(|v| v.named() == code.as_deref())
            };
            let all = || code.is_some() && (0..names.len()).all(explains);
            let whole = whole(cases, &given, &names);
            return Some(whole.told(verdict, call, &all));
        }
        self.other_cotangents(cases, &given, &names, call)
            .or_else(|| self.uneven_cotangent(cases, &names, call))
    }

    /// A mean where the bias gradient has a sum has a name of its own only if
    /// the other gradients are right: else the whole backward is too small.
    fn too_small(
        &self,
        verdict: Verdict,
        cases: &[Known],
        given: &[Given],
        names: &[&str],
    ) -> Verdict {
        let (Verdict::Failed(report), Some(batch)) = (&verdict, self.batch)
        else {
            return verdict;
        };
        let too_small = |k: usize| {
            let seen = observed(cases, given, k, TOLERANCE);
            let mean = |c: usize| {
                let examples = batch(&cases[c].inputs) as f64;
                Some(&seen[c].expected / examples)
            };
            let how = Evidence::Ratio;
            Explanation::of(&BATCH_MEAN_TWICE, how, &seen, false, &mean)
                .is_some_and(|e| e.fits(&seen))
        };
        let others = (0..names.len()).filter(|k| !names[*k].starts_with("db"));
        if verdict.named() == Some(BIAS_MEAN_NOT_SUM.code) && { others }
            .any(too_small)
        {
            let report = report.clone();
            return Verdict::Failed(
                report.name(&BATCH_MEAN_TWICE, Evidence::Ratio),
            );
        }
        verdict
    }

    /// For each gradient its sum, each entry times that of a direction: the
    /// slope of the loss along it.
    fn in_one_direction(&self, inputs: &Inputs) -> Vec<ArrayD<f64>> {
        let asked = self.gradients.iter().filter(|(_, of)| inputs.has(of));
        let slope = |(_, of): &(_, &str)| {
            let step = direction(inputs.array(of).shape());
            let loss = |h: f64| {
                let mut moved = inputs.clone();
                moved.array_mut(of).scaled_add(h, &step);
                ((self.forward)(&moved) * inputs.array(self.cotangent)).sum()
            };
            let along = |h: f64| (loss(h) - loss(-h)) / (2. * h);
            arr0((4. * along(1e-4) - along(2e-4)) / 3.).into_dyn()
        };
        asked.map(slope).collect()
    }

    /// The verdict on cases that are too large for differences entry by entry.
    fn large(&self, cases: &[Known], call: Call) -> Option<Verdict> {
        let judge = |c: &Known| {
            let given = attempt(|| call(&c.inputs));
            let asked =
                self.gradients.iter().filter(|(_, of)| c.inputs.has(of));
            let mut asked = asked.zip(&c.truth).enumerate();
            asked.find_map(|(k, ((name, of), right))| {
                let shape = c.inputs.array(of).shape();
                let got = match &given {
                    Err(p) => format!("a panic: {}", p.message),
                    Ok(g) => wrong_along(&g[k], shape, right.sum())?,
                };
                let what = format!(
                    "{name} against {AGAINST}; of both the sum, each entry \
                     times some number between -1 and 1"
                );
                let report = Report::new(what, got, show(right));
                let report = report.on(c.inputs.describe());
                Some(Verdict::Failed(report.remark(LARGE_ONLY)))
            })
        };
        cases.iter().find_map(judge)
    }

    /// The same inputs with another cotangent.
    fn other(&self, inputs: &Inputs) -> Inputs {
        self.with_cotangent(inputs, |v| 0.7 - 1.3 * v * v)
    }

    fn with_cotangent(
        &self,
        inputs: &Inputs,
        change: impl Fn(f64) -> f64,
    ) -> Inputs {
        let mut inputs = inputs.clone();
        inputs.array_mut(self.cotangent).mapv_inplace(change);
        inputs
    }

    /// An answer that is right for one cotangent, judged on others: a huge
    /// multiple of that one, a tiny part of it, and zero, one after another
    /// with the same inputs. What differs there is not linear in dy, or remembers
    /// earlier calls.
    fn other_cotangents(
        &self,
        cases: &[Known],
        once: &[Given],
        names: &[&'static str],
        call: Call,
    ) -> Option<Verdict> {
        const FACTORS: [f64; 6] = [1., 100., 1e100, 1e-100, 0., 1.];
        let all: Vec<Vec<Given>> = (cases.iter())
            .map(|c| {
                let times = |f| self.with_cotangent(&c.inputs, |v| v * f);
                given(&FACTORS.map(times), call)
            })
            .collect();
        for (n, factor) in FACTORS.into_iter().enumerate() {
            let given: Vec<_> = all.iter().map(|g| g[n].clone()).collect();
            for (k, name) in names.iter().enumerate() {
                let mut seen = observed(cases, &given, k, TOLERANCE);
                // The gradient for the cotangent of the call before.
                let before = n > 0
                    && seen.iter().all(|o| {
                        let before = &o.expected * FACTORS[n - 1];
                        o.got.as_ref().is_ok_and(|g| close(g, &before))
                    });
                // Compared at the size of the first.
                let (up, down) = match factor {
                    0. => (0., 1.),
                    _ => (1., 1. / factor),
                };
                for o in &mut seen {
                    o.expected *= up;
                    if let Ok(got) = &mut o.got {
                        *got *= down;
                    }
                }
                match compare(name, AGAINST, &seen, &[]) {
                    None => {}
                    Some(Verdict::Failed(report)) if factor == 1. || before => {
                        return Some(Verdict::Failed(report.remark(KEPT)));
                    }
                    Some(Verdict::Failed(mut report))
                        if seen.iter().all(|o| o.got.is_ok())
                            && !is_numeric(&seen, &report) =>
                    {
                        let whole = Whole {
                            cases,
                            given: once,
                            names,
                            tolerance: TOLERANCE,
                        };
                        if whole.keeps_something(call) {
                            return Some(Verdict::Failed(report.remark(KEPT)));
                        }
                        report.remark = match factor {
                            0. => "dy is 0 here".into(),
                            _ => format!(
                                "dy is {factor:e} times that, and what you \
                                 return is shown divided by {factor:e}"
                            ),
                        };
                        return Some(Verdict::Failed(report.name(
                            &NOT_LINEAR_IN_UPSTREAM,
                            Evidence::Linearity,
                        )));
                    }
                    verdict => return verdict,
                }
            }
        }
        None
    }

    /// An answer that is linear in any one cotangent and its multiples, judged
    /// on one that is large in some rows, or entries, and small in the others:
    /// the gradient is the sum of what it gives for both parts.
    fn uneven_cotangent(
        &self,
        cases: &[Known],
        names: &[&'static str],
        call: Call,
    ) -> Option<Verdict> {
        const SMALL: f64 = 1e-6;
        type IsLarge = fn(&[usize]) -> bool;
        let parts: [IsLarge; 2] = [
            |at| at.first().is_some_and(|row| row % 2 == 0),
            |at| at.iter().sum::<usize>() % 2 == 1,
        ];
        for is_large in parts {
            let scaled = |c: &Known, large: f64, small: f64| {
                let mut inputs = c.inputs.clone();
                let dy = inputs.array_mut(self.cotangent);
                for (at, v) in dy.indexed_iter_mut() {
                    let at = ndarray::Dimension::slice(&at);
                    *v *= if is_large(at) { large } else { small };
                }
                inputs
            };
            let run = |large, small| {
                let all = cases.iter().map(|c| scaled(c, large, small));
                given(&all.collect::<Vec<_>>(), call)
            };
            let (large, small) = (run(1., 0.), run(0., 1.));
            let both = run(1., SMALL);
            for (k, name) in names.iter().enumerate() {
                let mut seen = observed(cases, &both, k, TOLERANCE);
                for (c, o) in seen.iter_mut().enumerate() {
                    match (&large[c], &small[c]) {
                        (Ok(large), Ok(small))
                            if large[k].shape() == small[k].shape() =>
                        {
                            o.expected = &large[k] + &(&small[k] * SMALL);
                        }
                        (Ok(large), Ok(_)) => o.got = Ok(large[k].clone()),
                        (Err(p), _) | (_, Err(p)) => o.got = Err(p.clone()),
                    }
                }
                let verdict = compare(name, AGAINST, &seen, &[]);
                if seen.iter().any(|o| o.got.is_err()) {
                    return verdict;
                }
                if let Some(Verdict::Failed(report)) = verdict {
                    let report = report.remark(
                        "some numbers of dy are a millionth of the others \
                         here: expected is what you return for those and for \
                         these alone, added",
                    );
                    return Some(Verdict::Failed(
                        report
                            .name(&NOT_LINEAR_IN_UPSTREAM, Evidence::Linearity),
                    ));
                }
            }
        }
        None
    }

    /// The verdict on cases that only have to be right.
    fn rare(&self, cases: &[Known], call: Call) -> Option<Verdict> {
        cases.iter().find_map(|c| {
            let c = std::slice::from_ref(c);
            let given = given([&c[0].inputs], call);
            let names = self.names(&c[0].inputs);
            names.iter().enumerate().find_map(|(k, name)| {
                let seen = observed(c, &given, k, TOLERANCE);
                let mut verdict = compare(name, AGAINST, &seen, &[])?;
                verdict = self.no_gradient_of_zero(verdict, &seen[0], c, k);
                let other = [self.other(&c[0].inputs)];
                let given_other = self::given(&other, call);
                let all = self.explained(c, &seen, name, k, &given_other);
                verdict = named_in_part(verdict, &seen, &all);
                let both = [&given[..], &given_other];
                if !self.linear(c, both, &other, call, k) {
                    verdict = not_linear(verdict, &seen);
                }
                Some(whole(c, &given, &names).told(verdict, call, &|| false))
            })
        })
    }

    /// The verdict with its name if all that is wrong are zeros, and those of
    /// variables that are zero themselves.
    fn no_gradient_of_zero(
        &self,
        verdict: Verdict,
        seen: &Observation,
        case: &[Known],
        k: usize,
    ) -> Verdict {
        let inputs = &case[0].inputs;
        let mut asked = self.gradients.iter().filter(|(_, of)| inputs.has(of));
        let of = asked.nth(k).expect("one of the gradients").1;
        match (verdict, &seen.got) {
            (Verdict::Failed(report), Ok(got))
                if got.shape() == seen.expected.shape()
                    && got.indexed_iter().any(|(at, g)| {
                        *g == 0. && seen.expected[&at].abs() > 1e-6
                    })
                    && got.indexed_iter().all(|(at, g)| {
                        let zero = *g == 0. && inputs.array(of)[&at] == 0.;
                        zero || (g - seen.expected[&at]).abs() < 1e-8
                    }) =>
            {
                let how = Evidence::Structure;
                Verdict::Failed(report.name(&VALUE_AS_GRADIENT, how))
            }
            (verdict, _) => verdict,
        }
    }

    fn explained(
        &self,
        cases: &[Known],
        seen: &[Observation],
        name: &'static str,
        k: usize,
        other: &[Given],
    ) -> Vec<Explanation> {
        use Evidence::{Cotangent, Prediction, Ratio, Structure};
        let rare = cases.iter().all(|c| c.inputs.is_rare());
        let right_ones = seen.iter().filter(|o| o.is_right()).count();
        let right = |c: usize| &seen[c].expected;
        let of = |mistake, how, value: Values| {
            Explanation::of(mistake, how, seen, rare, value)
        };
        let rows: Vec<_> = ways_of(self.wrong, name)
            .filter_map(|(way, w)| {
                of(w.mistake, w.evidence(), &|c| {
                    cases[c].wrong(way, &w, (k, name))
                })
            })
            .collect();
        // Zeros are just that, unless a mistake of the chapter gives them.
        let zero = of(&ALL_ZERO, Cotangent, &|c| {
            Some(ArrayD::zeros(right(c).shape()))
        });
        if let Some(zero) = zero.filter(|z| z.fits(seen))
            && !rows.iter().any(|r| r.fits(seen))
        {
            return vec![zero];
        }
        let mut all = vec![
            of(&UPSTREAM_IGNORED, Cotangent, &|c| {
                // Once right is no proof of anything, often right is.
                if 2 * right_ones > seen.len() {
                    return None;
                }
                let g = &other[c].as_ref().ok()?[k];
                (g.shape() == right(c).shape()).then(|| g.clone())
            }),
            of(&SIGN_FLIPPED, Ratio, &|c| Some(-right(c))),
            of(&TRANSPOSED, Structure, &|c| {
                let t = right(c).t();
                (t.ndim() > 1).then(|| t.to_owned())
            }),
            of(&RESHAPED_NOT_TRANSPOSED, Prediction, &|c| {
                reshaped(right(c))
            }),
        ];
        if let Some(batch) = self.batch {
            let code: &'static Mistake = match name.starts_with("db") {
                true => &BIAS_MEAN_NOT_SUM,
                false => &BATCH_MEAN_TWICE,
            };
            all.push(of(code, Ratio, &|c| {
                Some(right(c) / batch(&cases[c].inputs) as f64)
            }));
        }
        if !rare {
            self.one_of_many(cases, name, &mut |mistake, value| {
                all.push(of(mistake, Prediction, value));
            });
        }
        all.into_iter().flatten().chain(rows).collect()
    }

    /// A sum over examples or outputs of which one term is left: by a cotangent
    /// that is zero elsewhere.
    fn one_of_many(
        &self,
        cases: &[Known],
        name: &str,
        found: &mut dyn FnMut(&'static Mistake, Values),
    ) {
        let of = self.gradients.iter().find(|(n, _)| *n == name);
        let of = of.expect("one of the gradients").1;
        let length = |c: &Known, axis: usize| {
            c.inputs.array(self.cotangent).shape()[axis]
        };
        let only = |c: usize, axis: usize, last: bool| {
            let mut i = cases[c].inputs.clone();
            let place = if last { length(&cases[c], axis) - 1 } else { 0 };
            let dy = i.array_mut(self.cotangent);
            for (k, mut part) in dy.axis_iter_mut(Axis(axis)).enumerate() {
                if k != place {
                    part.fill(0.);
                }
            }
            Some(slopes(self.forward, &i, of, self.cotangent))
        };
        let ranks = cases.iter().map(|c| c.inputs.array(self.cotangent).ndim());
        for axis in 0..ranks.min().unwrap_or(0) {
            found(&GRAD_OVERWRITTEN, &|c| only(c, axis, true));
            let counts = |batch: fn(&Inputs) -> usize| {
                cases.iter().all(|c| batch(&c.inputs) == length(c, axis))
            };
            if self.batch.is_some_and(counts) {
                found(&ONE_EXAMPLE_ONLY, &|c| only(c, axis, false));
            }
        }
    }

    /// Whether the answer's gradient `k` of a sum of cotangents is the sum of
    /// its gradients.
    fn linear(
        &self,
        cases: &[Known],
        [given, given_other]: [&[Given]; 2],
        other: &[Inputs],
        call: Call,
        k: usize,
    ) -> bool {
        (0..cases.len()).all(|c| {
            let (Ok(one), Ok(two)) = (&given[c], &given_other[c]) else {
                return true;
            };
            if one[k].shape() != two[k].shape() {
                return true;
            }
            let mut both = cases[c].inputs.clone();
            *both.array_mut(self.cotangent) += other[c].array(self.cotangent);
            match attempt(|| call(&both)) {
                Ok(sum) => close(&sum[k], &(&one[k] + &two[k])),
                Err(_) => true,
            }
        })
    }
}

fn whole<'a>(
    cases: &'a [Known],
    given: &'a [Given],
    names: &'a [&'static str],
) -> Whole<'a> {
    Whole {
        cases,
        given,
        names,
        tolerance: TOLERANCE,
    }
}

/// What the answer gave for each of these inputs.
fn given<'a>(
    inputs: impl IntoIterator<Item = &'a Inputs>,
    call: Call,
) -> Vec<Given> {
    inputs.into_iter().map(|i| attempt(|| call(i))).collect()
}

/// Output `k` of all cases, beside the truth.
pub(super) fn observed<'a>(
    cases: &'a [Known],
    given: &[Given],
    k: usize,
    tolerance: f64,
) -> Vec<Observation<'a>> {
    (cases.iter().zip(given))
        .map(|(c, given)| Observation {
            inputs: &c.inputs,
            expected: c.truth[k].clone(),
            got: given.clone().map(|g| g[k].clone()),
            tolerance,
        })
        .collect()
}
