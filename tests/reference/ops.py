"""Reference vectors for the table of ops, from PyTorch in float64.

    python tests/reference/ops.py      writes tests/reference/ops.json

PyTorch is needed to write the file, not to run the tests. Each case holds the
inputs, the output y, a cotangent dy, and the gradients dx in the order of the
inputs. Shapes are pairwise different, and the cases include what is easily got
wrong: zeros into ReLU, logits of ten thousand, targets that do not sum to one.
"""

import json
import pathlib
import zlib

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)

SMOOTHING = 0.1
TEMPERATURE = 2.5
BASE, N_TOKENS, SCALE = 100.0, 6, 1.5
NORM_EPS = 0.1
RATE, STREAM = 0.3, (0x0123456789ABCDEF, 5, 2)
LR, MOMENTUM, DECAY = 0.1, 0.9, 0.01
BETAS, EPS, STEPS, FACTOR = (0.9, 0.95), 1e-3, 3, 0.5
MOST = [0.7, 1e6]


def tensor(t):
    return {"shape": list(t.shape), "data": t.detach().flatten().tolist()}


def case(f, *inputs):
    """y = f(*inputs) with gradients of <dy, y> for a random dy."""
    inputs = [x.clone().requires_grad_() for x in inputs]
    y = f(*inputs)
    dy = torch.randn(y.shape)
    dx = torch.autograd.grad(y, inputs, dy)
    return {
        "inputs": [tensor(x) for x in inputs],
        "y": tensor(y),
        "dy": tensor(dy),
        "dx": [tensor(d) for d in dx],
    }


def philox(counter, key):
    """Philox 4x32-10 of Salmon et al. 2011: four random words."""
    c, k = list(counter), list(key)
    for _ in range(10):
        left, right = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [
            right >> 32 ^ c[1] ^ k[0],
            right & 0xFFFFFFFF,
            left >> 32 ^ c[3] ^ k[1],
            left & 0xFFFFFFFF,
        ]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return c


def dropout(x):
    """x times a mask of the stream (seed; step, op), over 1 - rate."""
    seed, step, op = STREAM
    key = [seed % 2**32, seed >> 32]
    blocks = range(-(-x.numel() // 4))
    words = [w for b in blocks for w in philox([b, 0, op, step], key)]
    u = torch.tensor([(w >> 8) / 2**24 for w in words[: x.numel()]])
    return x * (u >= RATE).view_as(x) / (1 - RATE)


def swiglu(x):
    g, u = x.chunk(2, dim=1)
    return F.silu(g) * u


def large_mean():
    x = torch.randn(3, 4)
    x[1] += 1e4
    x[2] *= 1e-2
    return x


def labels(x):
    return torch.tensor([(7 * b + 3) % x.shape[1] for b in range(len(x))])


def uneven_targets(x):
    rows, classes = x.shape
    return torch.tensor(
        [[1.0 + (b + 2 * v) % 3 for v in range(classes)] for b in range(rows)]
    )


def nothing_flows_back(inputs, *after):
    y = torch.cat([t.detach() for t in after])
    return {
        "inputs": [tensor(x) for x in inputs],
        "y": tensor(y),
        "dy": tensor(torch.zeros_like(y)),
        "dx": [],
    }


def some_labels(x):
    """Every third row is ignored."""
    y = labels(x)
    y[1::3] = -100
    return y


def frozen(inputs):
    return torch.tensor(
        [
            [(2 * i + 3 * o) % 5 - 2.0 for o in range(inputs + 1)]
            for i in range(inputs)
        ]
    )


def tokens(rows):
    return torch.tensor([(n * n + 1) % rows for n in range(N_TOKENS)])


def embedding(w):
    return F.embedding(tokens(len(w)), w)


def unembed_ce(x, w):
    x = F.linear(x, w)
    return F.cross_entropy(x, some_labels(x), label_smoothing=SMOOTHING)


def rope(x):
    """As in the Llama of Hugging Face; two texts, heads q q k v."""
    rows, columns = x.shape
    length, width = rows // 2, columns // 4
    inv_freq = 1.0 / BASE ** (torch.arange(0, width, 2) / width)
    angle = torch.outer(torch.arange(length).double(), inv_freq)
    angle = torch.cat([angle, angle], 1)[:, None]
    cos, sin = angle.cos(), angle.sin()
    x = x.reshape(2, length, 4, width)
    qk, v = x[:, :, :3], x[:, :, 3:]
    low, high = qk.chunk(2, -1)
    qk = qk * cos + torch.cat([-high, low], -1) * sin
    return torch.cat([qk, v], 2).reshape(rows, columns)


def sgd(nesterov=False):
    """One step from a velocity that is not zero."""
    w, dw, v = torch.randn(7), torch.randn(7), torch.randn(7)
    p = torch.nn.Parameter(w.clone())
    p.grad = dw.clone()
    step = torch.optim.SGD(
        [p], LR, momentum=MOMENTUM, weight_decay=DECAY, nesterov=nesterov
    )
    step.state[p]["momentum_buffer"] = v.clone()
    step.step()
    after = step.state[p]["momentum_buffer"]
    return nothing_flows_back([w, dw, v], p, after)


def adam(optimizer):
    """The first steps, from means that are not zero."""
    w, dw, m = torch.randn(7), torch.randn(7 * STEPS), torch.randn(7)
    v = torch.randn(7).square()
    p = torch.nn.Parameter(w.clone())
    step = optimizer([p], LR, betas=BETAS, eps=EPS, weight_decay=DECAY)
    state = {"step": torch.tensor(0.0), "exp_avg": m.clone()}
    step.state[p] = state | {"exp_avg_sq": v.clone()}
    for g in dw.split(7):
        p.grad = FACTOR * g
        step.step()
    state = step.state[p]
    return nothing_flows_back(
        [w, dw, m, v], p, state["exp_avg"], state["exp_avg_sq"]
    )


def clip():
    """PyTorch divides by norm + 1e-6; that is put right here."""
    dw, db = torch.randn(12), torch.randn(5)
    after = []
    for most in MOST:
        params = [torch.nn.Parameter(torch.zeros_like(g)) for g in (dw, db)]
        for p, g in zip(params, (dw, db)):
            p.grad = g.clone()
        norm = torch.nn.utils.clip_grad_norm_(params, most)
        right = (norm + 1e-6) / norm if norm > most else 1.0
        after += [p.grad * right for p in params]
    return nothing_flows_back([dw, db], *after)


def zeros_among():
    x = torch.randn(3, 4)
    x[0, 1] = x[2, 3] = 0.0
    return x


def tails():
    x = 3 * torch.randn(3, 4)
    x[0, 0], x[1, 2], x[2, 1] = 1e4, -1e4, 0.0
    return x


def logits():
    x = torch.randn(4, 5)
    x[1] *= 1e4
    x[2] -= 1e4
    return x


def chain(x):
    u = torch.relu((0.7 * x).tanh().exp().pow(-3)).log()
    return torch.sigmoid((u.sin() + 0.3).cos())


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


def packed(queries, keys, batch=2):
    def attention(qkv):
        heads = by_head(qkv, batch, queries + 2 * keys)
        q, k, v = heads.split([queries, keys, keys], 1)
        return attend(q, k, v, batch, True)

    return attention


def cross(q, kv, batch=2, queries=10, keys=5):
    k, v = by_head(kv, batch, 2 * keys).split([keys, keys], 1)
    return attend(by_head(q, batch, queries), k, v, batch, False)


def queries(rows, columns, size=1e4):
    """Scores of ten thousand in two rows: softmax picks one key."""
    q = torch.randn(rows, columns)
    q[1] *= size
    q[2] *= -size
    return q


def block(x, g1, b1, w_qkv, b_qkv, w_o, b_o, g2, b2, w1, c1, w2, c2):
    """Pre-norm, two texts, two heads of queries on one of keys and values."""
    (n, width), heads, keys = x.shape, 2, 1
    t, d = n // 2, width // heads
    qkv = F.layer_norm(x, (width,), g1, b1) @ w_qkv + b_qkv
    q, k, v = qkv.split([heads * d, keys * d, keys * d], 1)
    q, k, v = (
        a.view(2, t, h, d).transpose(1, 2)
        for a, h in ((q, heads), (k, keys), (v, keys))
    )
    a = F.scaled_dot_product_attention(
        q, k, v, is_causal=True, enable_gqa=True
    )
    x = x + a.transpose(1, 2).reshape(n, width) @ w_o + b_o
    z = F.layer_norm(x, (width,), g2, b2) @ w1 + c1
    return x + F.gelu(z) @ w2 + c2


def block_inputs(t=3, d=4, hidden=5):
    n, width, qkv = 2 * t, 2 * d, 4 * d
    shapes = [(width, qkv), (qkv,), (width, width), (width,)]
    shapes += [(width, hidden), (hidden,), (hidden, width), (width,)]
    weights = [0.5 * torch.randn(s) for s in shapes]
    norm = [(1 + 0.3 * torch.randn(width), torch.randn(width)) for _ in "12"]
    return torch.randn(n, width), *norm[0], *weights[:4], *norm[1], *weights[4:]


CASES = {
    "chain": lambda: case(chain, torch.linspace(-1, 1, 7)),
    "line_squared": lambda: case(
        lambda x, w, b: (x * w + b) ** 2,
        torch.randn(()),
        torch.randn(()),
        torch.randn(()),
    ),
    "sigmoid": lambda: case(torch.sigmoid, 4 * torch.randn(3, 4)),
    "linear": lambda: case(
        lambda x, w, b: F.linear(x, w.T, b),
        torch.randn(3, 4),
        torch.randn(4, 5),
        torch.randn(5),
    ),
    "linear_frozen": lambda: case(
        lambda x: x @ frozen(4), torch.randn(3, 4)
    ),
    "linear_columns": lambda: case(
        lambda w, a, b: w @ a + b[:, None],
        torch.randn(5, 4),
        torch.randn(4, 3),
        torch.randn(5),
    ),
    "low_rank": lambda: case(
        lambda u, v: u @ v.T, torch.randn(4, 2), torch.randn(5, 2)
    ),
    "relu": lambda: case(torch.relu, zeros_among()),
    "tanh": lambda: case(torch.tanh, 3 * torch.randn(3, 4)),
    "sigmoid_array": lambda: case(torch.sigmoid, tails()),
    "gelu": lambda: case(F.gelu, tails()),
    "gelu_tanh": lambda: case(
        lambda x: F.gelu(x, approximate="tanh"), tails()
    ),
    "silu": lambda: case(F.silu, tails()),
    "swiglu": lambda: case(swiglu, 2 * torch.randn(3, 8)),
    "layer_norm": lambda: case(
        lambda x, g, b: F.layer_norm(x, (4,), g, b, NORM_EPS),
        large_mean(),
        torch.randn(4),
        torch.randn(4),
    ),
    "rms_norm": lambda: case(
        lambda x, g: F.rms_norm(x, (4,), g, NORM_EPS),
        large_mean(),
        torch.randn(4),
    ),
    "add": lambda: case(torch.add, torch.randn(3, 4), torch.randn(3, 4)),
    "dropout": lambda: case(dropout, torch.randn(3, 7)),
    "softmax": lambda: case(lambda x: F.softmax(x, 1), logits()),
    "softmax_tempered": lambda: case(
        lambda x: F.softmax(x / TEMPERATURE, 1), logits()
    ),
    "log_sum_exp": lambda: case(lambda x: torch.logsumexp(x, 1), logits()),
    "log_softmax": lambda: case(lambda x: F.log_softmax(x, 1), logits()),
    "cross_entropy": lambda: case(
        lambda x: F.cross_entropy(x, labels(x)), logits()
    ),
    "cross_entropy_smoothed": lambda: case(
        lambda x: F.cross_entropy(x, labels(x), label_smoothing=SMOOTHING),
        logits(),
    ),
    "cross_entropy_ignored": lambda: case(
        lambda x: F.cross_entropy(
            x, some_labels(x), label_smoothing=SMOOTHING
        ),
        logits(),
    ),
    "cross_entropy_any_target": lambda: case(
        lambda x: F.cross_entropy(x, uneven_targets(x)), logits()
    ),
    "cross_entropy_binary": lambda: case(
        lambda x: F.binary_cross_entropy_with_logits(
            x, torch.arange(6.0) % 4 / 3
        ),
        torch.tensor([0.7, -1.3, 0.0, 1e4, 1e4, -2.2]),
    ),
    "attention": lambda: case(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        queries(6, 4),
        torch.randn(6, 4),
        torch.randn(6, 5),
    ),
    "attention_full": lambda: case(
        F.scaled_dot_product_attention,
        queries(3, 4),
        torch.randn(6, 4),
        torch.randn(6, 5),
    ),
    "attention_multi_head": lambda: case(
        packed(5, 5), queries(8, 45, 1e2)
    ),
    "attention_grouped_query": lambda: case(
        packed(10, 5), queries(8, 60, 1e2)
    ),
    "attention_cross": lambda: case(cross, queries(8, 30), torch.randn(12, 30)),
    "embedding": lambda: case(embedding, torch.randn(4, 5)),
    "unembed": lambda: case(F.linear, torch.randn(3, 4), torch.randn(5, 4)),
    "embedding_tied": lambda: case(
        lambda w: F.linear(embedding(w), w), torch.randn(4, 5)
    ),
    "unembed_ce": lambda: case(
        unembed_ce, torch.randn(7, 4), torch.randn(5, 4)
    ),
    "rope": lambda: case(rope, torch.randn(6, 24)),
    "lora": lambda: case(
        lambda x, a, b, y: y + SCALE * F.linear(F.linear(x, a.T), b.T),
        torch.randn(3, 4),
        torch.randn(4, 2),
        torch.randn(2, 5),
        torch.randn(3, 5),
    ),
    "block": lambda: case(block, *block_inputs()),
    "flash_attention": lambda: case(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        queries(6, 4),
        torch.randn(6, 4),
        torch.randn(6, 5),
    ),
    "flash_attention_full": lambda: case(
        F.scaled_dot_product_attention,
        queries(3, 4),
        torch.randn(6, 4),
        torch.randn(6, 5),
    ),
    "flash_attention_multi_head": lambda: case(
        packed(5, 5), queries(8, 45, 1e2)
    ),
    "flash_attention_grouped_query": lambda: case(
        packed(10, 5), queries(8, 60, 1e2)
    ),
    "flash_attention_cross": lambda: case(
        cross, queries(8, 30), torch.randn(12, 30)
    ),
    "sgd": sgd,
    "nesterov": lambda: sgd(nesterov=True),
    "adam": lambda: adam(torch.optim.Adam),
    "adamw": lambda: adam(torch.optim.AdamW),
    "clip": clip,
}


if __name__ == "__main__":
    lines = []
    for name, make in CASES.items():
        # Its own seed, so that a new case leaves the others as they are.
        torch.manual_seed(zlib.crc32(name.encode()))
        lines.append(f'"{name}": {json.dumps(make())}')
    version = torch.__version__.split("+")[0]
    body = ",\n".join(lines)
    out = pathlib.Path(__file__).with_suffix(".json")
    out.write_text(f'{{"torch": "{version}", "cases": {{\n{body}\n}}}}\n')
