//! `cargo run -p figures --example gallery -- out.html` shows every kind of
//! picture, and the figures of the book at the defaults of their knobs, on a
//! light and a dark page; `standalone` pictures go beside it.

mod pictures;

use std::{fs, path::Path};

use figures::{Figure, Knobs, kit::Picture};

fn main() -> std::io::Result<()> {
    let name = std::env::args().nth(1).unwrap_or("gallery.html".into());
    let name = Path::new(&name);
    let folder = name.parent().unwrap_or(Path::new("."));
    let mut pages = String::new();
    for (theme, dark) in [("light", false), ("dark", true)] {
        let (bg, fg) = if dark {
            ("#161923", "#bcbdd0")
        } else {
            ("#ffffff", "#000000")
        };
        let variables = figures::kit::css(dark);
        pages.push_str(&format!(
            "<style>.{theme}{{--bg: {bg}; color: {fg};\n\
             background: {bg};\n{variables}}}</style>\n\
             <section class=\"{theme}\">\n"
        ));
        let kinds = pictures::all().into_iter();
        let kinds = kinds.map(|(name, picture)| (name.to_owned(), picture));
        for (name, picture) in kinds.chain(book()) {
            let id = format!("gallery-{theme}-{name}");
            let svg = picture.inline(&id, &name, "One kind of picture.");
            pages.push_str(&format!(
                "<figure>{svg}<figcaption>{name}</figcaption></figure>\n"
            ));
            if !dark {
                let svg = figures::kit::standalone(&svg);
                fs::write(folder.join(format!("{name}.svg")), svg)?;
            }
        }
        pages.push_str("</section>\n");
    }
    fs::write(
        name,
        format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>Gallery</title><style>body{{margin:0;font:18px/1.6 \
             sans-serif}}section{{padding:15px;}}figure{{margin:0 auto \
             2em;max-width:640px}}svg.plot{{display:block;width:100%;\
             margin:0 auto}}figcaption{{font-size:.85em;opacity:.7}}\
             </style>\n{pages}</html>\n"
        ),
    )
}

/// What [`figures::Data::Read`] names.
fn file(figure: &Figure) -> Vec<u8> {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../book/src");
    let file = figure.file().map(|path| pages.join(path));
    file.map_or(Vec::new(), |path| fs::read(path).expect("a file to read"))
}

/// What the chapters draw from numbers that are computed.
fn book() -> impl Iterator<Item = (String, Picture)> {
    let chapters = figures::chapters().iter();
    let figures = chapters.flat_map(|c| c.figures.iter().map(|f| (*c, f)));
    figures.filter_map(|(chapter, figure)| {
        let data = figure.numbers(&Knobs::new(figure.knobs), &file(figure))?;
        let name = format!("{}-{}", chapter.short(), figure.name);
        Some((name, (figure.draw)(&data)))
    })
}
