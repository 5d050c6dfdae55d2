"""Times one training step in PyTorch: network 64-128-10, batch 32, ReLU,
softmax cross-entropy, SGD with momentum 0.9, float32, on the CPU.

The same work as benches/mlp_step.rs. Prints one line of JSON: for each number
of threads and each form of the optimiser the median and the least time of a
step, in seconds.

    python benches/peers/pytorch.py
"""

import json
import os
import statistics
import time

import torch


def step_times(threads, fused, batches=60, steps=50):
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model = torch.nn.Sequential(
        torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10)
    )
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.01, momentum=0.9, fused=fused
    )
    x, labels = torch.rand(32, 64), torch.arange(32) % 10

    def step():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()

    for _ in range(300):
        step()
    times = []
    for _ in range(batches):
        start = time.perf_counter()
        for _ in range(steps):
            step()
        times.append((time.perf_counter() - start) / steps)
    return {
        "threads": threads,
        "optimizer": "fused" if fused else "default",
        "median_s": statistics.median(times),
        "least_s": min(times),
    }


if __name__ == "__main__":
    rows = [
        step_times(threads, fused)
        for threads in sorted({1, os.cpu_count()})
        for fused in (False, True)
    ]
    print(json.dumps({"torch": torch.__version__, "rows": rows}))
