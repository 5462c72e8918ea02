"""A run: its files, its seeds, its numbers, its end."""

import json
from contextlib import chdir

import numpy as np
import pyarrow.parquet as parquet
import pytest
import yaml

from shoal.bundle import read_arrays, read_manifest
from shoal.run import Refused, load_config, train
from shoal.run.folder import RunFolder

SMALL = {"export.stablehlo": False, "report.enabled": False}


def numbers(run):
    """The history without times."""
    table = parquet.read_table(run.path / "history.parquet").to_pydict()
    return {name: column for name, column in table.items() if name != "seconds"}


def bundle(run):
    """The members' arrays as bytes."""
    arrays = read_arrays(run.path / "bundle", read_manifest(run.path / "bundle"), "members")
    return {name: array.tobytes() for name, array in arrays.items()}


def test_the_files_are_the_documented_ones(finished):
    folder, run = finished
    assert sorted(path.name for path in run.iterdir()) == [
        "bundle",
        "checkpoints",
        "config.yaml",
        "history.parquet",
        "report.html",
    ]
    parts = [
        f"wave_ensemble_{i}{end}" for i in range(3) for end in (".mlir", "_params.safetensors")
    ]
    assert sorted(path.name for path in (folder / "exported_models").iterdir()) == [
        "ensemble_metadata.json",
        "wave_best.mlir",
        "wave_best.stablehlo",
        "wave_best_params.safetensors",
        *sorted(parts),
    ]
    assert {path.name for path in (run / "bundle").iterdir()} >= {"manifest.json"}


def test_the_metadata_hold_what_is_documented(finished):
    folder, _ = finished
    facts = json.loads((folder / "exported_models/ensemble_metadata.json").read_text())
    losses = np.array(facts["validation_losses"])
    assert (facts["n_models"], facts["base_seed"], facts["seeds"]) == (3, 42, [42, 43, 44])
    assert facts["mean_loss"] == pytest.approx(losses.mean())
    assert facts["std_loss"] == pytest.approx(losses.std())
    assert facts["variance_loss"] == pytest.approx(losses.var())
    assert facts["best_model_index"] == losses.argmin()
    assert facts["best_model_seed"] == 42 + losses.argmin()
    assert facts["best_model_loss"] == losses.min()
    assert facts["training_config"]["training"]["epochs"] == 3
    assert len(facts["final_validation_losses"]) == 3
    assert [one["status"] for one in facts["members"]] == ["finished"] * 3
    assert set(facts["collective"]) == {"weights", "valid", "test"}
    assert len(facts["data"]["sha256"]) == 64
    assert {"jax", "python"} <= set(facts["versions"])
    assert set(facts["git"]) == {"commit", "dirty"}


def test_the_report_counts_epochs_as_the_screen_does(finished):
    folder, run = finished
    facts = json.loads((folder / "exported_models/ensemble_metadata.json").read_text())
    best = facts["members"][facts["best_model_index"]]
    page = (run / "report.html").read_text(encoding="utf-8")
    assert f"at epoch {best['best_epoch'] + 1} " in page


def test_a_members_loss_is_that_of_its_best_epoch(finished):
    folder, run = finished
    facts = json.loads((folder / "exported_models/ensemble_metadata.json").read_text())
    history = numbers(RunFolder(run))
    member, loss = np.array(history["member"]), np.array(history["valid_loss"])
    for index, found in enumerate(facts["validation_losses"]):
        assert found == pytest.approx(loss[member == index].min())


def test_the_resolved_configuration_trains_the_same(finished, workspace):
    _, run = finished
    assert load_config(run / "config.yaml").ensemble.n_models == 3
    again = train(run / "config.yaml", SMALL)
    assert numbers(again) == numbers(RunFolder(run))
    assert bundle(again) == bundle(RunFolder(run))


def test_one_model_with_the_top_level_seed(workspace):
    run = train("c.yaml", {**SMALL, "ensemble.enabled": False})
    facts = json.loads((workspace / "exported_models/ensemble_metadata.json").read_text())
    assert (facts["n_models"], facts["seeds"], facts["base_seed"]) == (1, [7], 7)
    assert set(numbers(run)["seed"]) == {7}
    assert sorted(path.name for path in (workspace / "exported_models").iterdir()) == [
        "ensemble_metadata.json",
        "wave_best_params.safetensors",
    ]


def test_one_model_takes_nothing_from_the_section_of_ensembles(workspace):
    text = (workspace / "c.yaml").read_text()
    section = "{enabled: false, save_all_models: true, weighting: {kind: fixed, weights: [1, 2]}}"
    changed = text.replace("{enabled: true, n_models: 2}", section)
    assert changed != text
    (workspace / "c.yaml").write_text(changed)
    train("c.yaml", {**SMALL, "training.epochs": 1})
    facts = json.loads((workspace / "exported_models/ensemble_metadata.json").read_text())
    assert facts["collective"]["weights"] == [1.0]
    assert not list((workspace / "exported_models").glob("*_ensemble_*"))


def test_a_finished_run_says_so_and_replaces_what_is_lost(workspace):
    told = []

    class Ears:
        say = staticmethod(told.append)
        epoch = staticmethod(lambda info: told.append("epoch"))
        close = staticmethod(lambda: None)

    run = train("c.yaml", SMALL)
    before = bundle(run)
    train("c.yaml", SMALL, resume=True, progress=Ears)
    assert "is finished already" in told[-1]
    (run.path / "history.parquet").unlink()
    for file in (run.path / "bundle").iterdir():
        file.unlink()
    told.clear()
    train("c.yaml", SMALL, resume=True, progress=Ears)
    assert "making anew: history, bundle" in told[0]
    assert "epoch" not in told
    assert bundle(run) == before


def test_killed_before_the_data_were_read(workspace):
    whole = train("c.yaml", SMALL)
    from shoal.run.plan import new_plan

    plan = new_plan("c.yaml", SMALL)
    resumed = train(resume=plan.folder.path)
    assert resumed.path == plan.folder.path != whole.path
    assert numbers(resumed) == numbers(whole)
    assert bundle(resumed) == bundle(whole)


class Killed(BaseException):
    """As far as a `finally` can tell, the end of the process."""


@pytest.mark.parametrize("at", ["shoal.bundle.saving.save", "shoal.bundle.export.export"])
def test_killed_between_training_and_its_outputs(workspace, monkeypatch, at):
    whole = train("c.yaml", SMALL)

    def die(*_, **__):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(at, die)
        with pytest.raises(Killed):
            train("c.yaml", {**SMALL, "export.name": "other"})
    resumed = train(resume="other")
    assert bundle(resumed) == bundle(whole)
    assert numbers(resumed) == numbers(whole)
    assert resumed.read_record()["finished"]


def test_changed_data_are_refused_unless_forced(workspace):
    run = train("c.yaml", SMALL)
    run.write_record(finished=False)
    data = workspace / "in/wave.csv"
    data.write_text(data.read_text().replace("0.9", "0.8", 1))
    with pytest.raises(Refused, match=r"wave\.csv: the data changed since .* --force"):
        train(resume="wave")


def test_more_epochs_only_when_forced(workspace):
    run = train("c.yaml", SMALL)
    with pytest.raises(Refused, match=r"training\.epochs: was 3, now 5"):
        train("c.yaml", {**SMALL, "training.epochs": 5}, resume=True)
    train("c.yaml", {**SMALL, "training.epochs": 5}, resume=True, force=True)
    longer = train("c.yaml", {**SMALL, "training.epochs": 5})
    assert numbers(run) == numbers(longer)


def test_another_structure_is_refused_even_when_forced(workspace):
    train("c.yaml", SMALL)
    with pytest.raises(Refused):
        train("c.yaml", {**SMALL, "model.units": 5}, resume=True, force=True)


def test_refused_data_leave_nothing(workspace):
    (workspace / "in/wave.csv").write_text("t,a,b\n1,2,x\n")
    with pytest.raises(Refused, match=r"wave\.csv, line 2"):
        train("c.yaml")
    assert not (workspace / "runs").exists()
    assert not (workspace / "exported_models").exists()


def test_members_that_all_diverge_are_refused_with_a_remedy(workspace):
    settings = {**SMALL, "training.learning_rate": 1e30, "model.likelihood": "point"}
    with pytest.raises(Refused, match=r"no member has a finite loss.*learning_rate"):
        train("c.yaml", settings)
    assert not (workspace / "runs").exists()


def test_a_trained_run_survives_an_export_that_is_refused(workspace, monkeypatch):
    def refuse(*_, **__):
        raise ValueError("cannot be exported")

    with monkeypatch.context() as patch:
        patch.setattr("shoal.bundle.export.export", refuse)
        with pytest.raises(Refused, match="export: cannot be exported"):
            train("c.yaml", SMALL)
    assert train(resume="wave").read_record()["finished"]


def test_a_cluster_job_names_its_run(workspace, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    run = train("c.yaml", {**SMALL, "ensemble.n_models": 1})
    assert run.path.name.endswith("-4711")
    facts = json.loads((workspace / "exported_models/ensemble_metadata.json").read_text())
    assert facts["job"] == "4711"


@pytest.mark.parametrize("kind", ["ltc", "ctrnn", "ctgru", "lstm", "gru"])
def test_every_kind_trains(workspace, kind):
    document = yaml.safe_load((workspace / "c.yaml").read_text())
    document["model"] = {"kind": kind, "units": 4}
    (workspace / "k.yaml").write_text(yaml.safe_dump(document))
    run = train("k.yaml", {**SMALL, "training.epochs": 1})
    assert np.isfinite(numbers(run)["valid_loss"]).all()


def test_a_wired_model_trains(workspace):
    document = yaml.safe_load((workspace / "c.yaml").read_text())
    document["model"] = {"kind": "cfc", "wiring": {"kind": "auto_ncp", "units": 8, "outputs": 2}}
    (workspace / "k.yaml").write_text(yaml.safe_dump(document))
    run = train("k.yaml", {"export.stablehlo": False, "training.epochs": 1})
    assert "wiring" in run.report.read_text().lower()


def test_outputs_go_to_the_current_folder(workspace):
    (workspace / "elsewhere").mkdir()
    with chdir("elsewhere"):
        train("../c.yaml", {**SMALL, "training.epochs": 1})
    assert (workspace / "elsewhere/runs").is_dir()
    assert (workspace / "elsewhere/exported_models/ensemble_metadata.json").is_file()
    assert not (workspace / "runs").exists()


def test_too_few_rows_to_calibrate_are_told(workspace, monkeypatch):
    said = []
    monkeypatch.setattr("shoal.run.progress.Silent.say", lambda self, text: said.append(text))
    train("c.yaml", {**SMALL, "training.epochs": 1, "calibration.level": 0.99})
    (told,) = [line for line in said if "intervals are infinite" in line]
    assert "they need 99" in told
    assert "lower calibration.level" in told
