//! What is asked of every row of the table, and how the answers are shown.

use crate::op::{A, Chapter, Dims, OnDevice, Op, Out, Run, Vjp};
use crate::reference::{Case, cases};
use backprop::backends::{Cpu, Textbook};
use backprop::calculus::gradcheck::{Check, Sampler};
use backprop::device::Device;
use libtest_mimic::{Failed, Trial};
use ndarray::ArrayD;

/// The sizes at which a block, a vector register or a remainder loop goes
/// wrong.
const AWKWARD: [usize; 7] = [1, 15, 16, 17, 127, 128, 129];

/// Pairwise different, so that a transpose cannot hide.
const SMALL: Dims = Dims { b: 3, i: 4, o: 5 };

type Outcome = Result<(), Failed>;
type Test = Box<dyn FnOnce() -> Outcome + Send>;

/// Six tests per row. One that does not apply is shown as ignored.
pub fn trials(chapter: &Chapter) -> Vec<Trial> {
    let cases = cases(chapter.part, chapter.slug);
    let mut trials = vec![];
    for op in (chapter.rows)() {
        let op: &'static Op = Box::leak(Box::new(op));
        let case = match &cases {
            Ok(cases) => cases.get(op.name).cloned().ok_or("no such case"),
            Err(e) => Err(e.as_str()),
        };
        let case = case.map_err(|e| {
            let Chapter { part, slug, .. } = chapter;
            format!("tests/reference/{part}/{slug}.json: {e}")
        });
        let mut add = |aspect: &str, applies: bool, test: Test| {
            let name = format!("{}::{aspect}", op.name);
            trials.push(Trial::test(name, test).with_ignored_flag(!applies));
        };
        let has_vjp = op.vjp.is_some();
        let is_on_devices = op.device.is_some();
        add("gradcheck", has_vjp, Box::new(|| gradcheck(op)));
        add("adjoint", has_vjp, Box::new(|| adjoint(op)));
        add("linearity", has_vjp, Box::new(|| linearity(op)));
        add("reference", true, Box::new(|| reference(op, &case?)));
        add("cpu", is_on_devices, Box::new(|| cpu(op)));
        let applies = is_on_devices && gpu::is_wanted();
        add("gpu", applies, Box::new(|| gpu::check(op)));
    }
    trials
}

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

/// Forward and VJP against stored vectors: the only test that can tell that
/// forward and backward are both wrong in the same way.
fn reference(op: &Op, case: &Case) -> Outcome {
    let with = (op.with)(&case.inputs);
    if with != case.with {
        return Err(format!("with {with}, the case {}", case.with).into());
    }
    let y = (op.forward)(&case.inputs);
    near("y", &y, &case.y, op.reference)?;
    let Some(vjp) = op.vjp else { return Ok(()) };
    let d = vjp(&case.inputs, &case.dy);
    Ok(near_gradients(op, &d, &case.dx, op.reference)?)
}

// ------------------------------------------------------------- on a device

fn on_devices(op: &Op) -> Result<&OnDevice, Failed> {
    let device = op.device.as_ref();
    device.ok_or_else(|| "no device has this op".into())
}

/// The fused ops, in memory that is full of NaN when it is taken.
fn cpu(op: &Op) -> Outcome {
    let device = on_devices(op)?;
    // That the row is asked the same question as the device.
    at(op, &Textbook, device.textbook, 1e-12, SMALL)?;
    let dev = Cpu::poisoned();
    at_awkward_sizes(op, |dims| {
        at(op, &dev, device.cpu, device.tolerance, dims)
    })
}

fn at_awkward_sizes(
    op: &Op,
    test: impl Fn(Dims) -> Result<(), String>,
) -> Outcome {
    let third = if uses_third(op) { &AWKWARD[..] } else { &[1] };
    let all = AWKWARD.iter().flat_map(|&b| {
        let pairs = AWKWARD
            .iter()
            .flat_map(move |&i| third.iter().map(move |&o| Dims { b, i, o }));
        pairs.collect::<Vec<_>>()
    });
    for dims in all.chain(op.beyond.iter().copied()) {
        test(dims).map_err(|e| format!("{dims:?}: {e}"))?;
    }
    Ok(())
}

/// Whether the inputs' shapes depend on `Dims::o`: if not, it need not vary.
fn uses_third(op: &Op) -> bool {
    let shapes = |o| -> Vec<_> {
        let x = (op.sample)(&mut Sampler::new(0), Dims { o, ..SMALL });
        x.iter().map(|x| x.shape().to_vec()).collect()
    };
    shapes(SMALL.o) != shapes(SMALL.o + 1)
}

/// What a device gives for one size, against the textbook.
fn at<D: Device>(
    op: &Op,
    dev: &D,
    run: Run<D>,
    tolerance: f64,
    dims: Dims,
) -> Result<(), String> {
    let seed = (dims.b * 1_000_000 + dims.i * 1000 + dims.o) as u64;
    let mut s = Sampler::new(seed);
    // Both sides see numbers that an f32 holds exactly.
    let single = |a: A| a.mapv(|v| f64::from(v as f32));
    let x: Vec<A> = (op.sample)(&mut s, dims).into_iter().map(single).collect();
    let y = (op.forward)(&x);
    let dy = single(s.normal(y.shape()));
    let got = run(dev, &x, &dy);
    near("y", &got.y, &y, tolerance)?;
    if let Some(vjp) = op.vjp {
        near_gradients(op, &got.d, &vjp(&x, &dy), tolerance)?;
    }
    if got.other.is_empty() {
        return Ok(());
    }
    let on_textbook = op.device.as_ref().expect("it runs on one").textbook;
    let Out { other, .. } = on_textbook(&Textbook, &x, &dy);
    for (i, (got, want)) in got.other.iter().zip(&other).enumerate() {
        near(&format!("other[{i}]"), got, want, tolerance)?;
    }
    Ok(())
}

#[cfg(not(feature = "gpu"))]
mod gpu {
    use super::{Op, Outcome};

    pub fn is_wanted() -> bool {
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
    use super::{Op, Outcome, at, at_awkward_sizes, on_devices};
    use crate::gpu::both;
    use backprop::device::Device;

    pub use crate::gpu::is_wanted;

    pub fn check(op: &Op) -> Outcome {
        let device = on_devices(op)?;
        for gpu in both() {
            at_awkward_sizes(op, |dims| {
                let outcome = at(op, gpu, device.gpu, device.tolerance, dims);
                outcome.map_err(|e| match gpu.fault() {
                    Some(fault) => format!("{e}: {fault}"),
                    None => e,
                })
            })?;
        }
        Ok(())
    }
}

// -------------------------------------------------------------- comparison

fn near_gradients(
    op: &Op,
    got: &[A],
    want: &[A],
    tolerance: f64,
) -> Result<(), String> {
    let (n, inputs) = (got.len(), op.inputs.len());
    if n != want.len() || n != inputs {
        let want = want.len();
        return Err(format!("{n} gradients, not {want}, of {inputs} inputs"));
    }
    for ((name, got), want) in op.inputs.iter().zip(got).zip(want) {
        near(&format!("d{name}"), got, want, tolerance)?;
    }
    Ok(())
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
