//! `--device gpu` as a user meets it.

#[path = "../../../tests/gpu/mod.rs"]
mod gpu;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// An empty folder of its own for each test.
fn folder(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// `train ARGS` in the folder `dir`.
fn train(dir: &Path, args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_train"));
    command.args(args.split_whitespace()).current_dir(dir);
    command
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[track_caller]
fn succeeds(dir: &Path, args: &str) -> Output {
    let out = train(dir, args).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "train {args}: {said}");
    out
}

/// Fails with exit code 2 and says all of `says`.
#[track_caller]
fn fails(mut command: Command, says: &[&str]) {
    let out = command.output().unwrap();
    let said = text(out.stderr);
    assert_eq!(out.status.code(), Some(2), "{command:?}: {said}");
    for part in says {
        assert!(said.contains(part), "{command:?}: no {part:?} in\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

fn json(path: PathBuf) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A process that finds no driver.
fn without_driver(mut command: Command) -> Command {
    let nowhere = "/no/such/driver.json";
    command.env("VK_DRIVER_FILES", nowhere);
    command.env("VK_ICD_FILENAMES", nowhere);
    command.env("WGPU_BACKEND", "vulkan");
    command
}

fn devices_are_listed() {
    let dir = folder("devices");
    let said = text(succeeds(&dir, "devices").stdout);
    let first = said.lines().next().unwrap();
    assert_eq!(first, gpu::shared().capabilities().to_string());
    for how in ["WGPU_ADAPTER_NAME", "WGPU_BACKEND"] {
        assert!(said.contains(how), "{said}");
    }
    let says = ["error: no GPU was found", "--device cpu"];
    fails(without_driver(train(&dir, "devices")), &says);
}

fn a_gpu_that_is_not_there_writes_nothing() {
    let dir = folder("not-there");
    let args = "digits --device gpu";
    let mut command = train(&dir, args);
    command.env("WGPU_ADAPTER_NAME", "no-such-gpu");
    let name = &gpu::shared().capabilities().name;
    fails(command, &["no GPU is called \"no-such-gpu\"", name]);
    fails(without_driver(train(&dir, args)), &["no GPU was found"]);
    assert!(std::fs::read_dir(&dir).unwrap().next().is_none());
}

fn digits_are_read() {
    let dir = folder("digits");
    let args = "digits --epochs 4 --hidden 32";
    let run = |device: &str| {
        let args = format!("{args} --device {device} --out {device}");
        let out = succeeds(&dir, &args);
        let metrics = json(dir.join(device).join("metrics.json"));
        (text(out.stderr), metrics)
    };
    let (said, on_gpu) = run("gpu");
    let (_, on_cpu) = run("cpu");
    let device = format!("gpu: {}", gpu::shared().capabilities());
    assert!(said.contains(&device.replacen("gpu", "GPU", 1)), "{said}");
    assert_eq!(on_gpu["device"], Value::from(device));
    assert_eq!(on_cpu["device"], Value::from("cpu"));
    let accuracy = |m: &Value| m["test"]["accuracy"].as_f64().unwrap();
    let [a, b] = [&on_gpu, &on_cpu].map(accuracy);
    // a picture or two may fall on the other side
    assert!(b > 0.9 && (a - b).abs() < 0.01, "{a} on the GPU, {b}");
}

fn a_disc_is_told_from_its_ring() {
    let dir = folder("circles");
    let args = "spirals --data circles --widths 8 --epochs 60 --device gpu";
    succeeds(&dir, &format!("{args} --out run"));
    let metrics = json(dir.join("run/metrics.json"));
    let right = metrics["nets"][0]["test_accuracy"].as_f64().unwrap();
    assert!(right > 0.9, "{right}");
    assert!(dir.join("run/boundaries.svg").exists());
}

const SMALL: &str = "gpt --layers 1 --heads 2 --width 16 --context 16 \
                     --batch 8 --sample 20 --lr 0.01";

fn a_gpt_learns_and_lora_after_it() {
    let dir = folder("gpt");
    succeeds(&dir, &format!("{SMALL} --steps 40 --device gpu --out base"));
    let metrics = json(dir.join("base/metrics.json"));
    let losses = metrics["losses"].as_array().unwrap();
    let losses: Vec<f64> = losses.iter().map(|l| l.as_f64().unwrap()).collect();
    let (first, last) = (losses[0], losses[39]);
    assert!(last < first - 0.7, "from {first} to {last}");
    assert_eq!(metrics["sample"].as_str().unwrap().chars().count(), 20);
    let device = metrics["device"].as_str().unwrap();
    assert!(device.starts_with("gpu: "), "{device}");

    let lora = "lora --base base --steps 10 --rank 2 --batch 8 --sample 20";
    succeeds(&dir, &format!("{lora} --device gpu --out lora"));
    let metrics = json(dir.join("lora/metrics.json"));
    let [before, after] = ["before", "after"]
        .map(|when| metrics["validation"][when].as_f64().unwrap());
    assert!(after < before, "from {before} to {after}");
}

const RNN: &str = "rnn --width 8 --hidden 24 --context 16 --batch 8 --steps 40 \
                   --lr 0.01 --sample 20";

fn a_recurrent_network_learns() {
    let dir = folder("rnn");
    let [on_gpu, on_cpu] = ["gpu", "cpu"].map(|device| {
        let out = format!("--device {device} --out {device}");
        succeeds(&dir, &format!("{RNN} {out}"));
        let metrics = json(dir.join(device).join("metrics.json"));
        metrics["validation"]["loss"].as_f64().unwrap()
    });
    assert!((on_gpu - on_cpu).abs() < 1e-2, "{on_gpu} {on_cpu}");
    assert!(on_gpu < 3.5, "{on_gpu}"); // of ln 65 = 4.17
}

fn a_policy_finds_its_way() {
    let dir = folder("policy");
    succeeds(&dir, "policy --steps 100 --device gpu --out run");
    let metrics = json(dir.join("run/metrics.json"));
    let value = metrics["value"].as_f64().unwrap();
    assert!(value > 0.15, "{value}"); // of 0.299, from -0.849
}

/// Broken off on one device, and gone on with on the other.
fn a_run_changes_devices() {
    let dir = folder("changes");
    let losses = |run: &str| -> Vec<f64> {
        let metrics = json(dir.join(run).join("metrics.json"));
        let losses = metrics["losses"].as_array().unwrap();
        losses.iter().map(|l| l.as_f64().unwrap()).collect()
    };
    succeeds(&dir, &format!("{SMALL} --steps 12 --out straight"));
    for (run, devices) in [("there", ["cpu", "gpu"]), ("back", ["gpu", "cpu"])]
    {
        let [first, second] = devices;
        let stop = format!("--device {first} --stop-after-step 6");
        let out =
            succeeds(&dir, &format!("{SMALL} --steps 12 --out {run} {stop}"));
        let said = text(out.stdout);
        let again = format!("cargo train gpt --resume {run}");
        assert!(said.contains(&again), "{said}");
        assert_eq!(said.contains("--device gpu"), first == "gpu", "{said}");
        succeeds(&dir, &format!("gpt --resume {run} --device {second}"));
        for (got, want) in losses(run).iter().zip(losses("straight")) {
            assert!((got - want).abs() < 1e-3 * want, "{got} {want}");
        }
        assert_eq!(losses(run).len(), 12);
    }
}

gpu::tests![
    devices_are_listed,
    a_gpu_that_is_not_there_writes_nothing,
    digits_are_read,
    a_disc_is_told_from_its_ring,
    a_gpt_learns_and_lora_after_it,
    a_recurrent_network_learns,
    a_policy_finds_its_way,
    a_run_changes_devices,
];
