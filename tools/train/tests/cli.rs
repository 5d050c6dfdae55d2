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
    assert_eq!(metrics["device"], "cpu");
    let confusion = metrics["test"]["confusion"].as_array().unwrap();
    let counts = confusion.iter().flat_map(|r| r.as_array().unwrap());
    assert_eq!(counts.map(|c| c.as_u64().unwrap()).sum::<u64>(), 359);
    for picture in ["learning-curve", "confusion", "misread"] {
        let svg = run.join(format!("{picture}.svg"));
        let svg = std::fs::read_to_string(svg).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("<desc"));
    }
}

/// A build without the GPU hands the command on to cargo, and ends as it does.
#[cfg(all(unix, not(feature = "gpu")))]
#[test]
fn a_build_without_the_gpu_asks_cargo_for_one() {
    let dir = folder("hands-on");
    for args in ["devices", "digits --seed 3 --device gpu"] {
        let out = command(&dir, args).env("CARGO", "echo").output().unwrap();
        let build = "run --release --package train --features gpu --";
        let said = String::from_utf8(out.stdout).unwrap();
        assert_eq!(said, format!("{build} {args}\n"));
        let said = String::from_utf8(out.stderr).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains("has no GPU"), "{said}");

        let out = command(&dir, args).env("CARGO", "false").output().unwrap();
        assert_eq!(out.status.code(), Some(1));
        let refused = |command: &mut Command, says: &[&str]| {
            let out = command.output().unwrap();
            let said = String::from_utf8(out.stderr).unwrap();
            assert_eq!(out.status.code(), Some(2), "{said}");
            for part in says {
                assert!(said.contains(part), "no {part:?} in {said}");
            }
        };
        let nowhere = "cannot run no/cargo: ";
        refused(command(&dir, args).env("CARGO", "no/cargo"), &[nowhere]);
        let type_it = format!("Type `cargo {build}` and the same options");
        refused(command(&dir, args).env_remove("CARGO"), &[&type_it]);
    }
    assert!(files(&dir).is_empty());
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
        ("digits --lr -1", "learning rate: -1 is not a number ≥ 0"),
        ("digits --resume runs/x --epochs 5", "cannot be used with"),
        ("digits --bits 0", "0 is not in 1..=16"),
        ("digits --bits 17", "17 is not in 1..=16"),
        ("digits --bits few", "invalid digit"),
        ("digits --round 8,0", "0 is not in 1..=16"),
        ("digits --resume runs/x --bits 2", "cannot be used with"),
        ("digits --hidden 99999,99999", "Choose smaller widths"),
        ("digits --threads 99999", "--threads"),
        ("faces", "unrecognized subcommand"),
        ("digits --device tpu", "invalid value 'tpu' for '--device"),
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

/// Weights of few bits belong to the run: it goes on with them.
#[test]
fn few_bits_in_training_and_afterwards() {
    let dir = folder("bits");
    let said = succeeds(&dir, &format!("{SMALL} --bits 1 --out straight"));
    let accuracy = |run: &str| {
        let metrics = json(dir.join(run).join("metrics.json"));
        metrics["test"]["accuracy"].as_f64().unwrap()
    };
    let trained = accuracy("straight");
    let read = format!("{:.2} % of 359 test images", 100. * trained);
    assert!(said.starts_with(&read), "{said}");
    assert!(
        said.contains(" wrong) with weights of 1 bit, 3 epochs"),
        "{said}"
    );
    let want = result(&dir.join("straight"));
    let stop = "--bits 1 --out stopped --stop-after-step 50 --round 1";
    let said = succeeds(&dir, &format!("{SMALL} {stop}"));
    assert!(said.contains("--resume stopped --round 1"), "{said}");
    succeeds(&dir, "digits --resume stopped");
    assert!(result(&dir.join("stopped")) == want);

    // A finished run is rounded without training it again. Rounded to the bits
    // that it computes with it is what it was.
    let said = succeeds(&dir, "digits --resume stopped --round 8,1");
    let with = |accuracy: f64, bits: &str| {
        let accuracy = 100. * accuracy;
        format!("{accuracy:.2} % with weights of {bits}, rounded afterwards\n")
    };
    assert!(said.contains(&with(trained, "1 bit")), "{said}");
    let metrics = json(dir.join("stopped/metrics.json"));
    let rounded = metrics["test"]["rounded"].as_array().unwrap();
    assert_eq!(rounded.len(), 2);
    let at_8 = rounded[0]["accuracy"].as_f64().unwrap();
    assert!(said.contains(&with(at_8, "8 bits")), "{said}");

    succeeds(&dir, &format!("{SMALL} --out whole --round 16,1"));
    let metrics = json(dir.join("whole/metrics.json"));
    let rounded = &metrics["test"]["rounded"];
    let right = |i: usize| rounded[i]["accuracy"].as_f64().unwrap();
    assert!((right(0) - accuracy("whole")).abs() < 0.006);
    assert!(right(1) < trained - 0.05, "{} and {trained}", right(1));
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
    let damaged = ["tensor layers.0.weight lies at", "use another one"];
    refuses(&dir, &format!("{SMALL} --load half.safetensors"), &damaged);
    let damaged = ["not a whole safetensors file", "use another one"];
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
    succeeds(&dir, "digits --resume run --lr 0.05");
}

// ---- a policy -----------------------------------------------------------

/// A hundred steps, a tenth of a second.
const POLICY: &str = "policy --steps 100 --report-every 30";

#[test]
fn a_policy_finds_its_way() {
    let dir = folder("policy");
    let said = succeeds(&dir, "policy --seed 2");
    let run = dir.join("runs/policy-seed2");
    let metrics = json(run.join("metrics.json"));
    let number = |path: &str| metrics.pointer(path).unwrap().as_f64().unwrap();
    let (value, best) = (number("/value"), number("/best"));
    assert!(best - 0.03 < value && value < best, "{value} of {best}");
    let summary = format!(
        "Exact expected return {value:.3}, at best {best:.3}, at the start \
         {:.3}; 500 steps of 4 episodes",
        number("/reports/0/value"),
    );
    assert!(said.contains(&summary), "{said}");
    let picture = std::fs::read_to_string(run.join("policy.txt")).unwrap();
    assert!(said.starts_with(&picture), "{said}");
    // the way along the wall and over the top, which all learn
    let lines: Vec<&str> = picture.lines().collect();
    assert_eq!(lines[0], "learned    best possible");
    for (line, start) in lines[1..].iter().zip(["→→→→G", "↑", "↑", "↑", "↑"])
    {
        let [learned, best] = [0, 11].map(|column| {
            line.chars().skip(column).take(5).collect::<String>()
        });
        assert!(learned.starts_with(start), "{picture}");
        assert!(best.starts_with(start), "{picture}");
    }
    let own: String = lines[1..]
        .iter()
        .map(|l| l.split(' ').next())
        .fold(String::new(), |all, line| all + line.unwrap() + "\n");
    let list = |path: &str| metrics.pointer(path).unwrap().as_array().unwrap();
    let told = list("/picture").iter().map(|l| l.as_str().unwrap());
    assert_eq!(told.collect::<Vec<_>>(), own.lines().collect::<Vec<_>>());
    assert_eq!((list("/losses").len(), list("/reports").len()), (500, 51));
    let row = list("/policy/20").iter().map(|p| p.as_f64().unwrap());
    assert!((row.sum::<f64>() - 1.).abs() < 1e-6);
    assert_eq!(metrics["world"]["map"][4], "S....");
    let svg = std::fs::read_to_string(run.join("learning-curve.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("<desc"));

    // What it has learned is where the next run starts.
    let weights = "--load runs/policy-seed2/weights.safetensors";
    succeeds(&dir, &format!("policy {weights} --steps 0 --out again"));
    let again = result(&dir.join("again"));
    assert_eq!(again.1["reports"][0]["value"], metrics["value"]);
    assert!(again.0 == std::fs::read(run.join("weights.safetensors")).unwrap());
}

#[test]
fn a_policy_that_was_stopped_goes_on_to_the_same_bits() {
    let dir = folder("policy-resume");
    succeeds(&dir, &format!("{POLICY} --out run --threads 1"));
    let want = result(&dir.join("run"));
    for stop in [17, 30, 100] {
        let out = format!("--out stop{stop} --stop-after-step {stop}");
        let said = succeeds(&dir, &format!("{POLICY} {out} --threads 2"));
        assert!(said.contains(&format!("Stopped after step {stop} of 100")));
        let again = format!("policy --resume stop{stop}");
        assert!(said.contains(&format!("cargo train {again}")), "{said}");
        succeeds(&dir, &again);
        assert!(result(&dir.join(format!("stop{stop}"))) == want);
    }
}

#[test]
fn what_no_policy_can_be_made_of() {
    let dir = folder("policy-wrong");
    succeeds(&dir, &format!("{POLICY} --out run"));
    succeeds(&dir, &format!("{SMALL} --out digits"));
    for (args, says) in [
        ("--batch 0", "must be at least 1"),
        (
            "--batch 10001",
            "batch: 10001 is not at most 10000 episodes",
        ),
        ("--slip 2", "slip: 2 is not in [0, 1]"),
        ("--baseline -1", "baseline: -1 is not in [0, 1]"),
        ("--lr -1", "learning rate: -1 is not a number ≥ 0"),
        ("--report-every 0", "report every: 0 is not at least 1"),
        ("--epochs 3", "unexpected argument '--epochs'"),
        ("--resume run --steps 2", "cannot be used with"),
        ("--resume run --slip 0", "cannot be used with"),
        ("--resume digits", "this run learns digits, not policy"),
        ("--resume nowhere", "nowhere holds no checkpoint"),
        ("--out run", "run holds a finished run"),
        (
            "--load digits/weights.safetensors",
            "logits.weight is missing",
        ),
        ("--load no", "cannot read no"),
    ] {
        refuses(&dir, &format!("policy {args}"), &[says]);
    }
    let says = ["this run learns policy, not digits"];
    refuses(&dir, "digits --resume run", &says);
    let load = "--load run/weights.safetensors";
    refuses(&dir, &format!("{SMALL} {load}"), &["another model"]);

    // A run in another world, and one that was changed by hand.
    let file = dir.join("run/checkpoint/state.json");
    let state = std::fs::read_to_string(&file).unwrap();
    let world = json(file.clone())["data"].as_str().unwrap().to_owned();
    let changed = |from: &str, to: &str| {
        assert!(state.contains(from), "{state}");
        std::fs::write(&file, state.replacen(from, to, 1)).unwrap();
    };
    changed(&world, "0123456789abcdef");
    let says = ["run: this run learned its way in a world of another map"];
    refuses(&dir, "policy --resume run", &says);
    changed("\"slip\": 0.1", "\"slip\": 3.5");
    refuses(&dir, "policy --resume run", &["slip: 3.5 is not in [0, 1]"]);
    changed("\"steps\": 100", "\"steps\": 50");
    refuses(&dir, "policy --resume run", &["is never at step 100"]);

    // A rate so high that the logits are no numbers.
    let out = train(&dir, "policy --lr 1e39 --out far");
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.contains("step 2: the loss is NaN"), "{said}");
    assert!(said.contains("policy --resume far --lr RATE"), "{said}");
    succeeds(&dir, "policy --resume far --lr 1");
}

// ---- text ---------------------------------------------------------------

/// A language model so small that a run takes a second.
const GPT: &str = "gpt --data t.txt --layers 2 --heads 2 --width 16 \
                   --context 12 --positions learned --steps 30 --batch 4 --sample 20 \
                   --report-every 10";
const LORA: &str = "lora --base base --data u.txt --base-data t.txt --rank 2 \
                    --steps 8 --batch 4 --report-every 4 --sample 20";

const RNN: &str = "rnn --data t.txt --width 8 --hidden 16 --context 12 \
                   --steps 30 --batch 4 --lr 0.01 --sample 20 --report-every 10";

/// A folder with two texts and, if asked, a model that has read the first.
fn with_texts(name: &str, base: bool) -> PathBuf {
    let dir = folder(name);
    let cats = "the cat sat on the mat. a rat saw the cat.\n".repeat(20);
    let rats = "a rat, a mat, a hat; that was what the rat saw.\n".repeat(20);
    let cats = cats + "what,; who?\n";
    std::fs::write(dir.join("t.txt"), cats).unwrap();
    std::fs::write(dir.join("u.txt"), rats).unwrap();
    if base {
        succeeds(&dir, &format!("{GPT} --out base"));
    }
    dir
}

#[test]
fn a_language_model_and_its_adapters() {
    let dir = with_texts("gpt", false);
    let save = "--save w.safetensors --activation swiglu \
                --norm rms-norm --kv-heads 1 --accumulate 2 --recompute 1 \
                --dropout 0.1 --attention plain --prompt the --lr 0.01";
    let said = succeeds(&dir, &format!("{GPT} --out base {save}"));
    let run = dir.join("base");
    let metrics = json(run.join("metrics.json"));
    let number = |path: &str| metrics.pointer(path).unwrap().as_f64().unwrap();
    let loss = number("/validation/loss");
    assert!(loss < number("/reports/0/validation"), "{metrics}");
    assert!(
        said.contains(&format!("Validation loss {loss:.3}")),
        "{said}"
    );
    assert!(said.starts_with("the"), "{said}");
    let list = |path: &str| metrics.pointer(path).unwrap().as_array().unwrap();
    assert_eq!(list("/losses").len(), 30);
    assert_eq!(list("/groups").len(), list("/reports/3/norms").len());
    let sample = metrics["sample"].as_str().unwrap();
    assert_eq!(sample.chars().count(), 23);
    let bytes = |p: PathBuf| std::fs::read(p).unwrap();
    let weights = bytes(run.join("weights.safetensors"));
    assert!(weights == bytes(dir.join("w.safetensors")));
    for picture in ["learning-curve", "gradient-norms"] {
        let svg = run.join(format!("{picture}.svg"));
        let svg = std::fs::read_to_string(svg).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("<desc"));
    }

    let merge = "--merge merged.safetensors --lr 0.03";
    let said = succeeds(&dir, &format!("{LORA} --out lora {merge}"));
    let run = dir.join("lora");
    let metrics = json(run.join("metrics.json"));
    let number = |path: &str| metrics.pointer(path).unwrap().as_f64().unwrap();
    let (before, after) =
        (number("/validation/before"), number("/validation/after"));
    assert!(after < before, "{metrics}");
    assert!(number("/base_text/after") > 0.);
    // 2 blocks; A and B of 16→32, 16→16, 16→128, 64→16 at rank 2
    let trained = 2 * 2 * (16 + 32 + 16 + 16 + 16 + 128 + 64 + 16);
    assert_eq!(number("/parameters/trained"), f64::from(trained));
    assert!(
        said.contains(&format!("{trained} parameters trained")),
        "{said}"
    );
    let file = bytes(run.join("adapter_model.safetensors")).len();
    assert_eq!(number("/adapter_bytes"), file as f64);
    assert!(said.contains("---- before\n") && said.contains("---- after\n"));
    // What was trained is used again, and says what the run has said.
    let adapter = "lora --base base --data u.txt --base-data t.txt --adapter";
    let used =
        "lora/adapter_model.safetensors --sample 20 --merge again.safetensors";
    let said = succeeds(&dir, &format!("{adapter} {used}"));
    assert!(said.contains("---- before\n") && said.contains("---- after\n"));
    let losses = format!("{before:.3} without the adapters, {after:.3} with");
    assert!(said.contains(&format!("the new text {losses}")), "{said}");
    let merged = |file: &str| bytes(dir.join(file));
    assert!(merged("again.safetensors") == merged("merged.safetensors"));
    let there = "again.safetensors is there already";
    refuses(&dir, &format!("{adapter} {used}"), &[there]);
    let said = succeeds(&dir, &format!("{adapter} lora --sample 20"));
    assert!(said.contains(&format!("the new text {losses}")), "{said}");
    let peft = json(run.join("adapter_config.json"));
    assert_eq!(peft["target_modules"].as_array().unwrap().len(), 4);
    // Not on another base, of other sizes or of the same, nor anything else.
    let narrow = GPT.replace("--width 16", "--width 8");
    succeeds(&dir, &format!("{narrow} --out narrow"));
    for (base, says) in [
        ("narrow", "the model needs"),
        ("merged.safetensors", "are for the weights"),
    ] {
        let other = adapter.replace("--base base", &format!("--base {base}"));
        let file = "lora/adapter_model.safetensors";
        refuses(&dir, &format!("{other} {file}"), &[file, says]);
    }
    for (file, says) in [
        (
            "base/weights.safetensors",
            "does not say what adapters it holds",
        ),
        ("t.txt", "t.txt"),
        ("no.safetensors", "cannot read no.safetensors"),
        (
            "lora/adapter_model.safetensors --rank 2",
            "cannot be used with",
        ),
        (
            "lora/adapter_model.safetensors --steps 2",
            "cannot be used with",
        ),
    ] {
        refuses(&dir, &format!("{adapter} {file}"), &[says]);
    }
    // The merged weights are a base like any other, and as good.
    let again = LORA.replace("base base", "base merged.safetensors");
    succeeds(&dir, &format!("{again} --out again"));
    let metrics = json(dir.join("again/metrics.json"));
    let merged = metrics["validation"]["before"].as_f64().unwrap();
    assert!((merged - after).abs() < 1e-4, "{merged}, {after}");
}

#[test]
fn a_stopped_run_on_text_goes_on_to_the_same_bits() {
    let dir = with_texts("text-resume", true);
    let want = result(&dir.join("base"));
    // between a step and its report, between reports, and at the end
    for stop in [10, 17, 30] {
        let out = format!("--out stop{stop} --stop-after-step {stop}");
        let said = succeeds(&dir, &format!("{GPT} {out} --threads 2"));
        assert!(said.contains(&format!("Stopped after step {stop} of 30")));
        let resume = format!("--resume stop{stop} --sample 20");
        succeeds(&dir, &format!("gpt --data t.txt {resume}"));
        assert!(result(&dir.join(format!("stop{stop}"))) == want);
    }
    let adapter = |run: &str| {
        let file = dir.join(run).join("adapter_model.safetensors");
        let mut metrics = json(dir.join(run).join("metrics.json"));
        metrics.as_object_mut().unwrap().remove("seconds");
        (std::fs::read(file).unwrap(), metrics)
    };
    succeeds(&dir, &format!("{LORA} --out lora"));
    succeeds(&dir, &format!("{LORA} --out half --stop-after-step 5"));
    let text = "--data u.txt --base-data t.txt --sample 20";
    succeeds(&dir, &format!("lora --resume half {text}"));
    assert!(adapter("half") == adapter("lora"));

    // Each run is resumed as what it is, on its own text.
    let other = ["this run learns lora, not gpt"];
    refuses(&dir, "gpt --data t.txt --resume half", &other);
    refuses(&dir, "digits --resume half", &["learns lora, not digits"]);
    let other = ["another text", "--data FILE"];
    refuses(&dir, "gpt --data u.txt --resume base", &other);
    // also if it has characters that the run does not know
    refuses(&dir, "gpt --resume base", &other);

    // The command that is printed goes on with all that belongs to the run.
    let options = "--out own --stop-after-step 3 --top-k 5 --save own.st";
    let said = succeeds(&dir, &format!("{GPT} {options}"));
    let command = "gpt --resume own --data t.txt --save own.st --sample 20 \
                   --top-k 5";
    assert!(said.contains(&format!("cargo train {command}\n")), "{said}");
    succeeds(&dir, command);
    assert!(dir.join("own.st").exists());
    // what is there is only written over if told
    refuses(&dir, command, &["own.st is there already", "--force"]);
    succeeds(&dir, &format!("{command} --force"));
}

#[test]
fn a_recurrent_network() {
    let dir = with_texts("rnn", false);
    let save = "--save w.safetensors --prompt the";
    let said = succeeds(&dir, &format!("{RNN} --out run {save}"));
    let run = dir.join("run");
    let metrics = json(run.join("metrics.json"));
    let number = |path: &str| metrics.pointer(path).unwrap().as_f64().unwrap();
    let loss = number("/validation/loss");
    assert!(loss < number("/reports/0/validation") - 0.5, "{metrics}");
    assert!(
        said.contains(&format!("Validation loss {loss:.3}")),
        "{said}"
    );
    assert!(said.starts_with("the"), "{said}");
    // V·I + I·H + H·H + 2·H + H·V + V with the 17 characters of the text
    let parameters = 17 * 8 + 8 * 16 + 16 * 16 + 2 * 16 + 16 * 17 + 17;
    assert_eq!(number("/model/parameters"), f64::from(parameters));
    let list = |path: &str| metrics.pointer(path).unwrap().as_array().unwrap();
    assert_eq!(list("/losses").len(), 30);
    assert_eq!(metrics["groups"], serde_json::json!(RNN_GROUPS));
    assert_eq!(metrics["sample"].as_str().unwrap().chars().count(), 23);
    let bytes = |p: PathBuf| std::fs::read(p).unwrap();
    let weights = bytes(run.join("weights.safetensors"));
    assert!(weights == bytes(dir.join("w.safetensors")));
    for picture in ["learning-curve", "gradient-norms"] {
        let svg = run.join(format!("{picture}.svg"));
        let svg = std::fs::read_to_string(svg).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("<desc"));
    }

    // What it has learned is where the next run starts, or writes from.
    let load = "--load w.safetensors --steps 0 --out again --prompt the";
    let again = RNN.replace("--steps 30", "");
    succeeds(&dir, &format!("{again} {load}"));
    let again = result(&dir.join("again"));
    assert!(again.0 == weights);
    assert_eq!(again.1["validation"], metrics["validation"]);
    assert_eq!(again.1["sample"], metrics["sample"]);

    // A run that is stopped goes on to the same bits, state and all.
    let want = result(&run);
    for stop in [10, 17, 30] {
        let out = format!("--out stop{stop} --stop-after-step {stop}");
        let args = format!("{RNN} --prompt the {out} --threads 2");
        let said = succeeds(&dir, &args);
        assert!(said.contains(&format!("Stopped after step {stop} of 30")));
        let command =
            format!("rnn --resume stop{stop} --data t.txt --prompt the");
        assert!(said.contains(&format!("cargo train {command}")), "{said}");
        succeeds(&dir, &format!("{command} --sample 20"));
        assert!(result(&dir.join(format!("stop{stop}"))) == want);
    }
    let other = ["another text", "--data FILE"];
    refuses(&dir, "rnn --data u.txt --resume run", &other);
    let other = ["this run learns rnn, not gpt"];
    refuses(&dir, "gpt --data t.txt --resume run", &other);
}

const RNN_GROUPS: [&str; 3] = ["encoder", "rnn", "decoder"];

/// Weights of a GPT and of a recurrent network are told apart, whichever is
/// asked for; sizes and characters by the name of what does not fit.
#[test]
fn weights_of_a_recurrent_network_that_do_not_fit() {
    let dir = with_texts("rnn-load", true);
    succeeds(
        &dir,
        &format!("{RNN} --steps 1 --out run").replace("--steps 30", ""),
    );
    let load = "--load run/weights.safetensors";
    for (option, value, says) in [
        (
            "width",
            "9",
            "encoder.weight has shape [17, 8], the model needs",
        ),
        ("hidden", "15", "rnn.weight_ih_l0 has shape [16, 8]"),
        ("data", "u.txt", "its characters are"),
    ] {
        let mut words: Vec<&str> = RNN.split_whitespace().collect();
        let at = words.iter().position(|w| w.ends_with(option)).unwrap();
        words[at + 1] = value;
        refuses(&dir, &format!("{} {load}", words.join(" ")), &[says]);
    }
    let other = ["encoder.weight is missing", "another model"];
    let of_gpt = "--load base/weights.safetensors";
    refuses(&dir, &format!("{RNN} {of_gpt}"), &other);
    let other = ["transformer.wte.weight is missing", "another model"];
    refuses(&dir, &format!("{GPT} {load}"), &other);
    let other = ["does not say what model it holds"];
    refuses(&dir, "lora --base run --data u.txt", &other);
    let damaged = ["half: ", "use another one"];
    let bytes = std::fs::read(dir.join("run/weights.safetensors")).unwrap();
    std::fs::write(dir.join("half"), &bytes[..bytes.len() / 2]).unwrap();
    refuses(&dir, &format!("{RNN} --load half"), &damaged);
}

#[test]
fn the_help_says_what_holds_unless_told() {
    let dir = folder("help");
    let words = |args| {
        let text = succeeds(&dir, args);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let help = words("gpt --help");
    let of_model = "--layers 4 --heads 4 --width 128 --context 64 --norm \
                    layer-norm --activation gelu --positions rope --attention \
                    tiled";
    assert!(help.contains(of_model), "{help}");
    let of_steps = "--batch 12 --steps 4000 --lr 0.003 --warmup 100 --floor \
                    0.1 --beta1 0.9 --beta2 0.99 --decay 0.1 --clip 1 \
                    --dropout 0";
    assert!(help.contains(of_steps), "{help}");
    let help = words("lora --help");
    let of_lora = "--rank 8, alpha twice that, --on qkv,out,up,down --batch 12 \
                   --steps 500 --lr 0.003 --warmup 50";
    assert!(help.contains(of_lora), "{help}");
    let help = words("rnn --help");
    let of_rnn = "--width 64 --hidden 830 --context 64 --batch 32 --steps 1000 \
                  --lr 0.004 --warmup 100 --floor 0.1";
    assert!(help.contains(of_rnn), "{help}");
    let of_policy = "--steps 500 --batch 4 --lr 2 --baseline 0.3 --slip 0.1";
    let policy = words("policy --help");
    assert!(policy.contains(of_policy), "{policy}");
    // what it does not have
    for option in ["--dropout", "--accumulate", "--recompute", "--layers"] {
        assert!(!help.contains(option), "{help}");
    }
}

/// What the base forgets is told on a text that it has learned, or that the
/// user calls so.
#[test]
fn the_text_of_the_base_is_that_of_the_base() {
    let dir = with_texts("text-base", false);
    // all characters of Shakespeare, but not his words
    let plays = backprop::training::text::shakespeare();
    let characters = backprop::training::text::Vocabulary::of(&plays);
    let text = characters.to_string().repeat(9);
    std::fs::write(dir.join("t.txt"), text).unwrap();
    succeeds(&dir, &format!("{GPT} --out base"));
    let known = LORA.replace("--base-data t.txt ", "");
    let looked = |run: &str| {
        let metrics = json(dir.join(run).join("metrics.json"));
        !metrics["base_text"].is_null()
    };
    let said = succeeds(&dir, &format!("{known} --out not"));
    assert!(
        !said.contains("text of the base") && !looked("not"),
        "{said}"
    );
    let said = succeeds(&dir, &format!("{LORA} --out told"));
    assert!(
        said.contains("text of the base") && looked("told"),
        "{said}"
    );
    let of_plays = GPT.replace("--data t.txt ", "");
    succeeds(&dir, &format!("{of_plays} --out plays"));
    let known_plays = known.replace("--base base", "--base plays");
    succeeds(&dir, &format!("{known_plays} --out known"));
    assert!(looked("known"));
    succeeds(
        &dir,
        &format!("{known_plays} --out part --stop-after-step 5"),
    );
    succeeds(&dir, "lora --resume part --data u.txt --sample 20");
    assert!(looked("part"));
    // also when the run is gone on with
    succeeds(&dir, &format!("{known} --out half --stop-after-step 5"));
    succeeds(&dir, "lora --resume half --data u.txt --sample 20");
    assert!(!looked("half"));
}

#[test]
fn options_on_text_that_do_not_fit() {
    let dir = with_texts("text-options", true);
    std::fs::write(dir.join("empty.txt"), "").unwrap();
    std::fs::write(dir.join("latin.txt"), b"caf\xe9").unwrap();
    std::fs::write(dir.join("short.txt"), "what").unwrap();
    std::fs::write(dir.join("x.txt"), "the cat\nis an axe").unwrap();
    for (args, says) in [
        (
            "gpt --norm batch",
            "unknown variant `batch`, expected `layer-norm`",
        ),
        ("gpt --heads 3", "width 128 cannot be shared by 3 heads"),
        ("gpt --heads 4 --kv-heads 3", "4 heads cannot share 3 keys"),
        (
            "gpt --width 6 --heads 2 --positions rope",
            "rotated in pairs",
        ),
        ("gpt --accumulate 5", "accumulate: 5 is not a divisor"),
        ("gpt --dropout 1", "dropout: 1 is not in [0, 1)"),
        ("gpt --floor 2", "schedule floor: 2 is not in [0, 1]"),
        ("gpt --layers 99999", "model: "),
        (
            "gpt --temperature -1",
            "temperature: -1 is not a number ≥ 0",
        ),
        ("gpt --lr -1", "learning rate: -1 is not a number ≥ 0"),
        ("gpt --beta1 -0.5", "beta1: -0.5 is not in [0, 1)"),
        (
            "gpt --warmup 18446744073709551615",
            "schedule steps: 18446744073709551615 is not below",
        ),
        ("gpt --width 9999999999999999999", "model: width is 99999"),
        (
            "gpt --layers 8000000 --width 1 --heads 1 --positions learned",
            "layers: 8000000 is not at most 1024",
        ),
        (
            "gpt --context 32768 --attention plain",
            "or --attention tiled",
        ),
        ("gpt --save t.txt", "t.txt is there already"),
        (
            "gpt --save no/w.safetensors",
            "cannot write no/w.safetensors",
        ),
        ("gpt --save base --force", "cannot write base"),
        (
            "lora --base base --data u.txt --merge t.txt",
            "t.txt is there already",
        ),
        ("gpt --top-k 0", "top: 0 is not at least 1"),
        (
            "gpt --prompt é",
            "the prompt, line 1, column 1: 'é' is not one of",
        ),
        ("gpt --prompt=", "the prompt is empty"),
        ("gpt --resume base --layers 2", "cannot be used with"),
        ("gpt --resume base --steps 2", "cannot be used with"),
        ("gpt --data no.txt", "cannot read no.txt"),
        ("gpt --data empty.txt", "empty.txt: no text in the file"),
        ("gpt --data latin.txt", "latin.txt, line 1: byte 0xe9"),
        ("gpt --data short.txt", "a context of 64 needs 65"),
        ("rnn --hidden 0", "must be at least 1"),
        ("rnn --hidden 99999", "model: "),
        ("rnn --context 99999999", "batch: "),
        ("rnn --clip 0", "clip: 0 is not a number > 0"),
        ("rnn --dropout 0.1", "unexpected argument '--dropout'"),
        ("rnn --prompt é", "the prompt, line 1, column 1: 'é'"),
        ("rnn --data short.txt", "a context of 64 needs 65"),
        ("rnn --save t.txt", "t.txt is there already"),
        ("rnn --resume base", "this run learns gpt, not rnn"),
        ("rnn --resume base --hidden 2", "cannot be used with"),
        ("rnn --resume base --steps 2", "cannot be used with"),
        ("gpt --resume base --dropout 0.2", "cannot be used with"),
        ("lora", "Train a model first: `cargo train gpt`"),
        ("lora --base nowhere", "nowhere is not there"),
        (
            "lora --base base --data x.txt",
            "x.txt, line 2, column 1: 'i'",
        ),
        ("lora --base base", "'C' is not one of the characters"),
        ("lora --base base --data u.txt --rank 17", "rank: 17 is not"),
        (
            "lora --base base --data u.txt --on head",
            "invalid value 'head'",
        ),
        ("lora --base base --data u.txt --alpha 0", "alpha: 0 is not"),
    ] {
        refuses(&dir, args, &[says]);
    }
}

#[test]
fn weights_that_do_not_fit() {
    let dir = with_texts("text-load", true);
    let file = dir.join("base/weights.safetensors");
    let load = "--load base/weights.safetensors";
    for (option, value, says) in [
        (
            "width",
            "20",
            "transformer.wte.weight has shape [17, 16], the model needs \
             [17, 20]",
        ),
        ("layers", "3", "transformer.h.2.ln_1.weight is missing"),
        ("context", "13", "transformer.wpe.weight has shape [12, 16]"),
        ("heads", "4", "heads: 2"),
        ("data", "u.txt", "its characters are"),
    ] {
        let mut words: Vec<&str> = GPT.split_whitespace().collect();
        let at = words.iter().position(|w| w.ends_with(option)).unwrap();
        words[at + 1] = value;
        refuses(&dir, &format!("{} {load}", words.join(" ")), &[says]);
    }
    // What a run has learned is where the next one starts.
    succeeds(&dir, &format!("{GPT} {load} --out on"));
    let loss = |run: &str, i: usize| {
        let metrics = json(dir.join(run).join("metrics.json"));
        metrics["reports"][i]["validation"].as_f64().unwrap()
    };
    assert_eq!(loss("on", 0), loss("base", 3));
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(dir.join("half"), &bytes[..bytes.len() / 2]).unwrap();
    let damaged = ["half: ", "use another one"];
    refuses(&dir, &format!("{GPT} --load half"), &damaged);
    refuses(&dir, "lora --base half --data u.txt", &damaged);
}

#[test]
fn a_run_on_text_that_diverges_keeps_its_checkpoint() {
    let dir = with_texts("text-diverges", false);
    let out = train(&dir, &format!("{GPT} --lr 1e30 --out run"));
    let text = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(2), "{text}");
    assert!(
        text.contains("first tensor that is not finite is"),
        "{text}"
    );
    assert!(
        text.contains("checkpoint is that of step 0 in run"),
        "{text}"
    );
    assert!(
        dir.join("run/checkpoint/step-00000000.safetensors")
            .exists()
    );
    assert!(!dir.join("run/metrics.json").exists());
    // The command that the message names goes on.
    let command = "gpt --resume run --data t.txt --sample 20 --lr";
    assert!(
        text.contains(&format!("cargo train {command} RATE")),
        "{text}"
    );
    succeeds(&dir, &format!("{command} 0.01"));
    let settings = &json(dir.join("run/metrics.json"))["settings"];
    assert_eq!(settings["lr"], 0.01);
    // a short run has a short warm-up
    assert_eq!(settings["schedule"]["warmupcosine"]["steps"], 3);
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
