import torch
from kit import case, nothing_flows_back


def rnn(x, w_x, w_h, b, h0):
    """torch.nn.RNN with our weights: rows for inputs, one bias."""
    net = torch.nn.RNN(*w_x.shape)
    weights = {
        "weight_ih_l0": w_x.T,
        "weight_hh_l0": w_h.T,
        "bias_ih_l0": b,
        "bias_hh_l0": torch.zeros_like(b),
    }
    h, _ = torch.func.functional_call(net, weights, (x, h0[None]))
    return h


def layer(t, b, i, h):
    shapes = [(t, b, i), (i, h), (h, h), (h,), (b, h)]
    return [torch.randn(shape) for shape in shapes]


def in_chunks(x, w_x, w_h, b, h0, dh, k):
    """PyTorch's usual loop: the state is detached between two chunks."""
    h, loss = h0, 0
    for t in range(0, len(x), k):
        if t > 0:
            h = h.detach()
        states = rnn(x[t : t + k], w_x, w_h, b, h)
        loss = loss + (states * dh[t : t + k]).sum()
        h = states[-1]
    return loss


def in_windows(x, w_x, w_h, b, h0, dh, k):
    """For each loss a pass of its own over the last k steps."""
    h = rnn(x, w_x, w_h, b, h0).detach()
    loss = 0
    for t in range(len(x)):
        start = max(0, t + 1 - k)
        before = h[start - 1] if start else h0
        state = rnn(x[start : t + 1], w_x, w_h, b, before)[-1]
        loss = loss + (state * dh[t]).sum()
    return loss


def truncated(loss, inputs, k):
    inputs = [x.requires_grad_() for x in inputs]
    *free, _ = inputs
    d = torch.autograd.grad(loss(*inputs, k=k), free)
    return nothing_flows_back(inputs, *(g.flatten() for g in d), k=k)


def linear(w, x, h0):
    h, states = h0, []
    for x_t in x:
        h = w * h + x_t
        states.append(h)
    return torch.cat(states)


def with_cotangent(t, b, i, h):
    return [*layer(t, b, i, h), torch.randn(t, b, h)]


CASES = {
    "rnn": lambda: case(rnn, *layer(6, 3, 4, 5)),
    "rnn_in_chunks": lambda: truncated(in_chunks, with_cotangent(5, 2, 4, 3), 2),
    "rnn_in_windows": lambda: truncated(
        in_windows, with_cotangent(5, 2, 4, 3), 2
    ),
    "rnn_scalar": lambda: case(
        linear, torch.randn(1), torch.randn(7), torch.randn(1)
    ),
}
