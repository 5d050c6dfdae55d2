//! The command as a user meets it: real runs, bad input, interruptions.

use serde_json::Value;
use std::collections::BTreeMap;
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
fn command(dir: &Path, args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_train"));
    command.args(args.split_whitespace()).current_dir(dir);
    command
}

fn train(dir: &Path, args: &str) -> Output {
    command(dir, args).output().unwrap()
}

#[track_caller]
fn succeeds(dir: &Path, args: &str) -> String {
    let out = train(dir, args);
    let text = String::from_utf8(out.stderr).unwrap();
    assert!(out.status.success(), "train {args}: {text}");
    String::from_utf8(out.stdout).unwrap()
}

/// Fails with exit code 2 and a message with all of `says`, and changes no
/// file.
#[track_caller]
fn refuses(dir: &Path, args: &str, says: &[&str]) {
    let before = files(dir);
    let out = train(dir, args);
    let text = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(2), "train {args}: {text}");
    for part in says {
        assert!(text.contains(part), "train {args}: no {part:?} in\n{text}");
    }
    assert!(!text.contains("panicked"), "{text}");
    assert!(files(dir) == before, "train {args} changed files");
}

/// Every file below `dir` with its bytes; folders without.
fn files(dir: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
            all.insert(path, None);
        } else {
            let bytes = std::fs::read(&path).unwrap();
            all.insert(path, Some(bytes));
        }
    }
    all
}

fn json(path: PathBuf) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// What a run found out: its weights and its metrics but for the time taken.
fn result(run: &Path) -> (Vec<u8>, Value) {
    let mut metrics = json(run.join("metrics.json"));
    let seconds = metrics.as_object_mut().unwrap().remove("seconds");
    assert!(seconds.unwrap().as_f64().unwrap() > 0.);
    (
        std::fs::read(run.join("weights.safetensors")).unwrap(),
        metrics,
    )
}

const SMALL: &str = "digits --hidden 8 --epochs 3";

#[test]
fn reads_handwriting_and_leaves_a_whole_folder() {
    let dir = folder("whole");
    let said = succeeds(&dir, "digits --seed 1");
    let run = dir.join("runs/digits-seed1");
    let metrics = json(run.join("metrics.json"));
    let accuracy = metrics["test"]["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.965, "{accuracy}");
    assert!(said.contains(&format!("{:.2} % of 359", 100. * accuracy)));
    let misread = metrics["test"]["misread"].as_array().unwrap();
    let wrong = ((1. - accuracy) * 359.).round() as usize;
    assert_eq!(misread.len(), wrong);
    assert!(misread.iter().all(|m| m["label"] != m["read_as"]));
    assert_eq!(metrics["epochs"].as_array().unwrap().len(), 40);
    let confusion = metrics["test"]["confusion"].as_array().unwrap();
    let counts = confusion.iter().flat_map(|r| r.as_array().unwrap());
    assert_eq!(counts.map(|c| c.as_u64().unwrap()).sum::<u64>(), 359);
    for picture in ["learning-curve", "confusion", "misread"] {
        let svg = run.join(format!("{picture}.svg"));
        let svg = std::fs::read_to_string(svg).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("<desc"));
    }
}

#[test]
fn options_that_do_not_exist_or_fit() {
    let dir = folder("options");
    for (args, says) in [
        ("digits --learning-rate 1", "unexpected argument"),
        ("digits --batch 0", "must be at least 1"),
        ("digits --hidden 8,0", "must be at least 1"),
        ("digits --epochs 0", "--epochs"),
        ("digits --lr fast", "--lr"),
        ("digits --momentum 1.5", "momentum: 1.5 is not in [0, 1)"),
        ("digits --lr -1", "unexpected argument"),
        ("digits --resume runs/x --epochs 5", "cannot be used with"),
        ("digits --hidden 99999,99999", "Choose smaller widths"),
        ("digits --threads 99999", "--threads"),
        ("faces", "unrecognized subcommand"),
        ("spirals --data cubes", "possible values: spirals, circles"),
    ] {
        refuses(&dir, args, &[says]);
    }
}

#[test]
fn data_with_a_wrong_row() {
    let dir = folder("rows");
    let good = format!("{}7\n", "3,".repeat(64));
    let refused = |name: &str, text: &str, says: &[&str]| {
        std::fs::write(dir.join(name), text).unwrap();
        refuses(&dir, &format!("digits --data {name}"), says);
    };
    let short = format!("{good}{good}1,2,3\n");
    let remedy = "64 numbers from 0 to 16 and a label from 0 to 9";
    refused("a.csv", &short, &["a.csv, line 3: 3 columns", remedy]);
    let ink = format!("{good}{}17,7\n", "3,".repeat(63));
    refused("b.csv", &ink, &["line 2: the number \"17\" in column 64"]);
    let ten = format!("{}10\n", "3,".repeat(64));
    refused("c.csv", &ten, &["line 1: the label \"10\" in column 65"]);
    refused("d.csv", "", &["d.csv: no data in the file"]);
    refused("e.csv", &good, &["1 examples are too few to split"]);
    refuses(&dir, "digits --data no.csv", &["cannot read no.csv"]);
}

#[test]
fn other_data_are_learned_too() {
    let dir = folder("other");
    // The digit d as a picture with d + 1 inked rows... and one blank one.
    let line = |d: usize| {
        let pixel = |i: usize| if i / 6 <= d { "16," } else { "0," };
        (0..64).map(pixel).collect::<String>() + &d.to_string() + "\n"
    };
    let text: String = (0..200).map(|i| line(i % 10)).collect();
    std::fs::write(dir.join("bars.csv"), text).unwrap();
    let said = succeeds(&dir, "digits --data bars.csv --epochs 20 --out bars");
    assert!(said.starts_with("100.00 % of 40 test images"), "{said}");
    // Its checkpoint belongs to these data.
    refuses(&dir, "digits --resume bars", &["other data", "--data FILE"]);
    succeeds(&dir, "digits --resume bars --data bars.csv");
}

/// Works for root as well, who may write into a read-only folder.
#[test]
fn folders_that_cannot_be_written() {
    let dir = folder("blocked");
    std::fs::write(dir.join("file"), "mine").unwrap();
    for out in ["file", "file/run"] {
        let says = ["cannot write", out, "Choose another folder"];
        refuses(&dir, &format!("{SMALL} --out {out}"), &says[..1]);
        refuses(&dir, &format!("{SMALL} --out {out} --force"), &says);
    }
    std::fs::create_dir_all(dir.join("taken")).unwrap();
    std::fs::write(dir.join("taken/diary.txt"), "mine").unwrap();
    let says = ["taken holds files that are not of a run", "--out DIR"];
    refuses(&dir, &format!("{SMALL} --out taken"), &says);
}

#[test]
fn a_run_is_not_written_over_unless_told() {
    let dir = folder("over");
    succeeds(&dir, &format!("{SMALL} --out run"));
    let says = ["run holds a finished run", "--out DIR", "--force"];
    refuses(&dir, &format!("{SMALL} --out run"), &says);
    let old = result(&dir.join("run"));
    succeeds(&dir, &format!("{SMALL} --seed 5 --out run --force"));
    assert!(result(&dir.join("run")) != old);

    let huge = "--batch 99999999999999999 --stop-after-step 3";
    let said = succeeds(&dir, &format!("{SMALL} --out huge {huge}"));
    assert!(said.contains("Stopped after step 3 of 3"), "{said}");

    succeeds(&dir, &format!("{SMALL} --out half --stop-after-step 50"));
    let says = ["half holds an interrupted run", "digits --resume half"];
    refuses(&dir, &format!("{SMALL} --out half"), &says);
}

#[test]
fn a_stopped_run_goes_on_to_the_same_bits() {
    let dir = folder("resume");
    succeeds(&dir, &format!("{SMALL} --out straight --threads 1"));
    let want = result(&dir.join("straight"));
    // in the middle, at the end of an epoch, and after the last step
    for stop in [20, 45, 46, 135] {
        let out = format!("--out stop{stop}");
        let stop_there = format!("--stop-after-step {stop} --threads 2");
        let said = succeeds(&dir, &format!("{SMALL} {out} {stop_there}"));
        assert!(said.contains(&format!("Stopped after step {stop} of 135")));
        assert!(!dir.join(format!("stop{stop}/metrics.json")).exists());
        succeeds(&dir, &format!("digits --resume stop{stop}"));
        assert!(result(&dir.join(format!("stop{stop}"))) == want);
    }
    // A finished run that is resumed only writes its report again.
    succeeds(&dir, "digits --resume straight");
    assert!(result(&dir.join("straight")) == want);
}

/// A real Ctrl-C, in the middle of a run.
#[cfg(unix)]
#[test]
fn ctrl_c_saves() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::Stdio;
    let dir = folder("signal");
    // A run so short that it is over before the signal comes tells nothing:
    // then try a longer one.
    for epochs in [100, 1000, 10_000] {
        let run = format!("run{epochs}");
        let args = format!("digits --hidden 8 --epochs {epochs}");
        let mut child = command(&dir, &format!("{args} --out {run}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        errors.read_line(&mut line).unwrap();
        assert!(line.starts_with("epoch "), "{line}");
        let id = child.id().to_string();
        Command::new("kill").args(["-INT", &id]).status().unwrap();
        errors.read_to_string(&mut line).unwrap();
        let out = child.wait_with_output().unwrap();
        assert!(out.status.success(), "{line}");
        if dir.join(&run).join("metrics.json").exists() {
            continue;
        }
        let said = String::from_utf8(out.stdout).unwrap();
        assert!(said.contains(&format!("--resume {run}")), "{said}");
        let state = json(dir.join(&run).join("checkpoint/state.json"));
        let step = state["run"]["state"]["step"].as_u64().unwrap();
        assert!(said.contains(&format!("after step {step} ")), "{said}");
        succeeds(&dir, &format!("digits --resume {run}"));
        succeeds(&dir, &format!("{args} --out straight"));
        assert!(result(&dir.join(run)) == result(&dir.join("straight")));
        return;
    }
    panic!("every run was over before the signal came");
}

#[test]
fn damaged_and_foreign_files() {
    let dir = folder("damaged");
    succeeds(&dir, &format!("{SMALL} --out good"));
    let weights = std::fs::read(dir.join("good/weights.safetensors")).unwrap();
    let half = &weights[..weights.len() / 2];
    std::fs::write(dir.join("half.safetensors"), half).unwrap();
    std::fs::write(dir.join("text.safetensors"), "not weights").unwrap();
    let damaged = ["not a whole safetensors file", "use another one"];
    refuses(&dir, &format!("{SMALL} --load half.safetensors"), &damaged);
    refuses(&dir, &format!("{SMALL} --load text.safetensors"), &damaged);
    refuses(&dir, &format!("{SMALL} --load no"), &["cannot read no"]);
    let load = "--load good/weights.safetensors";
    let other = ["layers.0.weight has shape [8, 64]", "needs [9, 64]"];
    refuses(&dir, &format!("digits --hidden 9 {load}"), &other);
    // The right file is taken: training goes on where it ended.
    succeeds(&dir, &format!("{SMALL} {load} --out on"));
    let loss = |run: &str| {
        json(dir.join(run).join("metrics.json"))["epochs"][0]["running_loss"]
            .as_f64()
            .unwrap()
    };
    assert!(loss("on") < 0.7 * loss("good"));

    // A checkpoint whose tensors or state have changed.
    succeeds(&dir, &format!("{SMALL} --out run --stop-after-step 20"));
    let tensors = dir.join("run/checkpoint/step-00000020.safetensors");
    let mut bytes = std::fs::read(&tensors).unwrap();
    let whole = bytes.clone();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&tensors, &bytes).unwrap();
    let says = ["not the bytes that were saved", "start afresh"];
    refuses(&dir, "digits --resume run", &says);
    std::fs::remove_file(&tensors).unwrap();
    refuses(&dir, "digits --resume run", &["cannot read"]);
    std::fs::write(&tensors, whole).unwrap();
    let state = dir.join("run/checkpoint/state.json");
    let text = std::fs::read_to_string(&state).unwrap();
    let wrong = text.replace("\"step\": 20", "\"step\": 99");
    std::fs::write(&state, wrong).unwrap();
    refuses(&dir, "digits --resume run", &["never at step 99"]);
    std::fs::write(&state, &text[..text.len() / 2]).unwrap();
    refuses(&dir, "digits --resume run", &["not the state of a run"]);
    let says = ["no checkpoint", "checkpoint/state.json"];
    refuses(&dir, "digits --resume nowhere", &says);
}

#[test]
fn a_run_that_diverges_keeps_its_checkpoint() {
    let dir = folder("diverges");
    let out = train(&dir, &format!("{SMALL} --lr 1e30 --out run"));
    let text = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(2), "{text}");
    assert!(text.contains("Try a lower learning rate"), "{text}");
    assert!(
        text.contains("checkpoint is that of step 0 in run"),
        "{text}"
    );
    assert!(
        dir.join("run/checkpoint/step-00000000.safetensors")
            .exists()
    );
    assert!(!dir.join("run/metrics.json").exists());
}

#[test]
fn circles_and_spirals() {
    let dir = folder("planes");
    let said = succeeds(&dir, "spirals --data circles --widths 1,8");
    assert!(said.contains("width 8: "), "{said}");
    let run = dir.join("runs/circles-seed0");
    let nets = json(run.join("metrics.json"))["nets"].clone();
    let right = |i: usize| nets[i]["test_accuracy"].as_f64().unwrap();
    assert!(right(0) < 0.85 && right(1) > 0.97, "{nets}");
    let svg = std::fs::read_to_string(run.join("boundaries.svg")).unwrap();
    assert!(svg.contains("width 8"));
    refuses(&dir, "spirals --data circles", &["finished run"]);
    succeeds(&dir, "spirals --widths 3 --epochs 2 --out s");
    assert!(dir.join("s/weights-width3.safetensors").exists());
}
