"""Tries record_gpu.py with programs that answer at once, fail, or hang.

    python -m unittest discover benches

No cargo, no GPU and no PyTorch are needed. The real programs are tried by
`python benches/record_gpu.py --small`.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

RECORD = Path(__file__).with_name("record_gpu.py")

PROGRAM = '''#!{python}
import json, sys, time
def row(**numbers):
    print(json.dumps(numbers), flush=True)
match sys.argv[1:]:
    case ["gpu", "about"]:
        row(gpu="Card 1", kind="{kind}", driver="d 1", api="Vulkan")
    case ["gpu"]:
        print("GELU", "GPT 1M step", sep="\\n")
    case ["gpu", "serve"]:
        for line in sys.stdin:
            name = line.split(" ", 1)[1].strip()
            if name == "GPT 85M B8 step":
                row(error="out of memory")
            else:
                row(samples=[0.001, 0.0020000001, 0.003])
    case ["gpu", "profile", name, "json"]:
        row(kernel="gemm", calls=2, each_s=1e-6, share=1.0)
    case ["products", *_]:
        row(product="512 NN", checked_gflops=1000.5, unchecked_gflops=2001.0)
    case ["bandwidth", *_]:
        row(op="copy", bytes=1e6, gb_per_s=1.0, of_a_copy=1.0)
        print("thread 'main' panicked at x.rs:1:\\nthe device\\nis lost\\n"
              "note: run with", file=sys.stderr)
        sys.exit(101)
    case ["ladder", *_]:
        row(product="512", rung="naive")
    case ["crossover", *_]:
        row(op="gelu", n=1, cpu_s=1e-3, gpu_s=None, gpu_with_transfers_s=1e-3)
        time.sleep(600)
    case ["tiles", *_]:
        row(product="512", tile="8x8", parts=1, of_the_table=True)
'''


class Record(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.out = self.folder / "out.json"
        self.program("discrete")

    def program(self, kind, commit="c1"):
        fake = self.folder / "fake"
        fake.write_text(PROGRAM.format(python=sys.executable, kind=kind))
        fake.chmod(0o755)
        source = {"commit": commit, "changed": False, "rustc": "r"}
        programs = dict.fromkeys(("rows", "gpu", "gpu_ladder"), "fake")
        about = json.dumps({"source": source, "programs": programs})
        (self.folder / "built.json").write_text(about)

    def start(self, *words):
        given = ["--programs", self.folder, "--out", self.out]
        return subprocess.Popen(
            [sys.executable, RECORD, *given, *words],
            # No PyTorch, whether this Python has one or not.
            env=os.environ | {"PYTHONPATH": str(self.without_torch())},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def without_torch(self):
        path = self.folder / "path"
        path.mkdir(exist_ok=True)
        (path / "torch.py").write_text("raise ImportError('no torch here')\n")
        return path

    def record(self, *words):
        process = self.start(*words)
        _, said = process.communicate(timeout=60)
        return process.returncode, said

    def tables(self):
        return json.loads(self.out.read_text())["tables"]

    def test_a_table_that_fails_or_hangs_does_not_stop_the_others(self):
        code, said = self.record("--minutes", "0.15")
        self.assertEqual(code, 1)
        self.assertIn("5 of 8 tables are complete", said)
        tables = self.tables()
        states = {name: table["state"] for name, table in tables.items()}
        self.assertEqual(
            states,
            {
                "steps": "complete",
                "products": "complete",
                "bandwidth": "failed",
                "ops": "complete",
                "ladder": "complete",
                "kernels": "complete",
                "crossover": "stopped",
                "tiles": "left out",
            },
        )
        self.assertEqual(tables["bandwidth"]["message"], "the device is lost")
        # What there was before it failed or was stopped is kept.
        self.assertEqual(len(tables["bandwidth"]["rows"]), 1)
        self.assertEqual(len(tables["crossover"]["rows"]), 1)
        result = json.loads(self.out.read_text())
        self.assertIn("no torch here", result["pytorch"]["absent"])
        self.assertEqual(result["commit"], "c1")
        self.assertEqual(result["machine"]["driver"], "d 1")
        shown = subprocess.run(
            [sys.executable, RECORD, "--show", self.out],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        self.assertIn("| GPT 10.8M step | 2 ms | 2 ms |", shown)
        self.assertIn("| GPT 85M B8 step | out of memory |", shown)
        self.assertIn("| 512 NN | 1000 | 2001 | 2.00 |", shown)
        self.assertIn("failed: the device is lost", shown)
        self.assertIn("| gelu | 1 | 1 ms |  | 1 ms |", shown)

    def test_a_software_adapter_is_refused(self):
        self.program("software")
        code, said = self.record()
        self.assertEqual(code, 1)
        self.assertIn("Card 1 is a software adapter", said)
        self.assertFalse(self.out.exists())
        code, _ = self.record("--small", "--only", "products")
        self.assertEqual(code, 0)
        self.assertTrue(json.loads(self.out.read_text())["small"])

    def test_what_is_done_is_there_when_it_is_stopped(self):
        process = self.start("--only", "steps", "--only", "crossover")
        end = time.monotonic() + 30
        while not self.out.exists() and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual(list(self.tables()), ["steps"])
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 1)
        self.assertEqual(self.tables()["crossover"]["state"], "interrupted")
        self.assertEqual(list(self.folder.glob("*.tmp")), [])

    def test_tables_of_the_same_programs_stay(self):
        self.record("--only", "products")
        self.record("--only", "ladder")
        self.assertEqual(sorted(self.tables()), ["ladder", "products"])
        self.program("discrete", commit="c2")
        self.record("--only", "ladder")
        self.assertEqual(sorted(self.tables()), ["ladder"])

    def test_no_programs(self):
        (self.folder / "built.json").unlink()
        code, said = self.record()
        self.assertEqual(code, 1)
        self.assertIn("built.json is not there", said)


if __name__ == "__main__":
    unittest.main()
