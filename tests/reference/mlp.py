"""Reference vectors for the multilayer perceptron, from PyTorch in float64.

    python tests/reference/mlp.py      writes tests/reference/mlp.json

PyTorch is needed to write the file, not to run the tests. Each case holds the
parameters under PyTorch's names and in its (out,in) layout, one batch, the
loss and every gradient, and the parameters after three steps of SGD.
"""

import json
import pathlib

import torch

torch.set_default_dtype(torch.float64)


def case(sizes, activation, batch, smoothing, momentum, decay, seed):
    torch.manual_seed(seed)
    layers = torch.nn.ModuleList(
        torch.nn.Linear(i, o) for i, o in zip(sizes, sizes[1:])
    )
    act = {"relu": torch.relu, "tanh": torch.tanh}[activation]
    x = torch.randn(batch, sizes[0])
    labels = torch.randint(sizes[-1], (batch,))

    def loss_of(x):
        a = x
        for layer in layers[:-1]:
            a = act(layer(a))
        logits = layers[-1](a)
        return logits, torch.nn.functional.cross_entropy(
            logits, labels, label_smoothing=smoothing
        )

    named = [(f"layers.{n}", p) for n, p in layers.named_parameters()]
    before = {n: p.detach().tolist() for n, p in named}
    logits, loss = loss_of(x)
    loss.backward()
    grads = {n: p.grad.tolist() for n, p in named}
    sgd = torch.optim.SGD(
        layers.parameters(), lr=0.1, momentum=momentum, weight_decay=decay
    )
    losses = []
    for _ in range(3):
        sgd.zero_grad()
        _, step_loss = loss_of(x)
        step_loss.backward()
        losses.append(step_loss.item())
        sgd.step()
    return {
        "sizes": sizes,
        "activation": activation,
        "smoothing": smoothing,
        "lr": 0.1,
        "momentum": momentum,
        "decay": decay,
        "x": x.tolist(),
        "labels": labels.tolist(),
        "params": before,
        "logits": logits.tolist(),
        "loss": loss.item(),
        "grads": grads,
        "losses": losses,
        "after": {n: p.detach().tolist() for n, p in named},
    }


if __name__ == "__main__":
    cases = [
        case([5, 7, 4, 3], "relu", 6, 0.0, 0.9, 0.0, 1),
        case([5, 7, 4, 3], "tanh", 6, 0.1, 0.9, 0.01, 2),
        case([3, 2], "relu", 1, 0.0, 0.0, 0.0, 3),
    ]
    out = pathlib.Path(__file__).with_suffix(".json")
    out.write_text(json.dumps({"torch": torch.__version__, "cases": cases}))
