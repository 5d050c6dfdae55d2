"""Reference vectors for the recurrent network, from PyTorch in float64.

    python tests/reference/char_rnn.py      writes tests/reference/char_rnn.json

PyTorch is needed to write the file, not to run the tests. Each case holds the
parameters under PyTorch's names and in its (out,in) layout, a state, and
windows of the same texts one after another. The state of a window is the last
one of the window before, detached. Of each window there are tokens and labels,
time after time, the logits, the loss, every gradient, and the last state.
"""

import json
import pathlib

import torch
from torch import nn
from torch.nn import functional

torch.set_default_dtype(torch.float64)


class Net(nn.Module):
    def __init__(self, vocab, width, hidden):
        super().__init__()
        self.encoder = nn.Embedding(vocab, width)
        self.rnn = nn.RNN(width, hidden)  # tanh, one layer, (T,B,·)
        self.decoder = nn.Linear(hidden, vocab)

    def forward(self, ids, state):
        states, last = self.rnn(self.encoder(ids), state[None])
        return self.decoder(states), last[0]


def case(vocab, width, hidden, batch, windows, smoothing, seed):
    torch.manual_seed(seed)
    net = Net(vocab, width, hidden)
    first = torch.randn(batch, hidden).tanh()
    state, run = first, []
    for steps in windows:
        ids, labels = torch.randint(vocab, (2, steps, batch))
        net.zero_grad()
        logits, last = net(ids, state.detach())
        loss = functional.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), label_smoothing=smoothing
        )
        loss.backward()
        grads = {n: p.grad.tolist() for n, p in net.named_parameters()}
        run.append(
            {
                "ids": ids.flatten().tolist(),
                "labels": labels.flatten().tolist(),
                "logits": logits.flatten(0, 1).tolist(),
                "loss": loss.item(),
                "grads": grads,
                "last": last.tolist(),
            }
        )
        state = last
    return {
        "vocab": vocab,
        "width": width,
        "hidden": hidden,
        "smoothing": smoothing,
        "params": {n: p.tolist() for n, p in net.named_parameters()},
        "state": first.tolist(),
        "windows": run,
    }


if __name__ == "__main__":
    cases = [
        case(5, 3, 4, 2, [6, 6, 3], 0.0, 1),
        case(7, 5, 3, 4, [9, 2], 0.1, 2),
        case(4, 2, 5, 1, [1, 1, 3], 0.0, 3),
    ]
    out = pathlib.Path(__file__).with_suffix(".json")
    out.write_text(json.dumps({"torch": torch.__version__, "cases": cases}))
