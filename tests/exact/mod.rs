//! The cases of `reference/exact.json`, and how far a backend is from them.

// no file uses all of it
#![allow(dead_code)]

use backprop::device::Device;
use ndarray::{Array2, ArrayD};
use serde_json::Value;

/// Everything in `reference/exact.json` under `list`.
pub fn cases(list: &str) -> Vec<Value> {
    let text = include_str!("../reference/exact.json");
    let mut file: Value = serde_json::from_str(text).expect("JSON");
    let list = file[list].take();
    list.as_array().expect("a list of cases").clone()
}

/// The number under `key`.
pub fn number(case: &Value, key: &str) -> f64 {
    case[key].as_f64().expect("a number")
}

/// The numbers under `key`.
pub fn numbers(case: &Value, key: &str) -> Vec<f64> {
    let list = case[key].as_array().expect("a list");
    list.iter().map(|x| x.as_f64().expect("a number")).collect()
}

/// One row of logits, and what comes of it exactly.
pub struct Row {
    pub name: String,
    /// `(1, V)`, like `log_p`, `p` and `dx`.
    pub x: Array2<f64>,
    pub label: usize,
    pub smoothing: f64,
    pub lse: f64,
    pub log_p: Array2<f64>,
    pub p: Array2<f64>,
    pub loss: f64,
    pub dx: Array2<f64>,
}

/// The rows of logits, those that an `f32` holds alone if `single`.
pub fn rows(single: bool) -> Vec<Row> {
    let held = |x: &f64| !single || f64::from(*x as f32) == *x;
    let rows = cases("cross_entropy").iter().map(Row::read).collect();
    let mut rows: Vec<Row> = rows;
    rows.retain(|row| row.x.iter().all(held) && held(&row.smoothing));
    rows
}

impl Row {
    fn read(case: &Value) -> Row {
        let runs: Vec<(f64, usize)> =
            serde_json::from_value(case["x"].clone()).expect("runs");
        let spread = |values: Vec<f64>| {
            let times = runs.iter().map(|(_, times)| *times);
            let row: Vec<f64> = values
                .into_iter()
                .zip(times)
                .flat_map(|(x, times)| std::iter::repeat_n(x, times))
                .collect();
            Array2::from_shape_vec((1, row.len()), row).expect("one row")
        };
        Row {
            name: format!(
                "{}, label {}, smoothing {}",
                case["name"], case["label"], case["smoothing"]
            ),
            x: spread(runs.iter().map(|(x, _)| *x).collect()),
            label: number(case, "label") as usize,
            smoothing: number(case, "smoothing"),
            lse: number(case, "lse"),
            log_p: spread(numbers(case, "log_p")),
            p: spread(numbers(case, "p")),
            loss: number(case, "loss"),
            dx: spread(numbers(case, "dx")),
        }
    }
}

/// The largest error so far of each of several results, and where it was.
#[derive(Default)]
pub struct Worst(Vec<(&'static str, f64, String)>);

impl Worst {
    /// Takes in entries of the result `what`. An error is relative to an entry
    /// above 1, and absolute below: what an entry adds to a loss, or a
    /// probability to a sum of 1.
    pub fn see<'a>(
        &mut self,
        what: &'static str,
        case: &str,
        got: impl IntoIterator<Item = &'a f64>,
        want: impl IntoIterator<Item = &'a f64>,
    ) {
        let at = self.0.iter().position(|(name, ..)| *name == what);
        let at = at.unwrap_or_else(|| {
            self.0.push((what, 0., String::new()));
            self.0.len() - 1
        });
        let (mut got, mut want) = (got.into_iter(), want.into_iter());
        loop {
            match (got.next(), want.next()) {
                (None, None) => break,
                (Some(got), Some(want)) => {
                    let off = (got - want).abs() / want.abs().max(1.);
                    // A NaN is the worst of all, and stays it.
                    if (off > self.0[at].1 || off.is_nan())
                        && !self.0[at].1.is_nan()
                    {
                        let text = format!("{case}: {got:e}, not {want:e}");
                        self.0[at] = (what, off, text);
                    }
                }
                _ => panic!("{what} of {case}: the lengths differ"),
            }
        }
    }

    /// Prints the errors, and panics if one is above `most`.
    #[track_caller]
    pub fn at_most(&self, who: &str, most: f64) {
        for (what, off, at) in &self.0 {
            println!("{who}, {what}: {off:.1e} at {at}");
        }
        let above: Vec<_> = self
            .0
            .iter()
            .filter(|(_, off, _)| off.is_nan() || *off > most)
            .collect();
        assert!(above.is_empty(), "{who}, above {most:e}: {above:#?}");
        assert!(!self.0.is_empty(), "{who}: nothing was compared");
    }
}

/// The losses of `dev` and their gradients against the exact ones.
///
/// The head gets the logits as its table, and an `x` of 1.
pub fn of_device<D: Device>(dev: &D, rows: &[Row]) -> Worst {
    let mut worst = Worst::default();
    let one = dev.upload(ArrayD::ones(&[1, 1][..]).view());
    for row in rows {
        let Row {
            name,
            x,
            smoothing: eps,
            ..
        } = row;
        let labels = dev.upload_ids(&[row.label]);
        let up = dev.upload(x.view().into_dyn());
        let (loss, p) = dev.softmax_ce(up, &labels, *eps);
        worst.see("loss", name, &dev.read(&loss), [&row.loss]);
        worst.see("p", name, &dev.read(&p), &row.p);
        let dx = dev.softmax_ce_vjp(p, &labels, *eps, 1.);
        worst.see("dx", name, &dev.read(&dx), &row.dx);
        let w = dev.upload(x.t().into_dyn());
        let loss = dev.unembed_ce(&one, &w, &labels, *eps);
        worst.see("loss of the head", name, &dev.read(&loss), [&row.loss]);
        let mut dw = dev.zeros(&[x.len(), 1]);
        dev.unembed_ce_grad(&one, &w, &labels, *eps, 1., Some(&mut dw));
        worst.see("dw of the head", name, &dev.read(&dw), &row.dx);
    }
    worst
}

/// That every loss panics with its name and ε where ε is not in `[0,1)`.
pub fn refuses_smoothing<D: Device>(dev: &D) {
    let column = || dev.zeros(&[3, 1]);
    let labels = dev.upload_ids(&[1, 0, 2]);
    let three = || dev.zeros(&[3, 3]);
    for eps in [-0.125, 1., 1.5, f64::INFINITY, f64::NAN] {
        let ops: [(&str, &dyn Fn()); 4] = [
            ("softmax_ce", &|| {
                drop(dev.softmax_ce(three(), &labels, eps))
            }),
            ("softmax_ce_vjp", &|| {
                dev.softmax_ce_vjp(three(), &labels, eps, 1.);
            }),
            ("unembed_ce", &|| {
                dev.unembed_ce(&column(), &column(), &labels, eps);
            }),
            ("unembed_ce_grad", &|| {
                let (x, w) = (column(), column());
                dev.unembed_ce_grad(&x, &w, &labels, eps, 1., None);
            }),
        ];
        for (name, op) in ops {
            let op = std::panic::AssertUnwindSafe(op);
            let panic = std::panic::catch_unwind(op).expect_err("a panic");
            let text = panic.downcast::<String>().expect("a message");
            let want = format!("{name}: smoothing {eps} is not in [0, 1)");
            assert_eq!(*text, want);
        }
    }
}

/// An ε that is 0 in an `f32`, or subnormal, beside a class that is ruled out:
/// the share ε/V of its infinite loss may count or not, but is no NaN.
pub fn small_smoothing<D: Device>(dev: &D) {
    for classes in [3, 300, 5000] {
        let mut x = ArrayD::zeros(&[1, classes][..]);
        x[[0, 2]] = f64::NEG_INFINITY;
        let labels = dev.upload_ids(&[1]);
        let want = ((classes - 1) as f64).ln();
        for eps in [0., 1e-46, 1e-45, 1e-40] {
            let up = dev.upload(x.view());
            let (loss, p) = dev.softmax_ce(up, &labels, eps);
            let (loss, p) = (dev.read(&loss)[0], dev.read(&p));
            let what = format!("{classes} classes, smoothing {eps:e}: {loss}");
            let is_zero = eps as f32 == 0.;
            let right = (loss - want).abs() < 1e-6;
            assert!(right || (!is_zero && loss == f64::INFINITY), "{what}");
            assert!(p.iter().all(|p| (0. ..=1.).contains(p)), "{what}");
            let up = dev.upload(p.view());
            let dx = dev.read(&dev.softmax_ce_vjp(up, &labels, eps, 1.));
            assert!(dx.iter().all(|d| d.abs() <= 1.), "{what}");
        }
    }
}
