//! Lists the chapters, so that none has to be entered by hand: the files of
//! `src/<part>`, in the order in which `SUMMARY.md` has their pages. Those
//! that are not in it yet come last, by name.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

fn main() {
    let here = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let here = Path::new(&here);
    let summary = here.join("../../book/src/SUMMARY.md");
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rerun-if-changed={}", summary.display());
    let summary = fs::read_to_string(summary).expect("the book has a summary");
    let mut slugs = Vec::new();
    for part in names(&here.join("src")) {
        let folder = here.join("src").join(&part);
        if !folder.is_dir() || ["bin", "kit"].contains(&part.as_str()) {
            continue;
        }
        for file in names(&folder) {
            let name = file.trim_end_matches(".rs");
            if name != "mod" {
                slugs.push(format!("{part}/{name}"));
            }
        }
    }
    slugs.sort();
    let place = |slug: &String| summary.find(&format!("({slug}.md)"));
    slugs.sort_by_key(|slug| place(slug).unwrap_or(usize::MAX));
    let mut list = String::from("&[\n");
    let mut live = String::from("&[\n");
    for slug in slugs {
        let chapter = format!("&crate::{}::CHAPTER", slug.replace('/', "::"));
        let _ = writeln!(list, "{chapter},");
        let _ = writeln!(live, "Live::of({chapter}),");
    }
    // Pages outside the parts.
    for page in ["title", "routes", "mistakes", "tasks"] {
        let _ = writeln!(list, "&crate::{page}::CHAPTER,");
    }
    list += "]\n";
    live += "Live::of(&crate::title::CHAPTER),\n]\n";
    let out = env::var("OUT_DIR").expect("cargo sets it");
    for (name, text) in [("chapters.rs", list), ("live.rs", live)] {
        fs::write(Path::new(&out).join(name), text)
            .expect("the build directory can be written");
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    entries
        .map(|e| e.expect("readable").file_name().into_string())
        .map(|name| name.expect("names are Unicode"))
        .collect()
}
