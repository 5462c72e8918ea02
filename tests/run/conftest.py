"""A small irregular series, a configuration that learns it in seconds, and one finished run."""

from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest

CONFIG = """\
seed: 7
data:
  path: in/wave.csv
  time: t
  features: [a, b]
  targets: [a]
  window: 8
  horizon: 2
  split: {valid: 0.2, calibration: 0.2, test: 0.2}
model: {kind: cfc, units: 4, backbone_units: 8, likelihood: normal}
training: {epochs: 3, batch_size: 32, checkpoint: {every_epochs: 1}}
ensemble: {enabled: true, n_models: 2}
export: {name: wave}
"""


def lay_out(folder: Path, config: str = CONFIG) -> Path:
    """Data and configuration in a folder; the configuration's path."""
    random = np.random.default_rng(0)
    times = np.cumsum(random.uniform(0.5, 1.5, 120))
    lines = ["t,a,b"]
    for i, t in enumerate(times):
        b = "" if i % 7 == 3 else f"{np.cos(t / 3):.4f}"
        lines.append(f"{t:.3f},{np.sin(t / 3):.4f},{b}")
    (folder / "in").mkdir()
    (folder / "in/wave.csv").write_text("\n".join(lines) + "\n")
    (folder / "c.yaml").write_text(config)
    return folder / "c.yaml"


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """A folder to run in, with `c.yaml` and its data."""
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A finished run: the folder it ran in, and its own; do not change them."""
    from shoal.run import train

    folder = tmp_path_factory.mktemp("finished")
    with chdir(folder):
        lay_out(folder)
        run = train("c.yaml", {"ensemble.save_all_models": True, "ensemble.n_models": 3})
        return folder, folder / run.path
