//! What a page says of itself to a browser's tab, to a search engine and to
//! whoever passes its address on.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::Site;
use super::markup::{Kind, Page, escape, unescape};

/// The picture that stands for the book, in its folder.
const CARD: &str = "card.png";
/// As much of a description as is shown.
const LONGEST: usize = 160;

/// What the head is made from.
pub struct About<'a> {
    /// The book's title.
    pub title: &'a str,
    /// What the book says of itself.
    pub description: &'a str,
    /// Where it is hosted, if that is known.
    pub site: &'a Site,
    /// Whether there is a picture of the book.
    pub card: bool,
}

/// The page at `file`, its head written anew. `first` is the page that the
/// book opens with.
pub fn write(text: &str, file: &Path, first: bool, about: &About) -> String {
    static TITLE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"<title>(.*?)</title>").unwrap());
    static DESCRIPTION: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"<meta name="description" content="[^"]*">"#).unwrap()
    });
    let Some(written) = TITLE.captures(text) else {
        return text.to_owned();
    };
    let ending = format!(" - {}", escape(about.title));
    let chapter = written[1].strip_suffix(&ending);
    let title = match chapter {
        _ if first => {
            let name = escape(about.title);
            // Up to the colon the description is a subtitle.
            let subtitle = about.description.split([':', '.']).next();
            match subtitle.filter(|s| !s.is_empty()) {
                Some(s) => format!("{name}: {}", escape(&lower_first(s))),
                None => name,
            }
        }
        Some(chapter) => format!("{chapter} – {}", escape(about.title)),
        None => written[1].to_owned(),
    };
    let own = summary(&Page::of(text));
    let description = match own {
        Some(own) if !first => own,
        _ => about.description.to_owned(),
    };
    let description = escape(&shortened(&description));
    let mut head = format!(
        "<title>{title}</title>\n        \
         <meta property=\"og:title\" content=\"{title}\">\n        \
         <meta property=\"og:description\" content=\"{description}\">\n        \
         <meta property=\"og:type\" content=\"article\">\n        \
         <meta property=\"og:site_name\" content=\"{}\">",
        escape(about.title)
    );
    let mut add = |line: String| {
        head.push_str("\n        ");
        head.push_str(&line);
    };
    let address = about.site.address(file, first);
    let hidden = ["404.html", "print.html"].map(Path::new);
    if let Some(address) = address.filter(|_| !hidden.contains(&file)) {
        let address = escape(&address);
        add(format!("<link rel=\"canonical\" href=\"{address}\">"));
        add(format!("<meta property=\"og:url\" content=\"{address}\">"));
    }
    let card = about.site.address(Path::new(CARD), false);
    let card = card.filter(|_| about.card);
    let kind = ["summary", "summary_large_image"][usize::from(card.is_some())];
    if let Some(card) = card {
        let card = escape(&card);
        add(format!("<meta property=\"og:image\" content=\"{card}\">"));
    }
    add(format!("<meta name=\"twitter:card\" content=\"{kind}\">"));
    let with = text.replacen(&written[0], &head, 1);
    let meta = format!("<meta name=\"description\" content=\"{description}\">");
    DESCRIPTION
        .replace(&with, regex::NoExpand(&meta))
        .into_owned()
}

fn lower_first(text: &str) -> String {
    let mut rest = text.chars();
    let first = rest.next().into_iter().flat_map(char::to_lowercase);
    first.chain(rest).collect()
}

/// The first paragraph of a page that is text, formulas as they are seen.
fn summary(page: &Page) -> Option<String> {
    let paragraph = page.main().find(|at| {
        let part = &page.parts[*at];
        let aside = ["aside", "figure", "details", "blockquote", "li"];
        part.kind == Kind::Open
            && part.name == "p"
            && part.get("class").is_none()
            && !page.inside(*at, &aside)
            && !text_of(page, *at).is_empty()
    })?;
    Some(text_of(page, paragraph))
}

/// What is read between an opening tag and its end.
fn text_of(page: &Page, opening: usize) -> String {
    let mut text = String::new();
    for at in opening + 1..page.parts.len() {
        let part = &page.parts[at];
        let ends =
            |p: &super::markup::Part| std::ptr::eq(p, &page.parts[opening]);
        if part.kind == Kind::Close && page.opening(at).is_some_and(ends) {
            break;
        }
        let unread = page.inside(at, &["svg", "script", "style"])
            || page.inside_class(at, "katex-mathml");
        if part.kind == Kind::Text && !unread {
            text.push_str(&part.text);
        }
    }
    let words: Vec<_> = text.split_whitespace().collect();
    unescape(&words.join(" "))
}

/// At most as much as is shown, cut after a word.
fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    let cut: String = text.chars().take(LONGEST - 1).collect();
    let end = cut.rfind(' ').unwrap_or(cut.len());
    let words = cut[..end].trim_end_matches([',', ';', ':', ' ', '–']);
    format!("{words}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<head><title>The linear layer - Book</title>\
        <meta name=\"description\" content=\"All.\"></head><main><h1>L</h1>\
        <p class=\"facts\">5 minutes</p><p><a id=\"x\"></a></p>\
        <p>A <em>layer</em> &amp; <span class=\"katex\"><span class=\"katex-mathml\">\
        m</span>x</span>, \"that\"\n is it.</p><p>No.</p></main>";

    fn about(site: &Site) -> About<'_> {
        About {
            title: "Book",
            description: "From a to b: all.",
            site,
            card: true,
        }
    }

    #[test]
    fn a_page_says_what_it_is() {
        let file = Path::new("network/linear.html");
        let site = Site::default();
        let page = write(PAGE, file, false, &about(&site));
        for part in [
            "<title>The linear layer – Book</title>",
            "name=\"description\" content=\"A layer &amp; x, &quot;that&quot; is it.\"",
            "og:description\" content=\"A layer &amp; x,",
            "og:title\" content=\"The linear layer – Book\"",
            "twitter:card\" content=\"summary\"",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
        assert!(!page.contains("og:image") && !page.contains("canonical"));
        assert!(!page.contains("All."));
    }

    #[test]
    fn a_hosted_page_says_where_it_is() {
        let site = Site::parse("https://x.example/book").unwrap();
        let file = Path::new("network/linear.html");
        let page = write(PAGE, file, false, &about(&site));
        for part in [
            "canonical\" href=\"https://x.example/book/network/linear.html\"",
            "og:image\" content=\"https://x.example/book/card.png\"",
            "twitter:card\" content=\"summary_large_image\"",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
        let first = write(PAGE, Path::new("title.html"), true, &about(&site));
        assert!(
            first.contains("<title>Book: from a to b</title>"),
            "{first}"
        );
        assert!(first.contains("canonical\" href=\"https://x.example/book/\""));
        let lost = write(PAGE, Path::new("404.html"), false, &about(&site));
        assert!(!lost.contains("canonical"));
    }

    #[test]
    fn descriptions_end_after_a_word() {
        let short = shortened(&"words, ".repeat(40));
        assert!(short.ends_with("words…") && short.chars().count() <= 160);
        assert_eq!(shortened("all"), "all");
    }
}
