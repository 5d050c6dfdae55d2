//! The inputs of a task, under their names, and the cases that they make.

use super::show::{number_text, show};
use crate::Sampler;
use ndarray::{
    Array, ArrayD, ArrayView1, ArrayView2, Axis, Dimension, Ix1, Ix2, Slice,
    arr0,
};

/// An array or a number, as the judge holds it.
pub trait IntoArray {
    /// The same values, of any rank.
    fn into_array(self) -> ArrayD<f64>;
}

impl<D: Dimension> IntoArray for Array<f64, D> {
    fn into_array(self) -> ArrayD<f64> {
        self.into_dyn()
    }
}

impl IntoArray for f64 {
    fn into_array(self) -> ArrayD<f64> {
        arr0(self).into_dyn()
    }
}

/// A count. Whole numbers up to 2⁵³ are exact in `f64`; of larger ones the
/// last 53 bits are compared.
impl IntoArray for u64 {
    fn into_array(self) -> ArrayD<f64> {
        const EXACT: u64 = 1 << 53;
        match self {
            0..=EXACT => (self as f64).into_array(),
            _ => ((self % EXACT) as f64).into_array(),
        }
    }
}

impl IntoArray for usize {
    fn into_array(self) -> ArrayD<f64> {
        (self as u64).into_array()
    }
}

/// What a call returned, in the order in which it is judged:
/// `arrays![db, dw, dx]`.
#[macro_export]
macro_rules! arrays {
    ($($value:expr),+ $(,)?) => {
        vec![$($crate::judge::IntoArray::into_array($value)),+]
    };
}

#[derive(Clone, Debug)]
struct Input {
    name: &'static str,
    /// Another name for it, which other exams know.
    alias: &'static str,
    value: ArrayD<f64>,
    /// How a report shows it: by its values, or by this text.
    text: Option<String>,
}

impl Input {
    fn is(&self, name: &str) -> bool {
        self.name == name || self.alias == name
    }
}

/// One input of a task: arrays and numbers by name, the cotangent among them.
///
/// Asking for a name that is not there panics: every row of every exam is run
/// by the certificate, which would find it.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    all: Vec<Input>,
    rare: bool,
    /// Whether arrays lie in memory column by column, with gaps.
    scattered: bool,
    /// Whether all numbers are tiny, and so are the results.
    tiny: bool,
}

impl Inputs {
    /// The same inputs and one more.
    pub fn with(self, name: &'static str, value: impl IntoArray) -> Self {
        self.push(name, value, None)
    }

    /// One more, which a report shows by that text and not by its values:
    /// which activation, a list of sizes; nothing at all if it is empty.
    pub fn shown(
        self,
        name: &'static str,
        value: impl IntoArray,
        text: impl Into<String>,
    ) -> Self {
        self.push(name, value, Some(text.into()))
    }

    fn push(
        mut self,
        name: &'static str,
        value: impl IntoArray,
        text: Option<String>,
    ) -> Self {
        let value = value.into_array();
        self.all.push(Input {
            name,
            alias: name,
            value,
            text,
        });
        self
    }

    /// The same inputs, one of them known under a second name: mistakes of
    /// another exam can be looked up in this one.
    pub fn also(mut self, name: &str, alias: &'static str) -> Self {
        let place = self.place(name);
        self.all[place].alias = alias;
        self
    }

    fn place(&self, name: &str) -> usize {
        let found = self.all.iter().position(|i| i.is(name));
        found.unwrap_or_else(|| panic!("no input is called {name}"))
    }

    /// The same inputs, whose results are tiny and judged by their own size.
    pub fn tiny(mut self) -> Self {
        self.tiny = true;
        self
    }

    /// What results are compared relative to, if they are smaller.
    pub(super) const LEAST: f64 = 1e-3;

    /// The same for these inputs.
    pub(super) fn least(&self) -> f64 {
        if self.tiny { 1e-15 } else { Self::LEAST }
    }

    /// The same inputs but one.
    pub fn without(mut self, name: &str) -> Self {
        self.all.retain(|i| !i.is(name));
        self
    }

    /// Whether an answer only has to be right here: no mistake is named.
    pub fn is_rare(&self) -> bool {
        self.rare
    }

    /// Whether there is an input of that name.
    pub fn has(&self, name: &str) -> bool {
        self.all.iter().any(|i| i.is(name))
    }

    /// The input of that name, whatever its rank.
    pub fn array(&self, name: &str) -> &ArrayD<f64> {
        &self.all[self.place(name)].value
    }

    /// The same, to write to.
    pub fn array_mut(&mut self, name: &str) -> &mut ArrayD<f64> {
        let place = self.place(name);
        &mut self.all[place].value
    }

    /// The arrays and numbers that are shown by their values, in order.
    pub fn arrays(&self) -> impl Iterator<Item = &ArrayD<f64>> {
        let plain = self.all.iter().filter(|i| i.text.is_none());
        plain.map(|i| &i.value)
    }

    /// An input that is a matrix.
    pub fn matrix(&self, name: &str) -> ArrayView2<'_, f64> {
        let view = self.array(name).view().into_dimensionality::<Ix2>();
        view.unwrap_or_else(|_| panic!("{name} is not a matrix"))
    }

    /// An input that is a vector.
    pub fn vector(&self, name: &str) -> ArrayView1<'_, f64> {
        let view = self.array(name).view().into_dimensionality::<Ix1>();
        view.unwrap_or_else(|_| panic!("{name} is not a vector"))
    }

    /// An input that is a number.
    pub fn number(&self, name: &str) -> f64 {
        match self.array(name) {
            a if a.ndim() == 0 => a.sum(),
            _ => panic!("{name} is not a number"),
        }
    }

    /// An input that is a count, a size or a choice.
    pub fn whole(&self, name: &str) -> u64 {
        self.number(name).round() as u64
    }

    /// An input that is true or false.
    pub fn flag(&self, name: &str) -> bool {
        self.number(name) != 0.
    }

    /// An input that is a list of labels or sizes.
    pub fn wholes(&self, name: &str) -> Vec<usize> {
        self.array(name)
            .iter()
            .map(|v| v.round() as usize)
            .collect()
    }

    /// The same inputs, all arrays that are not shown by a text (choices,
    /// sizes) changed.
    pub fn map(mut self, change: impl Fn(f64) -> f64) -> Self {
        for i in self.all.iter_mut().filter(|i| i.text.is_none()) {
            i.value.mapv_inplace(&change);
        }
        self
    }

    /// The same inputs in another memory layout: matrices column by column,
    /// vectors with gaps.
    pub(super) fn scattered(mut self) -> Self {
        for i in &mut self.all {
            let turned = i.value.t().as_standard_layout().into_owned();
            i.value = turned.reversed_axes();
            if i.value.ndim() == 1 {
                let mut wide = ArrayD::zeros(vec![2 * i.value.len()]);
                wide.slice_each_axis_inplace(|_| Slice::new(0, None, 2));
                wide.assign(&i.value);
                i.value = wide;
            }
        }
        self.rare = true;
        self.scattered = true;
        self
    }

    /// Whether they are views in another memory layout.
    pub(super) fn is_scattered(&self) -> bool {
        self.scattered
    }

    /// Nearly the same inputs: every entry of the first array a little up or
    /// down, its sum as before. `None` if it holds counts.
    pub(super) fn nearly(mut self) -> Option<Self> {
        let first = self.all.iter_mut().find(|i| i.text.is_none())?;
        if first.value.iter().all(|v| v.fract() == 0.) {
            return None;
        }
        // The first entry stays, if there are others.
        let fixed = usize::from(first.value.len() > 1);
        let pairs = (first.value.len() - fixed) / 2;
        let moved = first.value.iter_mut().skip(fixed).take((2 * pairs).max(1));
        for (k, v) in moved.enumerate() {
            *v += if k % 2 == 0 { 1e-4 } else { -1e-4 };
        }
        self.rare = true;
        Some(self)
    }

    /// The same inputs, each row of this one summing to exactly 0 and none of
    /// its entries 0. `None` for a single number, or rows of one.
    pub(super) fn balanced(mut self, name: &str) -> Option<Self> {
        let array = self.array_mut(name);
        let length = array.shape().last().copied().filter(|n| *n > 1)?;
        for (k, v) in array.iter_mut().enumerate() {
            let (row, place) = (k / length, k % length);
            let size = 1. + 0.5 * row as f64;
            *v = match place {
                // Of an odd number the last three are 1, 1 and -2.
                p if p + 1 == length && length % 2 == 1 => -2. * size,
                p if p + 2 == length && length % 2 == 1 => size,
                p if p % 2 == 0 => size,
                _ => -size,
            };
        }
        self.rare = true;
        Some(self)
    }

    /// The names of the arrays that are shown by their values.
    pub fn names(&self) -> Vec<&'static str> {
        let plain = |i: &&Input| i.text.is_none() && i.value.ndim() > 0;
        self.all.iter().filter(plain).map(|i| i.name).collect()
    }

    /// The same inputs, all those arrays changed by their rows.
    fn rows(mut self, change: impl Fn(&mut ArrayD<f64>)) -> Self {
        for name in self.names() {
            change(self.array_mut(name));
        }
        self
    }

    /// The arrays that are shown by their values, under their names, by their
    /// shapes.
    pub fn shapes(&self) -> String {
        let shown = |i: &&Input| i.text.is_none() && i.value.ndim() > 0;
        let all = self.all.iter().filter(shown);
        let all: Vec<_> = all.map(|i| with_shape(i.name, &i.value)).collect();
        all.join(", ")
    }

    /// The inputs under their names: their values if they are few.
    pub fn describe(&self) -> String {
        let plain = || self.all.iter().filter(|i| i.text.is_none());
        let few = plain().map(|i| i.value.len()).sum::<usize>() <= 36;
        let scalars = plain().all(|i| i.value.ndim() == 0);
        let mut all: Vec<String> = Vec::new();
        for Input {
            name, value, text, ..
        } in &self.all
        {
            all.push(match text {
                Some(text) => text.clone(),
                None if value.ndim() == 0 => {
                    format!("{name} = {}", number_text(value.sum()))
                }
                None if few => format!("{name} {}", show(value)),
                None => with_shape(name, value),
            });
        }
        if self.scattered {
            all.push("all views: in memory, rows do not lie together".into());
        }
        all.retain(|text| !text.is_empty());
        all.join(if few && !scalars { "\n" } else { ", " })
    }
}

fn with_shape(name: &str, value: &ArrayD<f64>) -> String {
    let sizes: Vec<_> = value.shape().iter().map(usize::to_string).collect();
    format!("{name} ({})", sizes.join(","))
}

/// The cases of a task.
#[derive(Debug, Default)]
pub struct Cases {
    /// Inputs that name a mistake: groups that are judged one after another,
    /// each by itself.
    pub usual: Vec<Vec<Inputs>>,
    /// Inputs for which an answer only has to be right: ones, ties, zeros,
    /// one row, many, large numbers.
    pub rare: Vec<Inputs>,
    /// Inputs so large that a gradient is compared in one direction only.
    pub large: Vec<Inputs>,
}

/// Shapes for the cases of a task.
#[derive(Debug)]
pub struct Shapes<const N: usize> {
    /// Pairwise different dimensions, and at least two square ones: some
    /// mistakes run only where the shapes cannot object. ([`Cases::of`] adds
    /// those in which two are equal.)
    pub usual: &'static [[usize; N]],
    /// One row, one column, one of all.
    pub small: &'static [[usize; N]],
    /// Drawn as whole numbers: zeros, and many ties. Then once for each array,
    /// which is zero; with a row of zeros in each, and with a row repeated.
    pub ties: Option<[usize; N]>,
    /// Many of all, the numbers that many times as large as usual.
    pub many: ([usize; N], f64),
}

/// Batch, inputs, outputs.
pub const BATCH_IN_OUT: Shapes<3> = Shapes {
    usual: &[[5, 3, 2], [4, 2, 3], [1, 3, 2], [3, 3, 3], [2, 2, 2]],
    small: &[[1, 1, 1], [3, 1, 2], [2, 3, 1]],
    ties: Some([4, 3, 2]),
    many: ([9, 17, 10], 20.),
};

impl Cases {
    /// One group, and rare ones.
    pub fn new(usual: Vec<Inputs>, rare: Vec<Inputs>) -> Self {
        Self {
            usual: [usual].into_iter().filter(|u| !u.is_empty()).collect(),
            rare,
            large: Vec::new(),
        }
    }

    /// Cases of these shapes, each drawn by `case`; and of shapes in which two
    /// dimensions are equal, where what was turned until it fits is turned no
    /// further; and, large, of 300 along each dimension: more than fit in a
    /// byte, and no multiple of a power of two.
    pub fn of<const N: usize>(
        draw: &mut Sampler,
        shapes: &Shapes<N>,
        mut case: impl FnMut(&mut Sampler, [usize; N]) -> Inputs,
    ) -> Self {
        let mut usual: Vec<_> =
            shapes.usual.iter().map(|s| case(draw, *s)).collect();
        let two_equal = (0..N).flat_map(|a| (0..a).map(move |b| (a, b)));
        for (a, b) in two_equal.filter(|_| N > 2) {
            let mut shape = std::array::from_fn(|axis| 2 + axis);
            shape[a] = shape[b];
            usual.push(case(draw, shape));
        }
        let mut rare: Vec<_> =
            shapes.small.iter().map(|s| case(draw, *s)).collect();
        if let Some(shape) = shapes.ties {
            rare.push(case(draw, shape).map(f64::round));
            for name in case(draw, shape).names() {
                let mut i = case(draw, shape);
                i.array_mut(name).fill(0.);
                rare.push(i);
            }
            rare.push(case(draw, shape).rows(|a| {
                a.index_axis_mut(Axis(0), 0).fill(0.);
            }));
            rare.push(case(draw, shape).rows(|a| {
                if a.shape()[0] > 1 {
                    let first = a.index_axis(Axis(0), 0).to_owned();
                    a.index_axis_mut(Axis(0), 1).assign(&first);
                }
            }));
        }
        let (many, factor) = shapes.many;
        rare.push(case(draw, many).map(|v| v * factor));
        let large = (0..N).map(|axis| {
            let mut shape = [2; N];
            shape[axis] = 300;
            case(draw, shape)
        });
        let large = large.collect();
        Self {
            large,
            ..Self::new(usual, rare)
        }
    }

    /// The rare ones know that they are.
    pub(super) fn marked(mut self) -> Self {
        let rare = self.rare.iter_mut().chain(&mut self.large);
        rare.for_each(|i| i.rare = true);
        self
    }

    /// The same cases, each with this done to it.
    pub fn each(mut self, change: impl Fn(Inputs) -> Inputs) -> Self {
        let others = [&mut self.rare, &mut self.large];
        for group in self.usual.iter_mut().chain(others) {
            *group = std::mem::take(group).into_iter().map(&change).collect();
        }
        self
    }
}

impl Sampler {
    /// Arrays of these names and shapes, drawn in this order.
    pub fn inputs(&mut self, shapes: &[(&'static str, &[usize])]) -> Inputs {
        let all = shapes.iter();
        all.fold(Inputs::default(), |inputs, (name, shape)| {
            inputs.with(name, self.dynamic(shape))
        })
    }
}
