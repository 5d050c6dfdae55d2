use ndarray::ArrayD;
use thiserror::Error;

use super::{STEP, Sampler};

/// A forward pass: arrays in, one array out.
pub type Forward<'a> = dyn Fn(&[ArrayD<f64>]) -> ArrayD<f64> + 'a;

/// Its VJP: the inputs and the cotangent `dy` in, one gradient per input out.
pub type Vjp<'a> =
    dyn Fn(&[ArrayD<f64>], &ArrayD<f64>) -> Vec<ArrayD<f64>> + 'a;

/// Draws the inputs of one point.
pub type Sample<'a> = dyn Fn(&mut Sampler) -> Vec<ArrayD<f64>> + 'a;

/// Judges a hand-written VJP against its forward pass.
///
/// Five questions, each a method; [`Check::all`] asks them in this order:
///
/// | method | question |
/// |---|---|
/// | [`shapes`](Check::shapes) | one finite gradient per input, of its shape? |
/// | [`repeat`](Check::repeat) | the same bits when called again? |
/// | [`linearity`](Check::linearity) | `vjp(αu + βv) = α vjp(u) + β vjp(v)`? |
/// | [`gradient`](Check::gradient) | every entry the central difference? |
/// | [`adjoint`](Check::adjoint) | `⟨J v, u⟩ = ⟨v, Jᵀ u⟩` for random `u, v`? |
///
/// Every question is asked at several seeded points, each with a new random
/// cotangent.
///
/// # When is a number wrong?
///
/// When it differs from the central difference by more than
///
/// ```text
///   rtol · max(|got|, |expected|) + atol + ε ⟨|dy|, |y|⟩ / h
/// ```
///
/// whose last term is the round-off of the difference itself. And not even
/// then at once: the disagreement may be the difference's fault. So the step
/// is halved twice. Where the function is smooth, the gap between the slopes
/// on the left and on the right halves each time and the change of the
/// central slope falls to a quarter; then Richardson's combination of two
/// steps, `(4 c(h/2) - c(h))/3`, whose error is `O(h⁴)`, decides. Where they
/// do not, there is a kink inside the step (or more curvature than the step
/// resolves), finite differences cannot say, and the check says so:
/// [`CheckError::Kink`].
///
/// # When is a pass worth nothing?
///
/// When the true gradient is zero: then every rule passes that returns
/// zeros. An input all of whose differences are below a hundred tolerances is
/// reported as [`CheckError::Degenerate`].
///
/// ```
/// use backprop::calculus::gradcheck::{Check, CheckError};
/// use ndarray::ArrayD;
///
/// let square = |x: &[ArrayD<f64>]| &x[0] * &x[0];
/// let right = |x: &[ArrayD<f64>], dy: &ArrayD<f64>| vec![2.0 * &x[0] * dy];
/// let wrong = |x: &[ArrayD<f64>], dy: &ArrayD<f64>| vec![&x[0] * dy];
///
/// let check = Check { names: &["x"], ..Check::default() };
/// assert!(check.all(&|s| vec![s.normal(&[2, 3])], &square, &right).is_ok());
///
/// let error = check.all(&|s| vec![s.normal(&[2, 3])], &square, &wrong);
/// assert!(matches!(error, Err(CheckError::Wrong { wrong: 6, .. })));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Names of the inputs for the report; `input 0`, … where none is given.
    pub names: &'static [&'static str],
    /// Tolerance relative to the larger of the two numbers.
    pub rtol: f64,
    /// Tolerance for numbers near zero.
    pub atol: f64,
    /// How many points are drawn.
    pub points: u64,
    /// Seed of the first point; the next ones count up.
    pub seed: u64,
    /// The step relative to `max(1, |x|)`, rounded to a power of two.
    pub step: f64,
    /// An input with more entries than this is checked along random
    /// directions instead of entry by entry.
    pub whole: usize,
    /// How many directions.
    pub directions: usize,
}

impl Default for Check {
    /// Three points, `rtol` 1e-6, `atol` 1e-8, every entry up to 1000.
    fn default() -> Self {
        Self {
            names: &[],
            rtol: 1e-6,
            atol: 1e-8,
            points: 3,
            seed: 0,
            step: STEP,
            whole: 1000,
            directions: 8,
        }
    }
}

/// What a passed check has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Report {
    /// Entries or directions compared, over all points.
    pub compared: usize,
    /// How many of them needed the smaller steps: high curvature, no fault.
    pub refined: usize,
    /// How many true derivatives were zero up to the tolerance.
    pub zeros: usize,
    /// The largest difference, as a fraction of its tolerance; at most 1.
    pub worst: f64,
}

/// Why a VJP is not accepted.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum CheckError {
    /// Not one gradient per input.
    #[error("the VJP returns {got} gradients for {expected} inputs")]
    Count {
        /// Number of inputs.
        expected: usize,
        /// Number of gradients.
        got: usize,
    },
    /// A gradient has not the shape of the thing.
    #[error("d{input} has shape {got:?}, {input} has shape {expected:?}")]
    Shape {
        /// Which input.
        input: String,
        /// Its shape.
        expected: Vec<usize>,
        /// The shape of its gradient.
        got: Vec<usize>,
    },
    /// A NaN or an infinity.
    #[error("{what}{index:?} is {value}: not a finite number")]
    NotFinite {
        /// The output `y` or a gradient.
        what: String,
        /// Which entry.
        index: Vec<usize>,
        /// What stands there.
        value: f64,
    },
    /// A second call with the same arguments gives other bits.
    #[error(
        "{what}{index:?} is {} on the first call and {} on the second: \
         something is changed in place or drawn anew",
        show(.first), show(.second)
    )]
    NotRepeatable {
        /// The output `y` or a gradient.
        what: String,
        /// Which entry.
        index: Vec<usize>,
        /// On the first call.
        first: f64,
        /// On the second.
        second: f64,
    },
    /// The gradient is not linear in the cotangent.
    #[error(
        "d{input}{index:?} is not linear in dy: vjp(αu + βv) = {}, \
         α vjp(u) + β vjp(v) = {}",
        show(.got), show(.expected)
    )]
    NotLinear {
        /// Which input.
        input: String,
        /// Which entry.
        index: Vec<usize>,
        /// From the combined cotangent.
        got: f64,
        /// The combination of two gradients.
        expected: f64,
    },
    /// An entry differs from the central difference.
    #[error(
        "d{input}{index:?} is {}, finite differences say {} (step {step:.1e}); \
         {wrong} of {of} entries differ, this one most",
        show(.got), show(.expected)
    )]
    Wrong {
        /// Which input.
        input: String,
        /// The entry that is furthest off.
        index: Vec<usize>,
        /// What the VJP says.
        got: f64,
        /// What the differences say.
        expected: f64,
        /// Their step.
        step: f64,
        /// How many entries of this gradient differ,
        wrong: usize,
        /// of how many.
        of: usize,
    },
    /// The slope along a random direction differs.
    #[error(
        "along random direction {direction}, ⟨d{input}, v⟩ is {}, \
         finite differences say {} (step {step:.1e})",
        show(.got), show(.expected)
    )]
    WrongAlong {
        /// Which input.
        input: String,
        /// Which of the directions.
        direction: usize,
        /// What the VJP says.
        got: f64,
        /// What the differences say.
        expected: f64,
        /// Their step.
        step: f64,
    },
    /// `⟨J v, u⟩` and `⟨v, Jᵀ u⟩` differ.
    #[error(
        "not the adjoint: ⟨v, vjp(u)⟩ is {}, ⟨J v, u⟩ is {} \
         (J v by finite differences, step {step:.1e})",
        show(.got), show(.expected)
    )]
    Adjoint {
        /// `⟨v, vjp(u)⟩`.
        got: f64,
        /// `⟨J v, u⟩`.
        expected: f64,
        /// The step of the differences.
        step: f64,
    },
    /// No verdict: the slopes on the two sides do not close up.
    #[error(
        "no verdict on d{input}{index:?} = {}: within {step:.1e} the slope is \
         {} on the left and {} on the right, so a kink lies inside the step \
         (or more curvature than it resolves); draw points further from \
         kinks, or take a smaller step",
        show(.got), show(.left), show(.right)
    )]
    Kink {
        /// Which input, or `inputs` along a joint direction.
        input: String,
        /// Which entry; empty along a direction.
        index: Vec<usize>,
        /// What the VJP says.
        got: f64,
        /// `(f(x) - f(x-h))/h`.
        left: f64,
        /// `(f(x+h) - f(x))/h`.
        right: f64,
        /// The step `h`.
        step: f64,
    },
    /// A pass would mean nothing here.
    #[error(
        "degenerate point: the largest true derivative with respect to \
         {input} is {largest:.1e}, under {floor:.1e}, so a rule that returns \
         zeros would pass; draw another point"
    )]
    Degenerate {
        /// Which input.
        input: String,
        /// The largest difference quotient, in absolute value.
        largest: f64,
        /// What it would have to exceed.
        floor: f64,
    },
}

/// Ten significant digits.
fn show(v: &f64) -> String {
    let size = v.abs();
    if size == 0.0 {
        "0".into()
    } else if (1e-4..1e6).contains(&size) {
        let digits = 9 - size.log10().floor() as i32;
        let text = format!("{v:.*}", digits.max(0) as usize);
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').into()
        } else {
            text
        }
    } else {
        format!("{v:.9e}")
    }
}

impl Check {
    /// The five questions in turn, at every point.
    pub fn all(
        &self,
        sample: &Sample,
        f: &Forward,
        vjp: &Vjp,
    ) -> Result<Report, CheckError> {
        self.shapes(sample, f, vjp)?;
        self.repeat(sample, f, vjp)?;
        self.linearity(sample, f, vjp)?;
        let report = self.gradient(sample, f, vjp)?;
        self.adjoint(sample, f, vjp)?;
        Ok(report)
    }

    /// The gradient of one number, `f'(x)`, at `x`.
    ///
    /// ```
    /// use backprop::calculus::gradcheck::Check;
    ///
    /// let check = Check::default();
    /// assert!(check.derivative(f64::sin, f64::cos, 0.3).is_ok());
    /// let error = check.derivative(f64::cos, f64::sin, 0.3).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "dx[] is 0.2955202067, finite differences say -0.2955202067 \
    ///      (step 7.6e-6); 1 of 1 entries differ, this one most",
    /// );
    /// ```
    pub fn derivative(
        &self,
        f: impl Fn(f64) -> f64,
        df: impl Fn(f64) -> f64,
        x: f64,
    ) -> Result<Report, CheckError> {
        let names = if self.names.is_empty() {
            &["x"]
        } else {
            self.names
        };
        let x = ndarray::arr0(x).into_dyn();
        let one = x.mapv(|_| 1.0);
        Self { names, ..*self }.gradient_at(
            &[x],
            &one,
            &|x| x[0].mapv(&f),
            &|x, dy| vec![x[0].mapv(&df) * dy],
        )
    }

    /// One gradient per input, of its shape, and all numbers finite.
    pub fn shapes(
        &self,
        sample: &Sample,
        f: &Forward,
        vjp: &Vjp,
    ) -> Result<(), CheckError> {
        self.each_point(sample, f, |x, dy, _| {
            self.call(x, dy, f, vjp).map(drop)
        })
    }

    /// The same arguments, the same bits: nothing is changed in place and
    /// nothing is drawn anew.
    pub fn repeat(
        &self,
        sample: &Sample,
        f: &Forward,
        vjp: &Vjp,
    ) -> Result<(), CheckError> {
        self.each_point(sample, f, |x, dy, _| {
            let (y, dx) = self.call(x, dy, f, vjp)?;
            let (y2, dx2) = self.call(x, dy, f, vjp)?;
            same_bits("y", &y, &y2)?;
            for (i, (a, b)) in dx.iter().zip(&dx2).enumerate() {
                same_bits(&format!("d{}", self.name(i)), a, b)?;
            }
            Ok(())
        })
    }

    // ANCHOR: linearity
    /// `vjp(αu + βv) = α vjp(u) + β vjp(v)`, to 1e-9 of the largest entry.
    ///
    /// A rule that ignores the cotangent, takes its sign or its size, or
    /// masks by it, fails here without a single finite difference.
    pub fn linearity(
        &self,
        sample: &Sample,
        f: &Forward,
        vjp: &Vjp,
    ) -> Result<(), CheckError> {
        let (alpha, beta) = (-1.75, 0.625);
        self.each_point(sample, f, |x, u, sampler| {
            let v = sampler.normal(u.shape());
            let (_, of_u) = self.call(x, u, f, vjp)?;
            let (_, of_v) = self.call(x, &v, f, vjp)?;
            let (_, of_sum) = self.call(x, &(alpha * u + beta * &v), f, vjp)?;
            for i in 0..x.len() {
                let sum = alpha * &of_u[i] + beta * &of_v[i];
                let tolerance = 1e-9 * largest(&sum).max(largest(&of_sum[i]));
                for (index, &expected) in sum.indexed_iter() {
                    let got = of_sum[i][&index];
                    if (got - expected).abs() > tolerance {
                        return Err(CheckError::NotLinear {
                            input: self.name(i),
                            index: place(&index),
                            got,
                            expected,
                        });
                    }
                }
            }
            Ok(())
        })
    }
    // ANCHOR_END: linearity

    /// Every entry of every gradient against its central difference; large
    /// inputs along random directions.
    pub fn gradient(
        &self,
        sample: &Sample,
        f: &Forward,
        vjp: &Vjp,
    ) -> Result<Report, CheckError> {
        let mut total = Report::default();
        self.each_point(sample, f, |x, dy, sampler| {
            total.add(self.gradient_with(x, dy, f, vjp, sampler)?);
            Ok(())
        })?;
        Ok(total)
    }

    /// [`Check::gradient`] at one given point with a given cotangent.
    pub fn gradient_at(
        &self,
        x: &[ArrayD<f64>],
        dy: &ArrayD<f64>,
        f: &Forward,
        vjp: &Vjp,
    ) -> Result<Report, CheckError> {
        let mut sampler = Sampler::new(self.seed);
        self.gradient_with(x, dy, f, vjp, &mut sampler)
    }

    // ANCHOR: adjoint
    /// `⟨J v, u⟩ = ⟨v, Jᵀ u⟩` for random `u` and `v`: the VJP is the adjoint
    /// of the directional derivative.
    ///
    /// One direction through all inputs at once: two evaluations of `f`
    /// however many entries there are. It tells that something is wrong, and
    /// [`Check::gradient`] tells where.
    pub fn adjoint(
        &self,
        sample: &Sample,
        f: &Forward,
        vjp: &Vjp,
    ) -> Result<(), CheckError> {
        self.each_point(sample, f, |x, u, sampler| {
            let (y, dx) = self.call(x, u, f, vjp)?;
            let v: Vec<_> =
                x.iter().map(|a| sampler.normal(a.shape())).collect();
            let parts = dx.iter().zip(&v).map(|(d, v)| d * v);
            let got: f64 = parts.clone().map(|p| p.sum()).sum();
            let size = parts.map(|p| (&p * &p).sum()).sum::<f64>().sqrt();
            let line = Line {
                f,
                x,
                v,
                dy: u,
                y: &y,
                h: self.step_over(x),
            };
            match self.judge(&line, got, size) {
                Verdict::Agrees { .. } => Ok(()),
                Verdict::Differs { expected, .. } => Err(CheckError::Adjoint {
                    got,
                    expected,
                    step: line.h,
                }),
                Verdict::Kink { left, right } => Err(CheckError::Kink {
                    input: "inputs".into(),
                    index: vec![],
                    got,
                    left,
                    right,
                    step: line.h,
                }),
            }
        })
    }
    // ANCHOR_END: adjoint

    fn gradient_with(
        &self,
        x: &[ArrayD<f64>],
        dy: &ArrayD<f64>,
        f: &Forward,
        vjp: &Vjp,
        sampler: &mut Sampler,
    ) -> Result<Report, CheckError> {
        let (y, dx) = self.call(x, dy, f, vjp)?;
        let mut report = Report::default();
        for (i, d) in dx.iter().enumerate().filter(|(_, d)| !d.is_empty()) {
            report.add(if d.len() <= self.whole {
                self.entries(i, x, d, dy, &y, f)?
            } else {
                self.along(i, x, d, dy, &y, f, sampler)?
            });
        }
        Ok(report)
    }

    /// One input, entry by entry.
    fn entries(
        &self,
        i: usize,
        x: &[ArrayD<f64>],
        d: &ArrayD<f64>,
        dy: &ArrayD<f64>,
        y: &ArrayD<f64>,
        f: &Forward,
    ) -> Result<Report, CheckError> {
        let mut seen = Seen::default();
        let (mut worst, mut wrong) = (None, 0);
        let mut kink = None;
        let mut v: Vec<_> =
            x.iter().map(|a| ArrayD::zeros(a.raw_dim())).collect();
        for (index, &got) in d.indexed_iter() {
            v[i][&index] = 1.0;
            let h = self.step_at(x[i][&index]);
            let line = Line { f, x, v, dy, y, h };
            let verdict = self.judge(&line, got, 0.0);
            v = line.v;
            v[i][&index] = 0.0;
            seen.note(&verdict, self.tolerance(y, dy, h, 0.0));
            match verdict {
                Verdict::Agrees { .. } => {}
                Verdict::Differs { expected, excess } => {
                    wrong += 1;
                    if worst.as_ref().is_none_or(|(e, _)| excess > *e) {
                        let error = CheckError::Wrong {
                            input: self.name(i),
                            index: place(&index),
                            got,
                            expected,
                            step: h,
                            wrong: 0,
                            of: d.len(),
                        };
                        worst = Some((excess, error));
                    }
                }
                Verdict::Kink { left, right } if kink.is_none() => {
                    kink = Some(CheckError::Kink {
                        input: self.name(i),
                        index: place(&index),
                        got,
                        left,
                        right,
                        step: h,
                    });
                }
                Verdict::Kink { .. } => {}
            }
        }
        match (worst, kink) {
            (Some((_, mut error)), _) => {
                if let CheckError::Wrong { wrong: count, .. } = &mut error {
                    *count = wrong;
                }
                Err(error)
            }
            (None, Some(kink)) => Err(kink),
            (None, None) => self.not_flat(i, seen),
        }
    }

    /// One input, along random directions of signs.
    fn along(
        &self,
        i: usize,
        x: &[ArrayD<f64>],
        d: &ArrayD<f64>,
        dy: &ArrayD<f64>,
        y: &ArrayD<f64>,
        f: &Forward,
        sampler: &mut Sampler,
    ) -> Result<Report, CheckError> {
        let mut seen = Seen::default();
        for direction in 0..self.directions {
            let mut v: Vec<_> =
                x.iter().map(|a| ArrayD::zeros(a.raw_dim())).collect();
            v[i] = sampler.signs(x[i].shape());
            let got = (d * &v[i]).sum();
            let size = (d * d).sum().sqrt();
            let h = self.step_over(&x[i..=i]);
            let line = Line { f, x, v, dy, y, h };
            let verdict = self.judge(&line, got, size);
            seen.note(&verdict, self.tolerance(y, dy, h, 0.0));
            let input = self.name(i);
            match verdict {
                Verdict::Agrees { .. } => {}
                Verdict::Differs { expected, .. } => {
                    return Err(CheckError::WrongAlong {
                        input,
                        direction,
                        got,
                        expected,
                        step: h,
                    });
                }
                Verdict::Kink { left, right } => {
                    return Err(CheckError::Kink {
                        input,
                        index: vec![],
                        got,
                        left,
                        right,
                        step: h,
                    });
                }
            }
        }
        self.not_flat(i, seen)
    }

    // ANCHOR: judge
    /// Is `got` the slope of the line at 0?
    fn judge(&self, line: &Line, got: f64, size: f64) -> Verdict {
        let at = |h| line.slopes(h);
        let tolerance = self.tolerance(line.y, line.dy, line.h, size);
        let off = |expected: f64| {
            let scale = got.abs().max(expected.abs());
            (got - expected).abs() / (tolerance + self.rtol * scale)
        };
        let wide = at(line.h);
        if off(wide.central) <= 1.0 {
            let (expected, worst) = (wide.central, off(wide.central));
            return Verdict::Agrees {
                expected,
                worst,
                refined: false,
            };
        }
        // They disagree. Whose fault is it?
        let (half, quarter) = (at(line.h / 2.0), at(line.h / 4.0));
        let slack = tolerance + self.rtol * got.abs().max(wide.central.abs());
        let falls = |a: f64, b: f64, by: f64| {
            (a - by * b).abs() <= 0.2 * a.abs() + by * slack
        };
        let smooth = falls(wide.gap(), half.gap(), 2.0)
            && falls(
                wide.central - half.central,
                half.central - quarter.central,
                4.0,
            );
        if !smooth {
            return Verdict::Kink {
                left: wide.left,
                right: wide.right,
            };
        }
        let expected = (4.0 * half.central - wide.central) / 3.0;
        match off(expected) {
            worst if worst <= 1.0 => Verdict::Agrees {
                expected,
                worst,
                refined: true,
            },
            excess => Verdict::Differs { expected, excess },
        }
    }
    // ANCHOR_END: judge

    /// The part of the tolerance that does not depend on the slope:
    /// `atol`, round-off `ε⟨|dy|,|y|⟩/h`, and `rtol` of the size of a sum.
    fn tolerance(
        &self,
        y: &ArrayD<f64>,
        dy: &ArrayD<f64>,
        h: f64,
        size: f64,
    ) -> f64 {
        let output = (y * dy).mapv(f64::abs).sum();
        self.atol + f64::EPSILON * output / h + self.rtol * size
    }

    fn not_flat(&self, i: usize, seen: Seen) -> Result<Report, CheckError> {
        if seen.largest < seen.floor {
            return Err(CheckError::Degenerate {
                input: self.name(i),
                largest: seen.largest,
                floor: seen.floor,
            });
        }
        Ok(seen.report)
    }

    /// `y` and the gradients, with count, shapes and finiteness verified.
    fn call(
        &self,
        x: &[ArrayD<f64>],
        dy: &ArrayD<f64>,
        f: &Forward,
        vjp: &Vjp,
    ) -> Result<(ArrayD<f64>, Vec<ArrayD<f64>>), CheckError> {
        let y = f(x);
        finite("y", &y)?;
        let dx = vjp(x, dy);
        if dx.len() != x.len() {
            return Err(CheckError::Count {
                expected: x.len(),
                got: dx.len(),
            });
        }
        for (i, (x, d)) in x.iter().zip(&dx).enumerate() {
            if x.shape() != d.shape() {
                return Err(CheckError::Shape {
                    input: self.name(i),
                    expected: x.shape().to_vec(),
                    got: d.shape().to_vec(),
                });
            }
            finite(&format!("d{}", self.name(i)), d)?;
        }
        Ok((y, dx))
    }

    /// Draws point and cotangent `points` times.
    fn each_point(
        &self,
        sample: &Sample,
        f: &Forward,
        mut ask: impl FnMut(
            &[ArrayD<f64>],
            &ArrayD<f64>,
            &mut Sampler,
        ) -> Result<(), CheckError>,
    ) -> Result<(), CheckError> {
        for point in 0..self.points {
            let mut sampler = Sampler::new(self.seed + point);
            let x = sample(&mut sampler);
            let dy = sampler.normal(f(&x).shape());
            ask(&x, &dy, &mut sampler)?;
        }
        Ok(())
    }

    fn name(&self, i: usize) -> String {
        match self.names.get(i) {
            Some(name) => (*name).into(),
            None => format!("input {i}"),
        }
    }

    /// A power of two, so that `x ± h` is exact wherever `x` has room for it.
    fn step_at(&self, x: f64) -> f64 {
        (self.step * x.abs().max(1.0)).log2().round().exp2()
    }

    fn step_over(&self, x: &[ArrayD<f64>]) -> f64 {
        self.step_at(x.iter().map(largest).fold(0.0, f64::max))
    }
}

/// `φ(t) = ⟨dy, f(x + t v)⟩`, a function of one number.
struct Line<'a> {
    f: &'a Forward<'a>,
    x: &'a [ArrayD<f64>],
    v: Vec<ArrayD<f64>>,
    dy: &'a ArrayD<f64>,
    y: &'a ArrayD<f64>,
    h: f64,
}

struct Slopes {
    left: f64,
    central: f64,
    right: f64,
}

impl Slopes {
    /// `h φ'' + O(h³)` where `φ` is smooth.
    fn gap(&self) -> f64 {
        self.right - self.left
    }
}

impl Line<'_> {
    fn slopes(&self, h: f64) -> Slopes {
        let at = |t: f64| {
            let moved: Vec<_> =
                self.x.iter().zip(&self.v).map(|(x, v)| x + t * v).collect();
            (self.f)(&moved)
        };
        let (down, up) = (at(-h), at(h));
        // Difference first, sum after: ⟨dy, y⟩ itself would swamp it.
        let slope = |a: &ArrayD<f64>, b: &ArrayD<f64>, run: f64| {
            (self.dy * &(b - a)).sum() / run
        };
        Slopes {
            left: slope(&down, self.y, h),
            central: slope(&down, &up, 2.0 * h),
            right: slope(self.y, &up, h),
        }
    }
}

enum Verdict {
    Agrees {
        expected: f64,
        worst: f64,
        refined: bool,
    },
    Differs {
        expected: f64,
        excess: f64,
    },
    Kink {
        left: f64,
        right: f64,
    },
}

/// What the comparisons of one input have shown.
#[derive(Default)]
struct Seen {
    report: Report,
    largest: f64,
    floor: f64,
}

impl Seen {
    fn note(&mut self, verdict: &Verdict, tolerance: f64) {
        self.report.compared += 1;
        self.floor = self.floor.max(100.0 * tolerance);
        if let Verdict::Agrees {
            expected,
            worst,
            refined,
        } = verdict
        {
            self.largest = self.largest.max(expected.abs());
            self.report.refined += usize::from(*refined);
            self.report.zeros += usize::from(expected.abs() <= tolerance);
            self.report.worst = self.report.worst.max(*worst);
        }
    }
}

impl Report {
    fn add(&mut self, other: Report) {
        self.compared += other.compared;
        self.refined += other.refined;
        self.zeros += other.zeros;
        self.worst = self.worst.max(other.worst);
    }
}

fn largest(a: &ArrayD<f64>) -> f64 {
    a.iter().fold(0.0, |m, v| m.max(v.abs()))
}

fn place(index: &ndarray::IxDyn) -> Vec<usize> {
    use ndarray::Dimension;
    index.slice().to_vec()
}

fn finite(what: &str, a: &ArrayD<f64>) -> Result<(), CheckError> {
    match a.indexed_iter().find(|(_, v)| !v.is_finite()) {
        None => Ok(()),
        Some((index, &value)) => Err(CheckError::NotFinite {
            what: what.into(),
            index: place(&index),
            value,
        }),
    }
}

fn same_bits(
    what: &str,
    a: &ArrayD<f64>,
    b: &ArrayD<f64>,
) -> Result<(), CheckError> {
    let mut pairs = a.indexed_iter().zip(b.iter());
    match pairs.find(|((_, a), b)| a.to_bits() != b.to_bits()) {
        None => Ok(()),
        Some(((index, &first), &second)) => Err(CheckError::NotRepeatable {
            what: what.into(),
            index: place(&index),
            first,
            second,
        }),
    }
}
