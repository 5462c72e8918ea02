"""New data in blocks: as `prepare` would cut them, with nothing inferred anew."""

from itertools import pairwise

import numpy as np
import pytest

from shoal.data import prepare
from shoal.data.blocks import blocks_for_training
from shoal.data.errors import DataError

SPLIT = {"valid": 0.2, "calibration": 0.1, "test": 0.2}


def wave(rows=60, start=0.0):
    t = start + np.arange(float(rows))
    return {"t": t, "y": np.sin(t / 3)}


def test_the_blocks_are_those_of_prepare():
    asked = {"time": "t", "features": "y", "targets": "y", "window": 5, "horizon": 2}
    made = prepare(wave(), **asked, split=SPLIT)
    again = blocks_for_training(wave(), made.schema, SPLIT)
    assert list(again) == ["train", "valid", "calibration", "test"]
    for name, block in again.items():
        np.testing.assert_array_equal(block.x, getattr(made, name).x)
        np.testing.assert_array_equal(block.origin, getattr(made, name).origin)


def test_no_truth_of_one_block_is_in_another():
    made = prepare(wave(), time="t", features="y", targets="y", window=5, horizon=3, split=SPLIT)
    blocks = list(blocks_for_training(wave(start=7.5), made.schema, SPLIT).values())
    for earlier, later in pairwise(blocks):
        assert earlier.target_times.max() < later.target_times.min()


def test_arrays_must_fit_the_schema():
    rng = np.random.default_rng(0)
    arrays = {"x": rng.normal(size=(20, 4, 2)), "y": rng.normal(size=(20, 1))}
    schema = prepare(arrays, task="regression", split=SPLIT).schema
    assert {n: len(b) for n, b in blocks_for_training(arrays, schema, SPLIT).items()} == {
        "train": 10,
        "valid": 4,
        "calibration": 2,
        "test": 4,
    }
    with pytest.raises(DataError, match="`x` has 3 features, training had 2"):
        blocks_for_training({**arrays, "x": rng.normal(size=(20, 4, 3))}, schema, SPLIT)
    with pytest.raises(DataError, match=r"`y` must be \(20, 1\), found \(20, 2\)"):
        blocks_for_training({**arrays, "y": rng.normal(size=(20, 2))}, schema, SPLIT)


def test_too_few_rows_are_refused():
    made = prepare(wave(), time="t", features="y", targets="y", window=5, split=SPLIT)
    with pytest.raises(DataError, match="too few rows"):
        blocks_for_training(wave(4), made.schema, SPLIT)
    with pytest.raises(DataError, match="leaves no window"):
        blocks_for_training(wave(7), made.schema, SPLIT)
