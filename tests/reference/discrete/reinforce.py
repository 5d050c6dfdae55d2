import torch
from kit import case
from torch.distributions import Categorical, kl_divergence

EPS = 0.2


def of(x, a):
    """What Categorical says of these actions, from logits."""
    return Categorical(logits=x).log_prob(torch.tensor(a))


def reinforce(x, a, advantages):
    return -(of(x, a) * torch.tensor(advantages)).mean()


def mean_reward(x, r):
    return (Categorical(logits=x).probs * torch.tensor(r)).sum(-1)


def entropy(x):
    return Categorical(logits=x).entropy()


def divergence(x, y):
    return kl_divergence(Categorical(logits=x), Categorical(logits=y))


def estimate(k):
    def f(x, a, log_q):
        log_r = torch.tensor(log_q) - of(x, a)
        return [-log_r, log_r**2 / 2, log_r.exp() - 1 - log_r][k - 1]

    return f


def clipped(beta):
    def f(x, a, advantages, old, reference, weights):
        now, advantages = of(x, a), torch.tensor(advantages)
        ratio = (now - torch.tensor(old)).exp()
        inside = ratio.clamp(1 - EPS, 1 + EPS)
        gain = torch.min(ratio * advantages, inside * advantages)
        log_r = torch.tensor(reference) - now
        gain = gain - beta * (log_r.exp() - 1 - log_r)
        return -(torch.tensor(weights) * gain).sum()

    return f


def actions(n, k):
    return [(2 * i + 1) % k for i in range(n)]


def numbers(n, size):
    return [size * (0.7 - 0.9 * (i * 5 % 7) / 2) for i in range(n)]


def estimated(k):
    n, v = 6, 4
    log_q = [q - 1.2 for q in numbers(n, 0.4)]
    x = torch.randn(n, v)
    return case(estimate(k), x, a=actions(n, v), log_q=log_q)


def with_clip(beta):
    n, v = 7, 4
    return case(
        clipped(beta),
        torch.randn(n, v),
        a=actions(n, v),
        advantages=numbers(n, 1.0),
        old=[q - 1.2 for q in numbers(n, 0.4)],
        reference=[q - 0.9 for q in numbers(n, -0.3)],
        weights=[1 / 2] + [1 / (2 * (n - 1))] * (n - 1),
    )


R = [[((3 * n + 5 * k) % 7) / 2 - 1 for k in range(3)] for n in range(5)]

CASES = {
    "log_prob": lambda: case(of, torch.randn(5, 3), a=actions(5, 3)),
    "reinforce": lambda: case(
        reinforce,
        torch.randn(5, 3),
        a=actions(5, 3),
        advantages=numbers(5, 1.0),
    ),
    "mean_reward": lambda: case(mean_reward, torch.randn(5, 3), r=R),
    "entropy": lambda: case(entropy, torch.randn(5, 3)),
    "divergence": lambda: case(divergence, torch.randn(5, 3), torch.randn(5, 3)),
    "kl_k1": lambda: estimated(1),
    "kl_k2": lambda: estimated(2),
    "kl_k3": lambda: estimated(3),
    "ppo": lambda: with_clip(0.0),
    "grpo": lambda: with_clip(0.3),
}
