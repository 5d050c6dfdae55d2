import math

import torch
from kit import case, nothing_flows_back


def largest(bits):
    return max(2 ** (bits - 1) - 1, 1)


def surrogate(w, s, bits):
    """What is differentiated in place of the rounding: a clamp whose bounds
    pass the gradient, which those of torch.clamp do not in every version."""
    most = largest(bits) * s
    return torch.where(w.abs() <= most, w, torch.sign(w) * most)


def quantise(w, s, bits):
    """The value of the rounding with the gradient of the surrogate."""
    q = largest(bits)
    codes = torch.clamp(torch.round(w / s), -q, q)
    if bits == 1:
        codes = torch.where(w >= 0, 1.0, -1.0)
    smooth = surrogate(w, s, bits)
    return s * codes, smooth + (s * codes - smooth).detach()


def quantise_weights(w, s, dw_hat, widths):
    rows = []
    for bits in widths:
        w_in = w.clone().requires_grad_()
        value, through = quantise(w_in, s, bits)
        (dw,) = torch.autograd.grad(through, w_in, dw_hat)
        rows += [value, dw]
    return nothing_flows_back([w, s, dw_hat], *rows, widths=widths)


def ties_and_bounds():
    """Every half and whole code around the bounds of all widths, times a step
    with which the quotients are exact; random weights beside them."""
    s = torch.tensor([0.75])
    halves = torch.arange(-18, 19) / 2
    ends = torch.tensor([-0.0, 126.5, 127.0, 127.5, -126.5, -127.5, 200.0])
    u = torch.cat([halves, ends, 4 * torch.randn(44)])
    return (u * s).reshape(8, 11), s


def scales(w, widths):
    mean = w.abs().mean()
    each = [
        mean if bits == 1 else 2 * mean / math.sqrt(largest(bits))
        for bits in widths
    ]
    return nothing_flows_back([w], torch.stack(each), widths=widths)


def around_the_bounds():
    """None on a bound, where the two sides have different slopes."""
    return 4 * torch.randn(3, 5), torch.tensor([0.75])


WIDTHS = [1, 2, 4, 8]

CASES = {
    "quantise_weights": lambda: quantise_weights(
        *ties_and_bounds(), torch.randn(8, 11), widths=WIDTHS
    ),
    "quantise_surrogate": lambda: case(
        surrogate, *around_the_bounds(), bits=3
    ),
    "quantise_scale": lambda: scales(torch.randn(5, 7), widths=WIDTHS),
}
