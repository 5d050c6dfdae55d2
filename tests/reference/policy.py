"""Reference vectors for the policy that learns by REINFORCE, from PyTorch in
float64.

    python tests/reference/policy.py      writes tests/reference/policy.json

PyTorch is needed to write the file, not to run the tests. The loss is the one
that the documentation of torch.distributions gives for REINFORCE: minus
log_prob times what the move was worth, here beyond a baseline.
"""

import json
import pathlib

import torch

torch.set_default_dtype(torch.float64)


def case(states, actions, visits, episodes, seed):
    torch.manual_seed(seed)
    logits = torch.randn(states, actions, requires_grad=True)
    baseline = torch.randn(states)
    state = torch.randint(states, (visits,))
    action = torch.randint(actions, (visits,))
    discount = torch.rand(visits)
    to_go = torch.randn(visits)
    weight = discount * (to_go - baseline[state]) / episodes
    policy = torch.distributions.Categorical(logits=logits[state])
    loss = -(weight * policy.log_prob(action)).sum()
    loss.backward()
    return {
        "logits": logits.tolist(),
        "baseline": baseline.tolist(),
        "episodes": episodes,
        "state": state.tolist(),
        "action": action.tolist(),
        "discount": discount.tolist(),
        "to_go": to_go.tolist(),
        "loss": loss.item(),
        "dlogits": logits.grad.tolist(),
    }


if __name__ == "__main__":
    cases = [case(7, 4, 23, 3, 1), case(3, 5, 2, 1, 2), case(2, 3, 40, 9, 3)]
    out = pathlib.Path(__file__).with_suffix(".json")
    out.write_text(json.dumps({"torch": torch.__version__, "cases": cases}))
