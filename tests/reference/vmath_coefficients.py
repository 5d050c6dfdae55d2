"""Derives the polynomial coefficients of src/engine/vmath.rs.

Each is the polynomial of its degree whose largest weighted error on its
interval is smallest (minimax), found by Lawson's algorithm: solve a weighted
least-squares problem on a dense grid, multiply the weights by the size of the
error, repeat; the weights gather where the error is largest until all its
peaks are equally high. The coefficients are then rounded to float32 from the
lowest up; after each rounding the ones above are found anew, so that they make
up for it.

Run with any Python that has numpy and mpmath:
    python tests/reference/vmath_coefficients.py
"""

import numpy as np
from mpmath import erf, erfc, expm1, log, mp, mpf, sqrt

mp.dps = 40
GRID = 1500


def minimax(target, weight, basis):
    """Coefficients c with max |weight·(target - basis·c)| minimal."""
    mass = np.full(len(target), 1.0 / len(target))
    best, best_err = None, np.inf
    for _ in range(300):
        root = np.sqrt(mass) * weight
        c = np.linalg.lstsq(basis * root[:, None], target * root, rcond=None)[0]
        err = weight * np.abs(target - basis @ c)
        if err.max() < best_err:
            best, best_err = c, err.max()
        mass = mass * err
        mass /= mass.sum()
    return best


def show(name, target, weight, powers, lo, hi):
    angles = np.pi * (np.arange(GRID) + 0.5) / GRID
    grid = (lo + hi) / 2 - (hi - lo) / 2 * np.cos(angles)
    exact = [mpf(float(x)) for x in grid]
    rest = np.array([float(target(x)) for x in exact])
    w = np.array([float(weight(x)) for x in exact])
    left, fixed = list(powers), []
    while left:
        basis = np.stack([grid**p for p in left], axis=1)
        fixed.append(np.float32(minimax(rest, w, basis)[0]))
        rest = rest - float(fixed[-1]) * grid ** left.pop(0)
    worst = np.abs(w * rest).max()
    print(f"{name}: error {worst:.2e} = 2^{np.log2(worst):.1f}")
    for p, c in zip(powers, fixed):
        print(f"    {c!s:>16}  // x^{p}")


if __name__ == "__main__":
    half_ln2 = float(log(2)) / 2 * 1.0005
    # expm1(r) = r + r²/2 + r³ q(r); the error is relative to expm1(r).
    show("q of exp",
         lambda r: (expm1(r) - r - r**2 / 2) / r**3,
         lambda r: r**3 / expm1(r),
         range(4), -half_ln2, half_ln2)
    # erf(x) = x + x p(x²) below 1; the error is relative.
    show("p of erf, t = x² in (0, 1)",
         lambda t: erf(sqrt(t)) / sqrt(t) - 1,
         lambda t: sqrt(t) / erf(sqrt(t)),
         range(7), 0.0, 1.0)
    # erf(x) = 1 - exp(-g(x)) from 1 on; the error is that of erf itself.
    show("g of erf, x in (1, 4)",
         lambda x: -log(erfc(x)),
         lambda x: erfc(x),
         range(7), 1.0, 4.0)
