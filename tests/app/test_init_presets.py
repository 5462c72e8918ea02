"""`shoal init --preset`: what is written is valid, fits the columns, and is refused where not."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from shoal.app.main import app
from shoal.run.checking import check
from shoal.run.plan import resolve
from shoal.run.presets import PRESETS, preset
from shoal.run.reading import parse


def shoal(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def sensors(tmp_path, monkeypatch):
    """Two columns of numbers, hourly."""
    monkeypatch.chdir(tmp_path)
    hours = np.datetime64("2024-01-01T00") + np.arange(900)
    lines = [f"{h},{np.sin(i / 4):.3f},{np.cos(i / 4):.3f}" for i, h in enumerate(hours)]
    (tmp_path / "s.csv").write_text("\n".join(["when,flow,heat", *lines]))
    return tmp_path / "s.csv"


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_valid_as_it_is(name):
    config = check(parse(preset(name)))
    assert config.name == "co2_weekly"
    assert config.ensemble.enabled
    assert config.model.likelihood == "normal"
    assert config.calibration.method == "conformal"


@pytest.mark.parametrize("name", PRESETS)
def test_every_line_of_a_preset_has_its_comment_in_place(name):
    columns = {line.index("  #") for line in preset(name).splitlines() if "  #" in line}
    assert min(columns) >= 30


def test_forecasting_is_ready_to_be_tuned(sensors):
    assert "look through it" in shoal("init", "--preset", "forecasting", "--data", sensors).output
    config = resolve(Path("config.yaml"))
    assert config.data.target_transform == config.data.input_transform == "change"
    assert config.data.calendar == ["week", "day"]
    assert config.data.horizon == 22
    assert config.data.targets == ["heat"]
    assert config.tune.compare is True
    assert "training.learning_rate" in config.tune.space


def test_anomaly_watches_every_column_one_step_ahead(sensors):
    shoal("init", "a.yaml", "--preset", "anomaly", "--data", sensors)
    config = resolve(Path("a.yaml"))
    assert config.data.features == config.data.targets == ["flow", "heat"]
    assert config.data.horizon == 1
    assert config.model.kind == "ltc"
    assert (config.calibration.score, config.calibration.level) == ("scaled", 0.99)
    assert config.tune is None


def test_without_a_preset_nothing_changed(sensors):
    shoal("init", "--data", sensors)
    assert resolve(Path("config.yaml")).training.learning_rate == 1e-3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--preset", "anomalies"), "there is no such preset; did you mean `anomaly`?"),
        (("--preset", "x"), "choose from `forecasting`, `anomaly`"),
        (("--preset", "anomaly", "--data", "a.npz"), "a.npz holds arrays"),
    ],
)
def test_refusals(sensors, arguments, message):
    np.savez("a.npz", x=np.zeros((9, 4, 1)), y=np.zeros((9, 1)))
    done = shoal("init", *arguments)
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())
    assert not (sensors.parent / "config.yaml").exists()
