"""Every benchmark after the other, peers beside us, and one page of tables.

    python benchmarks/run.py [NAME ...] [--tables]

Each writes `results/NAME.json`; `results/README.md` is made of all that are there. `--tables`
measures nothing. Leave the machine alone meanwhile. Those that take long, `xor.py`,
`swarm_bbob.py`, `swarm_valleys.py` and `shared_study.py`, are not among them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import harness

HERE = Path(__file__).parent
TITLES = {
    "limits": "What the machine can do at most",
    "neurons_cfc": "CfC: one train step beside `ncps.torch`",
    "neurons_ltc": "LTC: one train step beside `ncps.torch`",
    "torch_neurons": "PyTorch: one train step beside `ncps.torch`",
    "mlx_neurons": "MLX: one train step beside straightforward arithmetic",
    "moe": "Mixture of experts beside a dense layer of equal work and a Mixtral block",
    "regimes": "Training regimes beside independent training, per member and epoch",
    "collective": "What a uniform collective adds to its members",
    "shared_crowd": "Sixteen members with common matrices: one train step beside one member's",
    "swarm_rastrigin": "Particle swarm on Rastrigin's function beside PySwarms and evosax",
    "swarm_network": "Particle swarm over a network's weights beside a loop in PyTorch",
    "tune_mlp": "Thirty-two trials of an MLP beside Optuna over PyTorch",
    "tune_cfc": "Thirty-two trials of a CfC beside Optuna over ncps.torch",
    "members": "Sixteen CfC members beside one",
    "mlp_population": "Sixteen MLPs beside torchensemble",
    "startup": "Start-up and the first epoch of the demo",
    "kill_resume": "The demo killed at random moments and resumed",
    "xor": "Event-based XOR: accuracy on 10 000 test sequences",
    "swarm_bbob": "BBOB: the share of targets that are reached",
    "swarm_valleys": "A loss of many valleys, with and without gradients",
    "shared_study": "Common matrices beside independent ones: accuracy and calibration",
}
LONG = ("xor", "swarm_bbob", "swarm_valleys", "shared_study")
MEASURED = [name for name in TITLES if name not in LONG]


def page() -> str:
    """All results as Markdown."""
    parts = [
        "# Measured",
        "Made by `make bench`. Contestants take turns on one machine; a figure is the minimum and "
        "the median of its repeats. Absolute times are this machine's, which is shared and noisy; "
        "ratios are what to trust.",
    ]
    for name, title in TITLES.items():
        path = harness.RESULTS / f"{name}.json"
        if path.is_file():
            content = json.loads(path.read_text())
            parts += [f"## {title}", harness.table(content["rows"]), _where(name, content)]
    return "\n\n".join(parts) + "\n"


def _where(name: str, content: dict) -> str:
    machine = content["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    return (
        f"`python benchmarks/{name}.py`, {content['date']}: {machine['processor']}, "
        f"{machine['cores']} cores, load before {machine['load_before']:.1f}, "
        f"{machine['system']}, Python {machine['python']}; {packages}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MEASURED)}")
    parser.add_argument("--tables", action="store_true", help="only make the page anew")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(MEASURED)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(MEASURED)}")
    for name in [] if arguments.tables else arguments.names or MEASURED:
        print(f"== {TITLES[name]}", flush=True)
        subprocess.run([sys.executable, HERE / f"{name}.py"], check=True)
    (harness.RESULTS / "README.md").write_text(page())
    print("written to", harness.RESULTS / "README.md")


if __name__ == "__main__":
    main()
