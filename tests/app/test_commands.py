"""Every command: what it writes, what it says, and how it refuses."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from shoal._version import __version__
from shoal.app.main import app

SHOAL = Path(sys.executable).with_name("shoal")


def shoal(*arguments):
    """The result of a command."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def said(result, code=0):
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


def test_version_and_help_import_nothing_heavy():
    done = subprocess.run([SHOAL, "--version"], capture_output=True, text=True)
    assert done.stdout == f"shoal {__version__}\n"
    heavy = "[m for m in ('jax', 'numpy', 'pandas', 'pydantic') if m in sys.modules]"
    code = f"import sys, shoal.app.main; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n"
    text = said(shoal("--help"))
    for name in ("init", "train", "predict", "evaluate", "report", "info", "export", "wiring"):
        assert name in text


def test_an_unknown_command_is_refused_with_the_nearest():
    assert "train" in said(shoal("trian"), 2)


def test_init_writes_a_valid_file_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "config.yaml" in said(shoal("init"))
    before = Path("config.yaml").read_text()
    assert "--force" in said(shoal("init"), 2)
    assert Path("config.yaml").read_text() == before
    said(shoal("init", "--force"))


def test_init_looks_at_the_data(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said(shoal("init", "sub/mine.yaml", "--data", home / "in/wave.csv"))
    from shoal.run.plan import resolve

    config = resolve(Path("sub/mine.yaml"))
    assert config.data.features == ["a", "b"]
    assert config.data.path == str(home / "in/wave.csv")


def test_what_init_writes_can_be_trained(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said(shoal("init", "--data", home / "in/wave.csv"))
    tiny = ("training.epochs=1", "ensemble.n_models=1", "model.units=4", "data.window=4")
    sets = [
        word
        for one in (*tiny, "export.stablehlo=false", "report.enabled=false")
        for word in ("--set", one)
    ]
    said(shoal("train", "config.yaml", *sets))
    assert Path("exported_models/ensemble_metadata.json").is_file()


def test_train_prints_a_closing_table(home, at_home):
    result = said(shoal("train", "--resume", "wave"))
    assert "is finished already" in result
    text = said(shoal("info", "wave"))
    for word in ("member", "seed", "variance", "best member", "rmse", "in 90 %", "finished"):
        assert word in text


def test_predict_gives_raw_units_with_times(at_home):
    frame = pd.read_csv(io.StringIO(said(shoal("predict", "wave"))))
    assert list(frame.columns) == [
        "origin", "step", "time", "target", "mean", "std", "lower", "upper",
    ]  # fmt: skip
    assert list(frame["step"]) == [1, 2]
    assert (frame["lower"] < frame["mean"]).all()
    assert (frame["mean"] < frame["upper"]).all()
    assert (frame["time"] > frame["origin"]).all()


def test_predict_agrees_with_the_library(at_home):
    import shoal as library
    from shoal.data import windows_for_prediction
    from shoal.run.source import find_source

    said(shoal("predict", "wave", "--every", "-o", "out.parquet", "--level", "0.5"))
    frame = pd.read_parquet("out.parquet")
    crowd = library.load(find_source("wave").bundle)
    windows = windows_for_prediction("in/wave.csv", crowd.schema, every_origin=True)
    prediction = crowd.predict(windows)
    lower, _ = prediction.interval(0.5)
    np.testing.assert_allclose(frame["mean"], prediction.mean.ravel())
    np.testing.assert_allclose(frame["lower"], lower.ravel())
    np.testing.assert_allclose(frame["time"], windows.target_times.ravel())
    assert "novelty" not in frame
    told = pd.read_csv(io.StringIO(said(shoal("predict", "wave", "--every", "--novelty"))))
    raw = crowd.novelty.score(prediction)
    np.testing.assert_allclose(told["novelty"], np.repeat(raw, 2), rtol=1e-6)
    assert told["novelty_p"].between(0, 1).all()


def test_predict_refuses_what_the_bundle_was_not_fitted_for(at_home, tmp_path):
    import shoal as library
    from shoal.data import windows_for_evaluation
    from shoal.run.source import find_source

    crowd = library.load(find_source("wave").bundle)
    block = windows_for_evaluation("in/wave.csv", crowd.schema)
    crowd = crowd.recalibrate(block).calibrate(block, method="cqr", levels=(0.5,))
    library.save(crowd, tmp_path)
    data = ("--data", "in/wave.csv")
    assert "levels 0.5, got 0.9" in said(shoal("predict", tmp_path, *data), 2)
    assert "--novelty" in said(shoal("predict", tmp_path, *data, "--novelty", "--level", "0.5"), 2)
    assert "mean" in said(shoal("predict", tmp_path, *data, "--level", "0.5"))
    assert "rmse" in said(shoal("evaluate", tmp_path, *data))


def test_predict_of_classes(at_home):
    frame = pd.read_csv(io.StringIO(said(shoal("predict", "steps"))))
    assert set(frame["class"]) <= {"u", "d"}
    assert "novelty_p" in said(shoal("predict", "steps", "--novelty"))  # of one member: entropy
    total = frame[["probability_d", "probability_u"]].sum(axis=1)
    np.testing.assert_allclose(total, 1.0)
    assert frame["series"].nunique() == 24


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("predict", "nothing"), "there are runs of"),
        (("predict", "wavy"), "did you mean `wave`"),
        (("predict", "wave", "--level", "90"), "--level"),
        (("predict", "wave", "--out", "a.xlsx"), "use .csv"),
        (("predict", "wave", "--out", "no/a.csv"), "no folder"),
        (("predict", "wave", "--data", "no.csv"), "no.csv"),
        (("evaluate", "in"), "neither a run"),
        (("evaluate", "c.yaml"), "is a file"),
        (("train",), "name a configuration"),
        (("train", "--resume", "nobody"), "there are runs of"),
        (("wiring", "auto_npc(8, 2)"), "did you mean `auto_ncp`"),
        (("wiring", "auto_ncp(8, 9)"), "output_size"),
        (("wiring", "__import__('os')"), "no wiring"),
        (("wiring", "auto_ncp(8, 2)", "-o", "a.doc"), "use .svg"),
        (("init", "--data", "none.csv"), "no such file"),
    ],
)
def test_refusals(at_home, arguments, message):
    before = sorted(Path().rglob("*"))
    assert message in said(shoal(*arguments), 2)
    assert sorted(Path().rglob("*")) == before


def test_evaluate_as_table_and_as_json(at_home):
    table = said(shoal("evaluate", "wave"))
    assert "test block" in table
    found = json.loads(said(shoal("evaluate", "wave", "--json")))
    facts = json.loads(Path("exported_models/ensemble_metadata.json").read_text())
    assert facts["name"] in ("wave", "steps")
    assert found["block"] == "test"
    assert found["overall"]["rmse"] > 0
    other = json.loads(said(shoal("evaluate", "wave", "--data", "in/wave.csv", "--json")))
    assert other["rows"] > found["rows"]
    text = said(shoal("evaluate", "steps"))
    assert "accuracy" in text
    assert "units" not in text  # classes have none


def test_evaluate_a_bundle_needs_data(at_home, tmp_path):
    import shutil

    from shoal.run.source import find_source

    shutil.copytree(find_source("wave").bundle, tmp_path / "shipped")
    assert "--data" in said(shoal("evaluate", tmp_path / "shipped"), 2)
    assert "rmse" in said(shoal("evaluate", tmp_path / "shipped", "--data", "in/wave.csv"))
    assert "weighting" in said(shoal("info", tmp_path / "shipped"))


def test_a_damaged_bundle_is_refused(at_home, tmp_path):
    import shutil

    from shoal.run.source import find_source

    shutil.copytree(find_source("wave").bundle, tmp_path / "cut")
    file = tmp_path / "cut/members.safetensors"
    file.write_bytes(file.read_bytes()[:-7])
    assert "members.safetensors" in said(
        shoal("predict", tmp_path / "cut", "--data", "in/wave.csv"), 2
    )


def test_export_again_gives_the_same_parameters(at_home):
    said(shoal("export", "wave", "--dir", "again", "--all", "--pickle", "--name", "w2"))
    names = {path.name for path in Path("again").iterdir()}
    assert names == {
        "ensemble_metadata.json",
        "w2_best.mlir",
        "w2_best.stablehlo",
        "w2_best_params.pkl",
        "w2_best_params.safetensors",
        *(f"w2_ensemble_{i}{end}" for i in (0, 1) for end in (".mlir", "_params.safetensors")),
    }
    first = Path("exported_models/wave_best_params.safetensors").read_bytes()
    assert Path("again/w2_best_params.safetensors").read_bytes() == first


def test_report_is_written_anew(at_home):
    said(shoal("report", "wave", "--out", "page.html"))
    page = Path("page.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "wave" in page


@pytest.mark.parametrize("end", ["svg", "png"])
def test_wiring_is_drawn(tmp_path, monkeypatch, end):
    monkeypatch.chdir(tmp_path)
    text = said(shoal("wiring", "auto_ncp(8, 2)", "-o", f"w.{end}", "--inputs", "3"))
    assert "8 neurons, 3 inputs" in text
    head = Path(f"w.{end}").read_bytes()[:200]
    assert b"PNG" in head or b"svg" in head


def test_wiring_of_a_configuration(at_home, tmp_path):
    text = Path("c.yaml").read_text()
    wired = text.replace(
        "units: 4, backbone_units: 8", "wiring: {kind: auto_ncp, units: 9, outputs: 2}"
    )
    Path("wired.yaml").write_text(wired)
    assert "9 neurons, 2 inputs" in said(shoal("wiring", "wired.yaml", "-o", tmp_path / "w.svg"))
    assert "model.wiring: is not set" in said(shoal("wiring", "c.yaml"), 2)


def test_an_error_of_ours_is_short_unless_asked(at_home, monkeypatch):
    def fail(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr("shoal.app.info.info", fail)
    result = shoal("info", "wave")
    assert result.exit_code == 1
    assert "unexpected RuntimeError: broken" in result.output
    assert "--debug" in result.output
    assert isinstance(shoal("--debug", "info", "wave").exception, RuntimeError)


def test_what_the_disk_refuses_is_no_mistake_of_ours(tmp_path):
    (tmp_path / "file").write_text("")
    text = said(shoal("init", tmp_path / "file" / "config.yaml"), 2)
    assert "name a folder in place of the file" in text
    if Path("/proc/self").is_dir():  # where nobody can write
        text = said(shoal("predict", "none", "--out", "/proc/self/x.csv"), 2)
        assert "--out /proc/self/x.csv: nothing can be written to /proc/self" in text
