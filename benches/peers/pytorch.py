"""The rows of benches/rows.rs in PyTorch: eager, float32, each with the settings
that suit PyTorch best.

    python benches/peers/pytorch.py                 the names
    python benches/peers/pytorch.py serve           then `SECONDS NAME` lines
    python benches/peers/pytorch.py memory NAME     three repeats, then bytes

With DEVICE=cuda in the environment they run on the GPU: float32 with TF32 off,
and once more with TF32 and in bfloat16, settings whose names begin with `+`:
they are shown beside the comparison and take no part in it. A sample is then as
many repeats as fit, with one wait at its end.

A line on the input is answered by a line of JSON: for each setting up to 15
samples in seconds, each the mean over as many repeats as fit. Threads: THREADS,
or as many as there are cores; rows with little work are tried with one as well.
`benches/peers/compare.py` runs this in turns with ours.
"""

import gc
import json
import os
import resource
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.append(str(Path(__file__).parents[2] / "tests" / "reference"))
import gpt  # noqa: E402

THREADS = int(os.environ.get("THREADS", os.cpu_count()))
DEVICE = os.environ.get("DEVICE", "cpu")
FAR = DEVICE == "cuda"


def sgemm(n, kind):
    a, b, c = torch.randn(n, n), torch.randn(n, n), torch.empty(n, n)
    a = a.t() if kind == "TN" else a
    b = b.t() if kind == "NT" else b
    if torch.is_autocast_enabled(DEVICE):
        return lambda: torch.mm(a, b)
    return lambda: torch.mm(a, b, out=c)


def forward_and_back(f, inputs, dy=None):
    """y = f(*inputs), then the gradients of all inputs."""
    inputs = [x.requires_grad_() for x in inputs]

    def step():
        for x in inputs:
            x.grad = None
        f(*inputs).backward(dy)

    return step


def linear():
    x, w, b = torch.randn(512, 1024), torch.randn(1024, 1024), torch.zeros(1024)
    return forward_and_back(F.linear, (x, w, b), torch.randn(512, 1024))


def softmax_ce(rows):
    labels = torch.arange(rows) * 7 % 8192
    loss = lambda x: F.cross_entropy(x, labels)  # noqa: E731
    return forward_and_back(loss, [torch.randn(rows, 8192)])


def layer_norm(rows):
    f = lambda x, g, b: F.layer_norm(x, (768,), g, b)  # noqa: E731
    x, dy = torch.randn(rows, 768), torch.randn(rows, 768)
    return forward_and_back(f, (x, torch.ones(768), torch.zeros(768)), dy)


def gelu(rows):
    x, dy = torch.randn(rows, 3072), torch.randn(rows, 3072)
    return forward_and_back(F.gelu, [x], dy)


def attention(batch, t):
    f = lambda q, k, v: F.scaled_dot_product_attention(  # noqa: E731
        q, k, v, is_causal=True
    )
    q, k, v, dy = (torch.randn(batch, 8, t, 64) for _ in range(4))
    return forward_and_back(f, (q, k, v), dy)


def mlp_step(fused):
    model = torch.nn.Sequential(
        torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10)
    )
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.01, momentum=0.9, fused=fused
    )
    x, labels = torch.rand(32, 64), torch.arange(32) % 10

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), labels).backward()
        optimizer.step()

    return step


def gpt_step(context, layers, heads, width, batch):
    model = gpt.GPT(gpt.Config(65, context, width, layers, heads))
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=1e-3,
        betas=(0.9, 0.95),
        weight_decay=0.1,
        fused=True,
    )
    tokens = torch.arange(batch * context + 1).square() % 65
    ids = tokens[:-1].view(batch, context)
    labels = tokens[1:].view(batch, context)

    def step():
        optimizer.zero_grad(set_to_none=True)
        model(ids, labels).backward()
        optimizer.step()

    return step


def rows():
    """Name to settings: what a setting is called, its threads, its work."""
    rows = {}

    def row(name, make):
        rows[name] = [(f"{THREADS} threads", THREADS, make)]

    for n in (512, 1024, 2048) + (4096, 8192) * FAR:
        for kind in ("NN", "NT", "TN"):
            row(f"sgemm {n} {kind}", lambda n=n, kind=kind: sgemm(n, kind))
    row("linear 512x1024x1024", linear)
    row("softmax-CE 1024x8192", lambda: softmax_ce(1024))
    row("LayerNorm 4096x768", lambda: layer_norm(4096))
    row("GELU 4096x3072", lambda: gelu(4096))
    for batch, t in ((4, 256), (1, 1024), (1, 4096)):
        name = f"attention B{batch} H8 T{t} d64"
        row(name, lambda batch=batch, t=t: attention(batch, t))
    rows["MLP 64-128-10 step"] = [
        (f"{n} threads{' fused' * fused}", n, lambda fused=fused: mlp_step(fused))
        for n in sorted({1, THREADS})
        for fused in (False, True)
    ]
    row("GPT 0.81M step", lambda: gpt_step(64, 4, 4, 128, 12))
    row("GPT 10.8M step", lambda: gpt_step(256, 6, 6, 384, 8))
    if FAR:
        row("softmax-CE 16384x8192", lambda: softmax_ce(16384))
        row("LayerNorm 65536x768", lambda: layer_norm(65536))
        row("GELU 16384x3072", lambda: gelu(16384))
        row("GPT 10.8M B64 step", lambda: gpt_step(256, 6, 6, 384, 64))
        row("GPT 85M B8 step", lambda: gpt_step(1024, 12, 12, 768, 8))
        rows = {name: on_cuda(settings) for name, settings in rows.items()}
    return rows


def on_cuda(settings):
    """Float32 as it is exactly, TF32, and bfloat16 where that is allowed."""
    settings = {(label.split(" ", 2) + [""])[2]: work for label, _, work in settings}
    return [
        (f"{prefix}{label}".strip(), THREADS, lambda w=w, m=m: mixed(w, m))
        for label, w in settings.items()
        for prefix, m in (("fp32 ", None), ("+tf32 ", "tf32"), ("+bf16 ", "bf16"))
    ]


def mixed(make, mode):
    """The work in a lower precision of products, which it keeps to the end."""
    bf16 = torch.autocast(DEVICE, torch.bfloat16, enabled=mode == "bf16")

    def in_mode(act):
        torch.backends.cuda.matmul.allow_tf32 = mode == "tf32"
        with bf16:
            return act()

    work = in_mode(make)
    return lambda: in_mode(work)


def samples(work, seconds):
    """As in benches/rows.rs."""

    def timed(repeats):
        start = time.perf_counter()
        for _ in range(repeats):
            work()
        if FAR:
            torch.cuda.synchronize()
        return time.perf_counter() - start

    start = time.perf_counter()
    one = timed(1)
    while time.perf_counter() - start < 0.1:
        one = min(one, timed(1))
    repeats = max(1, int(seconds / 15 / one))
    found = []
    while len(found) < 3 or (len(found) < 15 and sum(found) * repeats < seconds):
        found.append(timed(repeats) / repeats)
    return found


def measured(name, seconds):
    answer = {}
    for setting, threads, make in rows()[name]:
        torch.set_num_threads(threads)
        torch.manual_seed(1)
        answer[setting] = samples(make(), seconds)
        gc.collect()
    return answer


def resident():
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024


def memory(name):
    before = resident()
    _, threads, make = rows()[name][-1]
    torch.set_num_threads(threads)
    work = make()
    for _ in range(3):
        work()
    return {"resident_before": before, "resident_peak": resident()}


if __name__ == "__main__":
    torch.set_default_device(DEVICE)
    match sys.argv[1:]:
        case ["serve"]:
            print(json.dumps({"torch": torch.__version__}), flush=True)
            for line in sys.stdin:
                seconds, name = line.strip().split(" ", 1)
                answer = measured(name, float(seconds))
                print(json.dumps({"samples": answer}), flush=True)
        case ["memory", name]:
            print(json.dumps(memory(name)))
        case _:
            print(*rows(), sep="\n")
