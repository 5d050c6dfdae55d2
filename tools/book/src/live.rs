//! `cargo book live`: compiles the live figures and the drills for the page.
//!
//! The module is committed beside the figures, so that reading the book asks
//! for no toolchain; this is for who changes a figure. `live.txt` beside it
//! holds a hash of the sources that it was made from.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

/// The module, relative to the root of the repository.
pub const MODULE: &str = "book/src/generated/live.wasm";
const HASH: &str = "book/src/generated/live.txt";
const TARGET: &str = "wasm32-unknown-unknown";
/// What the module is made of.
const SOURCES: [&str; 10] = [
    ".cargo/config.toml",
    "Cargo.lock",
    "Cargo.toml",
    "data",
    "src",
    "tools/examiner/src",
    "tools/figures/build.rs",
    "tools/figures/src",
    "tools/live/Cargo.toml",
    "tools/live/src",
];
/// What the page calls. All else that a dependency exports is dropped, and
/// with it what only that needs.
const EXPORTS: [&str; 4] = ["memory", "question", "ask", "answer"];
/// Of WebAssembly, those that every browser of the last years has.
const FEATURES: [&str; 7] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--enable-simd",
];

/// Compiles the module, writes it to `out` and returns its length in bytes.
///
/// # Errors
/// When there is no compiler for WebAssembly or no binaryen, or when they
/// fail; the message says what to install.
pub fn compile(root: &Path, out: &Path) -> Result<u64> {
    let folder = root.join("target/live");
    let mut cargo =
        Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo
        .args(["build", "--quiet", "-p", "live", "--profile", "live"])
        .args(["--target", TARGET, "--target-dir"])
        .arg(&folder)
        .env_remove("RUSTFLAGS")
        .current_dir(root);
    if !own_target()? {
        // Debian's compiler knows the target, and its standard library comes
        // as source: so panics can be traps without a text.
        let rustc = Path::new("/usr/bin/rustc");
        ensure!(
            Path::new("/usr/lib/rustlib/src/rust/library").is_dir()
                && rustc.is_file(),
            "no standard library for {TARGET}: `rustup target add {TARGET}`, \
             or Debian's packages rustc-web and rust-web-src"
        );
        let flags = [
            "--cfg getrandom_backend=\"unsupported\"",
            "-Ctarget-feature=+simd128",
            "-Zunstable-options -Cpanic=immediate-abort",
            "-Zlocation-detail=none -Zfmt-debug=none",
        ];
        cargo
            .args(["-Z", "build-std=std,panic_abort"])
            .env("RUSTC", rustc)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", flags.join(" "));
    }
    run(cargo.env("PATH", with_linker()?), "cargo")?;
    let raw = folder.join(TARGET).join("live/live.wasm");
    let (graph, lean) = (folder.join("graph.json"), folder.join("lean.wasm"));
    let node = |name: &&str| {
        format!(r#"{{"name":"{name}","export":"{name}","root":true}}"#)
    };
    let nodes: Vec<_> = EXPORTS.iter().map(node).collect();
    fs::write(&graph, format!("[{}]", nodes.join(",")))?;
    let mut shake = Command::new("wasm-metadce");
    shake.arg(&raw).arg("--graph-file").arg(&graph);
    binaryen(shake.args(FEATURES).arg("-o").arg(&lean))?;
    let aside = out.with_extension("tmp");
    let mut shrink = Command::new("wasm-opt");
    shrink.args(["-Oz", "--strip-debug"]).args(FEATURES);
    shrink.args(["--strip-producers", "--strip-target-features"]);
    let small = folder.join("small.wasm");
    binaryen(shrink.arg(&lean).arg("-o").arg(&small))?;
    let module = without_notes(&fs::read(&small)?);
    fs::write(&aside, &module)
        .and_then(|()| fs::rename(&aside, out))
        .with_context(|| format!("cannot write {}", out.display()))?;
    Ok(module.len() as u64)
}

/// A module without its custom sections: what a dependency leaves there for
/// another tool is a quarter of the whole.
fn without_notes(module: &[u8]) -> Vec<u8> {
    // Magic number and version, then sections: a byte that says which, the
    // length in LEB128, the contents.
    let (head, mut rest) = module.split_at(module.len().min(8));
    let mut out = head.to_vec();
    while let Some((&kind, after)) = rest.split_first() {
        let (mut length, mut size) = (0_usize, 1);
        for (k, byte) in after.iter().enumerate() {
            length |= usize::from(byte & 0x7f) << (7 * k);
            size += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let (section, others) = rest.split_at((size + length).min(rest.len()));
        if kind != 0 {
            out.extend_from_slice(section);
        }
        rest = others;
    }
    out
}

/// Compiles the module into the book and notes what it was made from.
///
/// # Errors
/// Those of [`compile`], and files that cannot be read or written.
pub fn write(root: &Path) -> Result<u64> {
    let hash = hash(root)?;
    let length = compile(root, &root.join(MODULE))?;
    fs::write(root.join(HASH), format!("{hash}\n"))?;
    Ok(length)
}

/// Whether the committed module was made from other sources than there are.
///
/// # Errors
/// When a source cannot be read.
pub fn stale(root: &Path) -> Result<bool> {
    let noted = fs::read_to_string(root.join(HASH)).unwrap_or_default();
    Ok(noted.trim() != hash(root)?)
}

/// Of paths and texts of all sources, line ends as on Unix, without the tests
/// at the end of a file.
fn hash(root: &Path) -> Result<String> {
    let mut files = Vec::new();
    let mut todo = SOURCES.map(PathBuf::from).to_vec();
    while let Some(path) = todo.pop() {
        let full = root.join(&path);
        if full.is_dir() {
            for entry in fs::read_dir(&full)? {
                todo.push(path.join(entry?.file_name()));
            }
        } else {
            files.push(path);
        }
    }
    files.sort();
    let mut sum = Sha256::new();
    for path in files {
        let bytes = fs::read(root.join(&path))
            .with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.to_string_lossy().replace('\\', "/");
        sum.update(format!("{name} "));
        let text = String::from_utf8_lossy(&bytes).replace('\r', "");
        let code = text.split("#[cfg(test)]\nmod tests").next();
        sum.update(code.unwrap_or_default());
    }
    let digits = sum.finalize();
    Ok(digits.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What `rustc` says.
fn rustc(words: &[&str]) -> Result<PathBuf> {
    let program = env::var_os("RUSTC").unwrap_or("rustc".into());
    let said = Command::new(program)
        .args(words)
        .output()
        .context("cannot start rustc")?;
    Ok(String::from_utf8_lossy(&said.stdout).trim().into())
}

/// Whether the toolchain at hand has the standard library for the target.
fn own_target() -> Result<bool> {
    let found = rustc(&["--print", "target-libdir", "--target", TARGET])?;
    Ok(fs::read_dir(found).is_ok_and(|mut files| files.next().is_some()))
}

/// The PATH with the folder in which rustup keeps its linker.
fn with_linker() -> Result<OsString> {
    let libraries = rustc(&["--print", "target-libdir"])?;
    let tools = libraries.with_file_name("bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let all = [tools].into_iter().chain(env::split_paths(&path));
    Ok(env::join_paths(all)?)
}

fn binaryen(command: &mut Command) -> Result<()> {
    run(command, "binaryen").context("binaryen makes the module small")
}

fn run(command: &mut Command, from: &str) -> Result<()> {
    match command.output() {
        Err(e) => bail!("{from} is not to be found ({e}): install it"),
        Ok(done) if !done.status.success() => {
            bail!("{}", String::from_utf8_lossy(&done.stderr))
        }
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::without_notes;

    #[test]
    fn custom_sections_go_and_others_stay() {
        let head = b"\0asm\x01\0\0\0";
        let long = [&[10, 0xc8, 0x01][..], &[7; 200]].concat();
        let with = [head, &[0, 3, 1, b'n', 9][..], &long, &[0, 1, 0]].concat();
        assert_eq!(without_notes(&with), [head, &long[..]].concat());
    }
}
