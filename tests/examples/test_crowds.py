"""The study runs, small; the guide tells the results on file; every line of its code runs."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "crowds"))
import problems
import study
import tables

GUIDE = (Path(__file__).parents[2] / "docs" / "how-to-build-a-crowd.md").read_text()


@pytest.fixture(scope="module")
def results():
    return json.loads((study.HERE / "results.json").read_text())


def test_a_small_study_scores_every_weighting(monkeypatch):
    monkeypatch.setattr(
        study, "makes", lambda split, crowd, likelihood=None: _alike(split, likelihood)
    )
    found = study.run("diabetes", splits=2, epochs=2, parts=["weightings"])
    assert all(len(values) == 2 for scores in found.values() for values in scores.values())
    assert {f"alike: {rule}" for rule in study.RULES} < set(found)
    single, uniform = found["alike: single"], found["alike: uniform"]
    assert (np.array(uniform["rmse"]) <= single["rmse"]).all()  # the ambiguity decomposition
    assert "| uniform |" in tables.table(found)


def _alike(split, likelihood):
    from members import makes

    return makes(split, "alike", likelihood)


@pytest.mark.parametrize("name", sorted(problems.PROBLEMS))
def test_splits_are_scaled_by_their_training_rows(name):
    if name in ("star98", "co2"):
        pytest.importorskip("statsmodels")
    split = problems.PROBLEMS[name](0)
    assert list(split.blocks) == ["train", "valid", "calibration", "test"]
    train = split.blocks["train"]
    if name in ("diabetes", "star98"):
        assert np.allclose(train.x.mean(0), 0, atol=1e-4)
        assert np.allclose([train.y.mean(), train.y.std()], [0, 1], atol=1e-4)
    if train.timespans is not None:
        assert train.timespans.shape == train.x.shape[:2]
        assert (train.timespans[:, 1:] > 0).all()
        assert np.allclose(train.x[:, -1, 0], 0)  # what is asked for is not told


def test_scores_are_told_in_the_targets_units():
    split = problems.Split({}, 0.0, 10.0)
    overall = {"rmse": 1.0, "crps": 0.5, "nll": 0.0, "coverage": {"0.9": 0.8}}
    told = study._in_units(overall, split)
    assert told == {"rmse": 10.0, "crps": 5.0, "nll": pytest.approx(np.log(10)), "coverage": 0.8}


def test_the_guide_tells_the_results_on_file(results):
    assert set(results) == set(problems.PROBLEMS)
    for name, found in results.items():
        assert tables.TITLES[name] in GUIDE
        assert tables.table(found) in GUIDE
        repeats = {len(values) for scores in found.values() for values in scores.values()}
        assert repeats == {study.SPLITS[name]}


def _lines_of_code():
    rows = re.findall(r"^\| ([^|]*) \| [^|]* \| (`.*`) \|$", GUIDE, re.MULTILINE)
    return [(known, code.strip("`").split("`<br>`")) for known, code in rows]


def test_every_known_name_has_two_lines_that_run():
    blocks = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    rows, shared = _lines_of_code(), {}
    assert len(rows) > 25
    for block in blocks[:2]:
        exec(block, shared)
    for known, code in rows:
        assert len(code) == 2, known
        try:
            exec("\n".join(code), dict(shared))
        except Exception as error:
            raise AssertionError(f"{known}: {code}") from error


@pytest.mark.parametrize(
    "name",
    [
        *("AveragingEnsemble", "WeightedEnsemble", "StackingEnsemble", "DynamicWeightedEnsemble"),
        *("ForecastingEnsemble", "AdaptiveEnsemble", "JointEnsemble", "EnsembleCollective"),
        *("DiverseEnsembleTrainer", "TopKGating", "SwitchTransformerLayer", "VotingClassifier"),
        *("StackingRegressor", "deep ensemble", "committee"),
    ],
)
def test_the_names_that_users_bring_are_there(name):
    assert any(name in known for known, _ in _lines_of_code())
