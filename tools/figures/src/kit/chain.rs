//! A chain of functions: values forward, derivatives back.

use super::picture::{SMALL, TEXT, WIDTH};
use super::text::width;
use super::{Look, Paint, Picture, Type};

/// A strip of nodes from left to right. Above each node stands its value,
/// below it the derivative of the last node with respect to it; the arrows
/// above carry the functions, those below the local derivatives.
///
/// ```
/// use figures::kit::{Chain, Paint, number};
/// let (x, u) = (1.5_f64, 2.25_f64);
/// let (y, dy_du) = (u.sin(), u.cos());
/// let picture = Chain::new("x", Paint::Input)
///     .values(&number(x, 4), &number(2.0 * x * dy_du, 4))
///     .then("square", "2x = 3", "u", Paint::Activation)
///     .values(&number(u, 4), &number(dy_du, 4))
///     .then("sin", "cos u = −0.628", "y", Paint::Activation)
///     .values(&number(y, 4), "1")
///     .picture();
/// assert_eq!(picture.width(), 640.0);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    nodes: Vec<Node>,
    edges: Vec<(String, String)>,
    titles: (String, String),
}

#[derive(Clone, Debug, PartialEq)]
struct Node {
    name: String,
    paint: Paint,
    value: String,
    derivative: String,
}

impl Node {
    fn new(name: &str, paint: Paint) -> Self {
        Self {
            name: name.into(),
            paint,
            value: String::new(),
            derivative: String::new(),
        }
    }
}

impl Chain {
    /// A chain that begins with the node `name`.
    pub fn new(name: &str, paint: Paint) -> Self {
        Self {
            nodes: vec![Node::new(name, paint)],
            edges: Vec::new(),
            titles: ("values".into(), "derivatives".into()),
        }
    }

    /// Value and derivative of the node added last.
    pub fn values(mut self, value: &str, derivative: &str) -> Self {
        if let Some(node) = self.nodes.last_mut() {
            node.value = value.into();
            node.derivative = derivative.into();
        }
        self
    }

    /// Adds a node, reached by `function`, whose derivative with respect to
    /// the node before is `local`. Where the arrow is short, `cos u = 0.5`
    /// stands on two lines.
    pub fn then(
        mut self,
        function: &str,
        local: &str,
        name: &str,
        paint: Paint,
    ) -> Self {
        self.edges.push((function.into(), local.into()));
        self.nodes.push(Node::new(name, paint));
        self
    }

    /// What the rows above and below are called; `values` and
    /// `derivatives` unless told.
    pub fn titles(mut self, above: &str, below: &str) -> Self {
        self.titles = (above.into(), below.into());
        self
    }

    /// Draws it.
    pub fn picture(&self) -> Picture {
        let count = self.nodes.len() as f64;
        let longest = |texts: &mut dyn Iterator<Item = &String>, size| {
            texts.map(|t| width(t, size)).fold(0.0, f64::max)
        };
        let names = longest(&mut self.nodes.iter().map(|n| &n.name), TEXT);
        let half = (names / 2.0 + 14.0).max(30.0);
        let numbers = self.nodes.iter().flat_map(|n| [&n.value, &n.derivative]);
        let mut numbers = numbers;
        let edge = longest(&mut numbers, TEXT) / 2.0;
        let outer = half.max(edge) + 6.0;
        let step = (WIDTH - 2.0 * outer) / (count - 1.0).max(1.0);
        let middle = 118.0;
        // Slopes on two lines push the derivatives one line down: beside a
        // second line that says a number, theirs would look like a result.
        let room = step - 2.0 * half - 16.0;
        let two_lines =
            |local: &str| local.contains(" = ") && width(local, SMALL) > room;
        let down = match self.edges.iter().any(|(_, l)| two_lines(l)) {
            true => 26.0,
            false => 0.0,
        };
        let mut picture = Picture::new(WIDTH, 236.0 + down);

        let small = Type::new(SMALL);
        picture.text(
            [2.0, 12.0],
            &format!("{} →", self.titles.0),
            small.paint(Paint::Activation),
        );
        picture.text(
            [WIDTH - 2.0, 224.0 + down],
            &format!("← {}", self.titles.1),
            small.paint(Paint::Cotangent).end(),
        );
        for (i, (function, local)) in self.edges.iter().enumerate() {
            let from = outer + step * i as f64 + half + 8.0;
            let to = outer + step * (i + 1) as f64 - half - 8.0;
            let (above, below) = (middle - 12.0, middle + 12.0);
            let forward = Look::stroke(Paint::Activation, 2.0);
            picture.arrow([from, above], [to, above], forward);
            let back = Look::stroke(Paint::Cotangent, 2.0).dashed();
            picture.arrow([to, below], [from, below], back);
            let center = (from + to) / 2.0;
            let style = Type::new(SMALL).middle();
            picture.formula([center, above - 20.0], function, style);
            let style = style.paint(Paint::Cotangent);
            match local.split_once(" = ") {
                Some((rule, value)) if two_lines(local) => {
                    picture.formula([center, below + 20.0], rule, style);
                    let value = format!("= {value}");
                    picture.formula([center, below + 42.0], &value, style);
                }
                _ => picture.formula([center, below + 20.0], local, style),
            }
        }
        for (i, node) in self.nodes.iter().enumerate() {
            let x = outer + step * i as f64;
            let frame = [x - half, middle - 28.0, 2.0 * half, 56.0];
            let look = Look::role(node.paint).rounded(28.0);
            picture.rectangle(frame, look);
            let name = Type::new(TEXT + 2.0).middle().bold();
            picture.formula([x, middle], &node.name, name);
            let value = Type::new(TEXT).middle().paint(node.paint);
            picture.formula([x, middle - 50.0], &node.value, value);
            let value = Type::new(TEXT).middle().paint(Paint::Cotangent);
            picture.formula([x, middle + 52.0 + down], &node.derivative, value);
        }
        picture
    }
}
