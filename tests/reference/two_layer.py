"""Two-layer ReLU nets with seeded inputs, from NumPy's legacy generator.

    python tests/reference/two_layer.py    writes tests/reference/two_layer.json

NumPy is needed to write the file, not to run the test. Only the inputs are
stored: what is right for them stands in tests/two_layer.rs. Weights are (out,in),
as PyTorch stores them.
"""

import json
import pathlib

import numpy as np


def normal(shape, scale=1.0):
    return (np.random.randn(*shape) * scale).tolist()


if __name__ == "__main__":
    np.random.seed(42)
    batch = {
        "w1": normal((16, 4), 0.1),
        "w2": normal((1, 16), 0.1),
        "x": normal((32, 4)),
        "t": normal((32, 1)),
    }
    np.random.seed(42)
    vacuous = {
        "w1": normal((8, 4), np.sqrt(2 / 4)),
        "w2": normal((1, 8), np.sqrt(2 / 8)),
        "x": normal((1, 4)),
        "t": [[1.0]],
    }
    out = pathlib.Path(__file__).with_suffix(".json")
    out.write_text(json.dumps({"batch": batch, "vacuous": vacuous}) + "\n")
