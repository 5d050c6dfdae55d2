//! The arrays of a failing case, cut to a size that a page can draw.

use ndarray::{ArrayD, IxDyn};
use serde::{Deserialize, Serialize};

/// Rows and columns that are kept of an array at most.
pub const MOST: usize = 16;

/// What an answer gave beside what is right, for a picture of both. Only where
/// the report prints both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arrays {
    /// What the answer gave.
    pub got: Window,
    /// What is right.
    pub expected: Window,
    /// `got - expected`, if the shapes are the same.
    pub difference: Option<Window>,
}

/// A part of an array, as rows: the last axis runs along a row, all others
/// along the rows, and an array with one axis is one row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// The shape of the whole array.
    pub shape: Vec<usize>,
    /// The row and the column where the part begins.
    pub start: [usize; 2],
    /// Numbers in a row of the part.
    pub columns: usize,
    /// The numbers, row by row, with five digits and a space between them: as
    /// text, because JSON has no NaN.
    pub numbers: String,
}

impl Arrays {
    /// Those of a case, with the entry `wrong` in the picture. `None` if one
    /// of them is a single number or empty.
    pub fn of(
        got: &ArrayD<f64>,
        expected: &ArrayD<f64>,
        wrong: Option<&IxDyn>,
    ) -> Option<Self> {
        let drawn = |a: &ArrayD<f64>| a.ndim() > 0 && !a.is_empty();
        if !drawn(got) || !drawn(expected) {
            return None;
        }
        let at = wrong
            .map_or([0, 0], |i| place(ndarray::Dimension::slice(i), expected));
        let alike = got.shape() == expected.shape();
        Some(Self {
            got: Window::of(got, at),
            expected: Window::of(expected, at),
            difference: alike.then(|| Window::of(&(got - expected), at)),
        })
    }
}

/// Row and column of an entry.
fn place(index: &[usize], of: &ArrayD<f64>) -> [usize; 2] {
    let (last, leading) = index.split_last().expect("an axis at least");
    let row = leading.iter().zip(of.shape());
    [row.fold(0, |row, (i, n)| row * n + i), *last]
}

impl Window {
    /// The part of an array around an entry.
    fn of(a: &ArrayD<f64>, at: [usize; 2]) -> Self {
        let columns = *a.shape().last().expect("an axis at least");
        let rows = a.len() / columns;
        let from = |at: usize, all: usize| {
            at.saturating_sub(MOST - 1).min(all.saturating_sub(MOST))
        };
        let start = [from(at[0], rows), from(at[1], columns)];
        let shown = columns.min(MOST);
        let numbers = a.iter().enumerate().filter(|(k, _)| {
            let (row, column) = (k / columns, k % columns);
            (start[0]..start[0] + MOST).contains(&row)
                && (start[1]..start[1] + MOST).contains(&column)
        });
        let numbers: Vec<_> =
            numbers.map(|(_, v)| format!("{v:.4e}")).collect();
        Self {
            shape: a.shape().to_vec(),
            start,
            columns: shown,
            numbers: numbers.join(" "),
        }
    }

    /// The numbers, row by row; `None` if this is not such a part: it was read
    /// from a file that somebody else wrote.
    pub fn rows(&self) -> Option<Vec<Vec<f64>>> {
        let numbers = self.numbers.split(' ').map(str::parse);
        let numbers: Vec<f64> = numbers.collect::<Result<_, _>>().ok()?;
        let sized = (1..=MOST).contains(&self.columns)
            && numbers.len().is_multiple_of(self.columns)
            && numbers.len() / self.columns <= MOST
            && (1..=8).contains(&self.shape.len())
            && self.whole().is_some_and(|[rows, columns]| {
                self.start[0] < rows && self.start[1] < columns
            });
        sized.then(|| numbers.chunks(self.columns).map(<[_]>::to_vec).collect())
    }

    /// Rows and columns of the whole array.
    pub fn whole(&self) -> Option<[usize; 2]> {
        let (last, leading) = self.shape.split_last()?;
        let rows = leading.iter().try_fold(1_usize, |n, k| n.checked_mul(*k));
        Some([rows?, *last])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{ArrayD, arr1, arr2};

    #[test]
    fn a_small_array_is_kept_whole() {
        let got = arr2(&[[1., f64::NAN], [-0.5, 1e9]]).into_dyn();
        let right = arr2(&[[1., 2.], [0.5, 1e9]]).into_dyn();
        let a = Arrays::of(&got, &right, None).unwrap();
        let rows = a.got.rows().unwrap();
        assert_eq!(rows[1], [-0.5, 1e9]);
        assert!(rows[0][1].is_nan());
        assert_eq!(a.difference.unwrap().rows().unwrap()[1], [-1., 0.]);
        let text = serde_json::to_string(&a.got).unwrap();
        assert_eq!(serde_json::from_str::<Window>(&text).unwrap(), a.got);
    }

    #[test]
    fn a_large_one_is_cut_around_the_wrong_entry() {
        let shape = IxDyn(&[3, 20, 40]);
        let all = (0..2400).map(f64::from).collect();
        let right = ArrayD::from_shape_vec(shape, all).unwrap();
        let mut got = right.clone();
        let wrong = IxDyn(&[2, 1, 33]);
        got[&wrong] += 7.;
        let a = Arrays::of(&got, &right, Some(&wrong)).unwrap();
        assert_eq!(a.got.whole(), Some([60, 40]));
        let difference = a.difference.unwrap();
        let rows = difference.rows().unwrap();
        assert_eq!((rows.len(), rows[0].len()), (MOST, MOST));
        let [row, column] = difference.start;
        assert_eq!(rows[41 - row][33 - column], 7.);
    }

    #[test]
    fn shapes_that_differ_have_no_difference_and_numbers_no_picture() {
        let row = arr1(&[1., 2., 3.]).into_dyn();
        let column = arr2(&[[1.], [2.], [3.]]).into_dyn();
        let a = Arrays::of(&row, &column, None).unwrap();
        assert_eq!(a.difference, None);
        assert_eq!(a.got.rows().unwrap(), [[1., 2., 3.]]);
        assert_eq!(a.expected.rows().unwrap().len(), 3);
        let number = ndarray::arr0(1.).into_dyn();
        assert_eq!(Arrays::of(&number, &number, None), None);
    }

    #[test]
    fn what_is_no_such_part_is_refused() {
        let good = Window {
            shape: vec![2, 2],
            start: [0, 0],
            columns: 2,
            numbers: "1 2 3 4".into(),
        };
        assert!(good.rows().is_some());
        let window = |change: fn(&mut Window)| {
            let mut w = good.clone();
            change(&mut w);
            w.rows()
        };
        assert_eq!(window(|w| w.numbers = "1 2 x 4".into()), None);
        assert_eq!(window(|w| w.numbers = String::new()), None);
        assert_eq!(window(|w| w.columns = 3), None);
        assert_eq!(window(|w| w.columns = 0), None);
        assert_eq!(window(|w| w.shape = vec![]), None);
        assert_eq!(window(|w| w.shape = vec![usize::MAX; 3]), None);
        assert_eq!(window(|w| w.start = [9, 0]), None);
        assert_eq!(window(|w| w.numbers = ["1"; 40].join(" ")), None);
    }
}
