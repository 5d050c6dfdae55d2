"""Exact values of softmax and cross-entropy, to 60 digits, where floats fail.

    python tests/reference/exact.py      writes tests/reference/exact.json

Python's own `decimal` is enough. A float is a rational number, so the logits
are taken as they are; what is computed from them is rounded once, to the
nearest float, when it is written. A row is written in runs, `[value, times]`,
and the results have one entry for each run; the label has a run of its own.
"""

import json
import math
import pathlib
import struct
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, setcontext

setcontext(Context(prec=60, Emax=MAX_EMAX, Emin=MIN_EMIN))

SMOOTHING = 0.125  # a number that an f32 holds
NEGLIGIBLE = Decimal(100_000)  # exp(-it) is below every float, even a sum's


def exp(x):
    return Decimal(0) if x < -NEGLIGIBLE else x.exp()


def softmax(values, times):
    """x - max, the sum of their exponentials, and the probabilities."""
    m = max(values)
    shifted = [x - m for x in values]
    s = sum(n * exp(x) for x, n in zip(shifted, times))
    return m, shifted, s, [exp(x) / s for x in shifted]


def cross_entropy(name, runs, label, smoothing):
    """`label` is the number of the label's run."""
    assert runs[label][1] == 1
    times = [n for _, n in runs]
    classes = sum(times)
    m, shifted, s, p = softmax([Decimal(x) for x, _ in runs], times)
    eps = Decimal(smoothing)
    t = [(1 - eps) * (i == label) + eps / classes for i in range(len(runs))]
    log_p = [x - s.ln() for x in shifted]
    return {
        "name": name,
        "x": runs,
        "label": sum(times[:label]),
        "smoothing": smoothing,
        "lse": float(m + s.ln()),
        "log_p": [float(l) for l in log_p],
        "p": [float(p) for p in p],
        "loss": float(-sum(n * t * l for n, t, l in zip(times, t, log_p))),
        "dx": [float(p - t) for p, t in zip(p, t)],
    }


def tempered(x, tau):
    values = [Decimal(x) / Decimal(tau) for x in x]
    p = softmax(values, [1] * len(x))[-1]
    return {"x": x, "tau": tau, "p": [float(p) for p in p]}


def binary(x, t):
    """The logits (x, 0) with the targets (t, 1 - t)."""
    _, shifted, s, p = softmax([Decimal(x), Decimal(0)], [1, 1])
    t_ = Decimal(t)
    cost = t_ * (s.ln() - shifted[0]) + (1 - t_) * (s.ln() - shifted[1])
    return {
        "x": x,
        "t": t,
        "loss": float(cost),
        "p": float(p[0]),
        "dx": float(p[0] - t_),
    }


def f32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def ulp32(x):
    return 2.0 ** (math.frexp(x)[1] - 24)


def rows():
    """Names and runs."""
    # A large part that all share, and what they differ in: at least a quarter,
    # at least what the format can tell apart there.
    large = [1.0, 1e4, 1e8, 1e12, 1e15, 1e16]
    bases = [(x, max(0.25, math.ulp(x))) for x in large]
    bases += [
        (f32(x), max(0.25, ulp32(x))) for x in [1e5, 1e7, 1e8, 1e12, 1e30]
    ]
    for base, step in bases:
        for sign in [1, -1]:
            x = sign * base
            yield f"two equal {x}", [[x, 1]] * 2
            yield f"three equal {x}", [[x, 1]] * 3
            some = [[x - k * step, 1] for k in [0, 1, 8, 2]]
            yield f"steps of {step} below {x}", some
    for gap in [36.0, 100.0, 700.0, 745.0, 746.0, 1e4, 1e16, 1e30]:
        yield f"a gap of {gap}", [[gap, 1], [0.0, 1], [-gap, 1]]
    for n in [10, 1000, 5000, 50_257]:
        for x in [0.0, 1e4, -(2.0**40), 2.0**60]:
            yield f"{n} equal {x}", [[x, 1], [x, n - 2], [x, 1]]
        yield f"{n}, one above", [[1.0, 1], [0.0, n - 2], [0.0, 1]]
    for d in [5e-324, 2.0**-149, 2.0**-126, 2.0**-60, 2.0**-26]:
        yield f"a difference of {d}", [[0.0, 1], [d, 1]]
    yield "neighbours of 1", [[1.0, 1], [1 + 2.0**-52, 1]]
    yield "neighbours of 1 in f32", [[1.0, 1], [1 + 2.0**-23, 1]]


def main():
    losses = [
        cross_entropy(name, runs, label, smoothing)
        for name, runs in rows()
        for label in [0, len(runs) - 1]
        for smoothing in [0.0, SMOOTHING]
    ]
    cool = [
        tempered(x, tau)
        for x in [[1e16, 1e16 - 2, 1e16], [1e12, 1e12 - 1], [1.0, 2.0, 3.0]]
        for tau in [0.1, 0.7, 3.0, 1e4]
    ]
    two = [
        binary(x, t)
        for x in [0.5, -0.5, 40.0, -40.0, 1e4, -1e4, 1e16, -1e16]
        for t in [0.0, 1.0, 0.3, 1e-12, 1 - 2.0**-40]
    ]
    cases = {"cross_entropy": losses, "tempered": cool, "binary": two}
    lists = {
        name: ",\n".join(json.dumps(c) for c in cases)
        for name, cases in cases.items()
    }
    text = ",\n".join(f'"{k}": [\n{v}\n]' for k, v in lists.items())
    file = pathlib.Path(__file__).with_suffix(".json")
    file.write_text(f"{{{text}}}\n")


if __name__ == "__main__":
    main()
