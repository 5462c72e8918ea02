"""What every benchmark shares: fair timing, the machine's description, a table, a file.

Machines are noisy, so contestants take turns (A B A B ...) and every figure is given as the minimum
and the median of its repeats; a ratio is quoted for both.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("shoal", "jax", "equinox", "optax", "numpy", "torch", "mlx", "ncps", "torchensemble")


def timed(contestants: Mapping[str, Callable[[], object]], repeats: int = 7, warmup: int = 1):
    """Seconds of each call, the contestants in turn; a callable must wait for its own result."""
    for call in contestants.values():
        for _ in range(warmup):
            call()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, call in contestants.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def summary(seconds: list[float]) -> dict[str, float | int]:
    """Minimum, median and number of repeats."""
    return {
        "min_s": min(seconds),
        "median_s": statistics.median(seconds),
        "repeats": len(seconds),
    }


def ratio(peer: list[float], ours: list[float]) -> dict[str, float]:
    """How many times faster we are than the peer, by minimum and by median."""
    return {
        "min": min(peer) / min(ours),
        "median": statistics.median(peer) / statistics.median(ours),
    }


def machine() -> dict[str, object]:
    """Processor, cores, load, system, and the versions that were measured."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def save(name: str, rows: list[dict], path: str | Path | None = None) -> Path:
    """Writes `rows` and the machine's description to `results/NAME.json`."""
    target = Path(path) if path else RESULTS / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    content = {"benchmark": name, "date": time.strftime("%Y-%m-%d"), "machine": machine()}
    target.write_text(json.dumps({**content, "rows": rows}, indent=1) + "\n")
    return target


def table(rows: list[dict]) -> str:
    """The rows as a Markdown table; floats with three figures."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_cell(row.get(c, "")) for c in columns) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
