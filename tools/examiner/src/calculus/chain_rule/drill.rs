//! The drill of the chain rule: a chain of two to four steps.

use super::mistakes::{
    ADDED_NOT_MULTIPLIED, INNER_FORGOTTEN, INVERSE_DERIVATIVE, LINK_FORGOTTEN,
    ORDER_SWAPPED, OUTER_AT_INPUT, OUTER_FORGOTTEN, POWER_WITHOUT_TWO,
    SLOPE_OF_OUTPUT, VALUE_FOR_SLOPE,
};
use crate::drill::{Answer, Dice, Drill, Problem, Ratio, Slips, draw, factor};
use crate::general::{SIGN_FLIPPED, UPSTREAM_IGNORED, UPSTREAM_ONLY};
use backprop::calculus::chain_rule::Step::{
    self, Add, Ln, Power, Sigmoid, Times,
};
use backprop::calculus::chain_rule::{forward, vjp};

/// A random chain: its derivative, a cotangent in the middle, one slope or one
/// value.
pub static CHAIN: Drill = Drill {
    name: "calculus/chain_rule/chain",
    about: "Go forward along the chain, then take every slope where the \
            function stands.",
    names: &[
        &OUTER_AT_INPUT,
        &INNER_FORGOTTEN,
        &OUTER_FORGOTTEN,
        &LINK_FORGOTTEN,
        &ADDED_NOT_MULTIPLIED,
        &VALUE_FOR_SLOPE,
        &POWER_WITHOUT_TWO,
        &ORDER_SWAPPED,
        &INVERSE_DERIVATIVE,
        &SLOPE_OF_OUTPUT,
        &SIGN_FLIPPED,
        &UPSTREAM_IGNORED,
        &UPSTREAM_ONLY,
    ],
    draw: |seed| draw(seed, plan, problem),
};

/// The chain and its numbers, as fractions for writing and as floats for the
/// crate.
struct Walk {
    chain: Vec<Step>,
    values: Vec<f64>,
}

/// What is asked, of a chain of how many steps.
enum Plan {
    Derivative(usize),
    Cotangent(usize),
    Slope(usize),
    Value(usize),
}
use Plan::{Cotangent, Derivative, Slope, Value};

fn plan(dice: &mut Dice) -> Plan {
    let steps = dice.one_of(&[2, 3, 3, 4]);
    match dice.below(8) {
        0..3 => Derivative(steps),
        3..5 => Cotangent(steps),
        5..7 => Slope(steps),
        _ => Value(steps),
    }
}

fn problem(dice: &mut Dice, plan: &Plan) -> Option<Problem> {
    let (Derivative(steps) | Cotangent(steps) | Slope(steps) | Value(steps)) =
        *plan;
    let walk = Walk::new(dice, steps)?;
    match plan {
        Derivative(_) => walk.derivative(0, None),
        Cotangent(_) => {
            let dy = dice.one_of(&[-3, -2, 2, 3]);
            walk.derivative(dice.below(steps - 1), Some(dy))
        }
        Slope(_) => walk.slope(1 + dice.below(steps - 1)),
        Value(_) => walk.value(2 + dice.below(steps - 1)),
    }
}

/// A step that can be done by hand where `u` arrives.
fn step(dice: &mut Dice, u: f64, last: bool) -> Step {
    match dice.below(8) {
        0..2 => Add(f64::from(dice.one_of(&[-3, -2, -1, 1, 2, 3]))),
        2..4 => Times(dice.one_of(&[-3., -2., 0.5, 2., 3.])),
        4 if last && u > 0. => Ln,
        5 if last && u == 0. => Sigmoid,
        5 if u != 0. => Power(-1),
        6 => Power(3),
        _ => Power(2),
    }
}

/// Whether the slope depends on what arrives.
fn bends(step: Step) -> bool {
    !matches!(step, Add(_) | Times(_))
}

impl Walk {
    fn new(dice: &mut Dice, steps: usize) -> Option<Self> {
        let halves = dice.one_of(&[-6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6]);
        let mut u = f64::from(halves) / 2.;
        let x = u;
        let mut chain = Vec::new();
        while chain.len() < steps {
            let next = step(dice, u, chain.len() + 1 == steps);
            // Two of one kind in a row are one step.
            let kind = std::mem::discriminant(&next);
            let again = |before: &Step| std::mem::discriminant(before) == kind;
            if chain.last().is_some_and(again) {
                return None;
            }
            chain.push(next);
            u = next.value(u);
        }
        let values = forward(&chain, x);
        // Without a step that bends behind the first there is no "where".
        let small = |v: &f64| Ratio::near(*v).is_some_and(|r| fits(r, 64, 16));
        let whole = values[..steps].iter().all(small);
        let bent = chain[1..].iter().any(|step| bends(*step));
        (whole && bent).then_some(Self { chain, values })
    }

    fn slope_at(&self, k: usize, u: f64) -> f64 {
        self.chain[k].slope(u)
    }

    /// The slope of step `k`, where it stands.
    fn local(&self, k: usize) -> f64 {
        self.slope_at(k, self.values[k])
    }

    /// `x`, `u₁`, ..., `y`.
    fn name(&self, k: usize) -> &'static str {
        match k {
            0 => "x",
            k if k == self.chain.len() => "y",
            k => ["u₁", "u₂", "u₃"][k - 1],
        }
    }

    /// The chain, one line a step, and what is asked.
    fn question(&self, asked: &str) -> String {
        let mut lines = vec![format!("x  = {}", ratio(self.values[0]))];
        for (k, step) in self.chain.iter().enumerate() {
            let right = written(*step, self.name(k));
            lines.push(format!("{:<2} = {right}", self.name(k + 1)));
        }
        lines.push(asked.into());
        lines.join("\n")
    }

    /// The values up to node `k`.
    fn way(&self, k: usize) -> String {
        let node = |k: usize| {
            let value = match Ratio::near(self.values[k]) {
                Some(value) => value.to_string(),
                // A logarithm stays one.
                None => format!("ln {}", factor(ratio(self.values[k - 1]))),
            };
            format!("{} = {value}", self.name(k))
        };
        (0..=k).map(node).collect::<Vec<_>>().join(", ")
    }

    /// `dy/du₂ = 2·u₂ = 1/2`, of step `k`.
    fn slope_written(&self, k: usize) -> String {
        let (u, v) = (self.name(k), self.name(k + 1));
        let rule = match self.chain[k] {
            Power(2) => format!("2·{u} = "),
            Power(3) => format!("3·{u}² = "),
            Power(_) => format!("−1/{u}² = "),
            Ln => format!("1/{u} = "),
            Sigmoid => format!("{v}·(1 − {v}) = "),
            _ => String::new(),
        };
        format!("d{v}/d{u} = {rule}{}", ratio(self.local(k)))
    }

    /// The derivative of `y` by node `from`, or that of a loss above it.
    fn derivative(&self, from: usize, dy: Option<i32>) -> Option<Problem> {
        let n = self.chain.len();
        if !self.chain[from.max(1)..].iter().any(|step| bends(*step)) {
            return None;
        }
        let (node, upstream) = (self.name(from), dy.map_or(1., f64::from));
        let right = vjp(&self.chain, &self.values, upstream)[from];
        let truth = Ratio::near(right).filter(|r| fits(*r, 500, 64))?;
        // All slopes, that of step `k` replaced.
        let with = |k: usize, slope: f64| {
            let factor = |j| if j == k { slope } else { self.local(j) };
            upstream * (from..n).map(factor).product::<f64>()
        };
        let mut slips = Slips::default();
        for k in from..n {
            let local = self.local(k);
            self.places(k, &mut slips, |slope| with(k, slope));
            if local.abs() != 1. {
                slips.number(&INVERSE_DERIVATIVE, with(k, 1. / local));
            }
            if local != 1. && n - from > 1 {
                let mistake = match k {
                    k if k == from => &INNER_FORGOTTEN,
                    k if k + 1 == n => &OUTER_FORGOTTEN,
                    _ => &LINK_FORGOTTEN,
                };
                slips.number(mistake, with(k, 1.));
            }
        }
        if n - from > 1 {
            let sum: f64 = (from..n).map(|k| self.local(k)).sum();
            slips.number(&ADDED_NOT_MULTIPLIED, upstream * sum);
        }
        // Of two steps that a hand can do, this is a slope at x as well.
        if n > 2 && from == 0 {
            let turned: Vec<_> = self.chain.iter().rev().copied().collect();
            let values = forward(&turned, self.values[0]);
            let gradients = vjp(&turned, &values, upstream);
            slips.number(&ORDER_SWAPPED, gradients[0]);
        }
        if dy.is_some() {
            slips.number(&UPSTREAM_IGNORED, right / upstream);
            slips.number(&UPSTREAM_ONLY, upstream);
        }
        slips.number(&SIGN_FLIPPED, -right);
        let loss = if dy.is_some() { "L" } else { "y" };
        let asked = format!("d{loss}/d{node}");
        let question = match dy {
            Some(dy) => format!(
                "Above y is a loss L: dL/dy = {}.\nWhat is {asked}?",
                Ratio::new(dy.into(), 1)
            ),
            None => format!("What is {asked} there?"),
        };
        let slopes: Vec<_> = (from..n).map(|k| self.slope_written(k)).collect();
        let factors = dy.map(|dy| Ratio::new(dy.into(), 1));
        let factors = factors.into_iter();
        let factors = factors
            .chain((from..n).rev().map(|k| ratio(self.local(k))))
            .map(factor);
        let factors: Vec<_> = factors.collect();
        let product = match factors.len() {
            1 => String::new(),
            _ => format!("{} = ", factors.join("·")),
        };
        Some(Problem {
            question: self.question(&question),
            worked: format!(
                "Forward: {}\nSlopes: {}\n{asked} = {product}{truth}",
                self.way(n),
                slopes.join(", "),
            ),
            asked,
            truth: Answer::Number(truth),
            mistakes: slips.0,
        })
    }

    /// The slope of step `k` alone.
    fn slope(&self, k: usize) -> Option<Problem> {
        if !bends(self.chain[k]) {
            return None;
        }
        let (u, v) = (self.name(k), self.name(k + 1));
        let right = self.local(k);
        let truth = Ratio::near(right).filter(|r| fits(*r, 500, 64))?;
        let mut slips = Slips::default();
        self.places(k, &mut slips, |slope| slope);
        slips.number(&INVERSE_DERIVATIVE, 1. / right);
        slips.number(&SIGN_FLIPPED, -right);
        let asked = format!("d{v}/d{u}");
        let question = format!("What is the slope {asked} there?");
        Some(Problem {
            question: self.question(&question),
            worked: format!("{}\n{}", self.way(k), self.slope_written(k)),
            asked,
            truth: Answer::Number(truth),
            mistakes: slips.0,
        })
    }

    /// What arrives at node `k`.
    fn value(&self, k: usize) -> Option<Problem> {
        let truth = Ratio::near(self.values[k]);
        let truth = truth.filter(|r| fits(*r, 500, 64))?;
        let asked = self.name(k).to_owned();
        let question = format!("What is the value of {asked}?");
        Some(Problem {
            question: self.question(&question),
            worked: self.way(k),
            asked,
            truth: Answer::Number(truth),
            mistakes: Vec::new(),
        })
    }

    /// The mistakes that put something else in place of the slope of step `k`.
    /// `made` is what comes of it.
    fn places(&self, k: usize, slips: &mut Slips, made: impl Fn(f64) -> f64) {
        if !bends(self.chain[k]) {
            return;
        }
        let (here, out) = (self.values[k], self.values[k + 1]);
        for at in &self.values[..k] {
            if *at != here {
                let slope = self.slope_at(k, *at);
                slips.number(&OUTER_AT_INPUT, made(slope));
            }
        }
        slips.number(&SLOPE_OF_OUTPUT, made(self.slope_at(k, out)));
        slips.number(&VALUE_FOR_SLOPE, made(out));
        if self.chain[k] == Power(2) {
            slips.number(&POWER_WITHOUT_TWO, made(here));
        }
    }
}

/// Whether a hand can work with it.
fn fits(ratio: Ratio, above: i64, below: i64) -> bool {
    ratio.numerator().abs() <= above && ratio.denominator() <= below
}

/// A number that [`Walk::new`] found to be a fraction, or that is made of
/// such.
fn ratio(value: f64) -> Ratio {
    Ratio::near(value).expect("fractions of small numbers")
}

/// A step as it is written by hand.
fn written(step: Step, u: &str) -> String {
    match step {
        Add(c) if c < 0. => format!("{u} − {}", -c),
        Add(c) => format!("{u} + {c}"),
        Times(0.5) => format!("{u}/2"),
        Times(c) => format!("{}·{u}", ratio(c)),
        Power(-1) => format!("1/{u}"),
        Sigmoid => format!("σ({u})"),
        other => other.label().replace('u', u),
    }
}
