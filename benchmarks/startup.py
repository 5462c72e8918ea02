"""How long a user waits: import, help, and the first epoch of the demo, with cold and warm caches.

    python benchmarks/startup.py [--repeats 5] [--json PATH]

The first epoch is counted from the start of the command to the first line of progress that reports
an epoch. A cold cache is an empty directory for compiled programs; Python's own bytecode is there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import harness

ROOT = Path(__file__).parent.parent
SHOAL = Path(sys.executable).with_name("shoal")


def run(command: list[str], **options) -> None:
    """One whole process, its output thrown away."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)


def first_epoch(cache: str) -> float:
    """Seconds from the command to its first epoch; the rest of the run is cut off."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        process = subprocess.Popen(
            [SHOAL, "train", ROOT / "examples/co2/config.yaml"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "JAX_COMPILATION_CACHE_DIR": cache},
        )
        assert process.stdout is not None
        for line in process.stdout:
            if line.lstrip().startswith("epoch"):
                seconds = time.perf_counter() - start
                process.kill()
                process.wait()
                return seconds
        raise RuntimeError(f"the demo ended with {process.wait()} before its first epoch")


def first_epochs(repeats: int) -> dict[str, list[float]]:
    """Cold and warm first epochs, in turn."""
    seconds: dict[str, list[float]] = {"cold": [], "warm": []}
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as cache:
            seconds["cold"].append(first_epoch(cache))
            seconds["warm"].append(first_epoch(cache))
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", default=None)
    arguments = parser.parse_args()
    python = sys.executable
    whole = harness.timed(
        {
            "python": lambda: run([python, "-c", "pass"]),
            "import shoal": lambda: run([python, "-c", "import shoal"]),
            "shoal --help": lambda: run([str(SHOAL), "--help"]),
        },
        repeats=3 * arguments.repeats,
    )
    extra = [a - b for a, b in zip(whole["import shoal"], whole["python"], strict=True)]
    epochs = first_epochs(arguments.repeats)
    rows = [
        {"what": "import shoal beyond Python's start", "must_s": 0.15, **harness.summary(extra)},
        {"what": "shoal --help", "must_s": 0.4, **harness.summary(whole["shoal --help"])},
        {"what": "first epoch, cold cache", "must_s": 8.0, **harness.summary(epochs["cold"])},
        {"what": "first epoch, warm cache", "must_s": "", **harness.summary(epochs["warm"])},
    ]
    print(harness.table(rows))
    print("written to", harness.save("startup", rows, arguments.json))


if __name__ == "__main__":
    main()
