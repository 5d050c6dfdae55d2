"""Weights from PyTorch to us and back, with equal loss and gradients.

    python tests/reference/roundtrip.py [SEED]

Draws models of random kinds and sizes, float32. Each is written by PyTorch,
read by the crate, which computes loss and gradients and writes the weights
again, and these are read by PyTorch into a fresh model. Prints the losses and
the largest relative error (L2) of a gradient among all parameters, and fails
if a weight has changed by a bit or an error is above the bounds below.

Then the same through the command: `cargo train gpt --load --save` for no step
and for twenty, and PyTorch's loss on the validation text with what was saved.
"""

import dataclasses
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

import torch
from gpt import GPT, Config, add_lora, shake
from safetensors.torch import load_file, save_file

# Relative, float32 against float32. Where PyTorch itself is further than that
# from float64, four times its distance.
LOSS, GRADIENT = 1e-5, 1e-4


def some_config(rng):
    keys = rng.randint(1, 3)
    heads = keys * rng.randint(1, 3)
    return Config(
        vocab=rng.randint(30, 300),
        context=rng.randint(32, 80),
        width=heads * 2 * rng.randint(3, 12),
        layers=rng.randint(1, 4),
        heads=heads,
        kv_heads=keys,
        hidden=rng.randint(20, 200),
        positions=rng.choice(["learned", "rope"]),
        norm=rng.choice(["layer", "rms"]),
        mlp=rng.choice(["gelu", "gelu_tanh", "swiglu"]),
    )


def relative(got, want):
    return ((got - want).norm() / want.norm()).item()


def gradients(model, texts, smoothing):
    model.zero_grad()
    loss = model(*texts, smoothing)
    loss.backward()
    named = model.named_parameters()
    grads = {n: p.grad.clone() for n, p in named if p.grad is not None}
    return loss.item(), grads


def export(name, folder, rng):
    """Writes a model, and what is to be computed with it."""
    config = some_config(rng)
    data = {"batch": rng.randint(1, 6), "length": rng.randint(1, config.context)}
    if rng.random() < 0.5:
        data["smoothing"] = 0.1
    if rng.random() < 0.3:
        data |= {"rank": rng.randint(1, 5), "alpha": 6.0}
    model = made(config, data)
    shake(model)
    shape = (data["batch"], data["length"])
    texts = [torch.randint(config.vocab, shape) for _ in range(2)]
    tensors = model.tensors()
    if rng.random() < 0.5:
        # As state_dict has it: the table once more, as the head.
        tensors["lm_head.weight"] = tensors["transformer.wte.weight"].clone()
    save_file(tensors, folder / f"{name}.safetensors")
    tokens, labels = (ids.flatten().tolist() for ids in texts)
    about = {
        "config": dataclasses.asdict(config),
        **data,
        "tokens": tokens,
        "labels": labels,
    }
    return config, data, model, texts, about


def made(config, data):
    model = GPT(config)
    if "rank" in data:
        add_lora(model, data["rank"], data["alpha"])
    return model


def compare(name, folder, config, data, model, texts):
    """What has come back, beside what PyTorch computes itself."""
    back = made(config, data)
    back.load(load_file(folder / f"{name}.back.safetensors"))
    for (n, p), q in zip(model.named_parameters(), back.parameters()):
        assert torch.equal(p, q), f"{n} has changed"
    smoothing = data.get("smoothing", 0.0)
    loss, grads = gradients(back, texts, smoothing)
    exact_loss, exact = gradients(back.double(), texts, smoothing)
    about = json.loads((folder / f"{name}.back.json").read_text())
    ours = load_file(folder / f"{name}.back.grads.safetensors")
    assert grads.keys() <= ours.keys(), "a gradient is missing"
    # One token attends to itself alone: a gradient that is zero is compared
    # as it is.
    kept = [n for n, g in exact.items() if g.norm() > 1e-6]
    figures = [
        max(relative(a[n], b[n]) for n in kept)
        for a, b in [(ours, grads), (ours, exact), (grads, exact)]
    ]
    print(
        f"{name:<8} {sum(p.numel() for p in back.parameters()):>9} "
        f"{loss:>10.6f} {about['loss']:>10.6f} {exact_loss:>10.6f}   "
        + "  ".join(f"{x:>8.1e}" for x in figures)
        + f"   {config.positions}, {config.norm}, {config.mlp}, "
        f"H {config.heads} K {config.kv_heads}"
        + (f", adapters of rank {data['rank']}" if "rank" in data else "")
    )
    assert abs(about["loss"] - loss) < LOSS * loss, "the loss differs"
    bound = max(GRADIENT, 4 * figures[2])
    assert figures[0] < bound, "a gradient differs"


def through_the_command(folder, rng, steps):
    """A model of characters: loaded, trained for `steps` and saved."""
    letters = "\n abcdefghijkl"
    text = "".join(rng.choice(letters) for _ in range(5000))
    (folder / "text.txt").write_text(text)
    config = some_config(rng)
    config.vocab = len(letters)
    model = GPT(config)
    shake(model)
    save_file(model.tensors(), folder / "before.safetensors")
    options = {
        "data": folder / "text.txt",
        "load": folder / "before.safetensors",
        "save": folder / f"after-{steps}.safetensors",
        "out": folder / f"run-{steps}",
        "steps": steps,
        "context": config.context,
        "layers": config.layers,
        "width": config.width,
        "heads": config.heads,
        "kv-heads": config.kv_heads,
        "hidden": config.hidden,
        "positions": config.positions,
        "norm": f"{config.norm}-norm",
        "activation": config.mlp.replace("_", "-"),
        "attention": rng.choice(["plain", "tiled"]),
    }
    command = "cargo run --quiet -p train -- gpt".split()
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    cargo(command)
    after = load_file(folder / f"after-{steps}.safetensors")
    same = all(torch.equal(t, after[n]) for n, t in model.tensors().items())
    assert same == (steps == 0), "weights change in a step, and only there"
    model.load(after)
    # The windows of the command: the last tenth, cut one after another.
    ids = [letters.index(c) for c in text[len(text) - len(text) // 10 :]]
    t = config.context
    count = (len(ids) - 1) // t
    tokens = torch.tensor(ids[: count * t]).view(count, t)
    labels = torch.tensor(ids[1 : count * t + 1]).view(count, t)
    with torch.no_grad():
        loss = model(tokens, labels).item()
    metrics = json.loads((options["out"] / "metrics.json").read_text())
    ours = metrics["validation"]["loss"]
    print(
        f"cargo train gpt, {steps:>2} steps: validation loss "
        f"{loss:.6f} (PyTorch) {ours:.6f} (ours)"
    )
    assert abs(ours - loss) < LOSS * loss, "the loss differs"


def cargo(command, **env):
    done = subprocess.run(
        command,
        cwd=pathlib.Path(__file__).parent,
        env=os.environ | env,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return done.stdout


if __name__ == "__main__":
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(1 << 30)
    rng = random.Random(seed)
    torch.manual_seed(seed)
    print(f"seed {seed}")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        cases = {f"model-{i}": None for i in range(12)}
        for name in cases:
            cases[name] = export(name, folder, rng)
        about = {name: case[-1] for name, case in cases.items()}
        (folder / "cases.json").write_text(json.dumps({"cases": about}))
        command = "cargo test --quiet -p backprop --test gpt_model --"
        command = command.split() + ["--ignored", "round_trip"]
        cargo(command, ROUND_TRIP=str(folder))
        print(
            f"{'':<8} {'':>9} {'':<10} {'loss':^10} {'':<10}   "
            f"{'largest error of a gradient':^28}\n"
            f"{'':<8} {'numbers':>9} {'PyTorch':>10} {'ours':>10} "
            f"{'float64':>10}   {'P - ours':>8}  {'64 - ours':>8} "
            f"{'64 - P':>8}"
        )
        for name, (config, data, model, texts, _) in cases.items():
            compare(name, folder, config, data, model, texts)
        print("every weight came back bit for bit")
        through_the_command(folder, rng, steps=0)
        through_the_command(folder, rng, steps=20)
