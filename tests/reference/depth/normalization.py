import torch
import torch.nn.functional as F
from kit import case

EPS = 0.1  # so large that a root without it is seen


def large_mean():
    x = torch.randn(3, 4)
    x[1] += 1e4
    x[2] *= 1e-2
    return x


CASES = {
    "layer_norm": lambda: case(
        lambda x, g, b, eps: F.layer_norm(x, (4,), g, b, eps),
        large_mean(),
        torch.randn(4),
        torch.randn(4),
        eps=EPS,
    ),
    "rms_norm": lambda: case(
        lambda x, g, eps: F.rms_norm(x, (4,), g, eps),
        large_mean(),
        torch.randn(4),
        eps=EPS,
    ),
}
