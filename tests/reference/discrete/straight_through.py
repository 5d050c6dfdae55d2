import math

import torch
from kit import case, nothing_flows_back


class Declared(torch.autograd.Function):
    """forward(x), with the gradient of surrogate(x)."""

    @staticmethod
    def forward(ctx, x, forward, surrogate):
        ctx.save_for_backward(x)
        ctx.surrogate = surrogate
        return forward(x)

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (dx,) = torch.autograd.grad(ctx.surrogate(x), x, dy)
        return dx, None, None


def whole(f, inputs, cotangents, **constants):
    """What went forward and what came back, in one row."""
    inputs = [x.requires_grad_() for x in inputs]
    y = f(*inputs, **constants)
    dx = torch.autograd.grad(y, inputs, cotangents)
    rows = [t.flatten() for t in (*y, *dx)]
    return nothing_flows_back([*inputs, *cotangents], *rows, **constants)


def surrogate(x, s, low, high):
    return x.clamp(s * (low - 0.5), s * (high + 0.5))


def quantise(x, s, low, high):
    """PyTorch's own, which lets pass what its code has on the grid."""
    return (
        torch.fake_quantize_per_tensor_affine(x, s, 0, int(low), int(high)),
    )


def sign(x):
    def forward(x):
        return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)

    return (Declared.apply(x, forward, lambda x: x.clamp(-1, 1)),)


def nearest(z, e):
    return torch.cdist(z, e).argmin(1)


def vq(z, e, beta):
    """As in the paper: the detached difference, and two losses."""
    code = e[nearest(z, e)]
    q = z + (code - z).detach()
    pulls = ((z.detach() - code) ** 2).sum(1)
    return q, pulls + beta * ((z - code.detach()) ** 2).sum(1)


def vq_surrogate(z, e, z0, e0, beta):
    k = nearest(z0, e0)
    pulls = ((z0 - e[k]) ** 2).sum(1) + beta * ((z - e0[k]) ** 2).sum(1)
    return torch.cat([z + (e0[k] - z0), pulls[:, None]], 1)


def gumbel_softmax(x, g, tau):
    return torch.softmax((x + g) / tau, -1)


def gumbel_hard(x, u, tau):
    y = gumbel_softmax(x, -torch.log(-torch.log(u)), tau)
    one_hot = torch.nn.functional.one_hot(y.argmax(-1), y.shape[-1])
    return (one_hot + (y - y.detach()),)


def hard_draw():
    x, u, dy = torch.randn(4, 6), torch.rand(4, 6), torch.randn(4, 6)
    x.requires_grad_()
    (y,) = gumbel_hard(x, u, 0.7)
    (dx,) = torch.autograd.grad(y, x, dy)
    rows = (y.detach().round().flatten(), dx.flatten())
    return nothing_flows_back([x, u, dy], *rows, tau=0.7)


def codes():
    z, e = torch.randn(7, 3), torch.randn(4, 3)
    return z, e, z.clone(), e.clone()


# ---- weights of few bits


def largest(bits):
    return max(2 ** (bits - 1) - 1, 1)


def weights_surrogate(w, s, bits):
    """What is differentiated in place of the rounding: a clamp whose bounds
    pass the gradient, which those of torch.clamp do not in every version."""
    most = largest(bits) * s
    return torch.where(w.abs() <= most, w, torch.sign(w) * most)


def rounded(w, s, bits):
    """The value of the rounding with the gradient of the surrogate."""
    q = largest(bits)
    codes = torch.clamp(torch.round(w / s), -q, q)
    if bits == 1:
        codes = torch.where(w >= 0, 1.0, -1.0)
    smooth = weights_surrogate(w, s, bits)
    return s * codes, smooth + (s * codes - smooth).detach()


def quantise_weights(w, s, dw_hat, widths):
    rows = []
    for bits in widths:
        w_in = w.clone().requires_grad_()
        value, through = rounded(w_in, s, bits)
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

GRID = dict(s=0.5, low=-3.0, high=2.0)

CASES = {
    "quantise_surrogate": lambda: case(surrogate, torch.randn(5, 7), **GRID),
    "quantise": lambda: whole(
        quantise, [1.5 * torch.randn(5, 7)], [torch.randn(5, 7)], **GRID
    ),
    "hard_tanh": lambda: case(lambda x: x.clamp(-1, 1), torch.randn(5, 7)),
    "sign": lambda: whole(sign, [1.5 * torch.randn(5, 7)], [torch.randn(5, 7)]),
    "vq_surrogate": lambda: case(vq_surrogate, *codes(), beta=0.25),
    "vq": lambda: whole(
        vq,
        [torch.randn(7, 3), torch.randn(4, 3)],
        [torch.randn(7, 3), torch.randn(7)],
        beta=0.25,
    ),
    "gumbel_softmax": lambda: case(
        gumbel_softmax, torch.randn(4, 6), torch.randn(4, 6), tau=0.7
    ),
    "gumbel_hard": hard_draw,
    "quantise_weights": lambda: quantise_weights(
        *ties_and_bounds(), torch.randn(8, 11), widths=WIDTHS
    ),
    "weights_surrogate": lambda: case(
        weights_surrogate, *around_the_bounds(), bits=3
    ),
    "quantise_scale": lambda: scales(torch.randn(5, 7), widths=WIDTHS),
}
