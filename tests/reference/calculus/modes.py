import torch
from kit import case


def net(w1, b1, w2, b2, x):
    return w2 @ torch.tanh(w1 @ x + b1) + b2


CASES = {
    "matvec": lambda: case(
        lambda w, x: w @ x, torch.randn(5, 4), torch.randn(4)
    ),
    "tanh_of_vector": lambda: case(torch.tanh, 2 * torch.randn(4)),
    # Near 0, where the slope is large, as well.
    "ln": lambda: case(torch.log, torch.tensor([1e-3, 0.4, 1.0, 7.0])),
    "sum": lambda: case(torch.sum, torch.randn(4)),
    "copy": lambda: case(lambda x: x.expand(4), torch.randn(())),
    "net": lambda: case(
        net,
        torch.randn(3, 4),
        torch.randn(3),
        torch.randn(5, 3),
        torch.randn(5),
        torch.randn(4),
    ),
}
