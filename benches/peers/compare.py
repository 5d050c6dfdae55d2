"""Times the training step of benches/mlp_step.rs beside PyTorch's, in turns,
on the same cores, and prints the ratio.

    python benches/peers/compare.py            # three rounds
    python benches/peers/compare.py --save     # and writes benches/results/

Needs a Python with torch, and cargo. A step takes some microseconds, so run it
on a machine that does nothing else; both the median and the least time of
each round are shown, and their ratios agree when the machine was quiet. The
number that counts is the ratio of medians against PyTorch as it comes (eager,
default optimiser), with the number of threads that is best for PyTorch. On a
busy machine the ratio of the least times is the more honest one.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CRITERION = "mlp_step_64-128-10 batch 32"
BENCH = ["cargo", "bench", "--quiet", "--bench", "mlp_step", "--", "--noplot"]


def ours():
    subprocess.run(
        BENCH + ["--warm-up-time", "1", "--measurement-time", "3"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    found = target / "criterion" / CRITERION / "new" / "sample.json"
    sample = json.loads(found.read_text())
    times = [t / n * 1e-9 for t, n in zip(sample["times"], sample["iters"])]
    return {"median_s": statistics.median(times), "least_s": min(times)}


def theirs():
    script = Path(__file__).with_name("pytorch.py")
    command = [sys.executable, str(script)]
    out = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(out.stdout)


def said_by(*command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip()


def cpu():
    try:
        info = Path("/proc/cpuinfo").read_text()
        return re.search(r"model name\s*: (.*)", info).group(1)
    except (OSError, AttributeError):
        return platform.processor() or platform.machine()


def one_round():
    mine, torch = ours(), theirs()
    eager = [r for r in torch["rows"] if r["optimizer"] == "default"]
    ratio = {
        which: mine[which] / min(r[which] for r in eager)
        for which in ("median_s", "least_s")
    }
    best = min(eager, key=lambda r: r["median_s"])
    print(
        f"{mine['median_s'] * 1e6:.1f} µs (least {mine['least_s'] * 1e6:.1f})"
        f" against {best['median_s'] * 1e6:.1f} µs"
        f" (least {best['least_s'] * 1e6:.1f}, {best['threads']} threads):"
        f" ratio {ratio['median_s']:.3f} (of the least {ratio['least_s']:.3f})",
        flush=True,
    )
    return {
        "backprop": mine,
        "pytorch": torch,
        "ratio_median": ratio["median_s"],
        "ratio_least": ratio["least_s"],
    }


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    args.add_argument("--rounds", type=int, default=3)
    args.add_argument("--save", action="store_true")
    args.add_argument("--machine", help="name of the file in benches/results/")
    args = args.parse_args()

    rounds = [one_round() for _ in range(args.rounds)]
    ratio = statistics.median(r["ratio_median"] for r in rounds)
    least = statistics.median(r["ratio_least"] for r in rounds)
    print(
        f"ratio, median of {len(rounds)} rounds: {ratio:.3f}"
        f" (of the least times {least:.3f})"
    )
    if not args.save:
        return
    machine = {
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "os": platform.system(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }
    result = {
        "subject": "one training step: 64-128-10, batch 32, SGD with momentum",
        "machine": machine,
        "commit": said_by("git", "rev-parse", "HEAD"),
        "changed": said_by("git", "status", "--porcelain", "src") != "",
        "command": "python benches/peers/compare.py --save",
        "rustc": said_by("rustc", "--version"),
        "torch": rounds[0]["pytorch"]["torch"],
        "ratio_median": ratio,
        "ratio_least": least,
        "rounds": rounds,
    }
    name = args.machine or f"{machine['cpu']} {machine['cores']} cores"
    name = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    path = ROOT / "benches" / "results" / f"mlp-step-{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print(f"written to {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
