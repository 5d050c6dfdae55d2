import torch
import torch.nn.functional as F
from kit import case, nothing_flows_back

EPS = 0.1  # so large that a root without it is seen
MOMENTUM = 0.3


def large_mean():
    x = torch.randn(3, 4)
    x[1] += 1e4
    x[2] *= 1e-2
    return x


def running():
    """Running statistics that are no longer 0 and 1, of four columns."""
    i = torch.arange(4.0)
    return torch.stack([0.5 - i, 0.25 + 2 * i])


def batch_norm(x, g, b, eps, running):
    mean, var = torch.tensor(running)
    return F.batch_norm(x, mean, var, g, b, eps=eps)


def after_a_batch():
    """What a batch makes of the running statistics."""
    x, (mean, var) = torch.randn(3, 4), running()
    F.batch_norm(x, mean, var, training=True, momentum=MOMENTUM)
    return nothing_flows_back(
        [x], mean.unsqueeze(0), var.unsqueeze(0), momentum=MOMENTUM
    )


def grouped():
    x = torch.randn(3, 8, 5)
    x[1] += 1e4
    return x


CASES = {
    "layer_norm": lambda: case(
        lambda x, g, b, eps: F.layer_norm(x, (4,), g, b, eps),
        large_mean(),
        torch.randn(4),
        torch.randn(4),
        eps=EPS,
    ),
    "rms_norm": lambda: case(
        lambda x, g, eps: F.rms_norm(x, (4,), g, eps),
        large_mean(),
        torch.randn(4),
        eps=EPS,
    ),
    "batch_norm": lambda: case(
        lambda x, g, b, eps: F.batch_norm(
            x, None, None, g, b, training=True, eps=eps
        ),
        large_mean().T.contiguous(),
        torch.randn(3),
        torch.randn(3),
        eps=EPS,
    ),
    "batch_norm_eval": lambda: case(
        batch_norm,
        torch.randn(3, 4),
        torch.randn(4),
        torch.randn(4),
        eps=EPS,
        running=running().tolist(),
    ),
    "running_statistics": after_a_batch,
    "group_norm": lambda: case(
        lambda x, g, b, eps, groups: F.group_norm(x, groups, g, b, eps),
        grouped(),
        torch.randn(8),
        torch.randn(8),
        eps=EPS,
        groups=2,
    ),
}
