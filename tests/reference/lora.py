"""Adapters of the PEFT library and ours, in float64.

    python tests/reference/lora.py [SEED]

Needs `peft` beside `torch`. Draws twelve small models of random kinds and
sizes. PEFT puts LoRA adapters on the linear layers of each, some of them or
all, no factor zero; PyTorch computes logits, loss and the gradients of every
factor, then PEFT merges, and the logits are computed again. The crate's
ignored test `against_peft` reads the same numbers, computes the same on
`Textbook`, and prints for each model the largest relative errors (L2). It
fails above 1e-12. It saves the adapters as well: PEFT loads their folder onto
the base, and the logits are compared once more.
"""

import dataclasses
import json
import pathlib
import random
import sys
import tempfile

import torch
from gpt import GPT, LINEARS, Config, shake
from peft import LoraConfig, PeftModel, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from roundtrip import cargo, some_config
from safetensors.torch import load_file, save_file

torch.set_default_dtype(torch.float64)


def plain(name):
    """Our name of what PEFT has wrapped."""
    return name.replace(".base_layer", "").replace(".default", "")


def case(name, folder, rng):
    config = some_config(rng)
    config.vocab, config.context = rng.randint(5, 30), rng.randint(4, 12)
    config.hidden = rng.randint(5, 40)
    data = {
        "batch": rng.randint(1, 4),
        "length": rng.randint(2, config.context),
        "rank": rng.randint(1, 6),
        "alpha": rng.choice([1.0, 5.0, 16.0]),
        "on": sorted(rng.sample(LINEARS, rng.randint(1, 4))),
    }
    settings = LoraConfig(
        r=data["rank"],
        lora_alpha=data["alpha"],
        target_modules=r".*\.(" + "|".join(data["on"]) + ")",
        lora_dropout=0.0,
    )
    model = inject_adapter_in_model(settings, GPT(config).double())
    model = model.double()
    shake(model)
    shape = (data["batch"], data["length"])
    tokens, labels = (torch.randint(config.vocab, shape) for _ in range(2))
    loss = model(tokens, labels)
    loss.backward()
    named = list(model.named_parameters())
    grads = {plain(n): p.grad for n, p in named if p.requires_grad}
    assert all("lora_" in n for n in grads), "PEFT has frozen the rest"
    tensors = {plain(n): p.detach().clone() for n, p in named}
    with torch.no_grad():
        logits = model(tokens)
        for module in model.modules():
            if isinstance(module, BaseTunerLayer):
                module.merge()
        merged = model(tokens)
    save_file(tensors, folder / f"{name}.safetensors")
    save_file(grads, folder / f"{name}.grads.safetensors")
    return {
        "config": dataclasses.asdict(config),
        **data,
        "tokens": tokens.flatten().tolist(),
        "labels": labels.flatten().tolist(),
        "loss": loss.item(),
        "logits": logits.flatten().tolist(),
        "merged": merged.flatten().tolist(),
    }


def loaded(name, case, folder):
    """How far PEFT's logits are from its own after a way through our files."""
    base = GPT(Config(**case["config"])).double()
    weights = load_file(folder / f"{name}.safetensors")
    base.load_state_dict(
        {n: w for n, w in weights.items() if "lora_" not in n}, strict=False
    )
    model = PeftModel.from_pretrained(base, folder / f"{name}-adapters")
    shape = (case["batch"], case["length"])
    with torch.no_grad():
        logits = model(torch.tensor(case["tokens"]).reshape(shape))
    want = torch.tensor(case["logits"]).reshape(logits.shape)
    return ((logits - want).norm() / want.norm()).item()


if __name__ == "__main__":
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(1 << 30)
    rng = random.Random(seed)
    torch.manual_seed(seed)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        cases = {f"model-{i}": None for i in range(12)}
        for name in cases:
            cases[name] = case(name, folder, rng)
        (folder / "cases.json").write_text(json.dumps({"cases": cases}))
        command = "cargo test --quiet -p backprop --test gpt_model --"
        command = command.split() + ["--ignored", "against_peft", "--nocapture"]
        print(f"seed {seed}")
        print(cargo(command, PEFT_CASES=str(folder)))
        errors = [loaded(name, case, folder) for name, case in cases.items()]
        print(f"logits of our files in PEFT: {max(errors):.1e} at most")
        assert max(errors) < 1e-12
