//! Data sets: reading, making, splitting, batches.

use super::{Error, Purpose, stream};
use crate::network::mlp::model::Batch;
use ndarray::{Array2, ArrayViewMut2, Axis};
use ndarray_rand::rand::Rng;
use ndarray_rand::rand::seq::SliceRandom;
use ndarray_rand::rand_distr::{Distribution, Normal, StandardNormal};
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;
use std::path::Path;

/// Examples with labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// One example per row (N,I).
    pub x: Array2<f64>,
    /// The class of every row, below `classes`.
    pub labels: Vec<usize>,
    /// How many classes there are.
    pub classes: usize,
}

impl Dataset {
    /// Number of examples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The given rows, in the given order.
    ///
    /// Panics if a row does not exist.
    #[track_caller]
    pub fn rows(&self, rows: &[usize]) -> Dataset {
        Dataset {
            x: self.x.select(Axis(0), rows),
            labels: rows.iter().map(|&r| self.labels[r]).collect(),
            classes: self.classes,
        }
    }

    /// A number that tells data sets apart: FNV-1a over shape, entries and
    /// labels. A resumed run checks that it reads the same data.
    pub fn fingerprint(&self) -> u64 {
        let shape = [self.x.nrows(), self.x.ncols(), self.classes];
        let shape = shape.into_iter().map(|n| n as u64);
        let entries = self.x.iter().map(|x| x.to_bits());
        let labels = self.labels.iter().map(|&l| l as u64);
        let words = shape.chain(entries).chain(labels);
        super::files::fnv1a(words.flat_map(u64::to_le_bytes))
    }
}

// ---- reading ------------------------------------------------------------

/// What a line of a data file must be: numbers in a range, then a label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Columns {
    /// Numbers before the label.
    pub features: usize,
    /// The smallest number allowed.
    pub min: f64,
    /// The largest number allowed.
    pub max: f64,
    /// Labels are integers from 0 to one less than this.
    pub classes: usize,
}

/// The file of 8×8 digits: 64 pixels from 0 to 16, then the digit.
pub const DIGITS: Columns = Columns {
    features: 64,
    min: 0.,
    max: 16.,
    classes: 10,
};

/// The 1,797 handwritten digits that ship with the crate, pixels 0 to 16.
///
/// Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten
/// Digits, UCI 1998, doi 10.24432/C50P49, CC BY 4.0.
pub fn digits() -> Dataset {
    let text = include_bytes!("../../data/digits/optdigits.csv");
    parse_csv(Path::new("data/digits/optdigits.csv"), text, DIGITS)
        .expect("the file that ships with the crate is whole")
}

/// Reads a data file with one example per line, `columns` apart by commas. A
/// byte-order mark at the start is left out.
///
/// Errors name the file, the line, what is wrong there and what to do.
pub fn read_csv(path: &Path, columns: Columns) -> Result<Dataset, Error> {
    parse_csv(path, &super::files::read_file(path)?, columns)
}

/// [`read_csv`] on bytes that are in memory; `path` is for the errors.
pub fn parse_csv(
    path: &Path,
    bytes: &[u8],
    columns: Columns,
) -> Result<Dataset, Error> {
    let Columns {
        features,
        min,
        max,
        classes,
    } = columns;
    let bytes = super::files::without_mark(path, bytes)?;
    let (mut x, mut labels) = (Vec::new(), Vec::new());
    for (i, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let wrong = |what: String| Error::Row {
            path: path.to_owned(),
            line: i + 1,
            what,
            remedy: format!(
                "A line is {features} numbers from {min} to {max} and a label \
                 from 0 to {}, separated by commas; mend or delete it.",
                classes - 1,
            ),
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = std::str::from_utf8(line)
            .map_err(|_| wrong("not a line of text".into()))?;
        if line.trim().is_empty() {
            continue;
        }
        let fields = line.split(',').count();
        if fields != features + 1 {
            return Err(wrong(format!(
                "{fields} columns instead of {}",
                features + 1
            )));
        }
        for (column, field) in line.split(',').enumerate() {
            let field = field.trim();
            let place = column + 1;
            let shown: String = field.chars().take(20).collect();
            if column == features {
                let label = field.parse().ok().filter(|l| *l < classes);
                labels.push(label.ok_or_else(|| {
                    wrong(format!("the label {shown:?} in column {place}"))
                })?);
            } else {
                let number: Option<f64> = field.parse().ok();
                let number = number.filter(|v| (min..=max).contains(v));
                x.push(number.ok_or_else(|| {
                    wrong(format!("the number {shown:?} in column {place}"))
                })?);
            }
        }
    }
    if labels.is_empty() {
        return Err(Error::Data(format!(
            "{}: no data in the file. Check the path.",
            path.display(),
        )));
    }
    let x = Array2::from_shape_vec((labels.len(), features), x)
        .expect("every line has as many numbers");
    Ok(Dataset { x, labels, classes })
}

// ---- making -------------------------------------------------------------

/// Two spirals that wind around each other: `per_class` points each, 1.5
/// turns, inside the unit disc, with normal noise of standard deviation
/// `noise` on both coordinates.
pub fn spirals(per_class: usize, noise: f64, seed: u64) -> Dataset {
    points(per_class, noise, seed, |class, t, _| {
        let radius = 0.1 + 0.8 * t;
        let angle = TAU * (1.5 * t + class as f64 / 2.);
        polar(radius, angle)
    })
}

/// A disc of radius 0.4 inside a ring from 0.6 to 0.9: `per_class` points
/// each, with normal noise of standard deviation `noise`.
pub fn circles(per_class: usize, noise: f64, seed: u64) -> Dataset {
    points(per_class, noise, seed, |class, t, turn| {
        // the square root spreads the points evenly over the area
        let (inner, outer): (f64, f64) = [(0., 0.4), (0.6, 0.9)][class];
        let area = inner.powi(2) + t * (outer.powi(2) - inner.powi(2));
        polar(area.sqrt(), TAU * turn)
    })
}

/// Two half circles of radius 0.6 that reach into each other: `per_class`
/// points each, with normal noise of standard deviation `noise`. The second
/// is the first turned by half a turn around the origin.
///
/// Source: `make_moons` of scikit-learn (Pedregosa et al., JMLR 12, 2011), to
/// scale and with its middle at the origin.
///
/// ```
/// let moons = backprop::training::data::moons(2, 0., 1);
/// // Each starts at an end and has its top a quarter of a turn on.
/// assert_eq!(moons.x.row(0).to_vec(), [0.3, -0.15]);
/// assert_eq!(moons.x.row(1).to_vec(), [-0.3, 0.15]);
/// assert_eq!(moons.labels, [0, 1, 0, 1]);
/// ```
pub fn moons(per_class: usize, noise: f64, seed: u64) -> Dataset {
    points(per_class, noise, seed, |class, t, _| {
        let (x, y) = polar(0.6, TAU / 2. * t);
        let side = [1., -1.][class];
        (side * (x - 0.3), side * (y - 0.15))
    })
}

fn polar(radius: f64, angle: f64) -> (f64, f64) {
    (radius * angle.cos(), radius * angle.sin())
}

/// Two classes of points: `place(class, t, turn)` gives both coordinates, with
/// `t` evenly spaced in `[0,1)` and `turn` random in `[0,1)`.
fn points(
    per_class: usize,
    noise: f64,
    seed: u64,
    place: impl Fn(usize, f64, f64) -> (f64, f64),
) -> Dataset {
    let mut rng = stream(seed, Purpose::Points, 0);
    let normal = Normal::new(0., noise).expect("noise is a finite number");
    let mut x = Vec::new();
    let labels: Vec<usize> = (0..2 * per_class).map(|i| i % 2).collect();
    for (i, &class) in labels.iter().enumerate() {
        let t = (i / 2) as f64 / per_class as f64;
        let (across, up) = place(class, t, rng.random());
        x.push(across + normal.sample(&mut rng));
        x.push(up + normal.sample(&mut rng));
    }
    let x = Array2::from_shape_vec((labels.len(), 2), x).expect("two each");
    Dataset {
        x,
        labels,
        classes: 2,
    }
}

// ---- splitting and scaling ----------------------------------------------

/// Splits into training and test data, stratified: of every class the share
/// `test_share`, rounded, goes to the test data, chosen by `seed`. Both parts
/// are then in random order.
///
/// An error if a part would be empty or the share is not between 0 and 1.
pub fn split(
    data: &Dataset,
    test_share: f64,
    seed: u64,
) -> Result<(Dataset, Dataset), Error> {
    if !(test_share > 0. && test_share < 1.) {
        return Err(Error::Setting {
            setting: "test share",
            what: format!("{test_share} is not between 0 and 1"),
        });
    }
    let mut rng = stream(seed, Purpose::Split, 0);
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for class in 0..data.classes {
        let mut rows: Vec<usize> = (0..data.len())
            .filter(|r| data.labels[*r] == class)
            .collect();
        rows.shuffle(&mut rng);
        let cut = (rows.len() as f64 * test_share).round() as usize;
        test.extend_from_slice(&rows[..cut]);
        train.extend_from_slice(&rows[cut..]);
    }
    if train.is_empty() || test.is_empty() {
        return Err(Error::Data(format!(
            "{} examples are too few to split: {} to train on, {} to test on. \
             Use more data.",
            data.len(),
            train.len(),
            test.len(),
        )));
    }
    train.shuffle(&mut rng);
    test.shuffle(&mut rng);
    Ok((data.rows(&train), data.rows(&test)))
}

/// Shifts and scales inputs: `(x - mean) / scale`, one pair for each column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaler {
    mean: Vec<f64>,
    scale: Vec<f64>,
}

impl Scaler {
    /// Divides by `scale`, the same in all columns, and shifts nothing.
    pub fn by(scale: f64, columns: usize) -> Scaler {
        Scaler {
            mean: vec![0.; columns],
            scale: vec![scale; columns],
        }
    }

    /// Mean 0 and standard deviation 1 in every column of `x` (N,I).
    ///
    /// Measured on the training data alone, and applied to all. A column that
    /// never changes is only shifted.
    pub fn standardise(x: &Array2<f64>) -> Scaler {
        let mean = x.mean_axis(Axis(0)).expect("data is not empty").to_vec();
        let std = x.std_axis(Axis(0), 0.).to_vec();
        let scale = std.iter().map(|s| if *s > 0. { *s } else { 1. }).collect();
        Scaler { mean, scale }
    }

    /// Shifts and scales `data` in place.
    ///
    /// Panics if the number of columns differs.
    #[track_caller]
    pub fn apply(&self, data: &mut Dataset) {
        assert_eq!(data.x.ncols(), self.mean.len(), "scaler: columns differ");
        for mut row in data.x.rows_mut() {
            for (x, (m, s)) in
                row.iter_mut().zip(self.mean.iter().zip(&self.scale))
            {
                *x = (*x - m) / s;
            }
        }
    }
}

// ---- batches ------------------------------------------------------------

/// The order in which `n` examples are seen in `epoch`: each once, in an order
/// that depends on `(seed, epoch)` alone. Written into `order`.
pub fn epoch_order(n: usize, seed: u64, epoch: u64, order: &mut Vec<usize>) {
    order.clear();
    order.extend(0..n);
    order.shuffle(&mut stream(seed, Purpose::Order, epoch));
}

/// The batches of a data set, epoch after epoch: each example once, in the
/// [order](epoch_order) of the epoch, with normal noise on every input that is
/// drawn afresh.
#[derive(Debug)]
pub struct Shuffled<'a> {
    data: &'a Dataset,
    batch: usize,
    seed: u64,
    noise: f64,
    // The order and the noise of the epoch `drawn`.
    drawn: Option<u64>,
    order: Vec<usize>,
    noises: Array2<f64>,
}

impl<'a> Shuffled<'a> {
    /// Batches of `batch` examples, the last one of an epoch may be smaller;
    /// `noise` is a standard deviation.
    ///
    /// Panics if `data` is empty or `batch` is 0.
    #[track_caller]
    pub fn new(
        data: &'a Dataset,
        batch: usize,
        seed: u64,
        noise: f64,
    ) -> Shuffled<'a> {
        assert!(!data.is_empty() && batch > 0, "batches: no data");
        Shuffled {
            data,
            batch,
            seed,
            noise,
            drawn: None,
            order: Vec::new(),
            noises: Array2::zeros((0, 0)),
        }
    }

    /// Fills in inputs and labels of batch `n`, counted from 0 through all
    /// epochs: it depends on `(seed, n)` alone.
    pub fn draw(&mut self, n: u64, into: &mut Batch) {
        let len = self.data.len();
        let per_epoch = len.div_ceil(self.batch) as u64;
        let epoch = n / per_epoch;
        if self.drawn != Some(epoch) {
            epoch_order(len, self.seed, epoch, &mut self.order);
            if self.noise > 0. {
                self.draw_noises(epoch);
            }
            self.drawn = Some(epoch);
        }
        let start = (n % per_epoch) as usize * self.batch;
        let end = len.min(start.saturating_add(self.batch));
        let shape = (end - start, self.data.x.ncols());
        into.x.resize(shape.0 * shape.1, 0.);
        into.labels.clear();
        let x = ArrayViewMut2::from_shape(shape, &mut into.x);
        let mut x = x.expect("as many numbers as rows and columns");
        for (&row, mut x) in self.order[start..end].iter().zip(x.rows_mut()) {
            x.assign(&self.data.x.row(row));
            if self.noise > 0. {
                x += &self.noises.row(row);
            }
            into.labels.push(self.data.labels[row]);
        }
    }

    /// The noise on every row of the data for one epoch.
    fn draw_noises(&mut self, epoch: u64) {
        let mut rng = stream(self.seed, Purpose::Noise, epoch);
        if self.noises.dim() != self.data.x.dim() {
            self.noises = Array2::zeros(self.data.x.dim());
        }
        for z in self.noises.iter_mut() {
            *z = self.noise * rng.sample::<f64, _>(StandardNormal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TWO: Columns = Columns {
        features: 2,
        min: 0.,
        max: 16.,
        classes: 3,
    };

    fn parse(text: &str) -> Result<Dataset, Error> {
        parse_csv(Path::new("some.csv"), text.as_bytes(), TWO)
    }

    #[test]
    fn the_digits_are_all_there() {
        let d = digits();
        assert_eq!((d.x.dim(), d.classes), ((1797, 64), 10));
        let mut counts = [0; 10];
        d.labels.iter().for_each(|&l| counts[l] += 1);
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        assert!(d.x.iter().all(|x| (0. ..=16.).contains(x)));
        assert_eq!(d.x.row(0).sum(), 294.);
    }

    #[test]
    fn lines_end_as_they_like() {
        let d = parse("1,2,0\r\n\n3, 4.5 ,2\n").unwrap();
        assert_eq!(d.x, ndarray::array![[1., 2.], [3., 4.5]]);
        assert_eq!(d.labels, [0, 2]);
    }

    #[test]
    fn marks_at_the_start_are_no_data() {
        let d = parse("\u{feff}1,2,0\n").unwrap();
        assert_eq!(d, parse("1,2,0\n").unwrap());
        let e = parse_csv(Path::new("f"), b"\xff\xfe1\0,\0", TWO).unwrap_err();
        assert!(e.to_string().contains("UTF-16"), "{e}");
    }

    #[test]
    fn a_wrong_row_is_named() {
        for (text, what) in [
            ("1,2,0\n1,2\n", "line 2: 2 columns instead of 3"),
            ("1,x,0", "line 1: the number \"x\" in column 2"),
            ("1,17,0", "line 1: the number \"17\" in column 2"),
            ("1,NaN,0", "line 1: the number \"NaN\" in column 2"),
            ("\n1,2,3", "line 2: the label \"3\" in column 3"),
            ("1,2,-1", "line 1: the label \"-1\" in column 3"),
            ("1,2,", "line 1: the label \"\" in column 3"),
        ] {
            let e = parse(text).unwrap_err().to_string();
            assert!(e.starts_with(&format!("some.csv, {what}. ")), "{e}");
            assert!(e.contains("2 numbers from 0 to 16 and a label"), "{e}");
        }
        assert!(parse("\n").unwrap_err().to_string().contains("no data"));
        let e = parse_csv(Path::new("f"), b"\xff\n", TWO).unwrap_err();
        assert!(e.to_string().contains("line 1: not a line of text"));
    }

    proptest! {
        /// Whatever happens to the file, reading it never panics, and data
        /// that are accepted are in range.
        #[test]
        fn a_mutated_file_is_read_or_refused(
            cuts in prop::collection::vec((any::<u16>(), any::<u8>()), 0..4),
            end in any::<u16>(),
        ) {
            let mut bytes = b"1,2,0\n3,4.5,2\n0,16,1\n".to_vec();
            let n = bytes.len();
            for (at, byte) in cuts {
                bytes[at as usize % n] = byte;
            }
            bytes.truncate(n.min(end as usize));
            if let Ok(d) = parse_csv(Path::new("f"), &bytes, TWO) {
                prop_assert_eq!(d.x.nrows(), d.labels.len());
                prop_assert!(d.labels.iter().all(|l| *l < 3));
                prop_assert!(d.x.iter().all(|x| (0. ..=16.).contains(x)));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let _ = parse_csv(Path::new("f"), &bytes, TWO);
        }
    }

    #[test]
    fn a_split_is_a_stratified_partition() {
        let d = digits();
        let (train, test) = split(&d, 0.2, 3).unwrap();
        assert_eq!((train.len(), test.len()), (1438, 359));
        let mut all: Vec<_> = train
            .x
            .rows()
            .into_iter()
            .chain(test.x.rows())
            .zip(train.labels.iter().chain(&test.labels))
            .map(|(x, l)| (x.mapv(|x| x as u8).to_vec(), *l))
            .collect();
        let mut want: Vec<_> =
            d.x.rows()
                .into_iter()
                .zip(&d.labels)
                .map(|(x, l)| (x.mapv(|x| x as u8).to_vec(), *l))
                .collect();
        all.sort();
        want.sort();
        assert!(all == want, "every example is in exactly one part");
        for class in 0..10 {
            let count = test.labels.iter().filter(|l| **l == class).count();
            assert!((35..=37).contains(&count));
        }
        assert_eq!(split(&d, 0.2, 3).unwrap().1, test);
        assert_ne!(split(&d, 0.2, 4).unwrap().1, test);
    }

    #[test]
    fn too_little_data_cannot_be_split() {
        let d = digits().rows(&[0]);
        assert!(
            split(&d, 0.2, 0)
                .unwrap_err()
                .to_string()
                .contains("too few")
        );
        assert!(split(&d, 1.5, 0).is_err());
        assert!(split(&d, f64::NAN, 0).is_err());
    }

    #[test]
    fn standardised_columns() {
        let mut d = digits();
        Scaler::standardise(&d.x).apply(&mut d);
        for column in d.x.columns() {
            let (mean, std) = (column.mean().unwrap(), column.std(0.));
            assert!(mean.abs() < 1e-12);
            assert!(std == 0. || (std - 1.).abs() < 1e-12);
        }
        let mut d = digits();
        Scaler::by(16., 64).apply(&mut d);
        assert_eq!(d.x.fold(0., |m: f64, x| m.max(*x)), 1.);
    }

    #[test]
    fn every_epoch_has_its_own_order() {
        let order = |seed, epoch| {
            let mut o = Vec::new();
            epoch_order(100, seed, epoch, &mut o);
            o
        };
        let mut sorted = order(1, 0);
        sorted.sort();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        assert_eq!(order(1, 0), order(1, 0));
        assert_ne!(order(1, 0), order(1, 1));
        assert_ne!(order(1, 0), order(2, 0));
    }

    #[test]
    fn points_lie_where_they_should() {
        let d = circles(50, 0., 1);
        for (x, label) in d.x.rows().into_iter().zip(&d.labels) {
            let r = x.dot(&x).sqrt();
            let (inner, outer) = [(0., 0.4), (0.6, 0.9)][*label];
            assert!(r >= inner - 1e-12 && r <= outer + 1e-12);
        }
        for d in [spirals(50, 0., 1), moons(50, 0., 1)] {
            for i in 0..50 {
                // the second arm is the first one turned by half a turn
                let (a, b) = (d.x.row(2 * i), d.x.row(2 * i + 1));
                assert!((&a + &b).iter().all(|s| s.abs() < 1e-12));
            }
        }
        // Half circles around (-0.3, -0.15), each with an end near the middle
        // of the other.
        let d = moons(50, 0., 1);
        for x in d.x.rows().into_iter().step_by(2) {
            let r = (x[0] + 0.3).hypot(x[1] + 0.15);
            assert!((r - 0.6).abs() < 1e-12 && x[1] >= -0.15 - 1e-12);
        }
        assert_ne!(
            moons(50, 0.1, 1).fingerprint(),
            moons(50, 0.1, 2).fingerprint()
        );
        let again = moons(50, 0., 1);
        assert_eq!(d.fingerprint(), again.fingerprint());
        assert_ne!(
            spirals(50, 0.1, 1).fingerprint(),
            spirals(50, 0.1, 2).fingerprint()
        );
    }
}
