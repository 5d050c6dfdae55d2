//! Files of weights by other programs: what they are, and how they become one
//! that is read here.

use super::files::Tensors;
use std::collections::BTreeSet;

/// What a file that is no safetensors file is instead, and what to do, if its
/// first bytes tell.
pub(super) fn other_format(
    bytes: &[u8],
) -> Option<(&'static str, &'static str)> {
    let text = bytes.trim_ascii_start();
    let begins = |with: &[u8]| bytes.starts_with(with);
    let says = |word: &str| {
        let start = text.get(..word.len());
        start.is_some_and(|s| s.eq_ignore_ascii_case(word.as_bytes()))
    };
    Some(if begins(b"PK\x03\x04") && of_numpy(bytes) {
        ("this is an archive of NumPy", NUMPY)
    } else if begins(b"PK\x03\x04") || is_pickle(bytes) {
        ("this is PyTorch's pickle", TORCH)
    } else if begins(b"\x93NUMPY") {
        ("this is an array of NumPy", NUMPY)
    } else if begins(b"\x89HDF\r\n\x1a\n") {
        ("this is HDF5, as Keras writes it", NUMPY)
    } else if begins(b"GGUF") {
        ("this is GGUF, as llama.cpp reads it", GIVE)
    } else if begins(b"\x1f\x8b") {
        ("this is packed by gzip", "Unpack it first.")
    } else if says("version https://git-lfs") {
        (
            "this is a pointer of git-lfs, not the file itself",
            "Run `git lfs pull`.",
        )
    } else if says("<!doctype html") || says("<html") {
        (
            "this is a web page",
            "Download the file itself, not the page about it.",
        )
    } else if says("{") {
        ("this is JSON, settings or an index", GIVE)
    } else {
        return None;
    })
}

const TORCH: &str =
    "Save the weights with `safetensors.torch.save_file(state_dict, FILE)`.";
const NUMPY: &str =
    "Save the arrays with `safetensors.numpy.save_file(arrays, FILE)`.";
const GIVE: &str = "Give the safetensors file of the model.";

/// Whether the first file of a zip archive is an array of NumPy.
fn of_numpy(zip: &[u8]) -> bool {
    let length = |at| Some(u16::from_le_bytes([*zip.get(at)?, zip[at + 1]]));
    let name = length(26).and_then(|n| zip.get(30..30 + usize::from(n)));
    name.is_some_and(|name| name.ends_with(b".npy"))
}

/// Whether the bytes are a pickle of protocol 2 to 5. They might be the length
/// of a header as well, but that ends in zeros.
fn is_pickle(bytes: &[u8]) -> bool {
    let start = bytes.get(..8);
    start.is_some_and(|b| {
        b[0] == 0x80 && (2..=5).contains(&b[1]) && b[2..] != [0; 6]
    })
}

/// What is wrong with the names of a file as a whole, and what to do: that
/// they begin with another prefix than those of the model.
pub(super) fn other_names(
    model: &BTreeSet<&str>,
    file: &Tensors,
) -> Option<(String, String)> {
    let missing = model.iter().find(|name| !file.contains_key(**name))?;
    // What the name ends with, from all of it to its last part.
    let dots = missing.match_indices('.').map(|(dot, _)| dot + 1);
    let prefixes = std::iter::once(0).chain(dots);
    let (of_model, of_file) = prefixes.into_iter().find_map(|at| {
        let (of_model, end) = missing.split_at(at);
        let before = |name: &'_ String| {
            let before = name.strip_suffix(end)?;
            let whole = before.is_empty() || before.ends_with('.');
            whole.then(|| before.to_owned())
        };
        let of_file = file.keys().find_map(before)?;
        let found = model.iter().filter(|name| {
            let end = name.strip_prefix(of_model);
            end.is_some_and(|end| file.contains_key(&format!("{of_file}{end}")))
        });
        // Of a model that is another one, too, a name or two may be there.
        let most = 2 * found.count() > model.len();
        most.then_some((of_model, of_file))
    })?;
    let by = |part: &str| of_file.split('.').any(|p| p == part);
    let what = match (of_model, &of_file[..]) {
        (of_model, "") => format!("its names lack the prefix `{of_model}`"),
        ("", of_file) => format!("its names have the prefix `{of_file}`"),
        _ => format!(
            "its names have the prefix `{of_file}` where the model's have \
             `{of_model}`"
        ),
    };
    let remedy = if by("_orig_mod") {
        "It is from torch.compile: save `model._orig_mod.state_dict()`, or \
         strip it from the names."
    } else if by("module") {
        "It is from DataParallel: save `model.module.state_dict()`, or strip \
         it from the names."
    } else if of_file.is_empty() {
        "Add it to the names and save them again."
    } else {
        "Rename the tensors and save them again."
    };
    Some((what, remedy.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        let zip = |name: &str| {
            let mut zip = b"PK\x03\x04".to_vec();
            zip.resize(26, 0);
            zip.extend([name.len() as u8, 0, 0, 0]);
            zip.extend(name.as_bytes());
            zip
        };
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid";
        for (bytes, says) in [
            (&zip("archive/data.pkl")[..], "pickle"),
            (&zip("a.npy"), "archive of NumPy"),
            (b"PK\x03\x04", "pickle"),
            (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9", "pickle"),
            (b"\x80\x04\x95\x1f\0\0\0\0\0", "pickle"),
            (b"\x93NUMPY\x01\0v\0", "an array of NumPy"),
            (b"\x89HDF\r\n\x1a\n\0", "HDF5"),
            (b"GGUF\x03\0\0\0", "GGUF"),
            (b"\x1f\x8b\x08\0", "gzip"),
            (pointer, "git lfs pull"),
            (b"<!DOCTYPE html><title>", "web page"),
            (b"\n<HTML>", "web page"),
            (b"{\"metadata\":{}}", "JSON"),
        ] {
            let (what, remedy) = other_format(bytes).expect(says);
            assert!(format!("{what}. {remedy}").contains(says), "{what}");
        }
        // The length of a header of 640 bytes, and nothing of the kind.
        for bytes in [&b"\x80\x02\0\0\0\0\0\0{"[..], b"", b"not weights"] {
            assert_eq!(other_format(bytes), None);
        }
    }

    #[test]
    fn prefixes_are_told_from_other_models() {
        let model = ["transformer.h.0.w", "transformer.h.1.w", "head.w"];
        let file = |names: &[&str]| -> Tensors {
            let zero = || ndarray::ArrayD::zeros(vec![1]);
            names.iter().map(|n| (n.to_string(), zero())).collect()
        };
        let told = |model: &[&str], names: &[&str]| {
            let model = model.iter().copied().collect();
            let told = other_names(&model, &file(names));
            told.map(|(what, remedy)| format!("{what}. {remedy}"))
        };
        let before = |prefix: &str| model.map(|name| format!("{prefix}{name}"));
        for (prefix, says) in [
            ("_orig_mod.", "`model._orig_mod.state_dict()`"),
            ("module.", "`model.module.state_dict()`"),
            ("module._orig_mod.", "torch.compile"),
            ("net.", "Rename"),
        ] {
            let names = before(prefix);
            let names: Vec<_> = names.iter().map(|n| &n[..]).collect();
            let told = told(&model, &names).unwrap();
            let what = format!("its names have the prefix `{prefix}`. ");
            assert!(told.starts_with(&what) && told.contains(says), "{told}");
        }
        let (parts, of) =
            (&model[..2], "where the model's have `transformer.`");
        let lacks = told(parts, &["h.0.w", "h.1.w"]).unwrap();
        assert!(lacks.contains("lack the prefix `transformer.`"), "{lacks}");
        let other = told(parts, &["gpt.h.0.w", "gpt.h.1.w"]).unwrap();
        assert!(other.contains(&format!("prefix `gpt.` {of}")), "{other}");
        for names in [&model[..], &model[..2], &["a.w", "b.w"], &["w"], &[]] {
            assert_eq!(told(&model, names), None, "{names:?}");
        }
    }
}
