"""The norms against PyTorch, float64, on shapes and options drawn at random.

    python tests/reference/norms.py [SEED]

200 cases: forward, every gradient, running statistics. Shapes, ε, momentum,
groups, γ ≠ 1, with scale and shift or without, training and evaluation; some
rows have a mean a million times their spread, some a spread of a thousandth.
Prints for each norm the largest relative error (L2) of any tensor, and fails
above the bounds below.
"""

import json
import pathlib
import random
import sys
import tempfile

import torch
import torch.nn.functional as F
from kit import tensor
from roundtrip import cargo

CASES = 200
# A row with a mean of a million keeps ten digits of its spread.
NEAR, FROM_A_LARGE_MEAN = 1e-12, 1e-8

NORMS = [
    "LayerNorm",
    "RMSNorm",
    "BatchNorm, training",
    "BatchNorm, evaluation",
    "GroupNorm",
]


def draw(norm, rng):
    rows, width = rng.randint(1, 40), rng.randint(1, 90)
    groups = rng.randint(1, 6)
    if norm == "BatchNorm, training":
        rows += 1  # PyTorch refuses a single example
    shape = (rows, width)
    if norm == "GroupNorm":
        shape = (rows, groups * rng.randint(1, 8), rng.randint(1, 12))
    channels = shape[1]
    x = torch.randn(shape) * 10 ** rng.uniform(-3, 2)
    large = rng.random() < 0.3
    if large:
        # Rows or columns, whichever the norm takes its means over.
        own = (shape[1],) if norm.startswith("Batch") else (shape[0],)
        own = own if norm.startswith("Batch") else own + (1,) * (len(shape) - 1)
        x += x.std().nan_to_num(1.0) * 10 ** rng.uniform(2, 6) * torch.randn(own)
    plain = norm != "RMSNorm" and rng.random() < 0.3
    return {
        "norm": norm,
        "eps": rng.choice([1e-8, 1e-5, 1e-3, 0.1]),
        "groups": groups,
        "momentum": rng.uniform(0.01, 1),
        "x": x,
        # Without scale and shift they are 1 and 0.
        "gamma": torch.ones(channels) if plain else torch.randn(channels) * 2,
        "beta": torch.zeros(channels) if plain else torch.randn(channels),
        "mean": torch.randn(channels),
        "variance": torch.rand(channels) + 0.01,
        "dy": torch.randn(shape),
    }, {"plain": plain, "large": large}


def theirs(c, plain):
    x, gamma, beta = (c[k].clone().requires_grad_() for k in ("x", "gamma", "beta"))
    mean, variance = c["mean"].clone(), c["variance"].clone()
    affine = (None, None) if plain else (gamma, beta)
    eps, kept, inputs = c["eps"], [], [x, gamma, beta]
    if c["norm"] == "LayerNorm":
        y = F.layer_norm(x, x.shape[1:], *affine, eps)
    elif c["norm"] == "RMSNorm":
        y, inputs = F.rms_norm(x, x.shape[1:], gamma, eps), [x, gamma]
    elif c["norm"] == "GroupNorm":
        y = F.group_norm(x, c["groups"], *affine, eps)
    else:
        training = c["norm"].endswith("training")
        y = F.batch_norm(x, mean, variance, *affine, training, c["momentum"], eps)
        kept = [mean, variance] if training else []
    grads = torch.autograd.grad(y, inputs, c["dy"], allow_unused=True)
    return [y, *grads, *kept]


def relative(got, want):
    # Beside the size of what was added up, where the truth is 0.
    floor = 0.1 * want.numel() ** 0.5
    return ((got - want).norm() / max(want.norm(), floor)).item()


if __name__ == "__main__":
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(1 << 30)
    rng = random.Random(seed)
    torch.manual_seed(seed)
    print(f"seed {seed}, PyTorch {torch.__version__}")
    cases = [draw(NORMS[k % len(NORMS)], rng) for k in range(CASES)]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        is_tensor = torch.is_tensor
        written = [
            {k: tensor(v) if is_tensor(v) else v for k, v in c.items()}
            for c, _ in cases
        ]
        (folder / "cases.json").write_text(json.dumps(written))
        command = "cargo test --quiet -p backprop --test norms -- --ignored"
        cargo(command.split(), NORMS=str(folder))
        ours = json.loads((folder / "ours.json").read_text())
    worst = {}
    for (c, about), ours in zip(cases, ours):
        kind = c["norm"], about["large"]
        want = theirs(c, about["plain"])
        assert len(want) == len(ours), c["norm"]
        count, off = worst.get(kind, (0, 0.0))
        for got, want in zip(ours, want):
            if want is not None:  # without scale and shift: no gradient
                got = torch.tensor(got["data"]).view(got["shape"])
                off = max(off, relative(got, want))
        worst[kind] = count + 1, off
    for (norm, large), (count, off) in sorted(worst.items()):
        mean = "means up to 1e6 times the spread" if large else ""
        print(f"{norm:<22} {count:>3} cases   {off:.1e}   {mean}")
        assert off < (FROM_A_LARGE_MEAN if large else NEAR), norm
