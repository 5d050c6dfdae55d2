"""Reference vectors for the table of ops, from PyTorch in float64.

    python tests/reference/ops.py                  writes those of all chapters
    python tests/reference/ops.py network/linear   writes those of one

PyTorch is needed to write the files, not to run the tests. A chapter's cases
are made by <part>/<slug>.py and lie in <part>/<slug>.json beside it. Each holds
the constants, with which the op was called, the inputs, the output y, a
cotangent dy, and the gradients dx in the order of the inputs. Shapes are
pairwise different, and the cases include what is easily got wrong: zeros into
ReLU, logits of ten thousand, targets that do not sum to one.
"""

import importlib
import json
import pathlib
import sys
import zlib

import torch

HERE = pathlib.Path(__file__).parent


def write(script):
    part, slug = script.parent.name, script.stem
    lines = []
    for name, make in importlib.import_module(f"{part}.{slug}").CASES.items():
        # Its own seed, so that a new case leaves the others as they are.
        torch.manual_seed(zlib.crc32(name.encode()))
        lines.append(f'"{name}": {json.dumps(make())}')
    version = torch.__version__.split("+")[0]
    body = ",\n".join(lines)
    script.with_suffix(".json").write_text(
        f'{{"torch": "{version}", "cases": {{\n{body}\n}}}}\n'
    )


if __name__ == "__main__":
    chapters = [HERE / f"{chapter}.py" for chapter in sys.argv[1:]]
    for script in chapters or sorted(HERE.glob("*/*.py")):
        write(script)
