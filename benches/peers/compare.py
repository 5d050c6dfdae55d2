"""Times our work beside PyTorch's, in turns on the same cores, and prints the
table of ratios.

    python benches/peers/compare.py             # three rounds, all rows
    python benches/peers/compare.py --save      # and writes benches/results/,
                                                # the samples and the table
    python benches/peers/compare.py --only GPT --rounds 1
    python benches/peers/compare.py --threads 1
    python benches/peers/compare.py --keep-pages
    python benches/peers/compare.py --device gpu    # ours beside CUDA

Needs a Python with torch, and cargo. Two processes, ours (benches/rows.rs) and
PyTorch's (pytorch.py, a new one each round), take turns: in each round
every row is timed ours, theirs, ours, theirs. What is not running sleeps. The
ratio is that of the medians over all samples, against the setting that is best
for PyTorch (one thread or all, which optimiser); the spread is the smallest and
the largest ratio of a single round. Run it on a machine that does nothing else:
a spread much wider than a tenth says that something else ran.

PyTorch runs as it comes. In a fresh process with glibc an array of 32 MB or more is then given
back to the system when it is freed and fetched anew, page by page, by the next
step, where ours come from a pool. --keep-pages tells PyTorch's malloc to keep
them: the rows with large arrays (softmax-CE, GELU) show what that is worth. The
GPT rows neither clip nor read the loss back, on both sides.

With --device gpu our side runs through wgpu, with wgpu's checks of indices in
the products unless --unchecked is given, and PyTorch on CUDA in exact float32;
its TF32 and bfloat16 are shown too and take no part in the ratio. Where PyTorch
has no CUDA our times stand alone. They are shown, not stored: that is what
benches/record_gpu.py is for.

Memory is asked for in processes of their own: the most that was resident, and
what was resident before the model existed; ours also counts its tensors.
"""

import argparse
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTORCH = [sys.executable, str(Path(__file__).with_name("pytorch.py"))]

# Ours over PyTorch's, at most.
GOALS = {
    "sgemm": 1.05,
    "linear": 1.05,
    "softmax-CE": 0.2,
    "LayerNorm": 0.85,
    "GELU": 0.35,
    "attention B4 H8 T256": 0.65,
    "attention B1 H8 T1024": 0.75,
    "attention B1 H8 T4096": 0.8,
    "MLP": 0.12,
    "GPT 0.81M": 0.65,
    "GPT 10.8M": 0.75,
}
MEMORY = "GPT"


def said_by(*command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip()


# The same on a GPU. Products have goals in FLOP/s: see benches/gpu.rs.
GPU_GOALS = {
    "GPT 0.81M": 1.0,
    "GPT 10.8M B64": 1 / 0.65,
    "GPT 85M B8": 1 / 0.6,
}


def built(features):
    """The program of benches/rows.rs."""
    command = ["cargo", "bench", "--bench", "rows", "--no-run"] + features
    out = subprocess.run(
        command + ["--message-format=json-render-diagnostics"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    made = [json.loads(line) for line in out.splitlines() if line[:1] == "{"]
    return [m["executable"] for m in made if m.get("executable")][-1]


KEEP_PAGES = {
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**36),
    "MALLOC_TOP_PAD_": str(2**28),
}


def environment(threads):
    names = ("RAYON_NUM_THREADS", "THREADS", "OMP_NUM_THREADS")
    return os.environ | {name: str(threads) for name in names}


class Server:
    """A process that answers `SECONDS NAME` with a line of JSON."""

    def __init__(self, command, threads, settings={}):
        self.process = subprocess.Popen(
            command + ["serve"],
            cwd=ROOT,
            env=environment(threads) | settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise EOFError(f"{self.process.args[0]} ended without an answer")
        return json.loads(line)

    def ask(self, name, seconds):
        self.process.stdin.write(f"{seconds} {name}\n")
        self.process.stdin.flush()
        return self.answer()


def both(name, ours, theirs, seconds):
    """One round of one row: ours, theirs, ours, theirs."""
    samples, settings = [], {}
    for _ in range(2):
        answer = ours.ask(name, seconds)
        if "error" in answer:
            return answer
        samples += answer["samples"]
        if not theirs:
            continue
        for setting, found in theirs.ask(name, seconds)["samples"].items():
            settings.setdefault(setting, []).extend(found)
    short = lambda found: [float(f"{s:.4g}") for s in found]  # noqa: E731
    return {
        "ours": short(samples),
        "pytorch": {s: short(found) for s, found in settings.items()},
    }


def ratios(rounds):
    """Ours over PyTorch's best setting: overall, and in each round."""
    medians = lambda pick: statistics.median(  # noqa: E731
        s for r in rounds for s in pick(r)
    )
    mine = medians(lambda r: r["ours"])
    settings = rounds[0]["pytorch"]
    if not settings:
        return {"ours_s": mine}
    extra = {
        s[1:]: medians(lambda r: r["pytorch"][s])  # noqa: B023
        for s in settings
        if s.startswith("+")
    }
    settings = [s for s in settings if not s.startswith("+")]
    best = min(settings, key=lambda s: medians(lambda r: r["pytorch"][s]))
    each = [
        statistics.median(r["ours"]) / statistics.median(r["pytorch"][best])
        for r in rounds
    ]
    torch = medians(lambda r: r["pytorch"][best])
    return {
        "ours_s": mine,
        "pytorch_s": torch,
        "pytorch_setting": best,
        "ratio": mine / torch,
        "ratio_of_rounds": each,
    } | ({"pytorch_extra_s": extra} if extra else {})


def memory(command, name, threads):
    out = subprocess.run(
        command + ["memory", name],
        cwd=ROOT,
        env=environment(threads),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(out.stdout)


def goal(name, goals):
    found = (g for start, g in goals.items() if name.startswith(start))
    return next(found, None)


def time_of(seconds):
    for unit, size in (("s", 1), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def table(results):
    yield "| work | ours | PyTorch | ratio | rounds | goal | met |"
    yield "|---|---|---|---|---|---|---|"
    for row in results:
        if "error" in row:
            yield f"| {row['name']} | {row['error']} | | | | | |"
            continue
        if "ratio" not in row:
            yield f"| {row['name']} | {time_of(row['ours_s'])} | | | | | |"
            continue
        low, high = min(row["ratio_of_rounds"]), max(row["ratio_of_rounds"])
        judged = " | |"
        if row["goal"]:
            met = "yes" if row["ratio"] <= row["goal"] else "no"
            judged = f" ≤ {row['goal']:.3g} | {met} |"
        extra = row.get("pytorch_extra_s", {}).items()
        extra = "".join(f"; {s} {time_of(t)}" for s, t in extra)
        yield (
            f"| {row['name']} | {time_of(row['ours_s'])}"
            f" | {time_of(row['pytorch_s'])}{extra} | {row['ratio']:.3f}"
            f" | {low:.3f} – {high:.3f} |{judged}"
        )
    for row in results:
        if "memory" in row and "error" not in row["memory"]["ours"]:
            ours, theirs = row["memory"]["ours"], row["memory"]["pytorch"]
            mib = lambda m, key: f"{(m.get(key) or 0) / 2**20:.0f}"  # noqa: E731
            yield (
                f"\n{row['name']}, memory in MiB: ours"
                f" {mib(ours, 'tensors_peak')} in tensors,"
                f" {mib(ours, 'resident_peak')} resident; PyTorch"
                f" {mib(theirs, 'resident_peak')} resident, of which"
                f" {mib(theirs, 'resident_before')} before the model"
            )


def machine(threads):
    try:
        info = Path("/proc/cpuinfo").read_text()
        cpu = re.search(r"model name\s*: (.*)", info).group(1)
    except (OSError, AttributeError):
        cpu = platform.processor() or platform.machine()
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": threads,
        "os": platform.system(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def text_of(result):
    """JSON with the samples of a row on one line."""
    text = json.dumps(result, indent=1, ensure_ascii=False)
    samples = r"\[\s+([-\d.e,\s]+?)\s+\]"
    return re.sub(samples, lambda m: f"[{' '.join(m[1].split())}]", text) + "\n"


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    args.add_argument("--rounds", type=int, default=3)
    args.add_argument("--only", default="", help="rows whose name holds this")
    args.add_argument("--threads", type=int, default=os.cpu_count())
    args.add_argument("--seconds", type=float, default=0.4, help="of a turn")
    args.add_argument(
        "--keep-pages", action="store_true", help="PyTorch's malloc keeps memory"
    )
    args.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    args.add_argument(
        "--unchecked", action="store_true", help="products without checks"
    )
    args.add_argument("--save", action="store_true")
    args.add_argument("--machine", help="name of the file in benches/results/")
    args = args.parse_args()

    where = machine(args.threads)
    far = args.device == "gpu"
    if far and args.save:
        sys.exit("the numbers of a GPU are stored by benches/record_gpu.py")
    program = [built(["--features", "gpu"] if far else [])] + ["gpu"] * far
    settings = KEEP_PAGES if args.keep_pages else {}
    if args.unchecked:
        os.environ["UNCHECKED"] = "1"
    there = True
    if far:
        settings = settings | {"DEVICE": "cuda"}
        check = "import torch; print(torch.cuda.is_available())"
        there = said_by(sys.executable, "-c", check) == "True"
        if not there:
            print("PyTorch has no CUDA: our times alone", file=sys.stderr)
    if (where["load"] or 0) > 0.5:
        print(f"load {where['load']:.1f}: something else runs", file=sys.stderr)
    names = said_by(*program).splitlines()
    names = [n for n in names if args.only in n]
    if not names:
        sys.exit(f"no row holds {args.only!r} in its name")
    ours = Server(program, args.threads)
    # The goals are for all cores, and PyTorch as it comes.
    plain = args.threads == os.cpu_count() and not args.keep_pages
    goals = (GPU_GOALS if far else GOALS) if plain else {}
    results = [{"name": n, "goal": goal(n, goals), "rounds": []} for n in names]
    torch = None
    for k in range(args.rounds):
        # A new process each round: what malloc has learned in one round would
        # change the next.
        theirs = Server(PYTORCH, args.threads, settings) if there else None
        torch = theirs.answer()["torch"] if theirs else None
        for row in results:
            print(f"\rround {k + 1}: {row['name']:<30}", end="", file=sys.stderr)
            found = both(row["name"], ours, theirs, args.seconds)
            if "error" in found:
                row["error"] = found["error"]
            else:
                row["rounds"].append(found)
        if theirs:
            theirs.process.terminate()
    print("\r" + 50 * " " + "\r", end="", file=sys.stderr)
    for row in results:
        if row["rounds"]:
            row |= ratios(row["rounds"])
        if row["name"].startswith(MEMORY) and not far:
            sides = {"ours": program, "pytorch": PYTORCH}
            row["memory"] = {
                side: memory(command, row["name"], args.threads)
                for side, command in sides.items()
            }
    print(*table(results), sep="\n")
    if not args.save:
        return
    result = {
        "subject": "our work beside PyTorch's, in seconds",
        "machine": where,
        "date": datetime.date.today().isoformat(),
        "commit": said_by("git", "rev-parse", "HEAD"),
        "changed": said_by(
            "git", "status", "--porcelain", ":!benches/results"
        ) != "",
        "command": " ".join(["python", "benches/peers/compare.py"] + sys.argv[1:]),
        "rustc": said_by("rustc", "--version"),
        "torch": torch,
        "rows": results,
    }
    name = args.machine or f"{where['cpu']} {where['cores']} cores"
    if args.threads != os.cpu_count():
        name += f" {args.threads} thread"
    if args.keep_pages:
        name += " keep pages"
    name = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    path = ROOT / "benches" / "results" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text_of(result))
    head = (
        f"{result['machine']['cpu']}, {args.threads} threads, PyTorch {torch},"
        f" {result['date']}, `{result['command']}`\n\n"
    )
    page = path.with_suffix(".md")
    page.write_text(head + "\n".join(table(results)) + "\n")
    print(*(f"written to {p.relative_to(ROOT)}" for p in (path, page)), sep="\n")


if __name__ == "__main__":
    try:
        main()
    except EOFError as ended:
        sys.exit(f"{ended}, see above")
