"""Two hundred random attentions: PyTorch's float64 against our textbook.

    python tests/reference/attention_shapes.py [SEED]

Draws texts, heads, groups, lengths, widths and masks, most of them other than
the usual ones; PyTorch computes the output and the gradients of queries, keys
and values. The crate's ignored test `random_shapes` computes them too, and
prints the largest relative error (L2) of each and the case it is from. It
fails above 1e-12.
"""

import json
import pathlib
import random
import sys
import tempfile

import torch
import torch.nn.functional as F
from roundtrip import cargo

torch.set_default_dtype(torch.float64)


def case(rng):
    keys = rng.randint(1, 4)
    c = {
        "batch": rng.randint(1, 3),
        "heads": keys * rng.randint(1, 4),
        "keys": keys,
        "queries": rng.randint(1, 20),
        "causal": rng.random() < 0.5,
        "d": rng.randint(1, 24),
    }
    # A causal query is one of the last of its text. With one key dq is 0.
    least = max(2, c["queries"] if c["causal"] else 1)
    c["length"] = least + rng.choice([0, 0, rng.randint(0, 20)])
    c["e"] = rng.choice([c["d"], rng.randint(1, 24)])
    b, h, k, t = c["batch"], c["heads"], c["keys"], c["queries"]
    s, d, e = c["length"], c["d"], c["e"]
    size = rng.choice([0.3, 1.0, 5.0])
    shapes = [(b, h, t, d), (b, k, s, d), (b, k, s, e)]
    x = [torch.randn(shape) for shape in shapes]
    x[0] *= size
    x = [a.requires_grad_() for a in x]
    seen = torch.ones(t, s, dtype=torch.bool)
    if c["causal"]:
        seen = seen.tril(s - t)
    y = F.scaled_dot_product_attention(*x, attn_mask=seen, enable_gqa=True)
    dy = torch.randn(y.shape)
    dx = torch.autograd.grad(y, x, dy)
    names = ["q", "k", "v", "dy", "y", "dq", "dk", "dv"]
    for name, a in zip(names, [*x, dy, y, *dx]):
        c[name] = a.detach().flatten().tolist()
    return c


if __name__ == "__main__":
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(1 << 30)
    rng = random.Random(seed)
    torch.manual_seed(seed)
    cases = [case(rng) for _ in range(200)]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "cases.json"
        path.write_text(json.dumps(cases))
        command = "cargo test --quiet -p backprop --test attention --"
        command = command.split() + ["--ignored", "random_shapes", "--nocapture"]
        print(f"seed {seed}")
        print(cargo(command, ATTENTION_CASES=str(path)))
