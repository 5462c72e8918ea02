"""Which samples are set aside."""

import numpy as np
import pytest

from shoal.data.sequences import Sequences
from shoal.sklearn.blocks import filled, split


def sequences(y, origin=None):
    x = np.arange(float(len(y)))[:, None, None]
    return Sequences(x, np.ones((len(y), 1)), y=np.asarray(y), origin=origin)


@pytest.mark.parametrize("seed", range(3))
def test_every_sample_once_and_every_class_its_share(seed):
    y = np.array([0] * 60 + [1] * 20 + [2])
    made = split(
        {"valid": 0.2, "calibration": 0.1}, sequences(y), "random", np.random.RandomState(seed)
    )
    assert sorted(np.concatenate([block.x.ravel() for block in made.values()])) == list(range(81))
    assert [len(block) for block in made.values()] == [57, 16, 8]
    assert set(made["train"].y) == {0, 1, 2}  # the only one of its class is learned from
    assert (made["valid"].y == 1).sum() in (3, 4, 5)


def test_in_time_the_last_come_last():
    origin = np.array([5.0, 1.0, 4.0, 2.0, 3.0])
    made = split({"valid": 0.4}, sequences(np.ones((5, 1)), origin), "time", None)
    assert made["valid"].origin.tolist() == [5.0, 4.0]


def test_filler_is_masked_and_keeps_what_is_masked():
    given = sequences(np.ones((3, 2)))
    known = np.array([[True, False], [True, True], [True, True]])
    made = filled(Sequences(given.x, given.timespans, y=given.y, y_mask=known), 64)
    assert len(made) == 32
    assert made.y_mask.sum() == 5
