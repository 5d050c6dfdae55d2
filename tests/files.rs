//! Files of weights that are damaged, foreign or hostile: each is refused with
//! an error that names the tensor and says what to do, nothing is loaded by
//! halves, and nothing takes more memory than the file accounts for.
//!
//! The long run, which is to be repeated after a change to the reader:
//!
//! ```sh
//! PROPTEST_CASES=100000 cargo test --release --test files
//! ```

use backprop::backends::{Cpu, Textbook};
use backprop::device::{Device, ParamName, Params};
use backprop::training::Error;
use backprop::training::files::*;
use backprop::training::language::{load_gpt, load_into, save_gpt};
use backprop::training::text::Vocabulary;
use backprop::transformer::gpt::model::{Config, Gpt};
use ndarray::ArrayD;
use proptest::prelude::*;
use safetensors::SafeTensors;
use serde_json::{Map, Value, json};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::{Path, PathBuf};

// ---- memory -------------------------------------------------------------

/// Counts what each thread holds, and the most that it held.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that ends has no counter any more.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: forwards to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, n: usize) -> *mut u8 {
        // both exist for a moment
        count(n as isize);
        let new = unsafe { System.realloc(p, layout, n) };
        count(-(layout.size() as isize));
        new
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(p, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that `f` holds at once, and its result.
fn most<R>(f: impl FnOnce() -> R) -> (usize, R) {
    let before = HELD.get();
    MOST.set(before);
    let result = f();
    ((MOST.get() - before) as usize, result)
}

/// What reading a file may take: a 16-bit float becomes one of 64 bits, and a
/// short entry of the header a name, a shape and a place in a map.
fn justified(bytes: &[u8]) -> usize {
    16 * bytes.len() + 4096
}

#[test]
fn the_count_counts() {
    let (bytes, _) = most(|| Vec::<u8>::with_capacity(1000));
    assert_eq!(bytes, 1000);
    let (bytes, _) =
        most(|| (0..3).map(|_| vec![0u8; 500].len()).sum::<usize>());
    assert_eq!(bytes, 500);
}

// ---- the model ----------------------------------------------------------

/// A table that both ends of the model use, a linear layer, and an empty one.
struct Tied<T>(Vec<T>);

const TABLE: &str = "transformer.wte.weight";
const HEAD: &str = "lm_head.weight";

impl<T> Tied<T> {
    fn new<D: Device<Tensor = T>>(dev: &D) -> Tied<T> {
        let shapes: [&[usize]; 4] = [&[4, 3], &[3, 2], &[2], &[0, 5]];
        let start = |shape: &&[usize]| {
            dev.upload(ArrayD::from_elem(*shape, 0.25).view())
        };
        Tied(shapes.iter().map(start).collect())
    }
}

impl<T> Params for Tied<T> {
    type Tensor = T;

    fn names(&self) -> Vec<ParamName> {
        let names = [(TABLE, false), ("fc.weight", true), ("fc.bias", false)];
        names
            .into_iter()
            .chain([("none", false)])
            .map(|(name, transposed)| ParamName {
                name: name.into(),
                transposed,
            })
            .collect()
    }

    fn tied(&self) -> &'static [(&'static str, &'static str)] {
        &[(HEAD, TABLE)]
    }

    fn tensors<'a>(&'a self) -> impl Iterator<Item = &'a T>
    where
        T: 'a,
    {
        self.0.iter()
    }

    fn tensors_mut<'a>(&'a mut self) -> impl Iterator<Item = &'a mut T>
    where
        T: 'a,
    {
        self.0.iter_mut()
    }
}

fn read_all<D: Device>(dev: &D, model: &Tied<D::Tensor>) -> Vec<ArrayD<f64>> {
    model.tensors().map(|t| dev.read(t)).collect()
}

/// Loads `bytes` into a new model of `dev`; after an error it is unchanged.
#[track_caller]
fn load<D: Device>(dev: &D, bytes: &[u8]) -> Result<Vec<ArrayD<f64>>, Error> {
    let mut model = Tied::new(dev);
    let before = read_all(dev, &model);
    let path = Path::new("some.safetensors");
    let result = parse_tensors(path, bytes)
        .and_then(|tensors| load_tensors(path, tensors, dev, &mut model));
    let after = read_all(dev, &model);
    match result {
        Ok(()) => Ok(after),
        Err(e) => {
            assert!(before == after, "loaded by halves: {e}");
            Err(e)
        }
    }
}

// ---- files --------------------------------------------------------------

/// A file in parts: entries of the header, twins allowed, and the numbers.
#[derive(Clone, Debug)]
struct File {
    entries: Vec<(String, Value)>,
    data: Vec<u8>,
}

impl File {
    /// The file of the model above, its head included: numbers from 1 on, in
    /// 32 bits.
    fn new() -> File {
        let mut file = File {
            entries: vec![("__metadata__".into(), json!({"format": "pt"}))],
            data: Vec::new(),
        };
        file.push("fc.bias", "F32", &[2], &floats(1, 2));
        file.push("fc.weight", "F32", &[2, 3], &floats(3, 6));
        file.push(HEAD, "F32", &[4, 3], &floats(9, 12));
        file.push("none", "F32", &[0, 5], &[]);
        file.push(TABLE, "F32", &[4, 3], &floats(9, 12));
        file
    }

    /// Adds a tensor behind the others.
    fn push(&mut self, name: &str, dtype: &str, shape: &[usize], data: &[u8]) {
        let start = self.data.len();
        self.data.extend(data);
        let entry = json!({
            "dtype": dtype,
            "shape": shape,
            "data_offsets": [start, self.data.len()],
        });
        self.entries.push((name.into(), entry));
    }

    fn entry(&mut self, name: &str) -> &mut Map<String, Value> {
        let entry = self.entries.iter_mut().find(|(n, _)| n == name);
        entry.unwrap().1.as_object_mut().unwrap()
    }

    fn with(mut self, name: &str, key: &str, value: Value) -> File {
        self.entry(name).insert(key.into(), value);
        self
    }

    /// Without one tensor and its numbers.
    fn without(&self, name: &str) -> File {
        let mut file = File {
            entries: Vec::new(),
            data: Vec::new(),
        };
        for (n, entry) in &self.entries {
            let Some([start, end]) = offsets(entry) else {
                file.entries.push((n.clone(), entry.clone()));
                continue;
            };
            if n == name {
                continue;
            }
            let shape: Vec<usize> =
                serde_json::from_value(entry["shape"].clone()).unwrap();
            let dtype = entry["dtype"].as_str().unwrap();
            file.push(n, dtype, &shape, &self.data[start..end]);
        }
        file
    }

    /// With other numbers for one tensor, as many bytes.
    fn numbers(mut self, name: &str, at: usize, data: &[u8]) -> File {
        let entry = Value::Object(self.entry(name).clone());
        let [start, end] = offsets(&entry).unwrap();
        self.data[start..end][at..][..data.len()].copy_from_slice(data);
        self
    }

    fn header(&self) -> String {
        let entries: Vec<String> = self
            .entries
            .iter()
            .map(|(name, entry)| format!("{}:{entry}", json!(name)))
            .collect();
        format!("{{{}}}", entries.join(","))
    }

    fn bytes(&self) -> Vec<u8> {
        let header = self.header();
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(&self.data);
        bytes
    }
}

fn offsets(entry: &Value) -> Option<[usize; 2]> {
    serde_json::from_value(entry.get("data_offsets")?.clone()).ok()
}

fn floats(from: usize, count: usize) -> Vec<u8> {
    (from..from + count)
        .flat_map(|i| (i as f32).to_le_bytes())
        .collect()
}

// ---- by hand ------------------------------------------------------------

#[test]
fn a_whole_file_is_loaded() {
    let file = File::new();
    for loaded in [
        load(&Cpu::new(), &file.bytes()).unwrap(),
        load(&Textbook, &file.bytes()).unwrap(),
        // One name of the tied pair is enough, either of them.
        load(&Textbook, &file.without(HEAD).bytes()).unwrap(),
        load(&Textbook, &file.without(TABLE).bytes()).unwrap(),
    ] {
        assert_eq!(loaded[0][[3, 2]], 20.);
        // (out,in) on disk: row 1 of it is column 1 here
        assert_eq!(loaded[1].shape(), [3, 2]);
        assert_eq!(loaded[1][[0, 1]], 6.);
        assert_eq!(loaded[2].as_slice().unwrap(), [1., 2.]);
        assert_eq!(loaded[3].shape(), [0, 5]);
    }
}

/// The tensor that an error is about, and its message.
#[track_caller]
fn refused(bytes: &[u8]) -> (Option<String>, String) {
    let (bytes_held, result) = most(|| load(&Textbook, bytes));
    assert!(bytes_held <= justified(bytes), "{bytes_held} bytes held");
    let e = result.expect_err("a file that must be refused");
    let message = e.to_string();
    assert!(message.starts_with("some.safetensors: "), "{message}");
    assert!(
        !message.contains(".. ") && !message.contains("  "),
        "{message}"
    );
    match e {
        Error::Tensor { tensor, remedy, .. } => {
            assert!(message.contains(&tensor) && message.ends_with(remedy));
            (Some(tensor), message)
        }
        Error::File { remedy, .. } => {
            assert!(!remedy.is_empty() && message.ends_with(&remedy));
            (None, message)
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused_for(file: File, tensor: &str, what: &str) {
    let (named, message) = refused(&file.bytes());
    assert!(message.contains(what), "{message}");
    assert_eq!(named.as_deref(), Some(tensor), "{message}");
}

#[test]
fn lies_about_the_length_of_the_header() {
    let whole = File::new().bytes();
    let left = whole.len() as u64 - 8;
    let header = File::new().header().len() as u64;
    for length in [
        0,
        1,
        header - 1,
        header + 1,
        left,
        left + 1,
        u64::from(u32::MAX),
        1 << 62,
        u64::MAX - 7,
        u64::MAX,
    ] {
        let mut bytes = whole.clone();
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        let (_, message) = refused(&bytes);
        assert!(message.contains("header"), "{message}");
        if length > left {
            let what = format!("a header of {length} bytes where {left} are");
            assert!(message.contains(&what), "{message}");
        }
    }
    for end in 0..whole.len() {
        refused(&whole[..end]);
    }
    let mut longer = whole;
    longer.push(0);
    let (_, message) = refused(&longer);
    assert!(message.contains("1 bytes belong to no tensor"), "{message}");
}

#[test]
fn headers_that_are_none() {
    for header in [
        "",
        "{",
        "[]",
        "null",
        "7",
        "{\"a\":7}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}",
        "{\"__metadata__\":{\"a\":7}}",
        "{} x",
        "\u{feff}{}",
    ] {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend([0; 4]);
        let (_, message) = refused(&bytes);
        assert!(message.contains("header"), "{header}: {message}");
        let named = header.starts_with("{\"a\"");
        assert_eq!(message.contains("tensor a: "), named, "{message}");
    }
    // Not even UTF-8, and brackets without end.
    for header in [vec![0xff; 30], vec![b'['; 100_000]] {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header);
        refused(&bytes);
    }
}

#[test]
fn offsets_that_overlap_leave_gaps_or_lie_outside() {
    let end = File::new().data.len();
    for [start, stop] in [
        [0, 48],                       // over another
        [81, 129],                     // a gap
        [80, 79],                      // backwards
        [end, end + 48],               // outside
        [80, usize::MAX],              // far outside
        [usize::MAX - 47, usize::MAX], // and without room to add
    ] {
        let at = json!([start, stop]);
        let file = File::new().with(TABLE, "data_offsets", at);
        let (named, message) = refused(&file.bytes());
        assert!(named.is_some() && message.contains("lies at"), "{message}");
    }
    let file = File::new().with("none", "data_offsets", json!([80, 84]));
    refused(&file.bytes());
}

#[test]
fn shapes_that_are_not_those_of_the_bytes() {
    for shape in [
        json!([4, 4]),
        json!([]),
        json!([12, 0]),
        json!([usize::MAX, usize::MAX]),
        json!([1_u64 << 32, 1_u64 << 32]),
        json!([1_u64 << 61, 3]),
        json!([usize::MAX]),
    ] {
        let file = File::new().with(TABLE, "shape", shape);
        refused_for(file, TABLE, "does not fit");
    }
    let file = File::new().with("none", "shape", json!([0, usize::MAX, 3]));
    refused_for(file, "none", "shape");
    let many = vec![1; 10_000];
    let file = File::new().with(TABLE, "shape", json!(many));
    refused_for(file, TABLE, "has 10000 axes");
}

#[test]
fn two_of_a_name() {
    let mut file = File::new();
    // Over the same bytes, so that nothing but the name is wrong.
    let again = file.entries.last().unwrap().clone();
    file.entries.push(again);
    let (_, message) = refused(&file.bytes());
    let what = format!("tensor {TABLE}: there are two of it");
    assert!(message.contains(&what), "{message}");
    let mut file = File::new();
    file.entries.push(file.entries[0].clone());
    let (_, message) = refused(&file.bytes());
    assert!(message.contains("__metadata__: there are two"), "{message}");
}

#[test]
fn types_other_than_floats() {
    for dtype in ["I32", "U32"] {
        let file = File::new().with(TABLE, "dtype", json!(dtype));
        refused_for(file, TABLE, &format!("holds {dtype}, not floats"));
    }
    let mut file = File::new();
    file.push("steps", "I64", &[1], &[0; 8]);
    refused_for(file, "steps", "model.float().state_dict()");
    // Half of a byte.
    let mut file = File::new();
    file.push("nibble", "F4", &[1], &[]);
    refused_for(file, "nibble", "does not fit");
}

#[test]
fn shorter_floats_are_widened() {
    // 1.5, -2, the smallest above 0, the largest
    let half = [0x3e00_u16, 0xc000, 0x0001, 0x7bff];
    let brain = [0x3fc0_u16, 0xc000, 0x0001, 0x7f7f];
    let mut file = File {
        entries: Vec::new(),
        data: Vec::new(),
    };
    let bytes = |x: [u16; 4]| x.map(u16::to_le_bytes).concat();
    file.push("half", "F16", &[4], &bytes(half));
    file.push("brain", "BF16", &[2, 2], &bytes(brain));
    let read = parse_tensors(Path::new("f"), &file.bytes()).unwrap();
    assert_eq!(
        read["half"].as_slice().unwrap(),
        [1.5, -2., 2f64.powi(-24), 65504.]
    );
    let most = f64::from(f32::from_bits(0x7f7f_0000));
    assert_eq!(
        read["brain"].as_slice().unwrap(),
        [1.5, -2., 2f64.powi(-133), most]
    );
    for (dtype, bits) in [
        ("F16", 0x7c00_u16),
        ("F16", 0xfc01),
        ("BF16", 0x7f80),
        ("BF16", 0xffff),
    ] {
        let mut file = File::new();
        file.push("short", dtype, &[1], &bits.to_le_bytes());
        refused_for(file, "short", "at entry 0");
    }
}

#[test]
fn numbers_that_are_none() {
    for (x, shown) in [
        (f32::NAN, "is NaN at entry 7"),
        (f32::INFINITY, "is inf at entry 7"),
        (f32::NEG_INFINITY, "is -inf at entry 7"),
    ] {
        let file = File::new().numbers(TABLE, 28, &x.to_le_bytes());
        refused_for(file, TABLE, shown);
    }
    // A number that only the textbook's 64 bits hold.
    let mut file = File::new().without(TABLE).without(HEAD);
    let numbers: Vec<u8> = (0..12)
        .flat_map(|i| 10f64.powi(20 * i).to_le_bytes())
        .collect();
    file.push(TABLE, "F64", &[4, 3], &numbers);
    assert!(load(&Textbook, &file.bytes()).is_ok());
    let e = load(&Cpu::new(), &file.bytes()).unwrap_err().to_string();
    assert!(e.contains(&format!("tensor {TABLE} holds 1e40")), "{e}");
}

#[test]
fn tensors_that_are_missing_left_over_or_of_another_shape() {
    for name in ["fc.bias", "fc.weight", "none"] {
        refused_for(File::new().without(name), name, "is missing");
    }
    let neither = File::new().without(TABLE).without(HEAD);
    refused_for(neither, TABLE, "is missing");
    let mut file = File::new();
    file.push("transformer.wpe.weight", "F32", &[1], &floats(0, 1));
    refused_for(file, "transformer.wpe.weight", "is not one of the model");
    let file = File::new().with("fc.weight", "shape", json!([3, 2]));
    let what = "has shape [3, 2], the model needs [2, 3]";
    refused_for(file, "fc.weight", what);
}

#[test]
fn names_with_another_prefix() {
    let file = |rename: &dyn Fn(&str) -> String| {
        let mut file = File::new();
        for (name, _) in &mut file.entries {
            if name != "__metadata__" {
                *name = rename(name);
            }
        }
        refused(&file.bytes())
    };
    let (named, message) = file(&|name| format!("_orig_mod.{name}"));
    assert_eq!(named, None);
    assert!(
        message.contains("have the prefix `_orig_mod.`. "),
        "{message}"
    );
    assert!(
        message.contains("`model._orig_mod.state_dict()`"),
        "{message}"
    );
    let (_, message) = file(&|name| format!("\u{1b}.{name}"));
    assert!(message.contains("the prefix `\\u{1b}.`. "), "{message}");
    // A name or two of the same kind make no prefix.
    let other = |name: &str| name.replace("fc", "other");
    let (named, message) = file(&other);
    assert_eq!(named.as_deref(), Some("fc.weight"), "{message}");
}

/// What is no safetensors file at all is told by its kind.
#[test]
fn files_of_other_formats() {
    for (start, says) in [
        (&b"PK\x03\x04"[..], "safetensors.torch.save_file"),
        (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j", "PyTorch's pickle"),
        (b"GGUF\x03\0\0\0", "GGUF"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"\x93NUMPY\x01\0", "safetensors.numpy.save_file"),
        (b"version https://git-lfs.github.com/", "git lfs pull"),
        (b"<!doctype html>", "web page"),
        (b"{\"weight_map\": {}}", "JSON"),
    ] {
        for more in [0, 7, 3000] {
            let (_, message) = refused(&[start, &vec![b'x'; more]].concat());
            assert!(message.contains(says), "{message}");
        }
    }
}

#[test]
fn a_head_that_is_not_the_table() {
    let file = File::new().numbers(HEAD, 44, &7f32.to_le_bytes());
    refused_for(file, HEAD, "is not equal to transformer.wte.weight");
    let file = File::new().with(HEAD, "shape", json!([3, 4]));
    refused_for(file, HEAD, "is not equal to transformer.wte.weight");
}

#[test]
fn a_name_for_the_terminal_is_shown_escaped() {
    let mut file = File::new();
    let name = format!("\u{1b}[2J{}", "x".repeat(100_000));
    file.push(&name, "F32", &[1], &floats(0, 1));
    let (_, message) = refused(&file.bytes());
    assert!(message.contains("tensor \\u{1b}[2Jxxx"), "{message}");
    assert!(message.len() < 500 && !message.contains('\u{1b}'));
    // In what the library says of the header, too.
    let dtype = json!(format!("\u{1b}]0;{}", "x".repeat(100_000)));
    let file = File::new().with(TABLE, "dtype", dtype);
    let (_, message) = refused(&file.bytes());
    assert!(
        message.contains("tensor transformer.wte.weight: "),
        "{message}"
    );
    assert!(message.len() < 2000 && !message.contains('\u{1b}'));
}

#[test]
fn what_is_no_file_is_not_read() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    for path in [folder.as_path(), Path::new("/dev/zero")] {
        let e = read_tensors(path).unwrap_err();
        let e = e.to_string();
        assert!(
            e.contains("ordinary file") || e.contains("cannot read"),
            "{e}"
        );
    }
    let e = read_tensors(&folder.join("nowhere")).unwrap_err();
    assert!(matches!(e, Error::Read { .. }), "{e}");
}

// ---- at random ----------------------------------------------------------

/// One thing that is done to a file. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Change {
    /// Sets a byte, anywhere.
    Byte(usize, u8),
    /// Flips a bit of the first bytes, where the header is.
    Bit(usize, u32),
    /// Cuts the end off.
    Cut(usize),
    /// Adds bytes at the end.
    Grow(Vec<u8>),
    /// Removes some bytes.
    Remove(usize, usize),
    /// Says another length of the header.
    Length(u64),
}

/// One thing that is done to the header before it is written.
#[derive(Clone, Debug)]
enum Edit {
    Shape(usize, Vec<usize>),
    Offsets(usize, [usize; 2]),
    Type(usize, String),
    Name(usize, String),
    Drop(usize),
    Twin(usize),
    Swap(usize, usize),
    Number(usize, u32),
    New(String, String, Vec<usize>, Vec<u8>),
}

/// An extent or an offset: often of this file, sometimes far from it.
fn extent() -> impl Strategy<Value = usize> {
    prop_oneof![
        5 => 0usize..13,
        3 => (0usize..40).prop_map(|n| 4 * n),
        1 => any::<usize>(),
        1 => (0u32..64).prop_map(|n| 1usize << n),
        1 => (0usize..20).prop_map(|n| usize::MAX - n),
    ]
}

const TYPES: [&str; 8] =
    ["F32", "F32", "F64", "F16", "BF16", "I64", "U8", "F4"];

fn dtype() -> impl Strategy<Value = String> {
    prop_oneof![
        9 => prop::sample::select(&TYPES[..]).prop_map(String::from),
        1 => any::<String>(),
    ]
}

fn name() -> impl Strategy<Value = String> {
    let known = ["fc.bias", "fc.weight", HEAD, "none", TABLE, "__metadata__"];
    prop_oneof![
        prop::sample::select(known.to_vec()).prop_map(String::from),
        any::<String>(),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    let shape = || prop::collection::vec(extent(), 0..6);
    let data = prop::collection::vec(any::<u8>(), 0..30);
    prop_oneof![
        (any::<usize>(), shape()).prop_map(|(i, s)| Edit::Shape(i, s)),
        (any::<usize>(), extent(), extent())
            .prop_map(|(i, s, e)| Edit::Offsets(i, [s, e])),
        (any::<usize>(), dtype()).prop_map(|(i, t)| Edit::Type(i, t)),
        (any::<usize>(), name()).prop_map(|(i, n)| Edit::Name(i, n)),
        any::<usize>().prop_map(Edit::Drop),
        any::<usize>().prop_map(Edit::Twin),
        any::<(usize, usize)>().prop_map(|(i, j)| Edit::Swap(i, j)),
        (any::<usize>(), any::<f32>().prop_map(f32::to_bits))
            .prop_map(|(i, x)| Edit::Number(i, x)),
        (name(), dtype(), shape(), data)
            .prop_map(|(n, t, s, d)| Edit::New(n, t, s, d)),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => any::<(usize, u8)>().prop_map(|(i, b)| Change::Byte(i, b)),
        4 => any::<(usize, u32)>().prop_map(|(i, b)| Change::Bit(i, b)),
        1 => any::<usize>().prop_map(Change::Cut),
        1 => prop::collection::vec(any::<u8>(), 1..40).prop_map(Change::Grow),
        1 => (any::<usize>(), 1usize..20)
            .prop_map(|(i, n)| Change::Remove(i, n)),
        1 => extent().prop_map(|n| Change::Length(n as u64)),
    ]
}

impl File {
    fn edit(&mut self, edit: Edit) {
        let n = self.entries.len();
        if n == 0 {
            return;
        }
        let set = |file: &mut File, i: usize, key: &str, value: Value| {
            if let Some(entry) = file.entries[i % n].1.as_object_mut() {
                entry.insert(key.into(), value);
            }
        };
        match edit {
            Edit::Shape(i, shape) => set(self, i, "shape", json!(shape)),
            Edit::Offsets(i, at) => set(self, i, "data_offsets", json!(at)),
            Edit::Type(i, dtype) => set(self, i, "dtype", json!(dtype)),
            Edit::Name(i, name) => self.entries[i % n].0 = name,
            Edit::Drop(i) => drop(self.entries.remove(i % n)),
            Edit::Twin(i) => self.entries.push(self.entries[i % n].clone()),
            Edit::Swap(i, j) => self.entries.swap(i % n, j % n),
            Edit::Number(i, bits) => {
                let words = self.data.len() / 4;
                let at = i % words * 4;
                self.data[at..at + 4].copy_from_slice(&bits.to_le_bytes());
            }
            Edit::New(name, dtype, shape, data) => {
                self.push(&name, &dtype, &shape, &data);
            }
        }
    }
}

fn apply(bytes: &mut Vec<u8>, change: Change) {
    let n = bytes.len();
    if n < 8 {
        return;
    }
    match change {
        Change::Byte(i, byte) => bytes[i % n] = byte,
        Change::Bit(i, bit) => bytes[i % n.min(600)] ^= 1 << (bit % 8),
        Change::Cut(i) => bytes.truncate(i % n),
        Change::Grow(more) => bytes.extend(more),
        Change::Remove(i, count) => {
            let start = i % n;
            bytes.drain(start..(start + count).min(n));
        }
        Change::Length(length) => {
            bytes[..8].copy_from_slice(&length.to_le_bytes());
        }
    }
}

/// What must hold of any bytes at all.
fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    let path = Path::new("some.safetensors");
    let (held, parsed) = most(|| parse_tensors(path, bytes));
    let limit = justified(bytes);
    prop_assert!(held <= limit, "{held} bytes held, {limit} justified");
    // The library is the judge of what is a file; we may refuse more.
    let judge = SafeTensors::deserialize(bytes);
    if let Ok(tensors) = &parsed {
        let judge = judge.map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(judge.len(), tensors.len());
        for (name, a) in tensors {
            let view = judge.tensor(name).unwrap();
            prop_assert_eq!(view.shape(), a.shape());
            prop_assert!(a.iter().all(|x| x.is_finite()));
            let words = view.data().chunks_exact(4).zip(a);
            if view.dtype() == safetensors::Dtype::F32 {
                for (bytes, x) in words {
                    let bits = u32::from_le_bytes(bytes.try_into().unwrap());
                    prop_assert_eq!((*x as f32).to_bits(), bits);
                }
            }
        }
    }
    let on_cpu = load(&Cpu::new(), bytes);
    let loaded = load(&Textbook, bytes);
    prop_assert!(on_cpu.is_err() || loaded.is_ok());
    match (parsed, loaded) {
        (Ok(tensors), Ok(loaded)) => {
            let table = tensors.get(TABLE).or(tensors.get(HEAD)).unwrap();
            prop_assert!(loaded[0] == *table);
            prop_assert!(loaded[1].t() == tensors["fc.weight"].view());
            prop_assert!(loaded[2] == tensors["fc.bias"]);
        }
        (Err(_), Ok(_)) => prop_assert!(false, "loaded what is not parsed"),
        (_, Err(e)) => {
            let message = e.to_string();
            prop_assert!(message.starts_with("some.safetensors: "));
            prop_assert!(message.len() < 2000, "{}", message.len());
            prop_assert!(!message.contains(|c: char| c.is_control()));
        }
    }
    Ok(())
}

// ---- a GPT with its settings --------------------------------------------

/// A file that says what model it holds and which characters it knows.
fn gpt_file(name: &str) -> (PathBuf, File) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let dev = &Cpu::new();
    let config = Config::gpt2(3, 2, 1, 2, 4);
    let vocabulary = Vocabulary::of("abc");
    save_gpt(&path, dev, &Gpt::new(dev, config, 1), &vocabulary, None).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let (length, rest) = bytes.split_first_chunk().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: Map<String, Value> = serde_json::from_slice(header).unwrap();
    let file = File {
        entries: header.into_iter().collect(),
        data: data.to_vec(),
    };
    (path, file)
}

/// Loads the file both ways, as a model of its own and into another.
#[track_caller]
fn load_both(path: &Path, file: &File) -> [Result<(), Error>; 2] {
    let dev = &Textbook;
    let bytes = file.bytes();
    std::fs::write(path, &bytes).unwrap();
    let (held, new) = most(|| load_gpt(path, dev).map(|_| ()));
    assert!(
        held <= 2 * justified(&bytes) + (1 << 16),
        "{held} bytes held"
    );
    let vocabulary = Vocabulary::of("abc");
    let mut model = Gpt::new(dev, Config::gpt2(3, 2, 1, 2, 4), 5);
    let before: Vec<_> = model.tensors().cloned().collect();
    let into = load_into(path, dev, &mut model, &vocabulary);
    let same = model.tensors().zip(&before).all(|(a, b)| a == b);
    assert!(into.is_ok() || same, "loaded by halves");
    [new, into]
}

fn about(file: &mut File) -> &mut Value {
    file.entry("__metadata__").get_mut("gpt").unwrap()
}

#[test]
fn what_a_file_says_of_its_model_is_checked() {
    let (path, file) = gpt_file("said.safetensors");
    assert!(load_both(&path, &file).iter().all(Result::is_ok));
    let said: Value =
        serde_json::from_str(about(&mut file.clone()).as_str().unwrap())
            .unwrap();
    for (place, value) in [
        ("/model/vocab", json!(4)),
        ("/model/layers", json!(1 << 24)),
        ("/model/layers", json!(0)),
        ("/model/layers", json!(usize::MAX)),
        ("/model/context", json!(1 << 24)),
        ("/model/block/width", json!(1 << 23)),
        ("/model/block/width", json!(-4)),
        ("/model/block/heads", json!(3)),
        ("/model/block/keys", json!(0)),
        ("/model/block/hidden", json!(1 << 24)),
        ("/model/block/norm", json!("\u{1b}[2J")),
        ("/vocabulary", json!("ab")),
        ("/vocabulary", json!("aab")),
        ("/vocabulary", json!("cba")),
        ("/vocabulary", json!("")),
    ] {
        let mut said = said.clone();
        *said.pointer_mut(place).unwrap() = value;
        let mut file = file.clone();
        *about(&mut file) = json!(said.to_string());
        let [new, into] = load_both(&path, &file);
        let e = new.expect_err(place).to_string();
        let named = format!("{}: ", path.display());
        assert!(e.starts_with(&named) && e.contains("use "), "{e}");
        assert!(!e.contains('\u{1b}') && e.len() < 2000, "{e}");
        assert!(!e.contains("..") && !e.contains("  "), "{e}");
        // A model that is there has its own sizes; what the file says of them
        // matters less than what it holds.
        assert!(into.is_err() || place.contains("model"), "{place}");
    }
}

/// As many cases as the environment asks for, but not more than `most`.
fn cases(most: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok();
    let cases = asked.and_then(|n| n.parse().ok()).unwrap_or(500);
    ProptestConfig::with_cases(most.min(cases))
}

proptest! {
    #![proptest_config(cases(u32::MAX))]

    #[test]
    fn bytes_that_are_changed(
        changes in prop::collection::vec(change(), 1..6),
    ) {
        let mut bytes = File::new().bytes();
        changes.into_iter().for_each(|c| apply(&mut bytes, c));
        check(&bytes)?;
    }

    /// The length of the header is put right afterwards, so that more of these
    /// get past it.
    #[test]
    fn headers_that_are_edited(
        edits in prop::collection::vec(edit(), 1..4),
        changes in prop::collection::vec(change(), 0..2),
    ) {
        let mut file = File::new();
        edits.into_iter().for_each(|e| file.edit(e));
        let mut bytes = file.bytes();
        changes.into_iter().for_each(|c| apply(&mut bytes, c));
        check(&bytes)?;
    }

    #[test]
    fn bytes_of_any_kind(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&bytes)?;
        let mut header = (bytes.len() as u64).to_le_bytes().to_vec();
        header.extend(bytes);
        check(&header)?;
    }

}

// These write files.
proptest! {
    #![proptest_config(cases(5000))]

    #[test]
    fn settings_that_are_edited(
        digits in prop::collection::vec((any::<usize>(), b'0'..=b'9'), 0..3),
        changes in prop::collection::vec(any::<(usize, char)>(), 0..2),
        edits in prop::collection::vec(edit(), 0..2),
    ) {
        use std::sync::OnceLock;
        static FILE: OnceLock<(PathBuf, File)> = OnceLock::new();
        let (path, file) = FILE.get_or_init(|| gpt_file("edited.safetensors"));
        let mut file = file.clone();
        let text = about(&mut file).as_str().unwrap();
        let mut text: Vec<char> = text.chars().collect();
        let n = text.len();
        for (at, digit) in digits {
            let places: Vec<usize> =
                (0..n).filter(|i| text[*i].is_ascii_digit()).collect();
            text[places[at % places.len()]] = digit.into();
        }
        for (at, c) in changes {
            text[at % n] = c;
        }
        *about(&mut file) = json!(text.into_iter().collect::<String>());
        edits.into_iter().for_each(|e| file.edit(e));
        for result in load_both(path, &file) {
            if let Err(e) = result {
                let message = e.to_string();
                let named = format!("{}: ", path.display());
                prop_assert!(message.starts_with(&named), "{message}");
                prop_assert!(!message.contains(char::is_control));
                prop_assert!(message.len() < 5000, "{message}");
            }
        }
    }

    /// What is written is read again, bit for bit, by us and by the library.
    #[test]
    fn any_numbers_come_back(
        numbers in prop::collection::vec(any::<f32>(), 20),
    ) {
        let finite = |x: &f32| if x.is_finite() { f64::from(*x) } else { 0. };
        let numbers: Vec<f64> = numbers.iter().map(finite).collect();
        let dev = &Cpu::new();
        let mut model = Tied::new(dev);
        let mut from = 0;
        for t in model.tensors_mut() {
            let shape = dev.shape(t).to_vec();
            let end = from + shape.iter().product::<usize>();
            let a = ArrayD::from_shape_vec(shape, numbers[from..end].to_vec());
            dev.write(t, a.unwrap().view());
            from = end;
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let path = folder.join("numbers.safetensors");
        save_weights(&path, dev, &model).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        prop_assert_eq!(file.len(), 4);
        let mut second = Tied::new(dev);
        load_weights(&path, dev, &mut second).unwrap();
        let bits = |m: &Tied<_>| -> Vec<u64> {
            let all = read_all(dev, m);
            all.iter().flat_map(|a| a.iter().map(|x| x.to_bits())).collect()
        };
        prop_assert_eq!(bits(&model), bits(&second));
    }
}
