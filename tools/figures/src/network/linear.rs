//! What the chapter `network/linear` shows.

use backprop::calculus::gradcheck::numeric_vjp;
use backprop::network::linear;
use examiner::judge::Exam;
use examiner::network::linear as linear_exam;
use examiner::{Sampler, Verdict};
use ndarray::{
    Array1, Array2, ArrayD, ArrayView1, ArrayView2, Axis, Ix1, Ix2, array,
};
use serde_json::{Value, json};
use std::fmt::Write;

use crate::kit::{
    self, Look, Paint, Picture, Point, SMALL, TEXT, Tiles, Type, WIDTH, number,
};
use crate::{Chapter, Data, Figure, Knob, Knobs, Output, Tolerance};

/// Outputs and figures of the chapter.
pub static CHAPTER: Chapter = Chapter {
    slug: "network/linear",
    outputs: &[
        Output::printed("example", example),
        Output::printed("sum_loss", sum_loss),
        Output::printed("uneven", uneven),
        Output::printed("trap", trap),
        Output::printed("check", check),
        Output::printed("cost", cost),
        Output::printed("report", report),
    ],
    figures: &[
        Figure {
            name: "sharing",
            title: "One weight, four examples, four products that add",
            description: "Grids of whole numbers: dx, x and dy with one row \
                          for each of four examples, w, dw and db. The first \
                          column of x and the first of dy are marked. Beside \
                          each row stands the product of its two marked \
                          numbers, and four arrows carry the products to a \
                          plus sign and on into the first entry of dw. Below, \
                          the sum is written out. No entry of w is marked.",
            knobs: &[
                Knob::choice("entry", &ENTRIES),
                Knob::slider("B", 1.0..=8.0, 4.0).step(1.0).unit("examples"),
            ],
            data: Data::Computed(shares),
            read_out: Some(written_out),
            draw: sharing,
            tolerance: Tolerance::EXACT,
        },
        Figure {
            name: "tiles",
            title: "The three products of a linear layer",
            description: "Three rows of rectangles. Forward: Y, B by O, equals \
                          X, B by I, times W, I by O, plus the bias row b. \
                          Input gradient: dX, B by I, equals dY, B by O, times \
                          W transposed, O by I. Weight gradient: dW, I by O, \
                          equals X transposed, I by B, times dY, B by O.",
            knobs: &[
                Knob::slider("B", 1.0..=8.0, 5.0).step(1.0).unit("examples"),
                Knob::slider("I", 1.0..=8.0, 3.0).step(1.0).unit("inputs"),
                Knob::slider("O", 1.0..=8.0, 2.0).step(1.0).unit("outputs"),
            ],
            data: Data::Computed(sizes),
            read_out: Some(products),
            draw: tiles,
            tolerance: Tolerance::EXACT,
        },
    ],
};

/// The chapter's example: three examples, two inputs, two outputs.
fn layer() -> (Array2<f64>, Array2<f64>, Array1<f64>) {
    (
        array![[1., 0.], [0., 1.], [1., 1.]],
        array![[2., 1.], [-1., 3.]],
        array![0.5, -2.],
    )
}

fn uneven_dy() -> Array2<f64> {
    array![[1., -2.], [3., 4.], [-1., 5.]]
}

/// Matrices side by side under their names; `b` and `db` are vectors.
fn side_by_side(matrices: &[(&str, ArrayView2<f64>)]) -> String {
    let mut lines = vec![String::new()];
    for (name, m) in matrices {
        let width = 7 * m.ncols().max(1) + 1;
        let shape = if name.contains('b') {
            format!("{name} ({})", m.ncols())
        } else {
            format!("{name} ({},{})", m.nrows(), m.ncols())
        };
        let _ = write!(lines[0], "  {shape:<width$}");
        let above: usize = lines[0].chars().count() - width - 2;
        for (k, row) in m.rows().into_iter().enumerate() {
            if lines.len() < k + 2 {
                lines.push(String::new());
            }
            let gap = above - lines[k + 1].chars().count();
            let cells: String =
                row.iter().map(|v| format!("{v:7.2}")).collect();
            let _ = write!(lines[k + 1], "{:gap$}  {cells} ", "");
        }
    }
    lines
        .iter()
        .map(|l| format!("{}\n", l.trim_end()))
        .collect()
}

fn row(b: &Array1<f64>) -> ArrayView2<'_, f64> {
    b.view().insert_axis(Axis(0))
}

fn example() -> String {
    let (x, w, b) = layer();
    let y = linear::forward(x.view(), w.view(), b.view());
    side_by_side(&[
        ("x", x.view()),
        ("w", w.view()),
        ("b", row(&b)),
        ("y", y.view()),
    ])
}

fn gradients(dy: &Array2<f64>) -> String {
    let (x, w, _) = layer();
    let (dx, dw, db) = linear::vjp(x.view(), w.view(), dy.view());
    side_by_side(&[
        ("dy", dy.view()),
        ("dx", dx.view()),
        ("dw", dw.view()),
        ("db", row(&db)),
    ])
}

fn sum_loss() -> String {
    let (x, w, b) = layer();
    let loss =
        |x: &Array2<f64>| linear::forward(x.view(), w.view(), b.view()).sum();
    let mut moved = x.clone();
    moved[[0, 0]] += 0.001;
    format!(
        "{}\nL = {:.3}; with x[0,0] raised by 0.001, L = {:.3}\n",
        gradients(&Array2::ones((3, 2))),
        loss(&x),
        loss(&moved)
    )
}

fn uneven() -> String {
    gradients(&uneven_dy())
}

fn trap() -> String {
    let x = array![[1., 2.], [3., 4.]];
    let dy = array![[1., 0.], [2., -1.]];
    side_by_side(&[
        ("x", x.view()),
        ("dy", dy.view()),
        ("xT·dy", x.t().dot(&dy).view()),
        ("x·dy", x.dot(&dy).view()),
    ])
}

fn matrix(a: &ArrayD<f64>) -> ArrayView2<'_, f64> {
    a.view().into_dimensionality::<Ix2>().expect("a matrix")
}

/// The layer as a function of a list of arrays, as the check wants it.
fn forward(inputs: &[ArrayD<f64>]) -> ArrayD<f64> {
    let b = inputs[2].view().into_dimensionality::<Ix1>();
    let b = b.expect("a vector");
    linear::forward(matrix(&inputs[0]), matrix(&inputs[1]), b).into_dyn()
}

/// Largest difference between a weight gradient and central differences.
fn gap(dy: &ArrayD<f64>, dw: impl Fn(ArrayView2<f64>) -> Array2<f64>) -> f64 {
    let (x, w, b) = layer();
    let inputs = [x.into_dyn(), w.into_dyn(), b.into_dyn()];
    let numeric = numeric_vjp(&forward, &inputs, dy);
    let gaps = &dw(matrix(dy)).into_dyn() - &numeric[1];
    gaps.iter().fold(0., |m: f64, g| m.max(g.abs()))
}

fn check() -> String {
    let (x, w, _) = layer();
    let right = |dy: ArrayView2<f64>| linear::vjp(x.view(), w.view(), dy).1;
    let ignores = |_: ArrayView2<f64>| {
        x.t().dot(&Array2::<f64>::ones((x.nrows(), w.ncols())))
    };
    let ones = ArrayD::ones(vec![3, 2]);
    let random = Sampler::new(1).dynamic(&[3, 2]);
    let mut text = String::from(
        "dw against central differences: largest difference, verdict at 1e-6\n",
    );
    let mut line = |what: &str, gap: f64| {
        let (size, verdict) = if gap < 1e-6 {
            ("below 1e-6".to_owned(), "accepted")
        } else {
            (format!("{gap:.2}"), "rejected")
        };
        let _ = writeln!(text, "  {what:<34} {size:>10}   {verdict}");
    };
    line("vjp, dy all ones", gap(&ones, right));
    line("vjp, dy random", gap(&random, right));
    line("a vjp without dy, dy all ones", gap(&ones, ignores));
    line("a vjp without dy, dy random", gap(&random, ignores));
    text
}

fn cost() -> String {
    let mut text = String::from(
        "layer                  B     I     O   forward  backward  without dx\n",
    );
    for (name, b, i, o) in [
        ("digits, first", 32, 64, 128),
        ("digits, last", 32, 128, 10),
        ("wide and square", 32, 4096, 4096),
    ] {
        let product = 2 * b * i * o;
        let mega = |flops: usize| format!("{:.2}M", flops as f64 / 1e6);
        let _ = writeln!(
            text,
            "{name:<18} {b:>5} {i:>5} {o:>5} {:>9} {:>9} {:>11}",
            mega(product + b * o),
            mega(2 * product + b * o),
            mega(product + b * o),
        );
    }
    text
}

/// The examiner's answer to a loop that assigns where it should add.
fn report() -> String {
    let verdict = linear_exam::VJP.judge(
        |x, w, dy| {
            let mut dw = Array2::zeros(w.raw_dim());
            for (x, dy) in x.rows().into_iter().zip(dy.rows()) {
                let (x, dy) = (x.insert_axis(Axis(1)), dy.insert_axis(Axis(0)));
                dw = x.dot(&dy);
            }
            (dy.dot(&w.t()), dw, dy.sum_axis(Axis(0)))
        },
        0,
    );
    match verdict {
        Verdict::Failed(report) => report.to_string(),
        other => format!("{other:?}\n"),
    }
}

// ---- one entry, and all that meets in it ---------------------------------

/// Three inputs, two outputs.
const INPUTS: usize = 3;
const OUTPUTS: usize = 2;

/// The entries of the three gradients for up to eight examples.
const ENTRIES: [&str; 32] = [
    "dw[0,0]", "dw[0,1]", "dw[1,0]", "dw[1,1]", "dw[2,0]", "dw[2,1]", "db[0]",
    "db[1]", "dx[0,0]", "dx[0,1]", "dx[0,2]", "dx[1,0]", "dx[1,1]", "dx[1,2]",
    "dx[2,0]", "dx[2,1]", "dx[2,2]", "dx[3,0]", "dx[3,1]", "dx[3,2]",
    "dx[4,0]", "dx[4,1]", "dx[4,2]", "dx[5,0]", "dx[5,1]", "dx[5,2]",
    "dx[6,0]", "dx[6,1]", "dx[6,2]", "dx[7,0]", "dx[7,1]", "dx[7,2]",
];

/// Small whole numbers, none of them 0: an example more is a row more, and
/// the rows before it stay.
fn whole_numbers(batch: usize) -> [Array2<f64>; 3] {
    // A seed whose gradients are small and differ from each other.
    let mut sampler = Sampler::new(128);
    let mut draw = |rows, columns| {
        Array2::from_shape_simple_fn((rows, columns), || {
            let n = sampler.below(6) as f64;
            if n < 3. { n - 3. } else { n - 2. }
        })
    };
    let w = draw(INPUTS, OUTPUTS);
    let mut x = Array2::zeros((0, INPUTS));
    let mut dy = Array2::zeros((0, OUTPUTS));
    for _ in 0..batch {
        let (one, its_dy) = (draw(1, INPUTS), draw(1, OUTPUTS));
        x.append(Axis(0), one.view()).expect("a row of inputs");
        dy.append(Axis(0), its_dy.view())
            .expect("a row of cotangents");
    }
    [x, w, dy]
}

/// The layer, its gradients, the entry chosen and the pairs of numbers whose
/// products make it.
fn shares(knobs: &Knobs) -> Value {
    let [x, w, dy] = whole_numbers(knobs.number("B") as usize);
    let (dx, dw, db) = linear::vjp(x.view(), w.view(), dy.view());
    let entry = knobs.choice("entry");
    let at = |k| entry.bytes().filter(u8::is_ascii_digit).nth(k);
    let [mut row, column] =
        [0, 1].map(|k| at(k).map_or(0, |digit| usize::from(digit - b'0')));
    let pairs = |a: ArrayView1<f64>, b: ArrayView1<f64>| -> Vec<[f64; 2]> {
        a.iter().zip(b).map(|(a, b)| [*a, *b]).collect()
    };
    let (terms, sum) = match &entry[..2] {
        "dw" => (pairs(x.column(row), dy.column(column)), dw[[row, column]]),
        "db" => {
            let ones = Array1::ones(dy.nrows());
            (pairs(ones.view(), dy.column(row)), db[row])
        }
        _ => {
            // Of an example that is not there the last one stands in.
            row = row.min(x.nrows() - 1);
            (pairs(dy.row(row), w.row(column)), dx[[row, column]])
        }
    };
    let rows = |a: &Array2<f64>| -> Vec<Vec<f64>> {
        a.rows().into_iter().map(|row| row.to_vec()).collect()
    };
    json!({
        "x": rows(&x), "w": rows(&w), "dy": rows(&dy),
        "dx": rows(&dx), "dw": rows(&dw), "db": [db.to_vec()],
        "of": &entry[..2], "row": row, "column": column,
        "terms": terms, "sum": sum,
    })
}

fn written_out(_: &Knobs, data: &Value) -> String {
    Chosen::of(data).sum()
}

/// The entry that is looked at.
struct Chosen {
    of: String,
    row: usize,
    column: usize,
    terms: Vec<[f64; 2]>,
    total: f64,
}

impl Chosen {
    fn of(data: &Value) -> Self {
        Self {
            of: kit::get(data, "/of"),
            row: kit::get(data, "/row"),
            column: kit::get(data, "/column"),
            terms: kit::get(data, "/terms"),
            total: kit::get(data, "/sum"),
        }
    }

    fn name(&self) -> String {
        name(&self.of, self.row, self.column)
    }

    /// The sum written out: `dw[0,0] = −6 + 2 = −4`.
    fn sum(&self) -> String {
        let mut text = self.name();
        for (k, [a, b]) in self.terms.iter().enumerate() {
            let product = a * b;
            let sign = match (k, product < 0.) {
                (0, true) => " = −",
                (0, false) => " = ",
                (_, true) => " − ",
                (_, false) => " + ",
            };
            text += &format!("{sign}{}", product.abs());
        }
        if self.terms.len() > 1 {
            text += &format!(" = {}", number(self.total, 4));
        }
        text
    }

    /// Whether an entry of `matrix` meets in it.
    fn meets(&self, matrix: &str, row: usize, column: usize) -> bool {
        match (&self.of[..], matrix) {
            ("dw", "x") => column == self.row,
            ("dw", "dy") => column == self.column,
            ("db", "dy") => column == self.row,
            ("dx", "dy") => row == self.row,
            ("dx", "w") => row == self.column,
            _ => false,
        }
    }

    /// Who uses it, and what each sends back.
    fn users(&self) -> String {
        let (r, c) = (self.row, self.column);
        let user = if self.of == "dx" { "output" } else { "example" };
        let users = match self.terms.len() {
            1 => format!("1 {user} uses"),
            many => format!("{many} {user}s use"),
        };
        let each = if self.terms.len() == 1 { "it" } else { "each" };
        let (used, sends) = match &self.of[..] {
            "dw" => (format!("w[{r},{c}]"), format!("x[n,{r}] · dy[n,{c}]")),
            "db" => (format!("b[{r}]"), format!("1 · dy[n,{r}]")),
            _ => (format!("x[{r},{c}]"), format!("dy[{r},o] · w[{c},o]")),
        };
        format!("{users} {used}; {each} sends back {sends}")
    }
}

/// `dw[0,1]`, `db[1]`: as the choice has it.
fn name(of: &str, row: usize, column: usize) -> String {
    match of {
        "db" => format!("db[{row}]"),
        _ => format!("{of}[{row},{column}]"),
    }
}

/// A cell is so wide and high, and rows are so far apart.
const CELL: Point = [36., 28.];
const PITCH: f64 = 34.;
/// Left edge and first row of each matrix.
const PLACES: [(&str, Point, Paint); 6] = [
    ("dx", [22., 32.], Paint::Cotangent),
    ("x", [164., 32.], Paint::Input),
    ("dy", [280., 32.], Paint::Cotangent),
    ("dw", [564., 32.], Paint::Cotangent),
    ("db", [564., 168.], Paint::Cotangent),
    ("w", [564., 236.], Paint::Weight),
];
/// Where products are written, and from where arrows leave them.
const PRODUCTS: f64 = 362.;
const LEAVE: f64 = 462.;

/// The middle of a cell.
fn cell(matrix: usize, row: usize, column: usize) -> Point {
    let [x, y] = PLACES[matrix].1;
    [
        x + CELL[0] * (column as f64 + 0.5),
        y + PITCH * row as f64 + CELL[1] / 2.,
    ]
}

fn sharing(data: &Value) -> Picture {
    let one = Chosen::of(data);
    let mut p = Picture::new(WIDTH, 392.);
    arrows(&mut p, &one);
    for (matrix, (of, [left, top], paint)) in PLACES.into_iter().enumerate() {
        let rows: Vec<Vec<f64>> = kit::get(data, &format!("/{of}"));
        let middle = left + CELL[0] * rows[0].len() as f64 / 2.;
        let title = Type::new(TEXT).middle().paint(paint).bold();
        p.formula([middle, top - 16.], of, title);
        for (r, row) in rows.iter().enumerate() {
            if of == "dx" {
                let label = Type::new(SMALL).end().paint(Paint::Muted);
                p.text([14., cell(matrix, r, 0)[1]], &format!("{r}"), label);
            }
            for (c, value) in row.iter().enumerate() {
                let at = cell(matrix, r, c);
                let here = match of {
                    "db" => one.of == of && one.row == c,
                    _ => one.of == of && (one.row, one.column) == (r, c),
                };
                let lit = here || one.meets(of, r, c);
                let draw = |p: &mut Picture| entry(p, at, *value, paint, lit);
                match of {
                    "dx" | "dw" => p.choice("entry", name(of, r, c), draw),
                    "db" => p.choice("entry", name(of, c, 0), draw),
                    _ => draw(&mut p),
                }
            }
        }
    }
    let line = Type::new(TEXT).bold();
    p.text([4., 350.], &one.sum(), line);
    p.text(
        [4., 378.],
        &one.users(),
        Type::new(SMALL).paint(Paint::Muted),
    );
    p
}

/// A number in its cell; what was drawn before lies behind it.
fn entry(p: &mut Picture, [x, y]: Point, value: f64, paint: Paint, lit: bool) {
    let frame = [
        x - CELL[0] / 2. + 1.,
        y - CELL[1] / 2.,
        CELL[0] - 2.,
        CELL[1],
    ];
    p.rectangle(frame, Look::fill(Paint::Page));
    let style = Type::new(SMALL).middle();
    if lit {
        p.rectangle(frame, Look::role(paint).tinted(0.28));
        p.text([x, y], &number(value, 4), style.bold());
    } else {
        p.rectangle(frame, Look::stroke(Paint::Faint, 1.));
        p.text([x, y], &number(value, 4), style.paint(Paint::Muted));
    }
}

/// The products, and their way into the entry.
fn arrows(p: &mut Picture, one: &Chosen) {
    let small = Type::new(SMALL);
    let wire = Look::stroke(Paint::Cotangent, 2.).dashed();
    let title = match &one.of[..] {
        "dw" => "x · dy",
        "db" => "1 · dy",
        _ => "dy · w",
    };
    let title_at = [(PRODUCTS + LEAVE) / 2., 16.];
    p.formula(title_at, title, Type::new(TEXT).middle());
    let product = |[a, b]: [f64; 2]| {
        let [a, b, c] = [a, b, a * b].map(|v| number(v, 3));
        format!("{a} × {b} = {c}")
    };
    let plus = |p: &mut Picture, at: Point| {
        p.circle(at, 12., Look::fill(Paint::Page));
        p.circle(at, 12., Look::stroke(Paint::Cotangent, 2.).tinted(0.13));
        p.text(at, "+", Type::new(TEXT).middle().bold());
    };
    if one.of == "dx" {
        // The terms go back along the row, one above it and one below.
        let [x, y] = cell(0, one.row, one.column);
        let node = [148., y];
        p.arrow(node, [x + CELL[0] / 2., y], wire);
        for (term, side) in one.terms.iter().zip([-1., 1.]) {
            p.text([PRODUCTS, y + 10. * side], &product(*term), small);
            let lane = y + 17. * side;
            let bend = [[PRODUCTS - 4., y + 11. * side], [352., lane]];
            let way = [bend[0], bend[1], [168., lane]];
            p.polyline(&way, wire);
            p.arrow([168., lane], [158., y + 7. * side], wire);
        }
        plus(p, node);
        return;
    }
    let [x, y] = match &one.of[..] {
        "dw" => cell(3, one.row, one.column),
        _ => cell(4, 0, one.row),
    };
    let alone = one.terms.len() == 1;
    let node = if alone {
        [x - CELL[0] / 2., y]
    } else {
        [536., y]
    };
    for (n, term) in one.terms.iter().enumerate() {
        let at = cell(1, n, 0)[1];
        p.text([PRODUCTS, at], &product(*term), small);
        let (dx, dy) = (node[0] - LEAVE, y - at);
        let radius = if alone { 0. } else { 12. };
        let rest = 1. - radius / dx.hypot(dy);
        p.arrow([LEAVE, at], [LEAVE + dx * rest, at + dy * rest], wire);
    }
    if !alone {
        p.arrow(node, [x - CELL[0] / 2., y], wire);
        plus(p, node);
    }
}

fn sizes(knobs: &Knobs) -> Value {
    let [b, i, o] = ["B", "I", "O"].map(|name| knobs.number(name) as usize);
    json!({ "B": b, "I": i, "O": o })
}

fn products(_: &Knobs, data: &Value) -> String {
    let [b, i, o] = ["/B", "/I", "/O"].map(|at| kit::get::<usize>(data, at));
    let product = 2 * b * i * o;
    format!(
        "forward {product} operations and the bias, backward {}",
        2 * product
    )
}

fn tiles(data: &Value) -> Picture {
    let b = ("B", kit::get(data, "/B"));
    let i = ("I", kit::get(data, "/I"));
    let o = ("O", kit::get(data, "/O"));
    Tiles::new()
        .row("forward")
        .tile("Y", b, o, Paint::Activation)
        .sign("=")
        .tile("X", b, i, Paint::Input)
        .tile("W", i, o, Paint::Weight)
        .sign("+")
        .tile("b", ("", 1), o, Paint::Weight)
        .row("input gradient: the outputs are summed away")
        .tile("dX", b, i, Paint::Cotangent)
        .sign("=")
        .tile("dY", b, o, Paint::Cotangent)
        .tile("Wᵀ", o, i, Paint::Weight)
        .row("weight gradient: the batch is summed away")
        .tile("dW", i, o, Paint::Cotangent)
        .sign("=")
        .tile("Xᵀ", i, b, Paint::Input)
        .tile("dY", b, o, Paint::Cotangent)
        .picture()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Setting;

    #[test]
    fn the_products_of_every_entry_add_up_to_the_gradient() {
        let figure = &CHAPTER.figures[0];
        assert_eq!(figure.name, "sharing");
        for entry in ENTRIES {
            let mut rows = Vec::new();
            for batch in 1..=8 {
                let knobs = Knobs::new(figure.knobs)
                    .with("entry", Setting::Words(entry.into()))
                    .and_then(|k| {
                        k.with("B", Setting::Number(f64::from(batch)))
                    })
                    .unwrap();
                let one = Chosen::of(&shares(&knobs));
                let sum: f64 = one.terms.iter().map(|[a, b]| a * b).sum();
                assert_eq!(sum, one.total, "{entry}, batch of {batch}");
                if one.name() == entry {
                    rows.push((one.terms.len(), one.total));
                }
            }
            // A gradient of the input never asks for the other examples.
            let same = rows.windows(2).all(|pair| pair[0] == pair[1]);
            assert_eq!(same, entry.starts_with("dx"), "{entry}: {rows:?}");
        }
    }
}
