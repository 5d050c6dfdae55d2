import torch
import torch.nn.functional as F
from kit import case


def block(
    x, g1, b1, w_qkv, b_qkv, w_o, b_o, g2, b2, w1, c1, w2, c2,
    batch, queries, keys, eps,
):
    """Pre-norm."""
    n, width = x.shape
    t, d = n // batch, width // queries
    qkv = F.layer_norm(x, (width,), g1, b1, eps) @ w_qkv + b_qkv
    q, k, v = qkv.split([queries * d, keys * d, keys * d], 1)
    q, k, v = (
        a.view(batch, t, h, d).transpose(1, 2)
        for a, h in ((q, queries), (k, keys), (v, keys))
    )
    a = F.scaled_dot_product_attention(
        q, k, v, is_causal=True, enable_gqa=True
    )
    x = x + a.transpose(1, 2).reshape(n, width) @ w_o + b_o
    z = F.layer_norm(x, (width,), g2, b2, eps) @ w1 + c1
    return x + F.gelu(z) @ w2 + c2


def inputs(t=3, d=4, hidden=5):
    n, width, qkv = 2 * t, 2 * d, 4 * d
    shapes = [(width, qkv), (qkv,), (width, width), (width,)]
    shapes += [(width, hidden), (hidden,), (hidden, width), (width,)]
    weights = [0.5 * torch.randn(s) for s in shapes]
    norm = [(1 + 0.3 * torch.randn(width), torch.randn(width)) for _ in "12"]
    return torch.randn(n, width), *norm[0], *weights[:4], *norm[1], *weights[4:]


CASES = {
    "block": lambda: case(
        block, *inputs(), batch=2, queries=2, keys=1, eps=1e-5
    ),
}
