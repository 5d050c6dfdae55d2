//! That nothing is left out: every VJP of the crate has a row, every op of
//! `Device` is called by one, and every stored case is read by one.

use crate::op::Chapter;
use crate::reference;
use libtest_mimic::{Failed, Trial};
use std::fs;
use std::path::{Path, PathBuf};

pub fn trials(chapters: &[Chapter]) -> Vec<Trial> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let left_out = left_out(&src, chapters);
    let unread = unread_cases(chapters);
    let none = |left_out: Vec<String>| -> Result<(), Failed> {
        match left_out.is_empty() {
            true => Ok(()),
            false => Err(left_out.join("\n").into()),
        }
    };
    vec![
        Trial::test("every_vjp_has_a_row", move || none(left_out)),
        Trial::test("every_reference_case_has_a_row", move || none(unread)),
        Trial::test("what_has_no_row_is_found", what_has_no_row_is_found),
        Trial::test("backends_keep_the_order_of_the_trait", move || {
            none(out_of_order(&src))
        }),
    ]
}

/// A stored case that no row reads would look like a test and be none.
fn unread_cases(chapters: &[Chapter]) -> Vec<String> {
    let mut unread = vec![];
    for [part, slug] in reference::chapters() {
        let chapter =
            chapters.iter().find(|c| c.part == part && c.slug == slug);
        let rows = chapter.map(|c| (c.rows)()).unwrap_or_default();
        match reference::cases(&part, &slug) {
            Err(e) => unread.push(format!("{part}/{slug}.json: {e}")),
            Ok(cases) => {
                let names = cases.into_keys();
                let names = names.filter(|n| rows.iter().all(|r| r.name != *n));
                unread.extend(names.map(|n| {
                    format!("{part}/{slug}.json has {n}, the table has not")
                }));
            }
        }
    }
    unread
}

/// Floors without ops of their own.
const FLOORS: [&str; 4] = ["backends", "device", "engine", "training"];

/// What of `Device` is no op.
const MEMORY: [&str; 11] = [
    "zeros",
    "upload",
    "upload_ids",
    "shape",
    "read_into",
    "prefetch",
    "fault",
    "read",
    "write",
    "clear",
    "copy",
];

/// What the rows of `chapters` do not call.
///
/// A VJP of the textbook must be called by the rows of its chapter; a fused one
/// by `Cpu`, and every op of `Device` by some row. Models are checked whole,
/// elsewhere, and the GPU's functions by the aspect `gpu`.
fn left_out(src: &Path, chapters: &[Chapter]) -> Vec<String> {
    let read = |path: &str| {
        let text = fs::read_to_string(src.join(path));
        code(&text.unwrap_or_else(|e| panic!("{path}: {e}")))
    };
    let (cpu, device) = (read("backends/cpu.rs"), read("device/mod.rs"));
    let rows: Vec<String> = chapters.iter().map(|c| code(c.text)).collect();
    let mut left_out = vec![];
    for path in rust_files(src) {
        let path = path.strip_prefix(src).expect("below src");
        let names: Vec<String> = path
            .with_extension("")
            .iter()
            .map(|n| n.to_string_lossy().into_owned())
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (part, slug) = (names[0], names.get(1).copied().unwrap_or(""));
        let (file, folder) = match names[..] {
            [.., folder, file] => (file, folder),
            _ => (names[0], ""),
        };
        let is_checker = part == "calculus" && slug == "gradcheck";
        if FLOORS.contains(&part)
            || is_checker
            || ["model", "gpu"].contains(&file)
        {
            continue;
        }
        let module = if file == "mod" { folder } else { file };
        let text = read(&path.to_string_lossy());
        for name in vjps(&text, module) {
            if file == "fused" {
                let name = format!("{folder}::{name}");
                if !calls(&cpu, &name) {
                    left_out.push(format!("{name} is not called by Cpu"));
                }
                continue;
            }
            let of_chapter = |c: &Chapter| c.part == part && c.slug == slug;
            let at = chapters.iter().position(of_chapter);
            if !at.is_some_and(|at| calls(&rows[at], &name)) {
                left_out.push(format!(
                    "{name} has no row in tests/ops/{part}/{slug}.rs"
                ));
            }
        }
    }
    let device = device.split("pub trait Params").next().unwrap_or_default();
    let ops = functions(device, "    fn ");
    for op in ops.filter(|op| !MEMORY.contains(op)) {
        if !rows.iter().any(|text| calls(text, &format!("dev.{op}"))) {
            left_out.push(format!("no row calls {op} of Device"));
        }
    }
    left_out
}

/// Ops that a backend has before one that comes earlier in `Device`.
fn out_of_order(src: &Path) -> Vec<String> {
    let read = |path: &str| {
        let text = fs::read_to_string(src.join(path));
        text.unwrap_or_else(|e| panic!("{path}: {e}"))
    };
    let device = read("device/mod.rs");
    let order: Vec<&str> = functions(&device, "    fn ").collect();
    let mut out_of_order = vec![];
    for backend in ["textbook", "cpu", "checked", "gpu"] {
        let text = read(&format!("backends/{backend}.rs"));
        let mut last = 0;
        for op in functions(&text, "    fn ") {
            let Some(at) = order.iter().position(|o| *o == op) else {
                continue; // of its own
            };
            if at < last {
                out_of_order.push(format!("{op} of {backend}.rs"));
            }
            last = at;
        }
    }
    out_of_order
}

/// `module::name` of every public function that is named after a VJP, or gives
/// a gradient with its value.
fn vjps(text: &str, file: &str) -> Vec<String> {
    let mut found = vec![];
    let mut inner = file;
    for line in text.lines() {
        let indented = line.starts_with(' ');
        let line = line.trim_start();
        let module = if indented { inner } else { file };
        if let Some(name) = line.strip_prefix("pub mod ") {
            inner = name.strip_suffix(" {").unwrap_or(inner);
        } else if let Some(name) = functions(line, "pub fn ").next()
            && (name.contains("vjp") || name.ends_with("_grad"))
        {
            found.push(format!("{module}::{name}"));
        }
    }
    found
}

/// The names after `start`, which begins a line.
fn functions<'t>(
    text: &'t str,
    start: &'t str,
) -> impl Iterator<Item = &'t str> {
    text.lines().filter_map(move |line| {
        let name = line.strip_prefix(start)?;
        name.split(|c| !is_of_name(c)).next()
    })
}

/// Whether `name` stands in `text`, and not as a part of a longer one.
fn calls(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        ![before, after].iter().flatten().any(|c| is_of_name(*c))
    })
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// `text` without its comments.
fn code(text: &str) -> String {
    let lines = text.lines();
    let lines = lines.map(|l| l.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a readable folder");
    let mut entries: Vec<PathBuf> =
        entries.map(|e| e.expect("an entry").path()).collect();
    entries.sort();
    let mut files = vec![];
    for path in entries {
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}

/// A small crate in which some ops are planted that no row calls.
fn what_has_no_row_is_found() -> Result<(), Failed> {
    let src = Path::new(env!("CARGO_TARGET_TMPDIR")).join("planted");
    if src.exists() {
        fs::remove_dir_all(&src)?;
    }
    for (path, text) in [
        ("engine/rows.rs", "pub fn no_op_vjp() {}\n"),
        (
            "device/mod.rs",
            "pub trait Device {\n    fn zeros();\n    fn relu();\n    \
             fn relu_vjp();\n}\npub trait Params {\n    fn names();\n}\n",
        ),
        ("backends/cpu.rs", "fn f() { relu::fused::relu_vjp(); }\n"),
        (
            "network/relu/mod.rs",
            "pub fn relu_vjp<D>() {}\npub fn loss_grad() {}\n\
             pub mod turned {\n    pub fn vjp() {}\n}\n",
        ),
        (
            "network/relu/fused.rs",
            "pub fn relu_vjp() {}\npub fn vjp() {}\n",
        ),
        ("network/relu/gpu.rs", "pub fn relu_vjp() {}\n"),
        ("network/relu/model.rs", "pub fn vjp() {}\n"),
        ("recurrent/bptt.rs", "pub fn vjp() {}\n"),
        ("discrete/sign/mod.rs", "pub fn sign_vjp() {}\n"),
    ] {
        let path = src.join(path);
        fs::create_dir_all(path.parent().expect("a folder"))?;
        fs::write(path, text)?;
    }
    let chapter = |part, slug, text| Chapter {
        part,
        slug,
        rows: Vec::new,
        text,
    };
    let chapters = [
        chapter(
            "network",
            "relu",
            "relu::relu_vjp(x); dev.relu(x); // turned::vjp(x)\n\
             relu::loss_grads(x); my_dev.relu_vjp(x); sign::sign_vjp(x)",
        ),
        chapter("discrete", "sign", ""),
    ];
    let found = left_out(&src, &chapters);
    let planted = [
        "sign::sign_vjp has no row in tests/ops/discrete/sign.rs",
        "relu::fused::vjp is not called by Cpu",
        "relu::loss_grad has no row in tests/ops/network/relu.rs",
        "turned::vjp has no row in tests/ops/network/relu.rs",
        "bptt::vjp has no row in tests/ops/recurrent/bptt.rs",
        "no row calls relu_vjp of Device",
    ];
    match found == planted {
        true => Ok(()),
        false => Err(format!("found {found:#?}").into()),
    }
}
