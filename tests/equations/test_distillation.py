"""What a student is taught, against its definition."""

import numpy as np
from numpy.testing import assert_allclose

from shoal.equations import losses
from shoal.equations.distillation import class_lesson, normal_lesson
from shoal.equations.outputs import Categorical, Normal


def test_it_is_the_expected_surprise_of_the_crowds_normal():
    """Two points, one spread either side of the mean, have its mean and variance: E is exact."""
    rng = np.random.default_rng(0)
    m, s = rng.normal(size=(8, 2)), rng.uniform(0.1, 2, (8, 2))
    student = Normal(rng.normal(size=(8, 2)), rng.uniform(0.1, 2, (8, 2)))
    ends = [losses.normal_surprise(np, student, y) for y in (m - s, m + s)]
    assert_allclose(normal_lesson(np, student, m, s), np.mean(ends, axis=0))


def test_nothing_beats_saying_what_the_crowd_says():
    rng = np.random.default_rng(1)
    m, s = rng.normal(size=100), rng.uniform(0.1, 2, 100)
    least = normal_lesson(np, Normal(m, s), m, s)
    for _ in range(20):
        other = Normal(m + 0.3 * rng.normal(size=100), s * np.exp(0.3 * rng.normal(size=100)))
        assert (normal_lesson(np, other, m, s) >= least).all()


def test_of_one_certain_class_it_is_the_cross_entropy():
    rng = np.random.default_rng(2)
    student, y = Categorical(rng.normal(size=(9, 3)) * 5), rng.integers(0, 3, 9)
    expected = losses.class_surprise(np, student, y)
    assert_allclose(class_lesson(np, student, np.eye(3)[y]), expected)
