//! The colours of `book/theme/backprop.css` can be read: WCAG contrast of
//! every text colour (4.5) and plot colour (3.0) in every theme.

use std::collections::BTreeMap;
use std::path::Path;

type Variables = BTreeMap<String, String>;

const THEMES: [&str; 6] = ["light", "navy", "rust", "coal", "ayu", "print"];

/// The variables that each theme sets, in the order of the file.
fn themes() -> BTreeMap<&'static str, Variables> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../book/theme/backprop.css");
    let css = std::fs::read_to_string(path).unwrap();
    let mut all: BTreeMap<&str, Variables> = BTreeMap::new();
    for block in css.split('}') {
        let Some((selector, body)) = block.rsplit_once('{') else {
            continue;
        };
        for theme in THEMES {
            let sets = if theme == "print" {
                selector.contains("html[class]")
            } else {
                selector.contains(&format!("html.{theme}"))
                    || selector.trim_end().ends_with("\nhtml")
            };
            if !sets {
                continue;
            }
            let own = all.entry(theme).or_default();
            for line in body.lines() {
                if let Some((name, value)) =
                    line.trim().trim_end_matches(';').split_once(": ")
                    && name.starts_with("--")
                {
                    own.insert(name.into(), value.into());
                }
            }
        }
    }
    all
}

fn resolve<'a>(theme: &'a Variables, name: &str) -> Option<&'a str> {
    let value = theme.get(name)?.as_str();
    match value.strip_prefix("var(").and_then(|v| v.strip_suffix(')')) {
        Some(other) => resolve(theme, other),
        None => Some(value),
    }
}

fn luminance(hex: &str) -> f64 {
    let digits = hex.strip_prefix('#').unwrap_or_else(|| panic!("{hex}"));
    let long = if digits.len() == 3 {
        digits.chars().flat_map(|c| [c, c]).collect()
    } else {
        digits.to_owned()
    };
    let channel = |i: usize| {
        let v = u8::from_str_radix(&long[i..i + 2], 16).unwrap();
        let v = f64::from(v) / 255.0;
        if v <= 0.04045 {
            v / 12.92
        } else {
            ((v + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * channel(0) + 0.7152 * channel(2) + 0.0722 * channel(4)
}

fn contrast(a: &str, b: &str) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn contrast_of_known_pairs() {
    assert!((contrast("#000", "#ffffff") - 21.0).abs() < 1e-9);
    assert!((contrast("#767676", "#fff") - 4.54).abs() < 0.01);
}

/// Asserts `least` for each colour on each ground, where both are set.
fn assert_readable(colours: &[&str], grounds: &[&str], least: f64) {
    let themes = themes();
    let mut low = Vec::new();
    let mut compared = 0;
    for (theme, variables) in &themes {
        for ground in grounds {
            for colour in colours {
                let (Some(c), Some(g)) =
                    (resolve(variables, colour), resolve(variables, ground))
                else {
                    continue;
                };
                compared += 1;
                let ratio = contrast(c, g);
                if ratio < least {
                    low.push(format!(
                        "{theme}: {colour} {c} on {ground} {g}: {ratio:.2}"
                    ));
                }
            }
        }
    }
    assert!(low.is_empty(), "{}", low.join("\n"));
    let most = themes.len() * colours.len() * grounds.len();
    assert!(2 * compared > most, "only {compared} of {most} compared");
}

#[test]
fn text_can_be_read() {
    assert_eq!(themes().len(), THEMES.len());
    let colours = ["--fg", "--links", "--muted", "--accent"];
    assert_readable(&colours, &["--bg", "--tint", "--code-bg"], 4.5);
}

#[test]
fn code_can_be_read() {
    let colours = [
        "--fg",
        "--inline-code-color",
        "--code-comment",
        "--code-keyword",
        "--code-name",
        "--code-string",
        "--code-other",
    ];
    assert_readable(&colours, &["--code-bg"], 4.5);
}

#[test]
fn quantities_in_formulas_can_be_read() {
    let colours = ["--q-input", "--q-weight", "--q-activation"];
    assert_readable(&colours, &["--bg", "--tint"], 4.5);
    assert_readable(&["--q-cotangent"], &["--bg", "--tint", "--code-bg"], 4.5);
}

#[test]
fn plots_can_be_read() {
    let colours = [
        "--plot-1", "--plot-2", "--plot-3", "--plot-4", "--plot-5", "--plot-6",
        "--right", "--wrong",
    ];
    assert_readable(&colours, &["--bg", "--tint"], 4.5);
}

/// A colour of a quantity means the quantity, wherever it is seen.
#[test]
fn nothing_else_has_the_colour_of_a_quantity() {
    for (theme, variables) in themes() {
        let quantities: Vec<_> = variables
            .iter()
            .filter(|v| v.0.starts_with("--q-"))
            .collect();
        assert_eq!(quantities.len(), 4, "{theme}");
        for (name, value) in &variables {
            let other = name.starts_with("--plot-")
                || ["--right", "--wrong", "--accent"].contains(&&name[..]);
            for (quantity, colour) in &quantities {
                assert!(
                    !other || value != *colour,
                    "{theme}: {name} is {value}, the colour of {quantity}"
                );
            }
        }
    }
}

#[test]
fn sidebar_can_be_read() {
    let themes = themes();
    for theme in ["light", "navy"] {
        let v = &themes[theme];
        for name in
            ["--sidebar-fg", "--sidebar-active", "--sidebar-non-existant"]
        {
            let c = resolve(v, name).unwrap();
            let g = resolve(v, "--sidebar-bg").unwrap();
            assert!(contrast(c, g) >= 4.5, "{theme}: {name} {c} on {g}");
        }
    }
}
