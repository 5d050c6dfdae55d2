"""What the chapters' scripts share: see ops.py."""

import torch

torch.set_default_dtype(torch.float64)


def tensor(t):
    return {"shape": list(t.shape), "data": t.detach().flatten().tolist()}


def case(f, *inputs, **constants):
    """y = f(*inputs, **constants) with gradients of <dy, y> for a random dy."""
    inputs = [x.clone().requires_grad_() for x in inputs]
    y = f(*inputs, **constants)
    dy = torch.randn(y.shape)
    dx = torch.autograd.grad(y, inputs, dy)
    return {
        "with": constants,
        "inputs": [tensor(x) for x in inputs],
        "y": tensor(y),
        "dy": tensor(dy),
        "dx": [tensor(d) for d in dx],
    }


def nothing_flows_back(inputs, *after, **constants):
    y = torch.cat([t.detach() for t in after])
    return {
        "with": constants,
        "inputs": [tensor(x) for x in inputs],
        "y": tensor(y),
        "dy": tensor(torch.zeros_like(y)),
        "dx": [],
    }
