import torch
from kit import case


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


def dropout(x, rate, seed, step, op):
    """x times a mask of the stream (seed; step, op), over 1 - rate."""
    key = [seed % 2**32, seed >> 32]
    blocks = range(-(-x.numel() // 4))
    words = [w for b in blocks for w in philox([b, 0, op, step], key)]
    u = torch.tensor([(w >> 8) / 2**24 for w in words[: x.numel()]])
    return x * (u >= rate).view_as(x) / (1 - rate)


CASES = {
    "add": lambda: case(torch.add, torch.randn(3, 4), torch.randn(3, 4)),
    "dropout": lambda: case(
        dropout,
        torch.randn(3, 7),
        rate=0.3,
        seed=0x0123456789ABCDEF,
        step=5,
        op=2,
    ),
}
