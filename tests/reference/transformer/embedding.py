import torch
import torch.nn.functional as F
from kit import case
from network.softmax_cross_entropy import SMOOTHING, cross_entropy, some_labels


def some_tokens(rows):
    """Some repeat, and some do not come."""
    return [(n * n + 1) % rows for n in range(6)]


def embedding(w, tokens):
    return F.embedding(torch.tensor(tokens), w)


def rope(x, batch, queries, keys, base):
    """As in the Llama of Hugging Face."""
    rows, columns = x.shape
    heads = queries + 2 * keys
    length, width = rows // batch, columns // heads
    inv_freq = 1.0 / base ** (torch.arange(0, width, 2) / width)
    angle = torch.outer(torch.arange(length).double(), inv_freq)
    angle = torch.cat([angle, angle], 1)[:, None]
    cos, sin = angle.cos(), angle.sin()
    x = x.reshape(batch, length, heads, width)
    qk, v = x[:, :, : queries + keys], x[:, :, queries + keys :]
    low, high = qk.chunk(2, -1)
    qk = qk * cos + torch.cat([-high, low], -1) * sin
    return torch.cat([qk, v], 2).reshape(rows, columns)


CASES = {
    "embedding": lambda: case(
        embedding, torch.randn(4, 5), tokens=some_tokens(4)
    ),
    "unembed": lambda: case(F.linear, torch.randn(3, 4), torch.randn(5, 4)),
    "embedding_tied": lambda: case(
        lambda w, tokens: F.linear(embedding(w, tokens), w),
        torch.randn(4, 5),
        tokens=some_tokens(4),
    ),
    "unembed_ce": lambda: case(
        lambda x, w, **c: cross_entropy(F.linear(x, w), **c),
        torch.randn(7, 4),
        torch.randn(5, 4),
        labels=some_labels(7, 5),
        smoothing=SMOOTHING,
    ),
    "rope": lambda: case(
        rope, torch.randn(6, 24), batch=2, queries=2, keys=1, base=100.0
    ),
}
