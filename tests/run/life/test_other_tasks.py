"""Classes and regressions live on too: updated, and in one student."""

import numpy as np
import pytest

import shoal
from shoal.data.blocks import blocks_for_training
from shoal.equations.outputs import Normal
from shoal.run import distill, update
from shoal.run.errors import Refused

SHORT = {"training.epochs": 3}
TASKS = ["classification", "regression"]


@pytest.mark.parametrize("task", TASKS)
def test_updated(home, tmp_path, task):
    old, output = shoal.load(home.bundle(task)), tmp_path / "new"
    found = update(home.bundle(task), home.data[task], add=1, output=output, overrides=SHORT)
    assert shoal.load(output).n_models == 3
    name = "accuracy" if task == "classification" else "rmse"
    assert found.after["overall"][name] is not None
    assert (found.crowd.calibration is None) == (old.calibration is None)
    assert (found.crowd.calibration is None) == (task == "classification")


@pytest.mark.parametrize("task", TASKS)
def test_distilled(home, tmp_path, task):
    output, data = tmp_path / "one", home.data[task]
    found = distill(home.bundle(task), data, output=output, overrides=SHORT)
    student, rows = shoal.load(output), found.card.rows
    assert set(rows) == {"crowd", "best member", "mean member", "student"}
    shares = dict.fromkeys(("valid", "test", *(("calibration",) * (task == "regression"))), 0.2)
    test = blocks_for_training(data, student.schema, shares)["test"]
    said = student.predict(test)
    if task == "classification":
        right = (said.probabilities.argmax(-1) == test.y).mean()
        assert rows["student"]["accuracy"] == pytest.approx(right)
        assert 0 <= found.card.agreement["same_class"] <= 1
    else:  # of members that predict points: their spread is what they disagree about
        assert isinstance(said.outputs, Normal)
        assert rows["student"]["rmse"] == pytest.approx(
            float(np.sqrt(((said.mean - test.y) ** 2).mean()))
        )


def test_a_label_that_is_no_class_is_refused(home, tmp_path):
    path = tmp_path / "odd.csv"
    path.write_text(home.data["classification"].read_text().replace(",up,", ",sideways,"))
    for function in (update, distill):
        with pytest.raises(Refused, match="'sideways' is not among the classes"):
            function(home.bundle("classification"), path)
