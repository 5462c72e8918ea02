"""The CO2 example: its blocks, its baselines, and that kept forecasts belong to it."""

import hashlib
import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from shoal.run.members import prepare_data
from shoal.run.plan import resolve

EXAMPLE = Path(__file__).parents[2] / "examples" / "co2"
DAYS = "datetime64[D]"


def script(path):
    """A module that is no part of a package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


compare = script(EXAMPLE / "compare.py")


@pytest.fixture(scope="module")
def prepared():
    return prepare_data(resolve(EXAMPLE / "config.yaml"))


def test_no_block_sees_another_ones_answers(prepared):
    ends = ["1988-01-01", "1991-01-01", "1994-01-01", "2002-01-01"]
    begin = np.datetime64("1958-01-01")
    blocks = (prepared.train, prepared.valid, prepared.calibration, prepared.test)
    for block, end in zip(blocks, ends, strict=True):
        when = prepared.schema.dates(block.target_times)
        assert when.min() >= begin
        assert when.max() < np.datetime64(end)
        begin = np.datetime64(end)


def test_origins_are_a_quarter_of_a_year_apart(prepared):
    gaps = np.diff(prepared.test.origin)
    assert len(prepared.test) > 20
    assert 12 <= gaps.min() <= gaps.max() <= 14


def test_kept_forecasts_are_of_these_data_and_origins(prepared):
    kept = json.loads(compare.CACHE.read_text())
    data = (EXAMPLE / "co2_weekly.csv").read_bytes()
    assert kept["data"] == hashlib.sha256(data).hexdigest()
    dates = prepared.schema.dates(prepared.test.origin).astype(DAYS).astype(str)
    assert kept["origins"] == dates.tolist()
    assert list(kept["forecasts"]) == list(compare.FITTED)
    assert all(np.shape(rows) == (len(dates), 3) for rows in kept["forecasts"].values())


def test_history_ends_at_the_origin_and_fills_gaps():
    y = np.array([1.0, np.nan, 3.0, 5.0, 9.0])[:, None]
    series = SimpleNamespace(times=np.array([10.0, 11.0, 12.0, 14.0, 15.0]), y=y)
    np.testing.assert_allclose(compare.history(series, 14.0), [1, 2, 3, 4, 5])


@pytest.mark.parametrize("years", [1, 5])
def test_naive_is_exact_for_a_season_on_a_line(years):
    weeks = np.arange(400.0)
    y = 0.03 * weeks + np.sin(2 * np.pi * weeks / 52)
    np.testing.assert_allclose(compare.seasonal_naive(years)(y[:300]), y[300:352])


def test_kept_forecasts_are_refused_for_other_origins(prepared, monkeypatch):
    monkeypatch.setattr(compare, "PACKAGES", ("no-such-package",))
    fewer = SimpleNamespace(
        schema=prepared.schema, test=prepared.test[np.arange(3)], series=prepared.series
    )
    data = EXAMPLE / "co2_weekly.csv"
    found, note = compare.fitted_forecasts(fewer, data, fresh=False)
    assert found == {}
    assert "pip install no-such-package" in note
    found, note = compare.fitted_forecasts(prepared, data, fresh=False)
    assert set(found) == set(compare.FITTED)
    assert "co2_baselines.json" in note
