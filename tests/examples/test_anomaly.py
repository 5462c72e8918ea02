"""The anomaly example: faults, rivals, a small crowd, and that the page tells the results."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "anomaly"))
import detect
import faults
import rivals

FOLDER = Path(detect.__file__).parent
MONTHS, SST = faults.series()
TEST = MONTHS >= faults.TEST_FROM


def test_the_series_is_whole():
    assert len(MONTHS) == 61 * 12
    assert (MONTHS[0], MONTHS[-1]) == ("1950-01", "2010-12")
    assert np.isfinite(SST).all()
    assert MONTHS[SST.argmax()] == "1998-03"  # the warmest month is of an El Niño


@pytest.mark.parametrize("seed", range(3))
def test_faults_are_where_they_are_said_to_be(seed):
    y, kinds = faults.planted(MONTHS, SST, seed)
    count = {kind: int((kinds == kind).sum()) for kind in faults.KINDS}
    assert count == {"El Niño": 37, "season": 12, "shift": 10, "flat": 8, "spike": 6}
    changed = np.isin(kinds, faults.KINDS[1:])
    assert (y == SST)[~changed].all()
    assert not changed[~TEST].any()
    np.testing.assert_allclose(np.abs(y - SST)[kinds == "shift"], 1.5)
    assert len(set(y[kinds == "flat"])) == 1
    apart = np.diff(np.flatnonzero(np.diff((kinds != "").astype(int)) != 0))[1::2]
    assert apart.min() >= faults.APART


def test_another_seed_plants_elsewhere():
    first, second = (faults.planted(MONTHS, SST, seed)[1] for seed in (0, 1))
    assert (first != second).any()
    assert (faults.planted(MONTHS, SST, 0)[1] == first).all()


def test_rivals_see_what_they_are_for():
    year = np.sin(2 * np.pi * np.arange(120) / 12)
    y = year + 0.01 * np.random.default_rng(0).normal(size=120)
    y[100] += 3.0
    for name in ("climatology", "seasonal naive", "differences"):
        scores = rivals.RIVALS[name](y, 96)
        assert np.nanargmax(scores) in (100, 101), name
        assert len(scores) == 120


def test_a_small_crowd_from_end_to_end():
    small = {"training.epochs": 2, "ensemble.n_models": 2, "model.units": 3, "data.window": 6}
    small |= {"model.ode_unfolds": 2}
    found = detect.one_seed(0, small)
    assert list(found["precision"])[:2] == ["the crowd", "one member, on average"]
    assert all(0 < one["all"] <= 1 for one in found["precision"].values())
    assert found["alarms"]["events"] == 12
    assert "by chance 0.16" in detect.table([found])


def test_the_readme_tells_the_results_on_file():
    readme = (FOLDER / "README.md").read_text()
    runs = json.loads((FOLDER / "results.json").read_text())
    assert len(runs) == 5
    for name in runs[0]["precision"]:
        cells = []
        for column in ("all", *faults.KINDS):
            values = np.array([run["precision"][name][column] for run in runs])
            cells.append(f"{values.mean():.2f} ± {values.std(ddof=1):.2f}")
        told = " | ".join(cells)
        assert told in readme, (name, told)
    found = [run["alarms"]["events found"] for run in runs]
    assert f"{np.mean(found):.1f} of 12 events" in readme
    false = [run["alarms"]["false alarms"] for run in runs]
    assert f"{np.mean(false):.1f} of 395 ordinary months" in readme
