import torch
import torch.nn.functional as F
from kit import case

SMOOTHING = 0.1


def logits():
    x = torch.randn(4, 5)
    x[1] *= 1e4
    x[2] -= 1e4
    return x


def labels(rows, classes):
    return [(7 * b + 3) % classes for b in range(rows)]


def some_labels(rows, classes):
    """Every third row is ignored."""
    y = labels(rows, classes)
    y[1::3] = [None] * len(y[1::3])
    return y


def uneven_targets(rows, classes):
    """Rows that do not sum to one, nor to the same."""
    return [
        [1.0 + (b + 2 * v) % 3 for v in range(classes)] for b in range(rows)
    ]


def cross_entropy(x, labels, smoothing):
    y = torch.tensor([-100 if v is None else v for v in labels])
    return F.cross_entropy(x, y, label_smoothing=smoothing)


CASES = {
    "softmax": lambda: case(lambda x: F.softmax(x, 1), logits()),
    "softmax_tempered": lambda: case(
        lambda x, temperature: F.softmax(x / temperature, 1),
        logits(),
        temperature=2.5,
    ),
    "log_sum_exp": lambda: case(lambda x: torch.logsumexp(x, 1), logits()),
    "log_softmax": lambda: case(lambda x: F.log_softmax(x, 1), logits()),
    "cross_entropy": lambda: case(
        cross_entropy, logits(), labels=labels(4, 5), smoothing=0.0
    ),
    "cross_entropy_smoothed": lambda: case(
        cross_entropy, logits(), labels=labels(4, 5), smoothing=SMOOTHING
    ),
    "cross_entropy_ignored": lambda: case(
        cross_entropy, logits(), labels=some_labels(4, 5), smoothing=SMOOTHING
    ),
    "cross_entropy_any_target": lambda: case(
        lambda x, targets: F.cross_entropy(x, torch.tensor(targets)),
        logits(),
        targets=uneven_targets(4, 5),
    ),
    "cross_entropy_binary": lambda: case(
        lambda x, targets: F.binary_cross_entropy_with_logits(
            x, torch.tensor(targets)
        ),
        torch.tensor([0.7, -1.3, 0.0, 1e4, 1e4, -2.2]),
        targets=[b % 4 / 3 for b in range(6)],
    ),
}
