"""A finished run to point commands at, and the runner that calls them."""

import importlib.util
from contextlib import chdir
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shoal.app.main import app

_spec = importlib.util.spec_from_file_location(
    "layout", Path(__file__).parents[1] / "run/conftest.py"
)
layout = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(layout)

CLASSES = """\
data: {path: in/steps.csv, time: t, features: [x], targets: [label], series: name,
       task: classification, split: {valid: 0.25, test: 0.25}}
model: {kind: gru, units: 4}
training: {epochs: 2}
export: {name: steps, stablehlo: false}
"""


def shoal(*arguments):
    """The result of a command."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A folder in which `wave` (forecast) and `steps` (classification) were trained."""
    folder = tmp_path_factory.mktemp("home")
    with chdir(folder):
        layout.lay_out(folder)
        lines = ["name,t,x,label"]
        for i in range(24):
            lines += [f"s{i},{t},{(i % 2) * t + 0.1 * (t % 3)},{'ud'[i % 2]}" for t in range(5)]
        (folder / "in/steps.csv").write_text("\n".join(lines))
        (folder / "classes.yaml").write_text(CLASSES)
        for config in ("c.yaml", "classes.yaml"):
            result = shoal("train", config)
            assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def at_home(home, monkeypatch):
    """The same, as the current folder."""
    monkeypatch.chdir(home)
    return home
