//! What the title page shows: `sin(x²)`, its derivative, and a switch that
//! takes the cosine in the wrong place.

use backprop::calculus::chain_rule::Step;
use backprop::calculus::gradcheck::central;
use examiner::calculus::chain_rule::{self as exam, mistakes};
use examiner::judge::{Exam, Inputs, IntoArray};
use examiner::{Mistake, Verdict};
use serde_json::{Value, json};

use crate::kit::{
    self, Look, Paint, Picture, Point, SMALL, TEXT, Type, WIDTH, number,
};
use crate::{Chapter, Data, Figure, Knob, Knobs, Output, Text, Tolerance};

/// The figure of the title page, and what is made of it outside the book.
pub static CHAPTER: Chapter = Chapter {
    slug: "title",
    outputs: &[
        Output::printed("first_verdict", first_verdict),
        // The README's picture.
        Output {
            name: "moving",
            extension: "svg",
            text: Text::Computed(moving),
            tolerance: Tolerance::EXACT,
        },
        // What is shown where somebody links to the book.
        Output {
            name: "card",
            extension: "svg",
            text: Text::Computed(card),
            tolerance: Tolerance::EXACT,
        },
    ],
    figures: &[Figure {
        name: "strip",
        title: "The derivative of sin(x²) at x = 1.5",
        description: "A parabola with its tangent at 1.5, slope 3, and a sine \
                      with its tangent at 2.25, slope -0.6282. Below them the \
                      values 1.5, 2.25 and 0.7781 go from left to right. \
                      Below those the derivatives go from right to left as a \
                      ribbon that each slope makes thinner or thicker: 1, \
                      -0.6282, -1.885. By the rule the derivative is -1.885, \
                      by nudging x it is -1.885.",
        knobs: &[
            Knob::slider("x", -2.0..=2.0, 1.5).step(0.01),
            Knob::choice("cosine", &PLACES),
        ],
        data: Data::Computed(|knobs| {
            strip(knobs.number("x"), knobs.choice("cosine") == PLACES[0])
        }),
        read_out: Some(verdict),
        draw,
        tolerance: Tolerance::relative(1e-7),
    }],
};

/// Where the cosine is taken: where the sine stands, or too early.
const PLACES: [&str; 2] = ["at u = x²", "at x"];
/// From so many digits on two numbers are one.
const SAME: u64 = 6;
/// Wrong, in the picture.
const WRONG: Paint = Paint::Wrong;

/// Values, slopes and derivatives; the same derivative by nudging; and which
/// mistakes return what the rule gave.
fn strip(x: f64, right: bool) -> Value {
    let (square, sine) = (Step::Power(2), Step::Sin);
    let u = square.value(x);
    let at = if right { u } else { x };
    let slopes = [square.slope(x), sine.slope(at)];
    let by_rule = slopes[1] * slopes[0];
    let nudged = central(|x| (x * x).sin(), x, 1e-6);
    let digits = digits(by_rule, nudged);
    let names: Vec<&str> = match digits {
        SAME.. => Vec::new(),
        _ => named(x, by_rule).iter().map(|m| m.code).collect(),
    };
    json!({
        "values": [x, u, sine.value(u)],
        "at": at,
        "slopes": slopes,
        "derivatives": [by_rule, slopes[1], 1.],
        "nudged": nudged,
        "digits": digits,
        "names": names,
    })
}

/// The mistakes that the examiner of the chain rule knows and that return
/// `got` here. One point can be too few: two mistakes may meet there.
fn named(x: f64, got: f64) -> Vec<&'static Mistake> {
    let inputs = Inputs::default().with("x", x).with("dy", 1.);
    let right = (2. * x * (x * x).cos()).into_array();
    let mut found: Vec<&Mistake> = Vec::new();
    for way in mistakes::SINE_OF_SQUARE
        .iter()
        .flat_map(|row| row.each_way())
    {
        let returned = way.value(&inputs, "dx", &right).sum();
        let known = found.iter().any(|m| m.code == way.mistake.code);
        if !known && digits(returned, got) >= 8 {
            found.push(way.mistake);
        }
    }
    found
}

/// In how many digits two numbers agree: eight at most, for more the nudge
/// does not give.
fn digits(a: f64, b: f64) -> u64 {
    let size = a.abs().max(b.abs());
    if a == b || size < 1e-9 {
        return 8;
    }
    (-((a - b).abs() / size).log10()).clamp(0., 8.) as u64
}

/// Both numbers, and what the examiner says of them.
fn verdict(knobs: &Knobs, data: &Value) -> String {
    let x = knobs.number("x");
    let [by_rule, at, nudged] = ["/derivatives/0", "/at", "/nudged"]
        .map(|key| number(kit::get(data, key), 4));
    let codes: Vec<String> = kit::get(data, "/names");
    let known = named(x, kit::get(data, "/derivatives/0")).into_iter();
    let said: Vec<_> = known
        .filter(|m| codes.iter().any(|code| code == m.code))
        .map(|m| format!("{}: {} {}", m.code, m.sentence, m.rule))
        .collect();
    let end = match said.is_empty() {
        true => agreement(knobs.choice("cosine"), data),
        false => said.join(" Or "),
    };
    format!(
        "x = {}, cosine taken at {at}: by the rule {by_rule}, by nudging \
         {nudged}. {end}",
        number(x, 4)
    )
}

/// What is to be said where no mistake has a name.
fn agreement(place: &str, data: &Value) -> String {
    let digits: u64 = kit::get(data, "/digits");
    match (digits, place == PLACES[0]) {
        (..SAME, _) => "They differ, and no mistake gives that.".into(),
        (_, true) => format!("They agree to {digits} digits."),
        (_, false) => "They agree: at this point x is as good as x², which \
                       is why the examiner asks at several."
            .into(),
    }
}

/// What a learner reads whose cosine is taken too early.
fn first_verdict() -> String {
    let too_early: exam::Scalar = |x, dy| dy * x.cos() * 2.0 * x;
    match exam::SINE_OF_SQUARE.judge(too_early, 0) {
        Verdict::Failed(report) => report.to_string(),
        other => format!("{other:?}\n"),
    }
}

// -------------------------------------------------------------- the picture

/// Where the three nodes are.
const NODES: [Point; 3] = [[52., 198.], [320., 198.], [588., 198.]];
const RADIUS: f64 = 41.;
/// The middle of the ribbon, and its thickness for a derivative of 1.
const RIBBON: f64 = 288.;
const THICK: f64 = 8.5;

fn draw(data: &Value) -> Picture {
    let mut p = Picture::new(WIDTH, 398.);
    above(&mut p, data);
    below(&mut p, data);
    answers(&mut p, data);
    p.handle("x", [NODES[0][0] + 50., 4., 168., 124.]);
    p
}

/// The functions, and the values on their way up.
fn above(p: &mut Picture, data: &Value) {
    let values: [f64; 3] = kit::get(data, "/values");
    let [s, t]: [f64; 2] = kit::get(data, "/slopes");
    let at: f64 = kit::get(data, "/at");
    let [x, u, _] = values;
    let (square, sine) = (Step::Power(2), Step::Sin);
    let plot = Plot::new([[-2.3, 2.3], [-0.4, 4.4]], 186.);
    plot.curve(p, square);
    plot.tangent(p, [x, u], s, Paint::Cotangent);
    p.circle(plot.on([x, u]), 5., Look::fill(Paint::Input));
    let plot = Plot::new([[-2.3, 4.4], [-1.7, 1.7]], 454.);
    plot.curve(p, sine);
    let early = plot.on([x, sine.value(x)]);
    let stands = plot.on([u, sine.value(u)]);
    if at == u {
        plot.tangent(p, [u, sine.value(u)], t, Paint::Cotangent);
        p.circle(early, 5., Look::stroke(Paint::Muted, 1.5));
    } else {
        plot.tangent(p, [x, sine.value(x)], t, WRONG);
        p.circle(early, 6., Look::stroke(WRONG, 2.5));
        p.line(early, stands, Look::stroke(WRONG, 1.).dashed());
    }
    p.circle(stands, 5., Look::fill(Paint::Activation));

    let names = ["x", "u = x²", "y = sin u"];
    let paints = [Paint::Input, Paint::Activation, Paint::Activation];
    for k in 0..3 {
        let [cx, cy] = NODES[k];
        if k < 2 {
            let from = [cx + RADIUS + 8., cy];
            let to = [NODES[k + 1][0] - RADIUS - 8., cy];
            p.arrow(from, to, Look::stroke(Paint::Activation, 2.));
        }
        p.circle([cx, cy], RADIUS, Look::role(paints[k]));
        let style = Type::new(TEXT).middle().halo();
        p.formula([cx, cy - RADIUS - 14.], names[k], style);
        let style = Type::new(TEXT).middle().bold().paint(paints[k]);
        p.text([cx, cy], &number(values[k], 4), style);
    }
    let small = Type::new(SMALL).middle().paint(Paint::Activation);
    p.text([454., 217.], "values →", small);
}

/// A ribbon as thick as the derivative on its way down; hatched where it is
/// negative.
fn below(p: &mut Picture, data: &Value) {
    let derivatives: [f64; 3] = kit::get(data, "/derivatives");
    let slopes: [f64; 2] = kit::get(data, "/slopes");
    let at_u =
        kit::get::<f64>(data, "/at") == kit::get::<f64>(data, "/values/1");
    let [x, u, y] = NODES.map(|node| node[0]);
    let middles = [(x + u) / 2., (u + y) / 2.];
    let paint = if at_u { Paint::Cotangent } else { WRONG };
    let parts = [
        (middles[1], y, derivatives[2], Paint::Cotangent),
        (middles[0], middles[1], derivatives[1], paint),
        (x, middles[0], derivatives[0], paint),
    ];
    for (left, right, derivative, paint) in parts {
        ribbon(p, [left, right], derivative, paint);
    }
    let half = THICK * derivatives[0].abs() / 2.;
    let head = [[x - 22., RIBBON], [x, RIBBON - 9. - half]];
    p.polygon(
        &[head[0], head[1], [x, RIBBON + 9. + half]],
        Look::fill(paint),
    );
    let rules = ["2x", if at_u { "cos u" } else { "cos x" }];
    for k in 0..2 {
        let paint = if k == 0 { Paint::Cotangent } else { paint };
        let at = [middles[k], RIBBON];
        let size = 9.;
        let corners = [[0., -size], [size, 0.], [0., size], [-size, 0.]];
        let corners = corners.map(|[dx, dy]| [at[0] + dx, at[1] + dy]);
        let look = Look::fill(Paint::Page);
        p.polygon(&corners, look);
        p.polygon(&corners, Look::stroke(paint, 2.));
        let text = format!("× {} = {}", rules[k], number(slopes[k], 4));
        let style = Type::new(TEXT).middle().paint(paint).halo();
        p.formula([at[0], RIBBON - 34.], &text, style);
    }
    let small = Type::new(SMALL).paint(Paint::Cotangent);
    p.text([512., RIBBON + 32.], "← derivatives", small.middle());
    let names = ["dy/dx", "dy/du", "dy/dy"];
    for k in 0..3 {
        let paint = if k == 2 { Paint::Cotangent } else { paint };
        let text = match k {
            2 => number(derivatives[k], 4),
            _ => format!("{} = {}", names[k], number(derivatives[k], 4)),
        };
        let at = [[6., 0.], [NODES[1][0], 0.], [WIDTH - 6., 0.]][k][0];
        let style = Type::new(TEXT).paint(paint).halo();
        let style = [style, style.middle(), style.end()][k];
        p.formula([at, RIBBON + 34.], &text, style);
    }
}

fn ribbon(p: &mut Picture, [left, right]: [f64; 2], d: f64, paint: Paint) {
    let thick = (THICK * d.abs()).max(1.);
    let (top, bottom) = (RIBBON - thick / 2., RIBBON + thick / 2.);
    let frame = [left, top, right - left, thick];
    if d >= 0. {
        p.rectangle(frame, Look::fill(paint).opacity(0.8));
        return;
    }
    p.rectangle(frame, Look::fill(paint).opacity(0.22));
    p.line([left, top], [right, top], Look::stroke(paint, 1.));
    p.line([left, bottom], [right, bottom], Look::stroke(paint, 1.));
    let mut d = String::new();
    let mut at = left + 4.;
    while at + 0.6 * thick < right {
        let end = at + 0.6 * thick;
        d += &format!("M{at:.1} {bottom:.1}L{end:.1} {top:.1}");
        at += 8.;
    }
    p.path(&d, Look::stroke(paint, 1.5));
}

/// By the rule, by nudging, and the verdict.
fn answers(p: &mut Picture, data: &Value) {
    let names: Vec<String> = kit::get(data, "/names");
    let digits: u64 = kit::get(data, "/digits");
    let rule = number(kit::get(data, "/derivatives/0"), 6);
    let nudged = number(kit::get(data, "/nudged"), 6);
    p.line([0., 345.], [WIDTH, 345.], Look::stroke(Paint::Faint, 1.));
    let head = Type::new(SMALL).paint(Paint::Muted);
    let value = Type::new(TEXT).bold();
    let wrong = !names.is_empty();
    let (title, verdict) = match (wrong, digits >= SAME) {
        (true, _) => ("the mistake", names.join(" or ")),
        (_, true) => ("they agree to", format!("{digits} digits")),
        _ => ("they agree to", format!("{digits} digits: wrong")),
    };
    let columns = [
        (6., "by the rule", rule),
        (186., "by nudging x", nudged),
        (372., title, verdict),
    ];
    for (k, (x, title, text)) in columns.into_iter().enumerate() {
        p.text([x, 363.], title, head);
        let paint = match (k, wrong) {
            (1, _) => Paint::Ink,
            (_, true) => WRONG,
            _ => Paint::Cotangent,
        };
        p.text([x, 387.], &text, value.paint(paint));
    }
}

/// A function in a window of its own, 150 units wide.
struct Plot {
    window: [[f64; 2]; 2],
    middle: f64,
}

impl Plot {
    const HALF: f64 = 84.;
    const TOP: f64 = 6.;
    const BOTTOM: f64 = 118.;

    fn new(window: [[f64; 2]; 2], middle: f64) -> Self {
        Self { window, middle }
    }

    fn on(&self, [x, y]: Point) -> Point {
        let [[left, right], [low, high]] = self.window;
        [
            self.middle - Self::HALF
                + 2. * Self::HALF * (x - left) / (right - left),
            Self::BOTTOM
                - (Self::BOTTOM - Self::TOP) * (y - low) / (high - low),
        ]
    }

    fn curve(&self, p: &mut Picture, step: Step) {
        let [[left, right], [_, high]] = self.window;
        let axis = Look::stroke(Paint::Faint, 1.);
        p.line(self.on([left, 0.]), self.on([right, 0.]), axis);
        let points: Vec<Point> = (0..=60)
            .map(|k| left + (right - left) * f64::from(k) / 60.)
            .map(|x| [x, step.value(x)])
            .filter(|[_, y]| *y <= high)
            .map(|point| self.on(point))
            .collect();
        p.polyline(&points, Look::stroke(Paint::Ink, 1.8));
    }

    /// A stroke of 100 units along the slope.
    fn tangent(&self, p: &mut Picture, at: Point, slope: f64, paint: Paint) {
        let middle = self.on(at);
        let next = self.on([at[0] + 1., at[1] + slope]);
        let (dx, dy) = (next[0] - middle[0], next[1] - middle[1]);
        let scale = 46. / dx.hypot(dy);
        let (dx, dy) = (scale * dx, scale * dy);
        let (from, to) = (
            [middle[0] - dx, middle[1] - dy],
            [middle[0] + dx, middle[1] + dy],
        );
        p.line(from, to, Look::stroke(paint, 3.));
    }
}

// -------------------------------------------------------- outside the book

fn inline(data: &Value, id: &str) -> String {
    let figure = &CHAPTER.figures[0];
    draw(data).inline(id, figure.title, figure.description)
}

/// The strip twice, right and wrong: values are uncovered from left to right,
/// derivatives from right to left, then the cosine moves and the mistake has
/// its name. CSS alone, so that it plays as an image.
fn moving() -> String {
    let [right, wrong] = [true, false].map(|right| {
        let file = kit::standalone(&inline(&strip(1.5, right), "moving"));
        let (head, body) = file.split_once("</desc>").expect("a description");
        let body = body.trim_end().trim_end_matches("</svg>").to_owned();
        (head.to_owned(), body)
    });
    let motion = "\n<style>\n\
        .right{animation:right 16s linear infinite}\n\
        .wrong{animation:wrong 16s linear infinite;opacity:0}\n\
        .up{animation:up 16s linear infinite;transform:translateX(700px)}\n\
        .down{animation:down 16s linear infinite;\
        transform:translateX(-700px)}\n\
        .end{animation:end 16s linear infinite;opacity:0}\n\
        @keyframes right{0%,62%{opacity:1}63%,100%{opacity:0}}\n\
        @keyframes wrong{0%,62%{opacity:0}63%,100%{opacity:1}}\n\
        @keyframes up{0%{transform:translateX(0)}\
        18%,100%{transform:translateX(700px)}}\n\
        @keyframes down{0%,20%{transform:translateX(0)}\
        38%,100%{transform:translateX(-700px)}}\n\
        @keyframes end{0%,40%{opacity:1}41%,100%{opacity:0}}\n\
        @media (prefers-reduced-motion:reduce){\
        .right,.wrong,.up,.down,.end{animation:none}}\n\
        </style>\n";
    let cover = |class: &str, top: f64, bottom: f64| {
        format!(
            "<rect class=\"{class}\" x=\"-16\" y=\"{top}\" width=\"672\" \
             height=\"{}\" fill=\"#fdfcfa\"/>\n",
            bottom - top
        )
    };
    format!(
        "{}</desc>{motion}<g class=\"right\">{}</g>\n<g class=\"wrong\">{}\
         </g>\n{}{}{}</svg>\n",
        right.0,
        right.1,
        wrong.1,
        cover("up", -16., 240.),
        cover("down", 240., 344.),
        cover("end", 344., 414.),
    )
}

/// 1200 by 630: title, strip, and the number found in two ways.
fn card() -> String {
    let data = strip(1.5, true);
    let mut p = Picture::new(1168., 598.);
    p.text([34., 62.], "Backprop by Hand", Type::new(76.).bold());
    let line = "every gradient derived, written, checked";
    p.text([38., 134.], line, Type::new(32.).paint(Paint::Muted));
    let mut strip = Picture::new(WIDTH, 340.);
    above(&mut strip, &data);
    below(&mut strip, &data);
    p.place(&strip, [396., 186.]);
    let head = Type::new(26.).paint(Paint::Muted);
    let value = Type::new(52.).bold();
    for (k, title, key) in [
        (0., "by the rule", "/derivatives/0"),
        (1., "by nudging x", "/nudged"),
    ] {
        let y = 296. + 138. * k;
        p.text([38., y], title, head);
        let value = value.paint([Paint::Cotangent, Paint::Ink][k as usize]);
        let number = number(kit::get(&data, key), 6);
        p.text([38., y + 48.], &number, value);
    }
    let inline = p.inline("card", "Backprop by Hand", "The title page.");
    let (at, scaled) = ("translate(396 186)", "translate(396 186) scale(1.2)");
    kit::standalone(&inline).replacen(at, scaled, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wrong_place_is_named_wherever_it_is_wrong() {
        let (mut right, mut one, mut several) = (Vec::new(), 0, Vec::new());
        for k in -200..=200 {
            let x = f64::from(k) / 100.;
            let honest = strip(x, true);
            assert!(kit::get::<u64>(&honest, "/digits") >= SAME, "{x}");
            let data = strip(x, false);
            let names: Vec<String> = kit::get(&data, "/names");
            match &names[..] {
                [] => right.push(x),
                [name] => {
                    assert_eq!(name, "OUTER_AT_INPUT", "at {x}");
                    one += 1;
                }
                _ => several.push(x),
            }
        }
        // cos x² = cos x, or the slope of the square is 0.
        assert_eq!(right, [-1., 0., 1.]);
        assert!(several.is_empty(), "{several:?}");
        assert_eq!(one, 398);
    }

    #[test]
    fn the_verdict_says_what_the_catalogue_says() {
        let figure = &CHAPTER.figures[0];
        let wrong = crate::Setting::Words(PLACES[1].into());
        let knobs = Knobs::new(figure.knobs).with("cosine", wrong).unwrap();
        let said = verdict(&knobs, &figure.numbers(&knobs, &[]).unwrap());
        let known = examiner::list::mistakes()
            .find(|m| m.code == "OUTER_AT_INPUT")
            .unwrap();
        assert!(said.ends_with(known.rule), "{said}");
        assert!(said.contains(known.sentence), "{said}");
    }

    /// The page shows what a learner has before and types then.
    #[test]
    fn the_page_shows_the_stub_and_the_line_that_is_judged() {
        let page = include_str!("../../../book/src/title.md");
        let blocks: Vec<&str> = page
            .split("```rust,ignore\n")
            .skip(1)
            .map(|block| block.split("```").next().unwrap().trim())
            .collect();
        let [before, typed] = blocks[..] else {
            panic!("two blocks of Rust, not {}", blocks.len())
        };
        let stub = include_str!("../../grade/stubs/calculus/chain_rule.rs");
        assert!(stub.contains(before), "not in the stub: {before}");
        let judged = include_str!("title.rs");
        assert!(judged.contains(&format!("|x, dy| {typed};")), "{typed}");
    }
}
