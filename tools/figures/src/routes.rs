//! The map of the book and the ways through it: which chapter needs which.
//!
//! The needs are entered here; a test holds them against the facts under the
//! titles of the pages and against the summary. The minutes are read from
//! those facts when the tables are written.

use serde_json::{Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::kit::{Look, Paint, Picture, Point, SMALL, Type, WIDTH};
use crate::{Chapter, Data, Figure, Output, Text, Tolerance};

/// The map, and a table for each way.
pub static CHAPTER: Chapter = Chapter {
    slug: "routes",
    outputs: &[
        table("weekend", || listed(WEEKEND)),
        table("week", || listed(WEEK)),
        table("attention", || listed(ATTENTION)),
        table("pytorch", || listed(PYTORCH)),
        table("planned", planned),
    ],
    figures: &[Figure {
        name: "map",
        title: "The written chapters and what each needs",
        description: "A row for each part of the book. From the chain rule \
                      arrows lead to the linear layer and to forward and \
                      reverse mode; from the linear layer to softmax with \
                      cross-entropy; from there to the multilayer \
                      perceptron, to attention and to straight-through \
                      estimators. Normalization needs the perceptron and \
                      the modes; backpropagation through time and the score \
                      function need the perceptron; low-rank adaptation \
                      needs attention. Beside each part the number of its \
                      planned chapters.",
        knobs: &[],
        data: Data::Computed(|_| map()),
        read_out: None,
        draw,
        tolerance: Tolerance::EXACT,
    }],
};

const fn table(name: &'static str, text: fn() -> String) -> Output {
    Output {
        name,
        extension: "md",
        text: Text::Computed(text),
        tolerance: Tolerance::EXACT,
    }
}

/// A chapter that is written.
struct Stop {
    slug: &'static str,
    title: &'static str,
    /// Slugs of what it needs.
    needs: &'static [&'static str],
    /// Its place in the row of its part.
    column: usize,
}

/// A part: written chapters, and titles of planned ones.
struct Part {
    title: &'static str,
    stops: &'static [Stop],
    planned: &'static [&'static str],
}

const CHAIN_RULE: &str = "calculus/chain_rule";
const MODES: &str = "calculus/modes";
const LINEAR: &str = "network/linear";
const SOFTMAX: &str = "network/softmax_cross_entropy";
const MLP: &str = "network/mlp";
const NORMALIZATION: &str = "depth/normalization";
const ATTENTION_PAGE: &str = "transformer/attention";
const LORA: &str = "transformer/lora";
const BPTT: &str = "recurrent/bptt";
const STRAIGHT_THROUGH: &str = "discrete/straight_through";
const REINFORCE: &str = "discrete/reinforce";

const fn stop(
    slug: &'static str,
    title: &'static str,
    column: usize,
    needs: &'static [&'static str],
) -> Stop {
    Stop {
        slug,
        title,
        needs,
        column,
    }
}

const PARTS: &[Part] = &[
    Part {
        title: "Calculus",
        stops: &[
            stop(CHAIN_RULE, "The chain rule", 0, &[]),
            stop(MODES, "Forward and reverse mode", 3, &[CHAIN_RULE]),
        ],
        planned: &[
            "Jacobians",
            "Computational graphs",
            "Checking a gradient",
            "A tape of one's own",
            "Matrix calculus",
        ],
    },
    Part {
        title: "Networks",
        stops: &[
            stop(LINEAR, "The linear layer", 0, &[CHAIN_RULE]),
            stop(SOFTMAX, "Softmax and cross-entropy", 1, &[LINEAR]),
            stop(MLP, "The multilayer perceptron", 2, &[LINEAR, SOFTMAX]),
        ],
        planned: &["Activations", "Losses", "Optimizers"],
    },
    Part {
        title: "Depth",
        stops: &[stop(NORMALIZATION, "Normalization", 3, &[MLP, MODES])],
        planned: &[
            "Signals through depth",
            "Initialization",
            "Residual connections",
            "Convolution",
        ],
    },
    Part {
        title: "Transformers",
        stops: &[
            stop(ATTENTION_PAGE, "Attention", 1, &[SOFTMAX]),
            stop(LORA, "Low-rank adaptation", 0, &[LINEAR, ATTENTION_PAGE]),
        ],
        planned: &[
            "Embeddings and positions",
            "The transformer block",
            "A character GPT",
        ],
    },
    Part {
        title: "Memory and scale",
        stops: &[],
        planned: &[
            "Checkpointing",
            "Flash attention",
            "Mixed precision",
            "Data parallelism",
        ],
    },
    Part {
        title: "Time",
        stops: &[stop(BPTT, "Backpropagation through time", 3, &[MLP])],
        planned: &["LSTM and GRU"],
    },
    Part {
        title: "Chance and jumps",
        stops: &[
            stop(
                STRAIGHT_THROUGH,
                "Straight-through estimators",
                1,
                &[LINEAR, SOFTMAX],
            ),
            stop(REINFORCE, "The score function", 2, &[SOFTMAX, MLP]),
        ],
        planned: &[],
    },
    Part {
        title: "Beyond the first derivative",
        stops: &[],
        planned: &["Hessians", "Implicit differentiation", "Natural gradients"],
    },
    Part {
        title: "Speed",
        stops: &[],
        planned: &[
            "Counting operations and bytes",
            "Fast on the CPU",
            "Fast on the GPU",
            "CPU and GPU side by side",
        ],
    },
];

/// From one number to a network that reads.
const WEEKEND: &[&str] = &[CHAIN_RULE, LINEAR, SOFTMAX, MLP];
/// A chapter a day.
const WEEK: &[&str] = &[
    CHAIN_RULE,
    LINEAR,
    SOFTMAX,
    MLP,
    MODES,
    NORMALIZATION,
    ATTENTION_PAGE,
];
/// What attention needs, and no more.
const ATTENTION: &[&str] = &[CHAIN_RULE, LINEAR, SOFTMAX, ATTENTION_PAGE];
/// What `backward()` does, for those who have called it.
const PYTORCH: &[&str] = &[
    CHAIN_RULE,
    MODES,
    LINEAR,
    SOFTMAX,
    ATTENTION_PAGE,
    LORA,
    STRAIGHT_THROUGH,
];

fn stops() -> impl Iterator<Item = &'static Stop> {
    PARTS.iter().flat_map(|part| part.stops)
}

fn find(slug: &str) -> &'static Stop {
    let found = stops().find(|stop| stop.slug == slug);
    found.unwrap_or_else(|| panic!("no chapter {slug} on the map"))
}

// --------------------------------------------------------------- the tables

fn pages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../book/src")
}

/// What stands under the title of a page: minutes of reading, minutes of
/// exercises, needs.
fn facts(slug: &str) -> [String; 3] {
    let path = pages().join(format!("{slug}.md"));
    let page = std::fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let line = page.lines().find(|l| l.starts_with("<p class=\"facts\">"));
    let line = text(line.unwrap_or_else(|| panic!("{slug} has no facts")));
    let parts: Vec<_> = line.split(" · ").map(str::to_owned).collect();
    parts.try_into().unwrap_or_else(|parts| {
        panic!("{slug}: three facts, and not {parts:?}")
    })
}

/// Of reading, and of exercises.
fn minutes(slug: &str) -> [u32; 2] {
    let [reading, exercises, _] = facts(slug);
    [reading, exercises].map(|fact| {
        let number = fact.split(' ').find_map(|word| word.parse().ok());
        number.unwrap_or_else(|| panic!("{slug}: no minutes in {fact:?}"))
    })
}

/// Without tags.
fn text(html: &str) -> String {
    let pieces = html.split('<').map(|piece| match piece.split_once('>') {
        Some((_, text)) => text,
        None => piece,
    });
    pieces.collect()
}

/// Hours of so many minutes, to the half.
fn hours(minutes: u32) -> String {
    let halves = (minutes + 15) / 30;
    match (halves / 2, halves % 2) {
        (whole, 0) => format!("{whole} hours"),
        (whole, _) => format!("{whole}½ hours"),
    }
}

/// The chapters of a way with their minutes, and the sum.
fn listed(way: &[&str]) -> String {
    let mut out =
        String::from("| chapter | reading | exercises |\n|---|---:|---:|\n");
    let (mut reading, mut exercises) = (0, 0);
    for slug in way {
        let stop = find(slug);
        let [read, tried] = minutes(slug);
        let _ = writeln!(
            out,
            "| [{}]({slug}.md) | {} min | {} min |",
            stop.title, read, tried
        );
        reading += read;
        exercises += tried;
    }
    let _ = writeln!(
        out,
        "| together | {} | {} |",
        hours(reading),
        hours(exercises)
    );
    out
}

/// What is not written yet, part by part.
fn planned() -> String {
    let parts = PARTS.iter().filter(|part| !part.planned.is_empty());
    let lines = parts.map(|part| {
        format!("- *{}*: {}.", part.title, part.planned.join(", "))
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

// ------------------------------------------------------------------ the map

/// Rows of chapters, and the needs that no other need implies.
fn map() -> Value {
    let parts: Vec<_> = PARTS
        .iter()
        .map(|part| {
            let stops: Vec<_> = part
                .stops
                .iter()
                .map(|s| {
                    let needs: Vec<_> = (s.needs.iter())
                        .filter(|need| !implied(s, need))
                        .collect();
                    json!({
                        "slug": s.slug,
                        "title": s.title,
                        "column": s.column,
                        "needs": needs,
                    })
                })
                .collect();
            json!({
                "title": part.title,
                "stops": stops,
                "planned": part.planned.len(),
            })
        })
        .collect();
    json!({ "parts": parts })
}

/// Whether another need of the chapter needs `need` already.
fn implied(stop: &Stop, need: &str) -> bool {
    let others = stop.needs.iter().filter(|other| **other != need);
    others.into_iter().any(|other| needs(other, need))
}

/// Whether the chapter needs the other, directly or not.
fn needs(slug: &str, other: &str) -> bool {
    let direct = find(slug).needs.iter();
    direct.into_iter().any(|n| *n == other || needs(n, other))
}

const LABELS: f64 = 130.;
const BOX: [f64; 2] = [116., 46.];
const PITCH: f64 = 131.;
const TITLE: f64 = 14.;

struct Placed {
    row: usize,
    /// Left and top.
    at: Point,
    needs: Vec<String>,
    slug: String,
    title: String,
}

fn draw(data: &Value) -> Picture {
    let parts = data["parts"].as_array().into_iter().flatten();
    let parts: Vec<&Value> = parts.collect();
    let (mut top, mut placed) = (4., Vec::new());
    let mut labels = Vec::new();
    for (row, part) in parts.iter().enumerate() {
        let stops = part["stops"].as_array().into_iter().flatten();
        let before = placed.len();
        placed.extend(stops.map(|stop| {
            let column = stop["column"].as_f64().unwrap_or(0.);
            let word = |key: &str| stop[key].as_str().unwrap_or("").into();
            let needs = stop["needs"].as_array().into_iter().flatten();
            Placed {
                row,
                at: [LABELS + PITCH * column, top],
                needs: needs
                    .filter_map(|n| n.as_str().map(str::to_owned))
                    .collect(),
                slug: word("slug"),
                title: word("title"),
            }
        }));
        labels.push((top, *part));
        top += if placed.len() > before { 84. } else { 70. };
    }
    let mut p = Picture::new(WIDTH, top - 8.);
    for (top, part) in labels {
        label(&mut p, top, part);
    }
    for to in &placed {
        for from in placed.iter().filter(|f| to.needs.contains(&f.slug)) {
            arrow(&mut p, from, to, &placed);
        }
    }
    for stop in &placed {
        p.link(&format!("{}.html", stop.slug), |p| {
            let frame = [stop.at[0], stop.at[1], BOX[0], BOX[1]];
            p.rectangle(frame, Look::fill(Paint::Page));
            p.rectangle(frame, Look::role(Paint::Activation));
            let lines = two_lines(&stop.title);
            let style = Type::new(TITLE).middle();
            let middle = [stop.at[0] + BOX[0] / 2., stop.at[1] + BOX[1] / 2.];
            let first = -9. * (lines.len() as f64 - 1.);
            for (k, line) in lines.iter().enumerate() {
                let y = middle[1] + first + 18. * k as f64;
                p.text([middle[0], y], line, style);
            }
        });
    }
    p
}

/// The name of a part, and how many of its chapters are planned.
fn label(p: &mut Picture, top: f64, part: &Value) {
    let title = part["title"].as_str().unwrap_or("");
    let mut y = top + 9.;
    for line in two_lines(title) {
        p.text([0., y], &line, Type::new(SMALL.min(15.)).bold());
        y += 18.;
    }
    let planned = part["planned"].as_u64().unwrap_or(0);
    if planned > 0 {
        let text = format!("{planned} planned");
        p.text([0., y], &text, Type::new(TITLE).paint(Paint::Muted));
    }
}

/// At the blank nearest to the middle, if it is longer than a line.
fn two_lines(text: &str) -> Vec<String> {
    let middle = text.len() as f64 / 2.;
    let blanks = text.match_indices(' ').map(|(at, _)| at);
    let off = |at: &usize| (*at as f64 - middle).abs();
    match blanks.min_by(|a, b| off(a).total_cmp(&off(b))) {
        Some(at) if text.len() > 14 => {
            vec![text[..at].into(), text[at + 1..].into()]
        }
        _ => vec![text.into()],
    }
}

/// From a need to what needs it: along a row, straight down, or beside the
/// columns.
fn arrow(p: &mut Picture, from: &Placed, to: &Placed, all: &[Placed]) {
    let look = Look::stroke(Paint::Muted, 1.5);
    let [half, high] = [BOX[0] / 2., BOX[1]];
    let (x, y) = (from.at[0] + half, from.at[1] + high);
    let (end, top) = (to.at[0] + half, to.at[1] - 2.);
    let between = |other: &Placed| {
        other.at[0] == to.at[0] && (from.row + 1..to.row).contains(&other.row)
    };
    if from.row == to.row {
        let y = from.at[1] + high / 2.;
        let right = to.at[0] > from.at[0];
        let (a, b) = match right {
            true => (from.at[0] + BOX[0], to.at[0] - 2.),
            false => (from.at[0], to.at[0] + BOX[0] + 2.),
        };
        p.arrow([a, y], [b, y], look);
    } else if x == end && !all.iter().any(between) {
        p.arrow([x, y], [x, top], look);
    } else {
        let lane = match to.row - from.row {
            1 => end,
            _ => from.at[0] + (PITCH + BOX[0]) / 2.,
        };
        let (start, above) = (y + 14., top - 20.);
        let mut way = vec![[x, y], [x, start], [lane, start]];
        way.extend([[lane, above], [end, above]]);
        p.polyline(&way, look);
        p.arrow([end, above], [end, top], look);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_map_has_what_the_summary_has() {
        let summary = fs::read_to_string(pages().join("SUMMARY.md")).unwrap();
        let (mut part, mut found) = (String::new(), Vec::new());
        for line in summary.lines() {
            if let Some(title) = line.strip_prefix("# ") {
                part = title.into();
            } else if let Some(rest) = line.strip_prefix("- [") {
                let (title, path) = rest.split_once("](").unwrap();
                let path = path.trim_end_matches(')').trim_end_matches(".md");
                found.push((part.clone(), title.to_owned(), path.to_owned()));
            }
        }
        let found = found.iter().filter(|(part, ..)| part != "Closing");
        let of = |part: &Part| {
            let title = part.title.to_owned();
            let stops = part.stops.iter();
            let stops = stops.map(|s| (s.title.to_owned(), s.slug.to_owned()));
            let planned = part.planned.iter();
            let planned = planned.map(|t| ((*t).to_owned(), String::new()));
            let all = stops.chain(planned);
            all.map(move |(t, s)| (title.clone(), t, s))
                .collect::<Vec<_>>()
        };
        let mut map: Vec<_> = PARTS.iter().flat_map(of).collect();
        let mut summary: Vec<_> = found.cloned().collect();
        map.sort();
        summary.sort();
        assert_eq!(map, summary);
    }

    #[test]
    fn the_needs_are_those_under_the_titles() {
        let lower = |s: &str| s.to_lowercase();
        for stop in stops() {
            let [_, _, needs] = facts(stop.slug);
            let needs = needs.strip_prefix("needs ").expect(stop.slug);
            let mut page: Vec<String> = needs.split(", ").map(lower).collect();
            let mut here: Vec<String> =
                stop.needs.iter().map(|n| lower(find(n).title)).collect();
            if here.is_empty() {
                here.push("school calculus".into());
            }
            page.sort();
            here.sort();
            assert_eq!(page, here, "{}", stop.slug);
        }
    }

    #[test]
    fn every_way_has_what_its_chapters_need() {
        for way in [WEEKEND, WEEK, ATTENTION, PYTORCH] {
            for (k, slug) in way.iter().enumerate() {
                for need in find(slug).needs {
                    assert!(way[..k].contains(need), "{slug} needs {need}");
                }
            }
        }
    }

    #[test]
    fn a_need_that_another_implies_has_no_arrow() {
        assert!(implied(find(MLP), LINEAR));
        assert!(!implied(find(MLP), SOFTMAX));
        assert!(!implied(find(NORMALIZATION), MODES));
        assert_eq!(hours(195), "3½ hours");
        assert_eq!(hours(240), "4 hours");
    }
}
