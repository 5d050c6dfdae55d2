import torch
from kit import nothing_flows_back

SGD = {"lr": 0.1, "momentum": 0.9, "decay": 0.01}
ADAM = {"lr": 0.1, "beta1": 0.9, "beta2": 0.95, "eps": 1e-3, "decay": 0.01}


def sgd(lr, momentum, decay, nesterov=False):
    """One step from a velocity that is not zero."""
    w, dw, v = torch.randn(7), torch.randn(7), torch.randn(7)
    p = torch.nn.Parameter(w.clone())
    p.grad = dw.clone()
    step = torch.optim.SGD(
        [p], lr, momentum=momentum, weight_decay=decay, nesterov=nesterov
    )
    step.state[p]["momentum_buffer"] = v.clone()
    step.step()
    after = step.state[p]["momentum_buffer"]
    return nothing_flows_back([w, dw, v], p, after, **SGD)


def adam(optimizer, lr, beta1, beta2, eps, decay, steps, factor):
    """The first steps, from means that are not zero."""
    w, dw, m = torch.randn(7), torch.randn(7 * steps), torch.randn(7)
    v = torch.randn(7).square()
    p = torch.nn.Parameter(w.clone())
    step = optimizer([p], lr, (beta1, beta2), eps, decay)
    state = {"step": torch.tensor(0.0), "exp_avg": m.clone()}
    step.state[p] = state | {"exp_avg_sq": v.clone()}
    for g in dw.split(7):
        p.grad = factor * g
        step.step()
    state = step.state[p]
    return nothing_flows_back(
        [w, dw, m, v],
        p,
        state["exp_avg"],
        state["exp_avg_sq"],
        **ADAM,
        steps=steps,
        factor=factor,
    )


def clip(most):
    """PyTorch divides by norm + 1e-6; that is put right here."""
    dw, db = torch.randn(12), torch.randn(5)
    after = []
    for norm_at_most in most:
        params = [torch.nn.Parameter(torch.zeros_like(g)) for g in (dw, db)]
        for p, g in zip(params, (dw, db)):
            p.grad = g.clone()
        norm = torch.nn.utils.clip_grad_norm_(params, norm_at_most)
        right = (norm + 1e-6) / norm if norm > norm_at_most else 1.0
        after += [p.grad * right for p in params]
    return nothing_flows_back([dw, db], *after, most=most)


CASES = {
    "sgd": lambda: sgd(**SGD),
    "nesterov": lambda: sgd(**SGD, nesterov=True),
    "adam": lambda: adam(torch.optim.Adam, **ADAM, steps=3, factor=0.5),
    "adamw": lambda: adam(torch.optim.AdamW, **ADAM, steps=3, factor=0.5),
    "clip": lambda: clip([0.7, 1e6]),
}
