"""Kill the demo at random moments, resume it, compare what it leaves with an untouched run.

    python benchmarks/kill_resume.py [--kills 20] [--config PATH] [--set K=V ...]

Every kill is a SIGKILL of the whole process group, at a moment drawn uniformly from the length of
the untouched run. Compared are the members' losses and statistics, the exported parameters, the
bundle's weights and the history, all but times of day, byte for byte.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import harness
import pyarrow.parquet as parquet

ROOT = Path(__file__).parent.parent
SHOAL = Path(sys.executable).with_name("shoal")
CLOCK = {"created", "git", "job", "seconds", "versions", "run"}  # facts about when and where


def start(command: list[str], folder: str) -> subprocess.Popen:
    """The command in a process group of its own, quiet."""
    return subprocess.Popen(
        command,
        cwd=folder,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def finish(command: list[str], folder: str) -> float:
    """Seconds that the command took to end well."""
    began = time.perf_counter()
    code = start(command, folder).wait()
    if code != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {code} in {folder}")
    return time.perf_counter() - began


def kill_after(seconds: float, command: list[str], folder: str) -> bool:
    """Whether the command was still running when it was killed."""
    process = start(command, folder)
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def figures(folder: str) -> dict[str, str]:
    """A digest of everything that must not depend on when the run was killed."""
    root = Path(folder)
    found = {}
    for path in sorted((root / "exported_models").iterdir()):
        found[f"exported_models/{path.name}"] = _digest(path)
    (run,) = (root / "runs").iterdir()
    for path in sorted((run / "bundle").glob("*.safetensors")):
        found[f"bundle/{path.name.replace('-2.', '.')}"] = _digest(path)  # written twice
    history = parquet.read_table(run / "history.parquet")
    kept = [name for name in history.column_names if name not in CLOCK]
    found["history"] = hashlib.sha256(repr(history.select(kept).to_pydict()).encode()).hexdigest()
    return found


def _digest(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix == ".json":
        facts = {key: value for key, value in json.loads(content).items() if key not in CLOCK}
        content = json.dumps(facts, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--config", default=str(ROOT / "examples/co2/config.yaml"))
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="PATH=VALUE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", default=None)
    arguments = parser.parse_args()
    command = [str(SHOAL), "train", arguments.config, "--resume"]
    command += [word for value in arguments.sets for word in ("--set", value)]
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        seconds, wanted = finish(command, folder), figures(folder)
    print(f"untouched: {seconds:.1f} s, {len(wanted)} files", flush=True)
    rows = []
    while len(rows) < arguments.kills:
        moment = rng.uniform(0, seconds)
        with tempfile.TemporaryDirectory() as folder:
            if not kill_after(moment, command, folder):
                continue  # it had ended: draw another moment
            rest, found = finish(command, folder), figures(folder)
        differing = sorted(name for name in wanted | found if wanted.get(name) != found.get(name))
        rows.append(
            {
                "kill": len(rows) + 1,
                "at_s": round(moment, 2),
                "resumed_s": round(rest, 2),
                "differing": differing,
            }
        )
        print(rows[-1], flush=True)
    same = sum(not row["differing"] for row in rows)
    print(f"{same} of {len(rows)} identical")
    print("written to", harness.save("kill_resume", rows, arguments.json))
    sys.exit(same != len(rows))


if __name__ == "__main__":
    main()
