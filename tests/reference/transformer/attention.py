import torch
import torch.nn.functional as F
from kit import case

MULTI_HEAD = {"batch": 2, "queries": 5, "keys": 5}
GROUPED = {"batch": 2, "queries": 10, "keys": 5}
MULTI_QUERY = {"batch": 1, "queries": 6, "keys": 1}


def one_head(q, k, v, causal):
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal)


def newest(q, k, v, causal):
    """Fewer queries than keys: the last ones of the text."""
    (t, s), options = (q.shape[0], k.shape[0]), {}
    if causal:
        seen = torch.ones(t, s, dtype=torch.bool).tril(s - t)
        options["attn_mask"] = seen
    return F.scaled_dot_product_attention(q, k, v, **options)


def by_head(x, batch, heads):
    """The columns of x (B*T, H*d) as heads: (B, H, T, d)."""
    rows, columns = x.shape
    x = x.reshape(batch, rows // batch, heads, columns // heads)
    return x.transpose(1, 2)


def attend(q, k, v, batch, causal):
    """Attention of every head; back from (B, H, T, d) to (B*T, H*d)."""
    y = F.scaled_dot_product_attention(
        q, k, v, is_causal=causal, enable_gqa=True
    )
    return y.transpose(1, 2).reshape(batch * q.shape[2], -1)


def packed(qkv, batch, queries, keys, causal=True):
    heads = by_head(qkv, batch, queries + 2 * keys)
    q, k, v = heads.split([queries, keys, keys], 1)
    return attend(q, k, v, batch, causal)


def cross(q, kv, batch, queries, keys, causal=False):
    k, v = by_head(kv, batch, 2 * keys).split([keys, keys], 1)
    return attend(by_head(q, batch, queries), k, v, batch, causal)


def queries(rows, columns, size=1e4):
    """Scores of ten thousand in two rows: softmax picks one key."""
    q = torch.randn(rows, columns)
    q[1] *= size
    q[2] *= -size
    return q


def cases(op):
    """The same for attention and for flash attention."""
    return {
        op: lambda: case(
            one_head,
            queries(6, 4),
            torch.randn(6, 4),
            torch.randn(6, 5),
            causal=True,
        ),
        f"{op}_full": lambda: case(
            one_head,
            queries(3, 4),
            torch.randn(6, 4),
            torch.randn(6, 5),
            causal=False,
        ),
        f"{op}_multi_head": lambda: case(
            packed, queries(8, 45, 1e2), **MULTI_HEAD
        ),
        f"{op}_grouped_query": lambda: case(
            packed, queries(8, 60, 1e2), **GROUPED
        ),
        f"{op}_multi_query": lambda: case(
            packed, queries(4, 24, 1e2), **MULTI_QUERY
        ),
        f"{op}_cross": lambda: case(
            cross, queries(8, 30), torch.randn(12, 30), **GROUPED
        ),
    }


CASES = cases("attention") | {
    "attention_newest_queries": lambda: case(
        newest,
        queries(3, 4),
        torch.randn(7, 4),
        torch.randn(7, 5),
        causal=True,
    ),
}
