"""`shoal tune` from file to file: what it leaves, how it goes on, what it refuses."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from shoal.app.main import app
from shoal.run import Refused, load_config
from shoal.run.plan import resolve
from shoal.tune import tune
from shoal.tune.results import Result

SHOAL = Path(sys.executable).with_name("shoal")


def answers(jobs):
    """What trains nothing: the loss is the learning rate, less is better."""
    for place, job in enumerate(jobs):
        rates = [one["training"]["learning_rate"] for one in job.configs]
        yield place, [Result("complete", (r,), curve={1: r}, losses=(r,), epochs=3) for r in rates]


def shoal(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def space(text, extra=""):
    """`c.yaml` with another search."""
    head = Path("c.yaml").read_text().split("\ntune:")[0]
    Path("c.yaml").write_text(f"{head}\ntune:\n  space:\n    {text}\n  {extra}\n")


def test_a_search_leaves_a_table_and_a_file_that_can_be_trained(workspace):
    result = shoal("tune", "c.yaml", "--plain", "--set", "tune.objectives=[loss, rmse]")
    assert result.exit_code == 0, result.output
    (folder,) = (workspace / "runs").iterdir()
    assert folder.name.startswith("wave-tune-")
    table = pd.read_csv(folder / "trials.csv")
    assert table["trial"].tolist() == [0, 1, 2, 3, 4]
    assert (table["state"] == "complete").all()
    assert table["training.learning_rate"][0] == 1e-3  # the configuration itself comes first
    parquet = pd.read_parquet(folder / "trials.parquet")
    pd.testing.assert_frame_equal(table.drop(columns="reason"), parquet.drop(columns="reason"))
    best = resolve(folder / "best.yaml")
    assert best.tune is None
    row = table.loc[table["loss"].idxmin()]
    assert best.training.learning_rate == pytest.approx(row["training.learning_rate"])
    assert best.model.time_scaling == row["model.time_scaling"]
    assert (best.ensemble.n_models, best.data.path) == (2, str(workspace / "in/wave.csv"))
    for word in ("trial    0", "the front of 5 trials", "best.yaml", "3 trials in 1 fit"):
        assert word in result.output


def test_an_executor_carries_out_the_fits(workspace):
    executor = "tune.executor=concurrent.futures:ThreadPoolExecutor"
    result = shoal("tune", "c.yaml", "--plain", "--set", executor)
    assert result.exit_code == 0, result.output
    (folder,) = (workspace / "runs").iterdir()
    assert (pd.read_csv(folder / "trials.csv")["state"] == "complete").all()
    report = (folder / "report.html").read_text()
    assert "5 trials (5 complete)" in report
    assert '"type":"parcoords"' in report


def test_a_trial_s_loss_is_that_of_training_it(workspace):
    from shoal.run import train

    found = tune("c.yaml", {"tune.trials": 2, "tune.members": 2})
    options = {"export.enabled": False, "report.enabled": False, "ensemble.stopping.enabled": False}
    run = train(found.folder / "best.yaml", options)
    losses = run.read_record()["metadata"]["validation_losses"]
    assert found.best.values["loss"] == pytest.approx(sum(losses) / 2, rel=1e-4)
    assert list(found.best.facts["losses"]) == pytest.approx(losses, rel=1e-4)


def test_what_is_killed_goes_on_without_loss(workspace):
    code = (
        "import os; from shoal.tune import tune; from tests_answers import answers\n"
        "def once(jobs):\n"
        "    yield from answers(jobs)\n"
        "    if len(list(__import__('pathlib').Path('runs').glob('*/told'))): os._exit(9)\n"
        "    next(__import__('pathlib').Path('runs').iterdir()).joinpath('told').touch()\n"
        "tune('c.yaml', {'tune.trials': 9}, runner=once)\n"
    )
    (workspace / "tests_answers.py").write_text(
        "from shoal.tune.results import Result\n"
        "def answers(jobs):\n"
        "    for place, job in enumerate(jobs):\n"
        "        rates = [one['training']['learning_rate'] for one in job.configs]\n"
        "        yield place, [Result('complete', (r,), losses=(r,)) for r in rates]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=workspace, capture_output=True)
    assert done.returncode == 9, done.stderr
    whole = tune("c.yaml", {"tune.trials": 9}, runs="whole", runner=answers)
    found = tune(resume="wave", runner=answers)
    assert [one.point for one in found.trials] == [one.point for one in whole.trials]
    assert len({one.number for one in found.trials}) == 9

    # a worker that dies while its batch trains loses that batch, which is done again
    def dies(jobs):
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        tune(overrides={"tune.trials": 12}, resume=found.folder, runner=dies)
    more = tune(resume=found.folder, runner=answers)
    assert [one.state for one in more.trials] == ["complete"] * 12
    assert len(more.study.get_trials()) == 15  # three were lost


def test_resuming_refuses_what_would_mix_searches(workspace):
    first = tune("c.yaml", runner=answers)
    with pytest.raises(Refused, match=r"tune\.seed: was 0, now 1"):
        tune("c.yaml", {"tune.seed": 1}, resume=True, runner=answers)
    with pytest.raises(Refused, match=r"training\.epochs: was 3, now 4"):
        tune("c.yaml", {"training.epochs": 4}, resume=True, runner=answers)
    with pytest.raises(Refused, match="cannot be compared; start a new one"):
        tune("c.yaml", {"tune.objectives": ["rmse"]}, resume=True, force=True, runner=answers)
    longer = tune("c.yaml", {"tune.trials": 7}, resume=True, runner=answers)
    assert (longer.folder, len(longer.trials)) == (first.folder, 7)
    data = Path("in/wave.csv")
    data.write_text(data.read_text() + "200.0,0.1,0.2\n")
    with pytest.raises(Refused, match="the data changed since"):
        tune(resume=True, runner=answers)
    assert len(tune(resume=True, force=True, runner=answers).trials) == 7


def test_interrupted_it_says_how_to_go_on(workspace, monkeypatch):
    def asked(jobs):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.3)  # a thread reads the signal
        for place, job in enumerate(jobs):
            yield place, [Result("interrupted") for _ in job.configs]

    monkeypatch.setattr("shoal.tune.tuning.in_turn", lambda *_: asked)
    result = shoal("tune", "c.yaml", "--plain")
    assert result.exit_code == 130
    assert "go on with: shoal tune --resume runs/wave-tune-" in result.output
    monkeypatch.setattr("shoal.tune.tuning.in_turn", lambda *_: answers)
    result = shoal("tune", "--resume", "wave", "--plain")
    assert result.exit_code == 0, result.output
    assert "left unfinished" in result.output


def test_unlike_trials_are_grouped(workspace):
    asked = []

    def watched(jobs):
        asked.extend(jobs)
        return answers(jobs)

    space("training.epochs: [2, 9]\n    training.learning_rate: [0.1, 0.2]", "method: grid")
    found = tune("c.yaml", runner=watched)
    assert [len(job.configs) for job in asked] == [2, 2]  # the longest first
    assert [job.configs[0]["training"]["epochs"] for job in asked] == [9, 2]
    assert len(found.trials) == 4


def test_every_trial_failed(workspace):
    Path("mine.py").write_text("def broken(p, y, mask):\n    raise KeyError('oh')\n")
    space("training.learning_rate: [0.01, 0.02]", "objectives: ['mine:broken']")
    result = shoal("tune", "c.yaml", "--plain")
    assert result.exit_code == 2
    assert "no trial is complete; trial 0: broken: KeyError: 'oh'" in result.output


def test_one_impossible_trial_is_named_and_the_search_goes_on(workspace):
    space("model.kind: [ltc, gru]\n    model.time_scaling: [zscore, raw]", "method: grid")
    found = tune("c.yaml", {"tune.start": False}, runner=answers)
    failed = [one for one in found.trials if one.state == "failed"]
    assert [one.point["model.time_scaling"] for one in failed] == ["zscore", "zscore"]
    assert "which ltc refuses" in found.first_cause
    best = load_config(found.folder / "best.yaml")
    assert not hasattr(best.model, "backbone_units")  # the key of another kind is left out


@pytest.mark.parametrize(
    ("text", "extra", "message"),
    [
        ("{}", "", "must name at least one path"),
        ("training.lerning_rate: [1]", "", "did you mean `training.learning_rate`?"),
        ("learning_rate: [1]", "", "did you mean `training.learning_rate`?"),
        ("training.learning_rate: {low: 1, high: 0.1}", "", "low = 1 lies above high = 0.1"),
        ("training.learning_rate: {low: 0.1}", "", "high is missing; add it"),
        ("training.learning_rate: {low: 0, high: 1, log: true}", "", "must begin above 0"),
        ("training.learning_rate: {low: -1, high: 1}", "", "-1.0 cannot be: must be above 0"),
        ("model.units: [8, many]", "", "'many' cannot be: must be a whole number"),
        ("model.units: {low: 1, hig: 3}", "", "did you mean `high`?"),
        ("model.units: {choices: [1], low: 3}", "", "has choices and low; keep one"),
        ("model.units: [8, 8]", "", "the choice 8 stands twice"),
        ("data.path: [a.csv]", "", "trials are compared on the same data"),
        ("ensemble.n_models: [2, 3]", "", "trials train single members"),
        ("seed: [1, 2]", "", "use `ensemble.base_seed`"),
        ("model.units: {low: 1, high: 3, when: {model.kin: ltc}}", "", "did you mean `model.kind`"),
        (
            "model.units: {low: 1, high: 3, when: {model.kind: ltc}}\n    model.kind: [cfc, gru]",
            "",
            "`model.kind` is never 'ltc'",
        ),
        ("model.likelihood: [point, normal]", "", "changes what the loss means"),
        ("model.units: [3]", "method: bayes", "choose from"),
        ("model.units: [3]", "objectives: [rmes]", "did you mean `rmse`?"),
        ("model.units: [3]", "objectives: [accuracy]", "does not fit task 'forecast'"),
        ("model.units: [3]", "objectives: ['nowhere:f']", "no module 'nowhere'"),
        ("model.units: [3]", "folds: {folds: 1}", "must be at least 2"),
    ],
)
def test_bad_searches_are_refused_and_leave_nothing(workspace, text, extra, message):
    if text == "{}":
        head = Path("c.yaml").read_text().split("\ntune:")[0]
        Path("c.yaml").write_text(f"{head}\ntune: {{space: {{}}}}\n")
    else:
        space(text, extra)
    result = shoal("tune", "c.yaml", "--plain")
    assert result.exit_code == 2, result.output
    assert message in result.output
    assert not Path("runs").exists()


def test_a_configuration_without_a_search_or_a_validation_block(workspace):
    Path("d.yaml").write_text(Path("c.yaml").read_text().split("\ntune:")[0])
    assert "d.yaml: tune: is missing" in shoal("tune", "d.yaml").output
    result = shoal("tune", "c.yaml", "--set", "data.split={test: 0.2}", "--plain")
    assert result.exit_code == 2
    assert "set data.split.valid or tune.folds" in result.output
    assert not Path("runs").exists()
    assert "there is no search" in shoal("tune", "--resume", "nobody").output


def test_runs_and_searches_are_not_mistaken_for_each_other(workspace):
    tune("c.yaml", runner=answers)
    result = shoal("info", "wave")
    assert result.exit_code == 2
    assert "wave" in result.output


def test_held_out_figures_beside(workspace):
    found = tune("c.yaml", {"tune.compare": ["c.yaml"], "training.epochs": 1}, runner=answers)
    facts = json.loads((found.folder / "comparison.json").read_text())
    names = [row["name"] for row in facts["rows"]]
    assert names[:3] == ["start", "best", "c.yaml"]
    assert "last value" in names
    assert facts["block"] == "test"
    assert facts["rows"][0]["rmse"] > 0
    assert facts["standard_error"] >= 0


def test_a_crowd_is_chosen_from_the_trials_own_members(workspace):
    import shoal
    from shoal.data import windows_for_evaluation

    sets = {"tune.crowd": {"rounds": 8}, "tune.members": 2, "tune.trials": 3}
    sets |= {"tune.space": {"training.learning_rate": [0.01, 0.05], "model.units": [4, 5]}}
    found = tune("c.yaml", {**sets, "tune.compare": True})
    crowd = shoal.load(found.folder / "bundle")
    assert len(list((found.folder / "members").iterdir())) == 6
    assert 1 <= crowd.n_models <= 6
    assert crowd.calibration is not None
    assert set(crowd.seeds) <= {42, 43}
    facts = json.loads((found.folder / "comparison.json").read_text())
    own = next(row for row in facts["rows"] if row["name"] == "crowd of trials")
    assert own["rmse"] > 0
    p = crowd.predict(windows_for_evaluation("in/wave.csv", crowd.schema))
    assert p.mean.shape[1:] == (2, 1)
    again = tune(resume=found.folder, runner=answers)  # nothing is trained, the crowd is the same
    assert shoal.load(again.folder / "bundle").seeds == crowd.seeds


@pytest.mark.parametrize(
    ("text", "extra", "message"),
    [
        ("data.window: [6, 8]", "crowd: {}", "read the same windows"),
        ("model.units: [3]", "crowd: {}\n  folds: {folds: 2}", "remove tune.folds"),
    ],
)
def test_crowds_that_cannot_be(workspace, text, extra, message):
    space(text, extra)
    with pytest.raises(Refused, match=message):
        tune("c.yaml", runner=answers)


def test_losses_of_one_s_own_are_named(workspace):
    from shoal.run import train

    Path("mine.py").write_text(
        "import jax.numpy as jnp\n"
        "def quartic(p, y, y_mask):\n    return (p.mean - y) ** 4\n"
        "def spread(p, y, y_mask):\n    return p.members.std()\n"
    )
    sets = {"training.loss": "mine:quartic", "tune.objectives": ["loss", "mine:spread"]}
    found = tune("c.yaml", {**sets, "tune.trials": 2})
    assert [one.state for one in found.trials] == ["complete"] * 2
    assert found.metrics == ("loss", "mine:spread")
    best = resolve(found.folder / "best.yaml")
    assert best.training.loss == f"{workspace / 'mine.py'}:quartic"
    run = train(found.folder / "best.yaml", {"report.enabled": False, "export.enabled": False})
    losses = run.read_record()["metadata"]["validation_losses"]
    assert losses[0] == pytest.approx(found.best.values["loss"], rel=1e-4)
    for loss, message in (
        ("mine:nothing", "has no 'nothing'"),
        ("hubr", "did you mean `huber`"),
        ("nowhere:f", "no module 'nowhere'"),
    ):
        with pytest.raises(Refused, match=message):
            tune("c.yaml", {"training.loss": loss}, runner=answers)


def test_optuna_is_named_where_it_is_missing(workspace, monkeypatch):
    monkeypatch.setattr("shoal.app.tune.find_spec", lambda name: None)
    result = shoal("tune", "c.yaml")
    assert result.exit_code == 2
    assert "pip install 'shoal[tune]'" in result.output
    assert not Path("runs").exists()


def test_trainings_of_one_batch_know_what_earlier_ones_reached(workspace):
    known = []

    def watched(jobs):
        for place, job in enumerate(jobs):
            known.append({epoch: list(scores) for epoch, scores in job.before.items()})
            yield place, next(iter(answers([job])))[1]

    space(
        "training.batch_size: [16, 32]\n    training.learning_rate: [0.1, 0.2]",
        "method: {kind: asha, sampler: grid}",
    )
    tune("c.yaml", runner=watched)
    assert known[0] == {}
    assert sorted(known[1][1]) == [0.1, 0.2]
