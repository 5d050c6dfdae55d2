"""Records every table of the GPU, in eight minutes at most, in one JSON.

    python benches/record_gpu.py            # writes benches/results/gpu-NAME.json
    python benches/record_gpu.py --minutes 4 --only steps --only products
    python benches/record_gpu.py --show benches/results/gpu-NAME.json
    python benches/record_gpu.py --small    # tries all of it, small, on any adapter

Needs cargo, a GPU and nothing but Python's own library; PyTorch is timed too if
this Python has one with CUDA, and else said to be absent. Where the GPU's
machine has no cargo, build elsewhere and carry the folder there:

    python benches/record_gpu.py --build programs
    python benches/record_gpu.py --programs programs

The tables that are worth most come first; each has a limit of its own, and what
the time does not suffice for is said to be left out. The file is written anew
after every table, aside and then renamed, so that a run may be stopped at any
moment. A table that fails is stored as failed, with its message, and the next
one is tried. Tables of an earlier run of the same commit and driver stay until
they are recorded again.

A software adapter is refused: its times say nothing about a GPU. With --small
it serves to try everything; what comes of it goes to target/ and is marked as
small. The exit status is 0 if all tables that were asked for are complete.
"""

import argparse
import contextlib
import dataclasses
import datetime
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(Path(__file__).parent / "peers"))
from compare import GPU_GOALS, PYTORCH, Server  # noqa: E402
from compare import goal, machine, said_by, text_of, time_of  # noqa: E402

PROGRAMS = ("rows", "gpu", "gpu_ladder")
ABOUT_BUILD = "built.json"
# A panic of ours says what is wrong; where it was thrown nobody asks.
QUIET = {"RUST_BACKTRACE": "0"}


class OutOfTime(Exception):
    """The time of a table, or of all, is over."""


@dataclasses.dataclass
class Run:
    """What a table needs to be recorded."""

    programs: dict[str, str]
    small: bool
    pytorch: bool


# ----------------------------------------------------------------- processes


def left(until):
    return max(0.0, until - time.monotonic())


@contextlib.contextmanager
def killed_at(process, until):
    """A process that does not live longer than this block, nor than `until`."""
    seconds = min(left(until), threading.TIMEOUT_MAX)
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield process
    finally:
        timer.cancel()
        process.kill()
        process.wait()


def last_words(text):
    """What a program said that went wrong: the text of a panic, or a line."""
    panic = re.search(r"panicked at [^\n]*\n(.*?)(?:\nnote: |\Z)", text, re.S)
    lines = (panic.group(1) if panic else text).strip().splitlines()
    return " ".join(lines if panic else lines[-1:]) or "no word"


def short(x):
    """The same with numbers of five digits."""
    match x:
        case float():
            return float(f"{x:.5g}")
        case list():
            return [short(x) for x in x]
        case dict():
            return {key: short(x) for key, x in x.items()}
    return x


def rows_of(run, until, program, *words):
    """The lines of JSON that a program of ours prints, as they come."""
    command = [run.programs[program], *words]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | QUIET,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
        with killed_at(process, until):
            for line in process.stdout:
                yield json.loads(line)
            code = process.wait()
        if left(until) == 0:
            raise OutOfTime
        if code != 0:
            said.seek(0)
            raise RuntimeError(last_words(said.read()))


def beside(run, until, names, seconds, turns):
    """Rows of benches/rows.rs: ours with the checks of indices and without,
    and PyTorch's, in turns."""
    with contextlib.ExitStack() as stack:

        def server(command, settings):
            made = Server(command, os.cpu_count(), settings | QUIET)
            stack.enter_context(killed_at(made.process, until))
            return made

        program = [run.programs["rows"], "gpu"]
        ours = {
            "ours": server(program, {}),
            "unchecked": server(program, {"UNCHECKED": "1"}),
        }
        theirs = None
        if run.pytorch:
            theirs = Peer(server(PYTORCH, {"DEVICE": "cuda"}))
        try:
            for name in names:
                yield turns_of(name, ours, theirs, seconds, turns)
        except (EOFError, BrokenPipeError):
            if left(until) == 0:
                raise OutOfTime from None
            raise


class Peer:
    """PyTorch's side. When it has ended, ours goes on alone."""

    def __init__(self, server):
        self.server = server
        self.has_begun = False

    def samples(self, name, seconds):
        if not self.server:
            return {"ended": []}
        try:
            if not self.has_begun:
                self.server.answer()  # its version
                self.has_begun = True
            return self.server.ask(name, seconds)["samples"]
        except (EOFError, BrokenPipeError):
            self.server = None
            return {"ended": []}


def turns_of(name, ours, theirs, seconds, turns):
    row = {"name": name, "ours": [], "unchecked": [], "pytorch": {}}
    for _ in range(turns):
        for side, process in ours.items():
            answer = process.ask(name, seconds)
            if "error" in answer:
                return {"name": name, "error": answer["error"]}
            row[side] += answer["samples"]
        if theirs:
            for setting, samples in theirs.samples(name, seconds).items():
                row["pytorch"].setdefault(setting, []).extend(samples)
    return row


# -------------------------------------------------------------------- tables


@dataclasses.dataclass
class Table:
    """A table: how it is recorded, for how many seconds at most, and shown."""

    name: str
    title: str
    most: float
    rows: Callable[[Run, float], Iterator[dict]]
    shown: Callable[[list[dict]], Iterator[list[str]]]


def steps(run, until):
    names = ["MLP 64-128-10 step"]
    if not run.small:
        sizes = ("85M B8", "10.8M B64", "10.8M", "0.81M")
        names = [f"GPT {size} step" for size in sizes] + names
    return beside(run, until, names, 0.02 if run.small else 0.4, 2)


def ops(run, until):
    names = ["LayerNorm 4096x768"]
    if not run.small:
        names = subprocess.run(
            [run.programs["rows"], "gpu"], stdout=subprocess.PIPE, text=True
        ).stdout.splitlines()
        names = [n for n in names if not n.endswith(" step")]
        names.sort(key=lambda n: n.startswith("sgemm"))  # alone in `products`
    return beside(run, until, names, 0.02 if run.small else 0.25, 1)


def medians(samples):
    return statistics.median(samples) if samples else None


def shown_beside(rows):
    yield ["work", "ours", "unchecked", "PyTorch", "TF32", "bf16", "ratio"] + [
        "ratio unchecked",
        "goal",
        "met",
    ]
    for row in rows:
        if row.get("error"):
            yield [row["name"], row["error"]] + 8 * [""]
            continue
        pytorch = {s: medians(t) for s, t in row["pytorch"].items() if t}
        exact = [t for s, t in pytorch.items() if not s.startswith("+")]
        theirs = min(exact, default=None)
        extra = lambda start: next(  # noqa: E731
            (t for s, t in pytorch.items() if s.startswith(start)),  # noqa: B023
            None,
        )
        ours, unchecked = medians(row["ours"]), medians(row["unchecked"])
        ratios = [over(ours, theirs), over(unchecked, theirs)]
        most = goal(row["name"], GPU_GOALS)
        judged = ["", ""]
        if most and ratios[0]:
            judged = [f"≤ {most:.3g}", "yes" if ratios[0] <= most else "no"]
        times = [ours, unchecked, theirs, extra("+tf32"), extra("+bf16")]
        yield [row["name"], *map(time_or_none, times)] + [
            number(r, ".3f") for r in ratios
        ] + judged


def products(run, until):
    size = ["--largest", "512", "--seconds", "0.05"] if run.small else []
    return rows_of(run, until, "gpu", "products", "--json", *size)


def shown_products(rows):
    yield ["product", "checked, GFLOP/s", "unchecked", "ratio"]
    for row in rows:
        rates = row["checked_gflops"], row["unchecked_gflops"]
        ratio = number(over(*reversed(rates)), ".2f")
        yield [row["product"], *map(rate, rates), ratio]


def bandwidth(run, until):
    size = ["--largest", "16", "--seconds", "0.05"] if run.small else []
    return rows_of(run, until, "gpu", "bandwidth", "--json", *size)


def shown_bandwidth(rows):
    yield ["op", "MB moved", "GB/s", "of a copy"]
    for row in rows:
        moved = f"{row['bytes'] / 1e6:.0f}"
        share = number(row.get("of_a_copy"), ".0%")
        yield [row["op"], moved, rate(row.get("gb_per_s")), share]


def ladder(run, until):
    size = ["64", "--seconds", "0.05"] if run.small else []
    return rows_of(run, until, "gpu_ladder", "ladder", "--json", *size)


def shown_ladder(rows):
    yield ["product", "rung", "time", "GFLOP/s", "times the first"]
    first = {}
    for row in rows:
        time_taken = row.get("median_s")
        first.setdefault(row["product"], time_taken)
        gain = number(over(first[row["product"]], time_taken), ".1f")
        shown, flops = time_or_none(time_taken), rate(row.get("gflops"))
        yield [row["product"], row["rung"], shown, flops, gain]


def tiles(run, until):
    size = ["64", "--seconds", "0.02"] if run.small else ["--seconds", "0.15"]
    return rows_of(run, until, "gpu_ladder", "tiles", "--json", *size)


def shown_tiles(rows):
    yield ["product", "tile", "parts", "of the table", "time", "GFLOP/s"]
    for row in rows:
        taken = "yes" if row["of_the_table"] else ""
        shown, parts = time_or_none(row.get("median_s")), str(row["parts"])
        cells = [row["product"], row["tile"], parts, taken, shown]
        yield cells + [rate(row.get("gflops"))]


def crossover(run, until):
    size = ["--largest", "128", "--seconds", "0.02"] if run.small else []
    size = size or ["--seconds", "0.2"]
    return rows_of(run, until, "gpu", "crossover", "--json", *size)


def shown_crossover(rows):
    yield ["op", "n", "CPU", "GPU", "GPU with transfers"]
    for row in rows:
        times = row["cpu_s"], row["gpu_s"], row["gpu_with_transfers_s"]
        yield [row["op"], str(row["n"]), *map(time_or_none, times)]


def kernels(run, until):
    names = ["MLP 64-128-10 step"]
    if not run.small:
        names = ["GPT 85M B8 step", "GPT 10.8M B64 step"]
    for name in names:
        for row in rows_of(run, until, "rows", "gpu", "profile", name, "json"):
            yield {"name": name} | row


def shown_kernels(rows):
    yield ["work", "kernel", "calls", "each", "share"]
    for row in rows:
        calls, share = str(row["calls"]), number(row["share"], ".1%")
        shown = time_or_none(row["each_s"])
        yield [row["name"], row["kernel"], calls, shown, share]


# What is worth most comes first. The limits together are more than the time of
# a run: they keep a table that hangs from taking all of it.
TABLES = [
    Table("steps", "Training steps beside PyTorch", 120, steps, shown_beside),
    Table(
        "products",
        "Square products, with checks of indices and without",
        60,
        products,
        shown_products,
    ),
    Table(
        "bandwidth",
        "Ops that move numbers, against a copy",
        30,
        bandwidth,
        shown_bandwidth,
    ),
    Table("ops", "Ops beside PyTorch", 180, ops, shown_beside),
    Table("ladder", "The ladder of the product", 60, ladder, shown_ladder),
    Table("kernels", "The kernels of a step", 40, kernels, shown_kernels),
    Table(
        "crossover",
        "From which size on the GPU is worth the way",
        60,
        crossover,
        shown_crossover,
    ),
    Table("tiles", "Each tile of the engine", 90, tiles, shown_tiles),
]


# ---------------------------------------------------------------- what is shown


def over(a, b):
    return a / b if a and b else None


def number(x, form):
    return "" if x is None else f"{x:{form}}"


def rate(x):
    return number(x, ".0f" if (x or 0) >= 100 else ".3g")


def time_or_none(seconds):
    return "" if seconds is None else time_of(seconds)


def markdown(result):
    """The tables of a stored result."""
    of, pytorch = result["machine"], result["pytorch"]
    known = pytorch.get("version") or f"no PyTorch ({pytorch['absent']})"
    yield (
        f"{of['gpu']} ({of['kind']}), {of['driver']}, {of['api']};"
        f" {of['cpu']}, {of['cores']} cores; {known}; {result['date']},"
        f" commit {result['commit'][:10] or 'unknown'}"
        f"{' with changes' if result['changed'] else ''},"
        f" `{result['command']}`"
    )
    if result["small"]:
        yield "\nSmall: tried, not measured."
    for table in TABLES:
        recorded = result["tables"].get(table.name)
        if not recorded:
            continue
        yield f"\n### {table.title}\n"
        if recorded["state"] != "complete":
            yield f"{recorded['state']}: {recorded['message']}\n"
        if recorded["rows"]:
            head, *lines = table.shown(recorded["rows"])
            yield f"| {' | '.join(head)} |"
            yield "|" + len(head) * "---|"
            for cells in lines:
                yield f"| {' | '.join(cells)} |"


# -------------------------------------------------------------------- programs


def source():
    """Of what the programs are made."""
    changes = said_by("git", "status", "--porcelain", ":!benches/results")
    return {
        "commit": said_by("git", "rev-parse", "HEAD"),
        "changed": changes != "",
        "rustc": said_by("rustc", "--version"),
    }


def built(small, until):
    """Builds the programs: in the profile of benches, or to try them in that of
    tests, which is there already."""
    if not shutil.which("cargo"):
        sys.exit(
            "cargo is not to be found. Install the toolchain that"
            " rust-toolchain.toml names, or build on another machine of this"
            " kind with --build DIR and give the folder to --programs DIR."
        )
    command = ["cargo", "bench", "--package", "backprop", "--features", "gpu"]
    for program in PROGRAMS:
        command += ["--bench", program]
    command += ["--no-run", "--message-format=json-render-diagnostics"]
    command += ["--profile", "dev"] if small else []
    made = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with killed_at(made, until):
        lines = [json.loads(s) for s in made.stdout if s.startswith("{")]
        code = made.wait()
    if left(until) == 0:
        sys.exit("The build took all of the time: give more --minutes.")
    if code != 0:
        sys.exit(
            "cargo could not build the benches: see what it says above. Without"
            " a network every package of Cargo.lock must have been fetched or"
            " vendored before; or build elsewhere, see --build."
        )
    made = {m["target"]["name"]: m["executable"] for m in lines if m.get("executable")}
    return {name: made[name] for name in PROGRAMS}


def carried(folder):
    """Programs that --build has left in `folder`, and of what they are made."""
    about = folder / ABOUT_BUILD
    if not about.exists():
        sys.exit(f"{about} is not there: make the folder with --build {folder}")
    about = json.loads(about.read_text())
    files = about["programs"].items()
    return {n: str((folder / f).resolve()) for n, f in files}, about["source"]


# ------------------------------------------------------------------- recording


def about_gpu(program):
    """Which GPU it is, or why there is none."""
    asked = subprocess.run(
        [program, "gpu", "about"],
        cwd=ROOT,
        env=os.environ | QUIET,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if asked.returncode != 0:
        sys.exit(f"No GPU could be started: {last_words(asked.stderr)}")
    return json.loads(asked.stdout)


def about_pytorch(until):
    """Which PyTorch there is, or why its side is left out."""
    check = (
        "import torch; assert torch.cuda.is_available(), 'torch has no CUDA';"
        "print(torch.__version__, 'on', torch.cuda.get_device_name())"
    )
    command = [sys.executable, "-c", check]
    try:
        asked = subprocess.run(
            command, capture_output=True, text=True, timeout=min(60, left(until))
        )
    except subprocess.TimeoutExpired:
        return {"absent": "it did not answer"}
    if asked.returncode != 0:
        return {"absent": last_words(asked.stderr)}
    return {"version": f"PyTorch {asked.stdout.strip()}"}


def recorded(table, run, until):
    """A table with the rows that there was time for, and how it ended."""
    start, rows = time.monotonic(), []
    until = min(until, start + table.most)
    state, message = "complete", None
    try:
        if left(until) < 1:
            state, message = "left out", "no time was left"
        else:
            for row in table.rows(run, until):
                rows.append(short(row))
                say(f"\r{table.name}: {len(rows)} rows ", end="")
    except OutOfTime:
        state, message = "stopped", f"its time was over after {len(rows)} rows"
    except KeyboardInterrupt:
        state, message = "interrupted", f"after {len(rows)} rows"
    except Exception as e:  # whatever it is, the other tables are not to suffer
        state, message = "failed", str(e) or type(e).__name__
    took = round(time.monotonic() - start, 1)
    say(f"\r{table.name}: {state}, {len(rows)} rows, {took} s {message or ''}")
    return {
        "title": table.title,
        "date": today(),
        "state": state,
        "message": message,
        "seconds": took,
        "rows": rows,
    }


def earlier(path, result):
    """Tables that another run has left of the same programs on the same GPU."""
    try:
        old = json.loads(path.read_text())
        same = old["commit"] == result["commit"] and not old["changed"]
        for key in ("machine", "small"):
            same = same and old[key] == result[key]
        return old["tables"] if same and not result["changed"] else {}
    except (OSError, ValueError, KeyError):
        return {}


def save(path, result):
    aside = path.with_suffix(".json.tmp")
    aside.parent.mkdir(parents=True, exist_ok=True)
    aside.write_text(text_of(result))
    os.replace(aside, path)


def today():
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def say(text, end="\n"):
    print(text, end=end, file=sys.stderr, flush=True)


def arguments():
    args = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    names = [table.name for table in TABLES]
    args.add_argument("--minutes", type=float, default=8, help="of all of it")
    args.add_argument("--only", action="append", choices=names, metavar="TABLE")
    args.add_argument("--out", type=Path, help="the file, instead of the usual one")
    args.add_argument("--show", type=Path, metavar="FILE", help="its tables")
    args.add_argument("--small", action="store_true", help="try, store nothing")
    args.add_argument("--build", type=Path, metavar="DIR", help="and no more")
    args.add_argument("--programs", type=Path, metavar="DIR", help="built before")
    return args.parse_args()


def main():
    args = arguments()
    until = time.monotonic() + 60 * args.minutes
    if args.show:
        print(*markdown(json.loads(args.show.read_text())), sep="\n")
        return
    if args.build:
        args.build.mkdir(parents=True, exist_ok=True)
        made = {n: Path(p) for n, p in built(args.small, float("inf")).items()}
        for program in made.values():
            copy = shutil.copy2(program, args.build)
            if shutil.which("strip"):  # to travel light
                subprocess.run(["strip", copy], check=True)
        about = {"source": source(), "programs": {n: p.name for n, p in made.items()}}
        (args.build / ABOUT_BUILD).write_text(json.dumps(about, indent=1) + "\n")
        say(f"built into {args.build}")
        return
    if args.programs:
        programs, made_of = carried(args.programs)
    else:
        programs, made_of = built(args.small, until), source()
    gpu = about_gpu(programs["rows"])
    if gpu["kind"] == "software" and not args.small:
        sys.exit(
            f"{gpu['gpu']} is a software adapter: its times say nothing about a"
            " GPU, and are not stored. --small tries everything on it."
        )
    pytorch = about_pytorch(until)
    where = machine(os.cpu_count())
    load = where.pop("load")
    result = {
        "subject": "the GPU: every table of benches/README.md; times in seconds",
        "small": args.small,
        "machine": gpu | where,
        "load": load,
        "date": today(),
        **made_of,
        "command": " ".join(["python benches/record_gpu.py"] + sys.argv[1:]),
        "pytorch": pytorch,
    }
    name = re.sub(r"[^a-z0-9]+", "-", gpu["gpu"].lower()).strip("-")
    path = ROOT / "benches" / "results" / f"gpu-{name}.json"
    if args.small:
        path = ROOT / "target" / f"gpu-small-{name}.json"
    path = args.out or path
    result["tables"] = earlier(path, result)
    run = Run(programs, args.small, "version" in pytorch)
    wanted = [t for t in TABLES if not args.only or t.name in args.only]
    say(f"{gpu['gpu']}; {pytorch.get('version') or 'PyTorch: ' + pytorch['absent']}")
    states = []
    for table in wanted:
        new = recorded(table, run, until)
        states.append(new["state"])
        if new["state"] != "left out" or table.name not in result["tables"]:
            result["tables"][table.name] = new
        save(path, result)
        if new["state"] == "interrupted":
            break
    say(f"written to {path}; --show prints it")
    if states.count("complete") < len(wanted):
        sys.exit(f"{states.count('complete')} of {len(wanted)} tables are complete")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main()
