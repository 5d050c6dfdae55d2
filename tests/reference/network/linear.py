import torch
import torch.nn.functional as F
from kit import case


def frozen(inputs):
    """A weight that is not an input of its case."""
    return [
        [(2 * i + 3 * o) % 5 - 2.0 for o in range(inputs + 1)]
        for i in range(inputs)
    ]


CASES = {
    "linear": lambda: case(
        lambda x, w, b: F.linear(x, w.T, b),
        torch.randn(3, 4),
        torch.randn(4, 5),
        torch.randn(5),
    ),
    "linear_frozen": lambda: case(
        lambda x, w: x @ torch.tensor(w), torch.randn(3, 4), w=frozen(4)
    ),
    "linear_columns": lambda: case(
        lambda w, a, b: w @ a + b[:, None],
        torch.randn(5, 4),
        torch.randn(4, 3),
        torch.randn(5),
    ),
    "low_rank": lambda: case(
        lambda u, v: u @ v.T, torch.randn(4, 2), torch.randn(5, 2)
    ),
}
