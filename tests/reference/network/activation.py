import torch
import torch.nn.functional as F
from kit import case


def swiglu(x):
    g, u = x.chunk(2, dim=1)
    return F.silu(g) * u


def zeros_among():
    x = torch.randn(3, 4)
    x[0, 1] = x[2, 3] = 0.0
    return x


def tails():
    x = 3 * torch.randn(3, 4)
    x[0, 0], x[1, 2], x[2, 1] = 1e4, -1e4, 0.0
    return x


CASES = {
    "relu": lambda: case(torch.relu, zeros_among()),
    "tanh": lambda: case(torch.tanh, 3 * torch.randn(3, 4)),
    "sigmoid_array": lambda: case(torch.sigmoid, tails()),
    "gelu": lambda: case(F.gelu, tails()),
    "gelu_tanh": lambda: case(
        lambda x: F.gelu(x, approximate="tanh"), tails()
    ),
    "silu": lambda: case(F.silu, tails()),
    "swiglu": lambda: case(swiglu, 2 * torch.randn(3, 8)),
}
