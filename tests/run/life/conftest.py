"""Small crowds that exist: a forecast of normals, trained for a while, and the other tasks."""

from contextlib import chdir

import numpy as np
import pytest

FORECAST = """\
data:
  path: old.csv
  time: t
  features: [a, b]
  targets: [a]
  window: 6
  split: {valid: 0.2, calibration: 0.2, test: 0.1}
model: {kind: gru, units: 6, likelihood: normal}
training: {epochs: 40, batch_size: 64, learning_rate: 2.0e-2, patience: 8}
ensemble: {enabled: true, n_models: 3, weighting: {kind: softmax_loss}}
export: {name: wave, enabled: false}
report: {enabled: false}
"""
WHOLE = """\
data: {{path: {path}, time: t, features: [x], targets: [{target}], series: name, task: {task},
       split: {{valid: 0.25, calibration: {calibration}, test: 0.25}}}}
model: {{kind: gru, units: 3}}
training: {{epochs: 3, learning_rate: 2.0e-2}}
ensemble: {{enabled: true, n_models: 2}}
export: {{name: {task}, enabled: false}}
report: {{enabled: false}}
"""


def wave(path, seed, rows, start=0.0, pace=3.0):
    """An irregular sine with noise that grows and shrinks, with gaps in its second column."""
    rng = np.random.default_rng(seed)
    t = start + np.cumsum(rng.uniform(0.5, 1.5, rows))
    noise = (0.05 + 0.15 * (np.cos(t / pace) > 0)) * rng.normal(size=rows)
    lines = ["t,a,b"]
    for i, (when, value) in enumerate(zip(t, np.sin(t / pace) + noise, strict=True)):
        lines.append(f"{when:.3f},{value:.4f},{'' if i % 7 == 3 else f'{np.cos(when / pace):.4f}'}")
    path.write_text("\n".join(lines) + "\n")
    return path


def ramps(path, seed, series):
    """Series that rise or stay, with the class and the slope of each."""
    rng = np.random.default_rng(seed)
    lines = ["name,t,x,label,slope"]
    for i in range(series):
        slope = float(rng.uniform(-1, 1))
        steps = slope * np.arange(5) + 0.1 * rng.normal(size=5)
        up = "up" if slope > 0 else "down"
        lines += [f"s{i},{t},{x:.4f},{up},{slope:.4f}" for t, x in enumerate(steps)]
    path.write_text("\n".join(lines) + "\n")
    return path


class Home:
    """Bundles by task, trained when they are first asked for, and new data; not to be changed."""

    def __init__(self, folder):
        self.folder, self._bundles = folder, {}
        self.data = {"forecast": wave(folder / "new.csv", 1, 200, start=1000.0, pace=3.2)}
        self.data |= dict.fromkeys(TASKS, ramps(folder / "new_ramps.csv", 1, 40))
        wave(folder / "old.csv", 0, 300)
        ramps(folder / "ramps.csv", 0, 40)
        (folder / "forecast.yaml").write_text(FORECAST)
        for task, (target, share) in TASKS.items():
            text = WHOLE.format(path="ramps.csv", target=target, task=task, calibration=share)
            (folder / f"{task}.yaml").write_text(text)

    def bundle(self, task="forecast"):
        from shoal.run import train

        if task not in self._bundles:
            with chdir(self.folder):
                self._bundles[task] = self.folder / train(f"{task}.yaml").bundle
        return self._bundles[task]


TASKS = {"classification": ("label", 0.0), "regression": ("slope", 0.2)}


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    return Home(tmp_path_factory.mktemp("life"))


@pytest.fixture
def bundle(home, tmp_path):
    """A copy of the forecasting crowd, to do with as one likes."""
    from shutil import copytree

    return copytree(home.bundle(), tmp_path / "bundle")
