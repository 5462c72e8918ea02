"""One training step of LTC and CfC in PyTorch, `shoal.torch` beside `ncps.torch`.

    python benchmarks/torch_neurons.py [--only NAME ...] [--threads 1 2] [--compiled] [--json PATH]

A step is the mean square of the output, its gradient and an Adam update, over a batch of 64 series
of 100 observations with 8 features. Both start from the same weights, handed over by `state_dict`,
and their losses must agree before anything is timed; then they take turns. With `--compiled`, ours
goes through `torch.compile` too, and theirs where that takes less than `--patience` seconds; the
seconds of the first step are given, from nothing in the compiler's cache.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import tempfile
import time

import harness
import ncps.torch
import ncps.wirings
import torch

import shoal.torch
import shoal.wirings

INPUTS = 8
CASES = {
    "LTC dense 32": ("LTC", 32),
    "LTC AutoNCP(64, 8)": ("LTC", (64, 8)),
    "CfC 32, backbone 128": ("CfC", 32),
    "CfC AutoNCP(64, 8)": ("CfC", (64, 8)),
}


def pair(kind: str, size) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Theirs and ours, with equal weights."""
    made = []
    for package, wirings in ((ncps.torch, ncps.wirings), (shoal.torch, shoal.wirings)):
        units = size if isinstance(size, int) else wirings.AutoNCP(*size)
        made.append(getattr(package, kind)(INPUTS, units))
    theirs, ours = made
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def step_of(rnn: torch.nn.Module, x: torch.Tensor, threads: int, compiled: bool = False):
    """A call that trains a layer once and gives the loss before it."""
    optimiser = torch.optim.Adam(rnn.parameters(), 1e-3)
    forward = torch.compile(rnn) if compiled else rnn

    def call() -> float:
        torch.set_num_threads(threads)
        optimiser.zero_grad()
        loss = (forward(x)[0] ** 2).mean()
        loss.backward()
        optimiser.step()
        return loss.item()

    return call


def agree(theirs: torch.nn.Module, ours: torch.nn.Module, x: torch.Tensor) -> None:
    """Stops the benchmark where the two do not compute the same."""
    losses = [(rnn(x)[0] ** 2).mean().item() for rnn in (theirs, ours)]
    if abs(losses[0] - losses[1]) > 1e-5 * abs(losses[0]):
        raise SystemExit(f"the losses differ: {losses}")


def first_step(call, patience: float) -> float | str:
    """Seconds of the first call, or why there is none."""

    def give_up(*_):
        raise TimeoutError

    start, before = time.perf_counter(), signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, patience, 1.0)  # again, if the compiler swallows one
    try:
        call()
    except Exception as error:
        if time.perf_counter() - start >= patience:  # the compiler may wrap what was raised
            return f"more than {patience:.0f} s, given up"
        return f"{type(error).__name__}: {str(error).splitlines()[0][:80]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return time.perf_counter() - start


def compare(
    name: str, x: torch.Tensor, threads: list[int], repeats: int, patience: float | None
) -> dict:
    """A row of the table; each contestant runs with the number of threads that suits it best."""
    theirs, ours = pair(*CASES[name])
    agree(theirs, ours, x)
    both = {"ncps": theirs, "shoal": ours}
    contestants = {(k, n): step_of(rnn, x, n) for k, rnn in both.items() for n in threads}
    row: dict = {"neuron": name}
    if patience is not None:
        for key, rnn in reversed(both.items()):  # what is given up leaves the process slower
            call = step_of(rnn, x, threads[-1], compiled=True)
            row[f"{key} compile s"] = first_step(call, patience)
            if isinstance(row[f"{key} compile s"], float):
                contestants |= {
                    (f"{key} compiled", n): step_of(rnn, x, n, compiled=True) for n in threads
                }
    seconds = harness.timed(contestants, repeats)
    best = {}
    for key in dict.fromkeys(key for key, _ in seconds):
        best[key] = min((s for (k, _), s in seconds.items() if k == key), key=min)
        row[f"{key} min ms"] = 1e3 * min(best[key])
        row[f"{key} median ms"] = 1e3 * harness.summary(best[key])["median_s"]
    for key in best:
        if key.startswith("shoal"):
            ratio = harness.ratio(best["ncps"], best[key])
            row |= {f"{key} ratio of {what}": value for what, value in ratio.items()}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=CASES, default=list(CASES), metavar="NAME")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--time", type=int, default=100)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--patience", type=float, default=60.0)
    parser.add_argument("--json", default=None, help="default: benchmarks/results/")
    options = parser.parse_args()
    torch.manual_seed(0)
    x = torch.randn(options.batch, options.time, INPUTS)
    patience, rows = options.patience if options.compiled else None, []
    fresh = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = fresh.name
    for name in options.only:
        torch._dynamo.reset()
        gc.collect()
        rows.append(compare(name, x, options.threads, options.repeats, patience))
        print(harness.table(rows[-1:]), flush=True)
    print("written to", harness.save("torch_neurons", rows, options.json))


if __name__ == "__main__":
    main()
