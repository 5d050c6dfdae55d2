"""A hundred random recurrent networks: PyTorch's RNN against our textbook.

    python tests/reference/rnn.py [SEED]

Draws the number of steps, the batch, the inputs, the units, the size of the
weights, and a cotangent for every state; in a third of the cases the loss reads
the last state twice, as one of all states and as what the network returns
beside them. PyTorch computes the states in float64, and the gradients of
inputs, weights, bias and first state. The crate's ignored test `random_shapes`
computes them too, and prints the largest relative error (L2) of each and the
case it is from. It fails above 1e-12.
"""

import json
import pathlib
import random
import sys
import tempfile

import torch
from roundtrip import cargo

torch.set_default_dtype(torch.float64)


def case(rng):
    sizes = {
        "t": rng.randint(1, 24),
        "b": rng.randint(1, 6),
        "i": rng.randint(1, 12),
        "h": rng.randint(1, 16),
    }
    t, b, i, h = sizes.values()
    net = torch.nn.RNN(i, h)
    scale = rng.choice([0.3, 0.7, 1.2]) / h**0.5
    for name, w in net.named_parameters():
        torch.nn.init.normal_(w, std=scale if "hh" in name else 0.5)
    # Two biases in PyTorch, one here: the second is 0.
    torch.nn.init.zeros_(net.bias_hh_l0)
    x = torch.randn(t, b, i, requires_grad=True)
    h0 = (0.5 * torch.randn(1, b, h)).requires_grad_()
    states, last = net(x, h0)
    dh, dlast = torch.randn(t, b, h), torch.zeros(1, b, h)
    if rng.random() < 1 / 3:
        dlast = torch.randn(1, b, h)
    loss = (states * dh).sum() + (last * dlast).sum()
    inputs = [x, net.weight_ih_l0, net.weight_hh_l0, net.bias_ih_l0, h0]
    dx, dw_x, dw_h, db, dh0 = torch.autograd.grad(loss, inputs)
    dh[-1] += dlast[0]
    arrays = {
        "x": x,
        "w_x": net.weight_ih_l0.T,
        "w_h": net.weight_hh_l0.T,
        "b": net.bias_ih_l0,
        "h0": h0,
        "dh": dh,
        "h": states,
        "dx": dx,
        "dw_x": dw_x.T,
        "dw_h": dw_h.T,
        "db": db,
        "dh0": dh0,
    }
    clash = {"h": "units", "b": "batch"}
    sizes = {clash.get(k, k): v for k, v in sizes.items()}
    return sizes | {k: a.detach().flatten().tolist() for k, a in arrays.items()}


if __name__ == "__main__":
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(1 << 30)
    rng = random.Random(seed)
    torch.manual_seed(seed)
    cases = [case(rng) for _ in range(100)]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "cases.json"
        path.write_text(json.dumps(cases))
        command = "cargo test --quiet -p backprop --test bptt --"
        command = command.split() + ["--ignored", "random_shapes", "--nocapture"]
        print(f"seed {seed}")
        print(cargo(command, RNN_CASES=str(path)))
