"""The GPT of `transformer/gpt` in PyTorch, under nanoGPT's names.

    python tests/reference/gpt.py      writes tests/reference/gpt.json and gpt/

The module is what the Rust model is compared with: the same architecture, the
same names on disk, in float64 for reference vectors and in float32 for the
clock (`benches/peers`). PyTorch is needed to write the files, not to run the
tests.

`gpt.json` lists the cases: settings, tokens, labels, the loss, and how large
the gradients are. Beside it `gpt/NAME.safetensors` holds the weights of a case
exactly as a checkpoint of PyTorch would, and `gpt/NAME.grads.safetensors` the
gradient of every parameter under the same names. Widths, heads, batch, length
and vocabulary are pairwise different; no parameter is zero.
"""

import dataclasses
import json
import math
import pathlib
import zlib

import torch
import torch.nn.functional as F
from torch import nn

EPS = 1e-5  # under the root of a normalisation
ROPE_BASE = 10000.0
IGNORED = -100  # the label of a token that does not count


@dataclasses.dataclass
class Config:
    """The settings of the model; letters as in `transformer/gpt`."""

    vocab: int  # V
    context: int  # the most tokens in a text
    width: int  # D
    layers: int  # L
    heads: int  # H
    kv_heads: int = 0  # K, divides H; 0 means H
    hidden: int = 0  # F, width of the MLP; 0 means 4·D
    positions: str = "learned"  # or "rope"
    norm: str = "layer"  # or "rms"
    mlp: str = "gelu"  # or "gelu_tanh" or "swiglu"
    dropout: float = 0.0

    def __post_init__(self):
        self.kv_heads = self.kv_heads or self.heads
        self.hidden = self.hidden or 4 * self.width
        assert self.width % self.heads == 0, "heads divide the width"
        assert self.heads % self.kv_heads == 0, "K divides H"


def norm(c):
    kind = {"layer": nn.LayerNorm, "rms": nn.RMSNorm}[c.norm]
    return kind(c.width, eps=EPS)


def angles(c):
    """Cosines and sines (context, d/2) of the rotations of RoPE."""
    d = c.width // c.heads
    pair = torch.arange(0, d, 2, dtype=torch.float64)
    rate = ROPE_BASE ** (-pair / d)
    at = torch.arange(c.context, dtype=torch.float64)[:, None] * rate
    return at.cos(), at.sin()


def rotate(x, cos, sin):
    """RoPE of `x` (B,heads,T,d): number c is turned with number c + d/2."""
    u, v = x.chunk(2, dim=-1)
    return torch.cat((u * cos - v * sin, u * sin + v * cos), dim=-1)


class Attention(nn.Module):
    """Causal, grouped-query; the linear gives H queries, K keys, K values."""

    def __init__(self, c):
        super().__init__()
        self.c = c
        self.d = c.width // c.heads
        columns = (c.heads + 2 * c.kv_heads) * self.d
        self.c_attn = nn.Linear(c.width, columns)
        self.c_proj = nn.Linear(c.width, c.width)

    def forward(self, x, rope):
        (b, t, _), c = x.shape, self.c
        qkv = self.c_attn(x).view(b, t, c.heads + 2 * c.kv_heads, self.d)
        sizes = (c.heads, c.kv_heads, c.kv_heads)
        q, k, v = (z.transpose(1, 2) for z in qkv.split(sizes, dim=2))
        if rope is not None:
            cos, sin = (table[:t] for table in rope)
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        y = F.scaled_dot_product_attention(
            q, k, v, is_causal=True, enable_gqa=c.heads != c.kv_heads
        )
        return self.c_proj(y.transpose(1, 2).reshape(b, t, c.width))


class MLP(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.kind = c.mlp
        columns = 2 * c.hidden if c.mlp == "swiglu" else c.hidden
        self.c_fc = nn.Linear(c.width, columns)
        self.c_proj = nn.Linear(c.hidden, c.width)

    def forward(self, x):
        x = self.c_fc(x)
        if self.kind == "swiglu":
            gate, up = x.chunk(2, dim=-1)
            return self.c_proj(F.silu(gate) * up)
        form = {"gelu": "none", "gelu_tanh": "tanh"}[self.kind]
        return self.c_proj(F.gelu(x, approximate=form))


class Block(nn.Module):
    """`x + attn(norm(x))`, then `x + mlp(norm(x))`."""

    def __init__(self, c):
        super().__init__()
        self.ln_1, self.attn = norm(c), Attention(c)
        self.ln_2, self.mlp = norm(c), MLP(c)
        self.drop = nn.Dropout(c.dropout)

    def forward(self, x, rope):
        x = x + self.drop(self.attn(self.ln_1(x), rope))
        return x + self.drop(self.mlp(self.ln_2(x)))


class GPT(nn.Module):
    """Logits from tokens (B,T), or the mean loss if labels (B,T) are given.

    `lm_head.weight` *is* `transformer.wte.weight`; `tensors` leaves it out.
    """

    def __init__(self, c):
        super().__init__()
        self.config = c
        parts = {
            "wte": nn.Embedding(c.vocab, c.width),
            "drop": nn.Dropout(c.dropout),
            "h": nn.ModuleList(Block(c) for _ in range(c.layers)),
            "ln_f": norm(c),
        }
        if c.positions == "learned":
            parts["wpe"] = nn.Embedding(c.context, c.width)
        else:
            for name, table in zip(("cos", "sin"), angles(c)):
                table = table.to(torch.get_default_dtype())
                self.register_buffer(name, table, persistent=False)
        self.transformer = nn.ModuleDict(parts)
        self.lm_head = nn.Linear(c.width, c.vocab, bias=False)
        self.lm_head.weight = self.transformer.wte.weight
        self.apply(self.init)
        for name, p in self.named_parameters():
            if name.endswith("c_proj.weight"):
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * c.layers))

    @staticmethod
    def init(module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def forward(self, tokens, labels=None, smoothing=0.0):
        parts, c = self.transformer, self.config
        t = tokens.shape[1]
        assert t <= c.context, "a text is longer than the context"
        x, rope = parts.wte(tokens), None
        if c.positions == "learned":
            x = x + parts.wpe.weight[:t]
        else:
            rope = (self.cos, self.sin)
        x = parts.drop(x)
        for block in parts.h:
            x = block(x, rope)
        logits = self.lm_head(parts.ln_f(x))
        if labels is None:
            return logits
        return F.cross_entropy(
            logits.flatten(0, 1),
            labels.flatten(),
            ignore_index=IGNORED,
            label_smoothing=smoothing,
        )

    def tensors(self):
        """What lies on disk: every parameter once, under nanoGPT's name."""
        return {n: p.detach() for n, p in self.named_parameters()}

    def load(self, tensors):
        """Copies what lies on disk over the parameters; all must be there."""
        parameters = dict(self.named_parameters())
        tensors = dict(tensors)
        head = tensors.pop("lm_head.weight", None)
        if head is not None:
            assert torch.equal(head, tensors["transformer.wte.weight"])
        assert set(tensors) == set(parameters), "other names than the model's"
        with torch.no_grad():
            for name, p in parameters.items():
                assert p.shape == tensors[name].shape, name
                p.copy_(tensors[name])


class LoRA(nn.Linear):
    """`y + scale·(x·Aᵀ)·Bᵀ`, with A (r,in), B (out,r), and `y` from a linear
    layer that is frozen and keeps its names."""

    def __init__(self, base, rank, scale):
        super().__init__(base.in_features, base.out_features)
        self.weight, self.bias, self.scale = base.weight, base.bias, scale
        self.lora_A = nn.Linear(base.in_features, rank, bias=False)
        self.lora_B = nn.Linear(rank, base.out_features, bias=False)
        nn.init.zeros_(self.lora_B.weight)

    def forward(self, x):
        low = self.lora_B(self.lora_A(x))
        return super().forward(x) + self.scale * low


LINEARS = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")


def add_lora(model, rank, alpha, targets=LINEARS):
    """Freezes `model` and puts adapters of `scale = alpha/rank` on the linear
    layers `targets` of every block."""
    model.requires_grad_(False)
    for block in model.transformer.h:
        for target in targets:
            part, name = target.split(".")
            part = getattr(block, part)
            base = getattr(part, name)
            setattr(part, name, LoRA(base, rank, alpha / rank))
    return model


CASES = {
    # GPT-2: learned positions, LayerNorm, tanh form of GELU.
    "gpt2": (
        Config(11, 8, 15, 2, heads=3, hidden=20, mlp="gelu_tanh"),
        {"batch": 4, "length": 7},
    ),
    # Llama: RoPE, RMSNorm, SwiGLU, shared keys and values; linears have
    # biases here.
    "llama": (
        Config(13, 10, 24, 2, heads=6, kv_heads=2, hidden=14,
               positions="rope", norm="rms", mlp="swiglu"),
        {"batch": 3, "length": 9},
    ),
    # What the two leave out, labels that are smoothed, some left out.
    "smoothed": (
        Config(11, 9, 10, 1, heads=5, kv_heads=1, hidden=14, norm="rms"),
        {"batch": 4, "length": 6, "smoothing": 0.1, "ignored": [3, 4, 17]},
    ),
    "mixed": (
        Config(7, 5, 12, 3, heads=2, hidden=9,
               positions="rope", mlp="swiglu"),
        {"batch": 2, "length": 4, "smoothing": 0.2},
    ),
    # One text of one token: nothing to attend to but itself.
    "single": (
        Config(9, 4, 6, 1, heads=1, positions="rope"),
        {"batch": 1, "length": 1},
    ),
    # The first with adapters: gradients of A and B alone.
    "lora": (
        Config(11, 8, 15, 2, heads=3, hidden=20, mlp="gelu_tanh"),
        {"batch": 4, "length": 7, "rank": 2, "alpha": 5.0},
    ),
}


def shake(model):
    """No parameter is left zero, nor near what it was made with."""
    with torch.no_grad():
        for p in model.parameters():
            p += 0.2 * torch.randn(p.shape)


def write(name, folder):
    from safetensors.torch import save_file

    config, data = CASES[name]
    torch.manual_seed(zlib.crc32(name.encode()))
    model = GPT(config)
    if "rank" in data:
        add_lora(model, data["rank"], data["alpha"])
    shake(model)
    shape = (data["batch"], data["length"])
    tokens = torch.randint(config.vocab, shape)
    labels = torch.randint(config.vocab, shape)
    labels.view(-1)[data.get("ignored", [])] = IGNORED
    loss = model(tokens, labels, data.get("smoothing", 0.0))
    loss.backward()
    grads = {n: p.grad for n, p in model.named_parameters() if p.requires_grad}
    sizes = {n: g.norm().item() for n, g in grads.items()}
    assert min(sizes.values()) > 1e-4 or shape == (1, 1), sizes
    save_file(model.tensors(), folder / f"{name}.safetensors")
    save_file(grads, folder / f"{name}.grads.safetensors")
    return {
        "config": dataclasses.asdict(config),
        **data,
        "tokens": tokens.flatten().tolist(),
        "labels": labels.flatten().tolist(),
        "loss": loss.item(),
        "logits": model(tokens).flatten().tolist(),
    }


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    out = pathlib.Path(__file__).with_suffix(".json")
    folder = out.with_suffix("")
    folder.mkdir(exist_ok=True)
    lines = [f'"{n}": {json.dumps(write(n, folder))}' for n in CASES]
    version = torch.__version__.split("+")[0]
    body = ",\n".join(lines)
    out.write_text(f'{{"torch": "{version}", "cases": {{\n{body}\n}}}}\n')
