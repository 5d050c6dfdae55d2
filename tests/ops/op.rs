//! What a row of the table says.

use backprop::backends::{Cpu, Textbook};
use backprop::calculus::gradcheck::Sampler;
use ndarray::ArrayD;
use serde_json::{Value, json};

pub type A = ArrayD<f64>;
pub type Forward = fn(&[A]) -> A;
pub type Vjp = fn(&[A], &A) -> Vec<A>;

/// A chapter's rows.
pub struct Chapter {
    pub part: &'static str,
    pub slug: &'static str,
    pub rows: fn() -> Vec<Op>,
    /// The file that has them: it must call every VJP of the chapter.
    pub text: &'static str,
}

/// The chapters `part::slug`, whose rows are in `part/slug.rs`.
macro_rules! chapters {
    ($($part:ident::$slug:ident),* $(,)?) => {
        [$($crate::op::Chapter {
            part: stringify!($part),
            slug: stringify!($slug),
            rows: $crate::$part::$slug::rows,
            text: include_str!(concat!(
                stringify!($part), "/", stringify!($slug), ".rs"
            )),
        }),*]
    };
}
pub(crate) use chapters;

/// The three sizes a row may use: batch, in (or classes), out.
#[derive(Clone, Copy, Debug)]
pub struct Dims {
    pub b: usize,
    pub i: usize,
    pub o: usize,
}

/// One row: an op, its VJP, and what to hold them against.
///
/// Begin with [`Op::vjp`] or [`Op::step`] and say what is not usual:
///
/// ```ignore
/// Op {
///     sample: |s, Dims { b, i, .. }| vec![s.away_from(&[b, i], &[0.], 0.01)],
///     device: on_device!(relu, 0.),
///     ..Op::vjp(
///         "relu",
///         |p| activation::relu(p[0].view()),
///         |p, dy| {
///             let y = activation::relu(p[0].view());
///             vec![activation::relu_vjp(y.view(), dy.view())]
///         },
///     )
/// }
/// ```
pub struct Op {
    pub name: &'static str,
    pub inputs: &'static [&'static str],
    /// Draws the inputs, away from kinks.
    pub sample: fn(&mut Sampler, Dims) -> Vec<A>,
    pub forward: Forward,
    /// `None` where nothing flows back, as in an optimiser's step.
    pub vjp: Option<Vjp>,
    /// The constants that the op is called with, besides its inputs; the
    /// stored case has them under `with`.
    pub with: fn(&[A]) -> Value,
    /// Relative L2 distance to PyTorch's float64, per tensor.
    pub reference: f64,
    /// The op as a model calls it; `None` where no device has it.
    pub device: Option<OnDevice>,
    /// Sizes at which a device goes another way than at the awkward ones.
    pub beyond: &'static [Dims],
}

impl Op {
    /// A row of one input, `x` (B,I), normal numbers; forward and VJP are the
    /// textbook's.
    pub fn vjp(name: &'static str, forward: Forward, vjp: Vjp) -> Op {
        Op {
            vjp: Some(vjp),
            ..Op::step(name, forward)
        }
    }

    /// As [`Op::vjp`], where nothing flows back.
    pub fn step(name: &'static str, forward: Forward) -> Op {
        Op {
            name,
            inputs: &["x"],
            sample: |s, Dims { b, i, .. }| vec![s.normal(&[b, i])],
            forward,
            vjp: None,
            with: |_| json!({}),
            reference: 1e-14,
            device: None,
            beyond: &[],
        }
    }
}

/// An op through `Device`: made by [`on_device!`] from a function that is
/// generic over it.
pub struct OnDevice {
    /// Relative L2 distance to the textbook in `f32`, per tensor.
    pub tolerance: f64,
    pub textbook: Run<Textbook>,
    pub cpu: Run<Cpu>,
    #[cfg(feature = "gpu")]
    pub gpu: Run<backprop::backends::Gpu>,
}

/// Uploads the inputs of a row, runs the op and its VJP, and reads what came
/// of it. Gradients of parameters begin at an eighth, which is taken off
/// again (`kit::{begun, added}`): an op that overwrites them instead of adding
/// is seen.
pub type Run<D> = fn(&D, &[A], &A) -> Out;

pub struct Out {
    pub y: A,
    pub d: Vec<A>,
    /// What else must agree between the devices: what is kept for the VJP,
    /// variants of the op.
    pub other: Vec<A>,
}

macro_rules! on_device {
    ($run:expr, $tolerance:expr) => {
        Some($crate::op::OnDevice {
            tolerance: $tolerance,
            textbook: $run,
            cpu: $run,
            #[cfg(feature = "gpu")]
            gpu: $run,
        })
    };
}
pub(crate) use on_device;
