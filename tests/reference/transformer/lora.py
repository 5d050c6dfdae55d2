import torch
import torch.nn.functional as F
from kit import case


def lora(x, a, b, y, scale):
    return y + scale * F.linear(F.linear(x, a.T), b.T)


def dora_with_norm(x, w, a, b, m, n, scale):
    return F.linear(x, ((w + scale * a @ b) * (m / n)).T)


def dora(x, w, a, b, m, scale):
    n = torch.linalg.vector_norm(w + scale * a @ b, dim=0)
    return dora_with_norm(x, w, a, b, m, n, scale)


CASES = {
    "lora": lambda: case(
        lora,
        torch.randn(3, 4),
        torch.randn(4, 2),
        torch.randn(2, 5),
        torch.randn(3, 5),
        scale=1.5,
    ),
    "dora": lambda: case(
        dora,
        torch.randn(3, 4),
        torch.randn(4, 5),
        torch.randn(4, 2),
        torch.randn(2, 5),
        torch.randn(5),
        scale=1.5,
    ),
    "dora_with_norm": lambda: case(
        dora_with_norm,
        torch.randn(3, 4),
        torch.randn(4, 5),
        torch.randn(4, 2),
        torch.randn(2, 5),
        torch.randn(5),
        torch.rand(5) + 0.5,
        scale=1.5,
    ),
}
