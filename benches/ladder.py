"""Runs the ladders of the crate (`speed::cpu`), from the plain version of an op
to the one that models use, and prints what each rung takes and buys.

    python benches/ladder.py            # the matrix product, softmax, attention
    python benches/ladder.py --save     # and writes benches/results/
    python benches/ladder.py --only matmul

Needs cargo and no package of Python's. The rungs are criterion benches called
`ladder/OP/RUNG`, in the order of the ladder; what is printed and stored is the
median and the least of criterion's samples.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(Path(__file__).parent / "peers"))
from compare import machine, said_by, time_of  # noqa: E402


def rungs(target, since):
    """Name to samples in seconds, of all rungs measured since then, in order."""
    found = []
    for about in target.glob("criterion/**/new/benchmark.json"):
        written = about.stat().st_mtime
        name = json.loads(about.read_text())["full_id"]
        if written >= since and name.startswith("ladder/"):
            s = json.loads(about.with_name("sample.json").read_text())
            times = [t / n * 1e-9 for t, n in zip(s["times"], s["iters"])]
            found.append((written, name, times))
    return {name: times for _, name, times in sorted(found)}


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    args.add_argument("--only", default="", help="the name of an op")
    args.add_argument("--save", action="store_true")
    args.add_argument("--machine", help="name of the file in benches/results/")
    args = args.parse_args()

    where, since = machine(os.cpu_count()), time.time()
    timing = ["--noplot", "--warm-up-time", "0.5", "--measurement-time", "2"]
    subprocess.run(
        ["cargo", "bench", "--quiet", "--package", "backprop", "--benches"]
        + ["--", f"ladder/{args.only}"]
        + timing,
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    ladders = {}
    for name, times in rungs(target, since).items():
        _, op, rung = name.split("/")
        rungs_of_op = ladders.setdefault(op, [])
        rungs_of_op.append(
            {
                "rung": rung,
                "median_s": float(f"{statistics.median(times):.4g}"),
                "least_s": float(f"{min(times):.4g}"),
            }
        )
    print("| op | rung | median | least | times faster than the first |")
    print("|---|---|---|---|---|")
    for op, found in ladders.items():
        for r in found:
            gain = found[0]["median_s"] / r["median_s"]
            times = f"{time_of(r['median_s'])} | {time_of(r['least_s'])}"
            print(f"| {op} | {r['rung']} | {times} | {gain:.3g} |")
    if not args.save:
        return
    result = {
        "subject": "the ladders of speed::cpu, rung by rung, in seconds",
        "machine": where,
        "commit": said_by("git", "rev-parse", "HEAD"),
        "changed": said_by("git", "status", "--porcelain", "src") != "",
        "command": " ".join(["python", "benches/ladder.py"] + sys.argv[1:]),
        "rustc": said_by("rustc", "--version"),
        "ladders": ladders,
    }
    name = args.machine or f"{where['cpu']} {where['cores']} cores"
    name = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    path = ROOT / "benches" / "results" / f"ladder-{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print(f"\nwritten to {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
