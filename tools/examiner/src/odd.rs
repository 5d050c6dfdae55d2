//! Answers that are odd: wrong in a way that has no name and is easily missed,
//! or right in an unusual form. They are made of any task's right answer, by
//! changing what it returns.

use crate::judge::{Inputs, close};
use ndarray::{ArrayD, Axis, Dimension, IxDyn, Slice};

/// One way to be odd.
pub struct Odd {
    /// What is odd about it.
    pub name: &'static str,
    /// The inputs, a result, and how many calls came before give another
    /// result.
    pub change: Change,
    /// Whether an exam with such inputs and results has to have a case in
    /// which the change shows.
    pub demanded: fn(&Inputs, &ArrayD<f64>, usize) -> bool,
}

type Change =
    Box<dyn Fn(&Inputs, ArrayD<f64>, usize) -> ArrayD<f64> + Send + Sync>;

fn odd(
    name: &'static str,
    demanded: fn(&Inputs, &ArrayD<f64>, usize) -> bool,
    change: impl Fn(&Inputs, ArrayD<f64>, usize) -> ArrayD<f64>
    + Send
    + Sync
    + 'static,
) -> Odd {
    let change = Box::new(change);
    Odd {
        name,
        change,
        demanded,
    }
}

fn always(_: &Inputs, _: &ArrayD<f64>, _: usize) -> bool {
    true
}

/// Some tasks never come to where the change shows.
fn perhaps(_: &Inputs, _: &ArrayD<f64>, _: usize) -> bool {
    false
}

fn has_rows(i: &Inputs) -> bool {
    i.arrays().any(|a| a.ndim() > 0)
}

/// A matrix of one row, or a vector of one entry where there is no matrix.
fn has_one_row(i: &Inputs) -> bool {
    let ranks = i.arrays().map(|a| a.ndim());
    let rank = ranks.max().unwrap_or(0).min(2);
    rank > 0 && i.arrays().any(|a| a.ndim() >= rank && a.shape()[0] == 1)
}

fn has_column(i: &Inputs) -> bool {
    i.arrays()
        .any(|a| a.ndim() > 1 && a.shape()[a.ndim() - 1] == 1)
}

/// The same array, what lies beyond the eighth place of an axis off by one.
fn wrong_beyond(mut v: ArrayD<f64>, axis: usize) -> ArrayD<f64> {
    if v.shape()[axis] > 8 {
        let mut beyond = v.slice_axis_mut(Axis(axis), Slice::from(8..));
        beyond += 1.;
    }
    v
}

/// Wrong ones: none may pass.
pub fn wrong() -> Vec<Odd> {
    vec![
        odd("half a percent off", perhaps, |_, v, _| v * 0.995),
        odd("5e-7 off", perhaps, |_, v, _| v * (1. + 5e-7)),
        odd("computed in f32", perhaps, |_, v, _| {
            let rounded = v.mapv(|v| f64::from(v as f32));
            // Some numbers happen to be as good in f32.
            if close(&rounded, &v) { v } else { rounded }
        }),
        odd(
            "wrong for one row",
            |i, _, _| has_rows(i),
            |i, v, _| {
                if has_one_row(i) { v + 1. } else { v }
            },
        ),
        odd(
            "wrong for one column",
            |i, _, _| i.arrays().any(|a| a.ndim() > 1),
            |i, v, _| if has_column(i) { v + 1. } else { v },
        ),
        odd(
            "wrong beyond eight columns",
            |_, v, _| v.ndim() > 0,
            |_, v, _| {
                let last = v.ndim().checked_sub(1);
                last.map_or(v.clone(), |axis| wrong_beyond(v, axis))
            },
        ),
        odd(
            "wrong beyond eight rows",
            |_, v, _| v.ndim() > 1,
            |_, v, _| {
                if v.ndim() > 1 { wrong_beyond(v, 0) } else { v }
            },
        ),
        odd("clipped at 10", perhaps, |_, v, _| {
            v.mapv(|v| v.clamp(-10., 10.))
        }),
        odd("clipped at 100", perhaps, |_, v, _| {
            v.mapv(|v| v.clamp(-100., 100.))
        }),
        odd("never negative", perhaps, |_, v, _| v.mapv(|v| v.max(0.))),
        odd("not a number", always, |_, v, _| v * f64::NAN),
        odd("the last entry is not a number", always, |_, mut v, _| {
            if let Some(last) = v.iter_mut().last() {
                *last = f64::NAN;
            }
            v
        }),
        odd("not a number where it is 0", perhaps, |_, v, _| {
            v.mapv(|v| if v == 0. { f64::NAN } else { v })
        }),
        odd("nothing at all", always, |_, _, _| {
            ArrayD::zeros(IxDyn(&[0]))
        }),
        odd("transposed where it is square", perhaps, |_, v, _| {
            let square = v.ndim() == 2 && v.shape()[0] == v.shape()[1];
            if square { v.reversed_axes() } else { v }
        }),
        odd(
            "wrong from the sixth call on",
            |_, _, n| n > 4,
            |_, v, call| {
                if call > 4 { v * 2. + 1. } else { v }
            },
        ),
        odd(
            "right in the first call only",
            |_, _, n| n > 0,
            |_, v, call| {
                if call > 0 { v + 1. } else { v }
            },
        ),
        odd("wrong where inputs tie", perhaps, |i, v, _| {
            let first = i.arrays().find(|a| a.ndim() > 0);
            let tie = first.is_some_and(|a| {
                let mut all: Vec<_> = a.iter().map(|v| v.to_bits()).collect();
                all.sort_unstable();
                all.windows(2).any(|two| two[0] == two[1])
            });
            if tie { v + 1. } else { v }
        }),
    ]
}

/// Right ones: all have to pass.
pub fn right() -> Vec<Odd> {
    vec![
        odd("columns first in memory", perhaps, |_, v, _| {
            let turned = v.t().as_standard_layout().to_owned();
            turned.reversed_axes()
        }),
        odd("backwards in memory", perhaps, |_, v, _| {
            let mut backwards = ArrayD::zeros(v.raw_dim());
            for axis in 0..v.ndim() {
                backwards.invert_axis(Axis(axis));
            }
            backwards.assign(&v);
            backwards
        }),
        odd("every second place in memory", perhaps, |_, v, _| {
            let mut shape = v.raw_dim();
            shape.slice_mut().iter_mut().for_each(|n| *n *= 2);
            let mut wide = ArrayD::zeros(shape);
            wide.slice_each_axis_inplace(|_| Slice::new(0, None, 2));
            wide.assign(&v);
            wide
        }),
        odd("1e-9 off", perhaps, |_, v, _| {
            // A count is right or wrong.
            let count = v.iter().all(|v| v.fract() == 0.);
            if count { v } else { v * (1. + 1e-9) }
        }),
        odd("-0 for 0", perhaps, |_, v, _| {
            v.mapv(|v| if v == 0. { -0. } else { v })
        }),
    ]
}
