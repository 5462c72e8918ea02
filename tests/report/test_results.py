"""Plain data that does not fit together is refused by name."""

import numpy as np
import pytest

from shoal.report import Classification, Evaluation


def test_a_regression_has_one_horizon():
    e = Evaluation(y=np.zeros((5, 2)), mean=np.ones((5, 2)), members=np.ones((3, 5, 2)))
    assert e.y.shape == (5, 1, 2)
    assert e.members.shape == (3, 5, 1, 2)
    assert list(e.member_indices) == [0, 1, 2]


def test_missing_truth_is_masked_however_it_is_said():
    y = np.zeros((4, 2, 1))
    y[1, 0] = np.nan
    mask = np.ones_like(y, bool)
    mask[2, 1] = False
    e = Evaluation(y=y, mean=np.zeros_like(y), y_mask=mask)
    assert e.y_mask.sum() == 6


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("std", np.zeros((4, 3, 1))),
        ("members", np.zeros((2, 4, 3, 1))),
        ("times", np.zeros((4, 3))),
        ("origins", np.zeros(3)),
        ("target_names", ["a", "b"]),
        ("horizons", [1, 2, 3]),
    ],
)
def test_a_wrong_shape_is_named(name, value):
    y = np.zeros((4, 2, 1))
    with pytest.raises(ValueError, match=f"`{name}`"):
        Evaluation(**{"y": y, "mean": y, name: value})


def test_labels_must_fit_probabilities():
    with pytest.raises(ValueError, match="`labels`"):
        Classification(probabilities=np.ones((4, 2)) / 2, labels=[0, 1])
