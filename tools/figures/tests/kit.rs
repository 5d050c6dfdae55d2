//! Rules that every picture keeps, checked on one of each kind and on all
//! figures of the book.

#[path = "../examples/gallery/pictures.rs"]
mod pictures;

use std::collections::BTreeSet;
use std::path::Path;

use figures::kit::{Picture, css, standalone};
use roxmltree::Document;

/// Name and SVG of each kind, and of every committed figure.
fn every_svg() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let gallery = pictures::all().into_iter().map(|(name, picture)| {
        let id = format!("part-chapter-{name}");
        let svg = picture.inline(&id, "A <title>", "Price: $5 & `more`");
        (format!("part/chapter/{name}"), svg)
    });
    let mut all: Vec<_> = gallery.collect();
    for chapter in figures::chapters() {
        for figure in chapter.figures {
            let name = format!("{}/{}", chapter.slug, figure.name);
            let path = root.join(figures::GENERATED).join(&name);
            let svg = std::fs::read_to_string(path.with_extension("svg"));
            all.push((name, svg.unwrap().trim_end().to_string()));
        }
    }
    all
}

#[test]
fn only_title_and_description_have_ids_and_these_name_the_figure() {
    let mut seen = BTreeSet::new();
    for (name, svg) in every_svg() {
        let document = Document::parse(&svg).unwrap();
        let prefix = name.replace(['/', '_'], "-");
        let ids: Vec<_> = document
            .descendants()
            .filter_map(|n| n.attribute("id"))
            .collect();
        let wanted = ["title", "desc"].map(|e| format!("{prefix}-{e}"));
        assert_eq!(ids, wanted, "{name}");
        assert!(ids.iter().all(|id| seen.insert(id.to_string())));
        let root = document.root_element();
        assert_eq!(root.attribute("role"), Some("img"));
        let labelled = root.attribute("aria-labelledby").unwrap();
        assert_eq!(labelled, wanted.join(" "));
    }
}

#[test]
fn colours_are_variables_and_nothing_is_loaded() {
    for (name, svg) in every_svg() {
        let document = Document::parse(&svg).unwrap();
        for node in document.descendants() {
            for attribute in node.attributes() {
                let value = attribute.value();
                if ["fill", "stroke"].contains(&attribute.name()) {
                    let theme = value == "none"
                        || value == "currentColor"
                        || (value.starts_with("var(--")
                            && value.matches('#').count() == 1);
                    assert!(theme, "{name}: {value}");
                } else {
                    assert!(!value.contains('#'), "{name}: {value}");
                }
                assert!(!value.contains("url("), "{name}: {value}");
                let loads = ["src", "font-family"];
                assert!(!loads.contains(&attribute.name()), "{name}");
                // A link of the picture leads to a page of the book.
                if attribute.name() == "href" {
                    assert!(node.tag_name().name() == "a", "{name}");
                    assert!(
                        value.ends_with(".html") && !value.contains(':'),
                        "{name}: {value}"
                    );
                }
            }
        }
    }
}

#[test]
fn markdown_can_hold_it() {
    for (name, svg) in every_svg() {
        assert!(!svg.contains("\n\n") && !svg.contains("<?"), "{name}");
        assert!(!svg.contains('$') && !svg.contains('`'), "{name}");
        // As a number; a chapter may have it in its name.
        let mut words = svg.split(|c: char| !c.is_alphanumeric());
        assert!(!words.any(|w| ["NaN", "inf"].contains(&w)), "{name}");
        assert!(!svg.contains("=\"-0\""), "{name}");
        let opening = svg.split('>').next().unwrap();
        let sized = [" width=", " height="];
        assert!(!sized.iter().any(|s| opening.contains(s)), "{name}");
    }
}

#[test]
fn every_text_can_be_read_on_a_phone_and_lies_inside() {
    for (name, svg) in every_svg() {
        let document = Document::parse(&svg).unwrap();
        let view = document.root_element().attribute("viewBox").unwrap();
        let view: Vec<f64> =
            view.split(' ').map(|v| v.parse().unwrap()).collect();
        for node in document.descendants() {
            if node.tag_name().name() != "text" {
                continue;
            }
            let number = |key: &str| -> f64 {
                node.attribute(key).unwrap().parse().unwrap()
            };
            // A phone of 390 pixels shows 540 at once or scrolls.
            let pixels = number("font-size") * f64::min(1.0, 540.0 / view[2]);
            let text = node.text().unwrap_or("");
            assert!(pixels >= 10.0, "{name}: {pixels} px for {text}");
            let (x, y) = (number("x"), number("y"));
            let inside =
                (0.0..=view[2]).contains(&x) && (8.0..=view[3]).contains(&y);
            assert!(inside, "{name}: {text} at {x}, {y} outside {view:?}");
        }
    }
}

#[test]
fn a_picture_is_the_same_every_time() {
    let (once, again) = (pictures::all(), pictures::all());
    assert_eq!(once, again);
}

#[test]
fn a_standalone_file_needs_no_page() {
    for (name, svg) in every_svg() {
        let file = standalone(&svg);
        let document = Document::parse(&file).unwrap();
        let root = document.root_element();
        let svg_namespace = Some("http://www.w3.org/2000/svg");
        assert_eq!(root.tag_name().namespace(), svg_namespace, "{name}");
        let sides = ["width", "height"]
            .map(|key| root.attribute(key).unwrap().parse::<f64>().unwrap());
        assert!(sides[0] > 0.0 && sides[1] > 0.0);
        assert!(
            !file.contains("var(") && !file.contains("http://www.w3.org/1")
        );
        assert!(file.contains("prefers-color-scheme: dark"));
        assert!(root.attribute("color").unwrap().starts_with('#'));
    }
}

#[test]
#[should_panic(expected = "standalone takes the <svg>")]
fn standalone_refuses_other_text() {
    standalone("<p>no picture</p>");
}

/// The theme of the book defines the variables that pictures use.
#[test]
fn the_theme_has_the_same_colours() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join("book/theme/backprop.css");
    let theme = std::fs::read_to_string(path).unwrap().to_lowercase();
    let words = |text: &str| text.split_whitespace().collect::<String>();
    let theme = words(&theme);
    for dark in [false, true] {
        for line in css(dark).lines() {
            let line = words(line);
            assert!(theme.contains(&line), "backprop.css lacks {line}");
        }
    }
}

#[test]
fn an_empty_picture_is_well_formed() {
    let svg = Picture::new(10.0, 10.0).inline("i", "t", "d");
    assert!(Document::parse(&svg).is_ok());
}
