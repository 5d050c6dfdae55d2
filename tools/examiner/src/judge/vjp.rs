//! The judge of a backward: against central differences of the forward.

use super::compare::{
    Explanation, Observation, TOLERANCE, close, compare, is_numeric,
};
use super::{Cases, Change, Drawn, Exam, Inputs, Known, Part, Wrong};
use super::{changed, drawn};
use crate::general::{
    ALL_ZERO, BATCH_MEAN_TWICE, BIAS_MEAN_NOT_SUM, NOT_LINEAR_IN_UPSTREAM,
    SIGN_FLIPPED, TRANSPOSED, UPSTREAM_IGNORED,
};
use crate::verdict::{Evidence, Panic, Verdict, attempt};
use crate::{Mistake, Sampler};
use ndarray::ArrayD;

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

type Given = Result<Vec<ArrayD<f64>>, Panic>;
type Call<'a> = &'a dyn Fn(&Inputs) -> Vec<ArrayD<f64>>;

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
            Drawn::new(seed, self.cases, &truth)
        });
        let call = |i: &Inputs| {
            changed(change, i, &self.names(i), (self.call)(&answer, i))
        };
        let mut stages = (drawn.usual.iter())
            .map(|group| self.usual(group, &call))
            .chain([self.rare(&drawn.rare, &call)]);
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
        // The same inputs with another cotangent.
        let other: Vec<_> = (cases.iter())
            .map(|c| self.with_cotangent(&c.inputs, |v| 0.7 - 1.3 * v * v))
            .collect();
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
            let all = self.explained(cases, &seen, names[k], k, &given_other);
            let verdict = compare(names[k], AGAINST, &seen, &all);
            if let Some(Verdict::Failed(report)) = &verdict
                && report.mistakes.is_empty()
                && !is_numeric(&seen, report)
                && !self.linear(cases, &given, &other, &given_other, call, k)
            {
                let report = report.clone();
                return Some(Verdict::Failed(
                    report.name(&NOT_LINEAR_IN_UPSTREAM, Evidence::Linearity),
                ));
            }
            if let Some(verdict) = verdict {
                return Some(self.seen_whole(verdict, cases, &given, &names));
            }
        }
        self.other_cotangents(cases, &names, call)
    }

    /// A mean where the bias gradient has a sum has a name of its own only if
    /// the other gradients are right: else the whole backward is too small.
    fn seen_whole(
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
            let values = (seen.iter().zip(cases))
                .map(|(o, c)| Some(&o.expected / batch(&c.inputs) as f64));
            let mean = Explanation {
                mistake: &BATCH_MEAN_TWICE,
                evidence: Evidence::Ratio,
                values: values.collect(),
            };
            mean.fits(&seen)
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

    fn with_cotangent(
        &self,
        inputs: &Inputs,
        change: impl Fn(f64) -> f64,
    ) -> Inputs {
        let mut inputs = inputs.clone();
        inputs.array_mut(self.cotangent).mapv_inplace(change);
        inputs
    }

    /// An answer that is right for one cotangent, judged on others: a hundred
    /// times that one, and zero. What differs there is not linear in dy, or
    /// remembers earlier calls.
    fn other_cotangents(
        &self,
        cases: &[Known],
        names: &[&str],
        call: Call,
    ) -> Option<Verdict> {
        for factor in [1., 100., 0.] {
            let inputs: Vec<_> = (cases.iter())
                .map(|c| self.with_cotangent(&c.inputs, |v| v * factor))
                .collect();
            let given = given(&inputs, call);
            for (k, name) in names.iter().enumerate() {
                let mut seen = observed(cases, &given, k, TOLERANCE);
                seen.iter_mut().for_each(|o| o.expected *= factor);
                match compare(name, AGAINST, &seen, &[]) {
                    None => {}
                    Some(Verdict::Failed(report)) if factor == 1. => {
                        return Some(Verdict::Failed(report.remark(KEPT)));
                    }
                    Some(Verdict::Failed(mut report))
                        if seen.iter().all(|o| o.got.is_ok())
                            && !is_numeric(&seen, &report) =>
                    {
                        report.remark.clear();
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

    /// The verdict on cases that only have to be right.
    fn rare(&self, cases: &[Known], call: Call) -> Option<Verdict> {
        cases.iter().find_map(|c| {
            let c = std::slice::from_ref(c);
            let given = given([&c[0].inputs], call);
            let names = self.names(&c[0].inputs);
            names.iter().enumerate().find_map(|(k, name)| {
                compare(name, AGAINST, &observed(c, &given, k, TOLERANCE), &[])
            })
        })
    }

    fn explained(
        &self,
        cases: &[Known],
        seen: &[Observation],
        name: &str,
        k: usize,
        other: &[Given],
    ) -> Vec<Explanation> {
        let each = |mistake, evidence, value: &dyn Fn(usize) -> Option<_>| {
            let values = (0..cases.len()).map(value).collect();
            Explanation {
                mistake,
                evidence,
                values,
            }
        };
        let zero = each(&ALL_ZERO, Evidence::Cotangent, &|c| {
            Some(ArrayD::zeros(seen[c].expected.shape()))
        });
        if zero.fits(seen) {
            return vec![zero];
        }
        let mut all = vec![
            each(&UPSTREAM_IGNORED, Evidence::Cotangent, &|c| {
                other[c].as_ref().ok().map(|g| g[k].clone())
            }),
            each(&SIGN_FLIPPED, Evidence::Ratio, &|c| {
                Some(-&seen[c].expected)
            }),
            each(&TRANSPOSED, Evidence::Structure, &|c| {
                let t = seen[c].expected.t();
                (t.ndim() > 1).then(|| t.to_owned())
            }),
        ];
        if let Some(batch) = self.batch {
            let code: &'static Mistake = match name.starts_with("db") {
                true => &BIAS_MEAN_NOT_SUM,
                false => &BATCH_MEAN_TWICE,
            };
            all.push(each(code, Evidence::Ratio, &|c| {
                Some(&seen[c].expected / batch(&cases[c].inputs) as f64)
            }));
        }
        for w in self.wrong.iter().filter(|w| w.is_of(name)) {
            all.push(each(w.mistake, w.evidence(), &|c| {
                attempt(|| w.value(&cases[c].inputs, name, &cases[c].truth[k]))
                    .ok()
            }));
        }
        all
    }

    /// Whether the answer's gradient `k` of a sum of cotangents is the sum of
    /// its gradients.
    fn linear(
        &self,
        cases: &[Known],
        given: &[Given],
        other: &[Inputs],
        given_other: &[Given],
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

/// What to say of an answer that is right once and wrong the next time.
pub(super) const KEPT: &str = "the same arguments gave the right result \
    before: nothing may be kept from one call to the next";

/// What the answer gave for each of these inputs.
fn given<'a>(
    inputs: impl IntoIterator<Item = &'a Inputs>,
    call: Call,
) -> Vec<Given> {
    inputs.into_iter().map(|i| attempt(|| call(i))).collect()
}

/// Output `k` of all cases, beside the truth.
pub(super) fn observed(
    cases: &[Known],
    given: &[Given],
    k: usize,
    tolerance: f64,
) -> Vec<Observation> {
    (cases.iter().zip(given))
        .map(|(c, given)| Observation {
            case: c.inputs.describe(),
            expected: c.truth[k].clone(),
            got: given.clone().map(|g| g[k].clone()),
            tolerance,
        })
        .collect()
}
