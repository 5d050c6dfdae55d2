//! What is asked of every row of the table, and how the answers are shown.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use backprop::calculus::gradcheck::{Check, Sampler};
use libtest_mimic::{Failed, Trial};
use ndarray::{ArrayD, IxDyn};
use serde::Deserialize;

pub type A = ArrayD<f64>;
pub type A32 = ArrayD<f32>;
pub type Vjp = fn(&[A], &A) -> Vec<A>;

/// The sizes at which a block, a vector register or a remainder loop goes
/// wrong.
const AWKWARD: [usize; 7] = [1, 15, 16, 17, 127, 128, 129];

/// The three sizes a row may use: batch, in (or classes), out.
#[derive(Clone, Copy, Debug)]
pub struct Dims {
    pub b: usize,
    pub i: usize,
    pub o: usize,
}

/// One row: an op, its VJP, and what to hold them against.
pub struct Op {
    pub name: &'static str,
    pub inputs: &'static [&'static str],
    /// Draws the inputs, away from kinks.
    pub sample: fn(&mut Sampler, Dims) -> Vec<A>,
    pub forward: fn(&[A]) -> A,
    /// `None` where nothing flows back, as in an optimiser's step.
    pub vjp: Option<Vjp>,
    pub fused: Option<Fused>,
    /// Relative L2 distance to PyTorch's float64, per tensor.
    pub reference: f64,
    /// Whether the row uses `Dims::o`: if not, one size less to vary.
    pub three_sizes: bool,
}

/// The fast version, and how far `f32` may be from the textbook.
pub struct Fused {
    /// `y` and the gradients, from the same inputs and cotangent.
    pub run: fn(&[A32], &A32) -> (A32, Vec<A32>),
    /// Relative L2 distance per tensor.
    pub tolerance: f64,
}

type Outcome = Result<(), Failed>;

/// Six tests per row. One that does not apply is shown as ignored.
pub fn trials(table: Vec<Op>) -> Vec<Trial> {
    let cases = Cases::read();
    let mut trials =
        vec![every_case_has_a_row(&cases, &table), every_vjp_has_a_row()];
    for op in table {
        let op: &'static Op = Box::leak(Box::new(op));
        let case = cases.as_ref().map(|c| c.cases.get(op.name).cloned());
        let case = case.map_err(Clone::clone);
        let mut add = |aspect: &str, applies: bool, test: Test| {
            let name = format!("{}::{aspect}", op.name);
            trials.push(Trial::test(name, test).with_ignored_flag(!applies));
        };
        let has_vjp = op.vjp.is_some();
        add("gradcheck", has_vjp, Box::new(|| gradcheck(op)));
        add("adjoint", has_vjp, Box::new(|| adjoint(op)));
        add("linearity", has_vjp, Box::new(|| linearity(op)));
        add("fused", op.fused.is_some(), Box::new(|| fused(op)));
        add("reference", true, Box::new(|| reference(op, case)));
        add("gpu", gpu::applies(op), Box::new(|| gpu::check(op)));
    }
    trials
}

type Test = Box<dyn FnOnce() -> Outcome + Send>;

/// Pairwise different, so that a transpose cannot hide.
const SMALL: Dims = Dims { b: 3, i: 4, o: 5 };

fn check(op: &Op) -> Check {
    Check {
        names: op.inputs,
        ..Check::default()
    }
}

fn rule(op: &Op) -> Result<Vjp, Failed> {
    op.vjp
        .ok_or_else(|| "nothing flows back through this op".into())
}

fn gradcheck(op: &Op) -> Outcome {
    let (vjp, check) = (rule(op)?, check(op));
    let sample = |s: &mut Sampler| (op.sample)(s, SMALL);
    check.shapes(&sample, &op.forward, &vjp)?;
    check.repeat(&sample, &op.forward, &vjp)?;
    let report = check.gradient(&sample, &op.forward, &vjp)?;
    let entries: usize =
        sample(&mut Sampler::new(0)).iter().map(ArrayD::len).sum();
    if report.compared != 3 * entries {
        return Err(format!(
            "{} comparisons for {entries} entries at 3 points",
            report.compared
        )
        .into());
    }
    Ok(())
}

fn adjoint(op: &Op) -> Outcome {
    let sample = |s: &mut Sampler| (op.sample)(s, SMALL);
    Ok(check(op).adjoint(&sample, &op.forward, &rule(op)?)?)
}

fn linearity(op: &Op) -> Outcome {
    let sample = |s: &mut Sampler| (op.sample)(s, SMALL);
    Ok(check(op).linearity(&sample, &op.forward, &rule(op)?)?)
}

/// Forward and VJP in `f32` against the textbook, at all awkward sizes.
fn fused(op: &Op) -> Outcome {
    let fused = op.fused.as_ref().ok_or("no fused version")?;
    let run = &|x: &[A32], dy: &A32| (fused.run)(x, dy);
    at_awkward_sizes(op, |dims| at(op, run, fused.tolerance, dims))
}

fn at_awkward_sizes(
    op: &Op,
    test: impl Fn(Dims) -> Result<(), String>,
) -> Outcome {
    let third: &[usize] = if op.three_sizes { &AWKWARD } else { &[1] };
    for b in AWKWARD {
        for i in AWKWARD {
            for &o in third {
                let dims = Dims { b, i, o };
                test(dims).map_err(|e| format!("{dims:?}: {e}"))?;
            }
        }
    }
    Ok(())
}

type Run<'r> = &'r dyn Fn(&[A32], &A32) -> (A32, Vec<A32>);

/// What `run` gives for one size, against the textbook.
fn at(op: &Op, run: Run, tolerance: f64, dims: Dims) -> Result<(), String> {
    let seed = (dims.b * 1_000_000 + dims.i * 1000 + dims.o) as u64;
    let mut s = Sampler::new(seed);
    // Both sides see numbers that an f32 holds exactly.
    let single = |a: A| a.mapv(|v| v as f32);
    let double = |a: &A32| a.mapv(f64::from);
    let x32: Vec<A32> =
        (op.sample)(&mut s, dims).into_iter().map(single).collect();
    let x: Vec<A> = x32.iter().map(double).collect();
    let y = (op.forward)(&x);
    let dy32 = single(s.normal(y.shape()));
    let (y32, d32) = run(&x32, &dy32);
    near("y", &double(&y32), &y, tolerance)?;
    let Some(vjp) = op.vjp else { return Ok(()) };
    let d = vjp(&x, &double(&dy32));
    if d.len() != d32.len() {
        return Err(format!("{} gradients, not {}", d32.len(), d.len()));
    }
    for ((name, got), want) in op.inputs.iter().zip(&d32).zip(&d) {
        near(&format!("d{name}"), &double(got), want, tolerance)?;
    }
    Ok(())
}

#[cfg(not(feature = "gpu"))]
mod gpu {
    use super::{Op, Outcome};

    pub fn applies(_: &Op) -> bool {
        false
    }

    pub fn check(_: &Op) -> Outcome {
        Err("this build has no GPU backend: use --features gpu".into())
    }
}

/// Every op of a device on the GPU, with arrays that are full of NaN when they
/// are taken: once with sums over subgroups, and once without and within the
/// limits of WebGPU.
#[cfg(feature = "gpu")]
mod gpu {
    use super::{A, A32, Op, Outcome, SMALL, at, at_awkward_sizes};
    use crate::gpu::{both, is_wanted};
    use crate::on_device::{OnDevice, Run, on_device};
    use backprop::backends::{Gpu, Textbook};
    use backprop::device::Device;

    pub fn applies(op: &Op) -> bool {
        on_device::<Gpu>(op.name).is_some() && is_wanted()
    }

    pub fn check(op: &Op) -> Outcome {
        // That the row is asked the same question as the device.
        let OnDevice { run, tolerance } =
            on_device(op.name).ok_or("no device has it")?;
        at(op, &single(&Textbook, run), 1e-6_f64.max(tolerance), SMALL)?;
        for gpu in both() {
            let OnDevice { run, tolerance } =
                on_device(op.name).ok_or("no device has it")?;
            at_awkward_sizes(op, |dims| {
                at(op, &single(gpu, run), tolerance, dims).map_err(
                    |e| match gpu.fault() {
                        Some(fault) => format!("{e}: {fault}"),
                        None => e,
                    },
                )
            })?;
        }
        Ok(())
    }

    fn single<D: Device>(
        dev: &D,
        run: Run<D>,
    ) -> impl Fn(&[A32], &A32) -> (A32, Vec<A32>) {
        move |x, dy| {
            let double = |a: &A32| a.mapv(f64::from);
            let single = |a: A| a.mapv(|v| v as f32);
            let x: Vec<A> = x.iter().map(double).collect();
            let (y, grads) = run(dev, &x, &double(dy));
            (single(y), grads.into_iter().map(single).collect())
        }
    }
}

/// The tensors of one case, as PyTorch computed them.
#[derive(Clone, Deserialize)]
struct Case {
    inputs: Vec<Tensor>,
    dy: Tensor,
    y: Tensor,
    dx: Vec<Tensor>,
}

#[derive(Clone, Deserialize)]
struct Tensor {
    shape: Vec<usize>,
    data: Vec<f64>,
}

#[derive(Clone, Deserialize)]
struct Cases {
    cases: BTreeMap<String, Case>,
}

impl Cases {
    fn read() -> Result<Cases, String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/reference/ops.json");
        let say = |e: &dyn std::fmt::Display| {
            format!(
                "{}: {e}; write it anew with tests/reference/ops.py",
                path.display()
            )
        };
        let text = std::fs::read_to_string(&path).map_err(|e| say(&e))?;
        serde_json::from_str(&text).map_err(|e| say(&e))
    }
}

impl Tensor {
    fn array(&self) -> Result<A, String> {
        ArrayD::from_shape_vec(IxDyn(&self.shape), self.data.clone())
            .map_err(|e| format!("a tensor of ops.json: {e}"))
    }
}

/// Forward and VJP against stored vectors: the only test that can tell that
/// forward and backward are both wrong in the same way.
fn reference(op: &Op, case: Result<Option<Case>, String>) -> Outcome {
    let case = case?.ok_or("no such case in tests/reference/ops.json")?;
    let arrays = |t: &[Tensor]| -> Result<Vec<A>, String> {
        t.iter().map(Tensor::array).collect()
    };
    let (x, dx) = (arrays(&case.inputs)?, arrays(&case.dx)?);
    let y = (op.forward)(&x);
    near("y", &y, &case.y.array()?, op.reference)?;
    let Some(vjp) = op.vjp else { return Ok(()) };
    let got = vjp(&x, &case.dy.array()?);
    if got.len() != dx.len() {
        return Err(format!("{} gradients, not {}", got.len(), dx.len()).into());
    }
    for ((name, got), want) in op.inputs.iter().zip(&got).zip(&dx) {
        near(&format!("d{name}"), got, want, op.reference)?;
    }
    Ok(())
}

/// A stored case that no row reads would look like a test and be none.
fn every_case_has_a_row(cases: &Result<Cases, String>, table: &[Op]) -> Trial {
    let outcome = cases.as_ref().map_err(Clone::clone).and_then(|cases| {
        match cases
            .cases
            .keys()
            .find(|k| table.iter().all(|op| op.name != *k))
        {
            Some(name) => {
                Err(format!("ops.json has {name}, the table has not"))
            }
            None => Ok(()),
        }
    });
    Trial::test("every_reference_case_has_a_row", || Ok(outcome?))
}

/// A VJP that no row calls is a VJP that nothing checks.
fn every_vjp_has_a_row() -> Trial {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // As the table writes it, with its one abbreviation spelled out.
    let table =
        include_str!("../ops.rs").replace("sce::", "softmax_cross_entropy::");
    let mut found = vec![];
    for part in ["calculus", "network", "depth", "transformer", "scale"] {
        vjps(&root.join("src").join(part), &mut found);
    }
    Trial::test("every_vjp_has_a_row", move || {
        if found.is_empty() {
            return Err("no VJP found in src".into());
        }
        match found
            .iter()
            .find(|name| !table.contains(&format!("{name}(")))
        {
            None => Ok(()),
            Some(name) => {
                Err(format!("{name} has no row in tests/ops.rs").into())
            }
        }
    })
}

/// `module::name` of every public function below `folder` that is named
/// after a VJP; `module::fused::name` where there is a fused one.
fn vjps(folder: &Path, found: &mut Vec<String>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("a folder of src")
        .map(|e| e.expect("a readable folder").path())
        .collect();
    entries.sort();
    for path in entries {
        let name = |p: &Path| {
            p.file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        };
        let file = name(&path);
        if path.is_dir() && file != "gradcheck" {
            vjps(&path, found);
        }
        if !path.is_file() || file == "model" || file == "gpu" {
            continue; // checked as a whole, and by the aspect `gpu`
        }
        let outer = match file.as_str() {
            "mod" => name(folder),
            "fused" => format!("{}::fused", name(folder)),
            _ => file,
        };
        let text = std::fs::read_to_string(&path).expect("a source file");
        let mut inner_module = outer.clone();
        for line in text.lines() {
            let indented = line.starts_with(' ');
            let module = if indented { &inner_module } else { &outer };
            let line = line.trim_start();
            if let Some(inner) = line.strip_prefix("pub mod ") {
                if let Some(inner) = inner.strip_suffix(" {") {
                    inner_module = inner.into();
                }
            } else if let Some(rest) = line.strip_prefix("pub fn ") {
                let end = rest.find(['(', '<']).unwrap_or(rest.len());
                if rest[..end].contains("vjp") {
                    found.push(format!("{module}::{}", &rest[..end]));
                }
            }
        }
    }
}

/// `‖got - want‖ ≤ tolerance · max(‖want‖, 0.01 √n)`.
///
/// The floor is for a tensor of one or two numbers that happen to cancel.
fn near(what: &str, got: &A, want: &A, tolerance: f64) -> Result<(), String> {
    if got.shape() != want.shape() {
        return Err(format!(
            "{what} has shape {:?}, not {:?}",
            got.shape(),
            want.shape()
        ));
    }
    let norm = |a: &A| a.iter().map(|v| v * v).sum::<f64>().sqrt();
    let size = norm(want).max(0.01 * (want.len() as f64).sqrt());
    let error = norm(&(got - want)) / size;
    if error <= tolerance {
        Ok(())
    } else {
        Err(format!(
            "{what} is {error:.1e} off, relative L2, tolerance {tolerance:.0e}"
        ))
    }
}
