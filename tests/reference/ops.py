"""Reference vectors for the table of ops, from PyTorch in float64.

    python tests/reference/ops.py      writes tests/reference/ops.json

PyTorch is needed to write the file, not to run the tests. Each case holds the
inputs, the output y, a cotangent dy, and the gradients dx in the order of the
inputs. Shapes are pairwise different, and the cases include what is easily got
wrong: zeros into ReLU, logits of ten thousand, targets that do not sum to one.
"""

import json
import pathlib

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)

SMOOTHING = 0.1
LR, MOMENTUM, DECAY = 0.1, 0.9, 0.01


def tensor(t):
    return {"shape": list(t.shape), "data": t.detach().flatten().tolist()}


def case(f, *inputs):
    """y = f(*inputs) with gradients of <dy, y> for a random dy."""
    inputs = [x.clone().requires_grad_() for x in inputs]
    y = f(*inputs)
    dy = torch.randn(y.shape)
    dx = torch.autograd.grad(y, inputs, dy)
    return {
        "inputs": [tensor(x) for x in inputs],
        "y": tensor(y),
        "dy": tensor(dy),
        "dx": [tensor(d) for d in dx],
    }


def labels(x):
    return torch.tensor([(7 * b + 3) % x.shape[1] for b in range(len(x))])


def uneven_targets(x):
    rows, classes = x.shape
    return torch.tensor(
        [[1.0 + (b + 2 * v) % 3 for v in range(classes)] for b in range(rows)]
    )


def sgd():
    """One step from a velocity that is not zero; no gradient flows back."""
    w, dw, v = torch.randn(7), torch.randn(7), torch.randn(7)
    p = torch.nn.Parameter(w.clone())
    p.grad = dw.clone()
    step = torch.optim.SGD([p], LR, momentum=MOMENTUM, weight_decay=DECAY)
    step.state[p]["momentum_buffer"] = v.clone()
    step.step()
    after = torch.cat([p.detach(), step.state[p]["momentum_buffer"]])
    return {
        "inputs": [tensor(w), tensor(dw), tensor(v)],
        "y": tensor(after),
        "dy": tensor(torch.zeros(14)),
        "dx": [],
    }


if __name__ == "__main__":
    torch.manual_seed(2)
    with_zeros = torch.randn(3, 4)
    with_zeros[0, 1] = with_zeros[2, 3] = 0.0
    logits = torch.randn(4, 5)
    logits[1] *= 1e4
    logits[2] -= 1e4
    cases = {
        "linear": case(
            lambda x, w, b: F.linear(x, w.T, b),
            torch.randn(3, 4),
            torch.randn(4, 5),
            torch.randn(5),
        ),
        "linear_columns": case(
            lambda w, a, b: w @ a + b[:, None],
            torch.randn(5, 4),
            torch.randn(4, 3),
            torch.randn(5),
        ),
        "low_rank": case(
            lambda u, v: u @ v.T, torch.randn(4, 2), torch.randn(5, 2)
        ),
        "relu": case(torch.relu, with_zeros),
        "tanh": case(torch.tanh, 3 * torch.randn(3, 4)),
        "softmax": case(lambda x: F.softmax(x, 1), logits),
        "log_sum_exp": case(lambda x: torch.logsumexp(x, 1), logits),
        "log_softmax": case(lambda x: F.log_softmax(x, 1), logits),
        "cross_entropy": case(lambda x: F.cross_entropy(x, labels(x)), logits),
        "cross_entropy_smoothed": case(
            lambda x: F.cross_entropy(x, labels(x), label_smoothing=SMOOTHING),
            logits,
        ),
        "cross_entropy_any_target": case(
            lambda x: F.cross_entropy(x, uneven_targets(x)), logits
        ),
        "sgd": sgd(),
    }
    version = torch.__version__.split("+")[0]
    out = pathlib.Path(__file__).with_suffix(".json")
    lines = [f'"{n}": {json.dumps(c)}' for n, c in cases.items()]
    body = ",\n".join(lines)
    out.write_text(f'{{"torch": "{version}", "cases": {{\n{body}\n}}}}\n')
