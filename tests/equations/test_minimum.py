"""Brent's method against SciPy's."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from shoal.equations.minimum import minimise

FUNCTIONS = [
    lambda x: (x - 1.234) ** 2,
    lambda x: abs(x - 0.7) + 0.1 * x,
    lambda x: np.cosh(x - 2) + 0.3 * np.sin(5 * x),
    lambda x: -np.exp(-((x - 1) ** 2) / 0.5),
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_as_scipy(function):
    places = np.linspace(-3, 5, 4001)
    best = places[np.argmin([function(x) for x in places])]
    want = minimize_scalar(
        function, bounds=(best - 0.01, best + 0.01), method="bounded", options={"xatol": 1e-10}
    )
    found = minimise(function, -3.0, 5.0, grid=33)
    assert found == pytest.approx(want.x, abs=1e-6)


def test_it_is_frugal():
    calls = []
    minimise(lambda x: calls.append(x) or np.cosh(x - 0.3), -4.0, 4.0)
    assert len(calls) < 40


def test_the_deeper_valley_wins():
    two = lambda x: min((x + 2) ** 2, (x - 2) ** 2 - 0.5)  # noqa: E731
    assert minimise(two, -5.0, 5.0) == pytest.approx(2.0, abs=1e-6)


def test_an_end_where_it_falls_all_the_way():
    assert minimise(lambda x: x, -1.0, 3.0) == -1.0
    assert minimise(lambda x: -x, -1.0, 3.0) == 3.0


def test_what_cannot_be_searched_is_refused():
    with pytest.raises(ValueError, match="below"):
        minimise(lambda x: x, 1.0, 1.0)
    with pytest.raises(ValueError, match="finite nowhere"):
        minimise(lambda x: np.nan, 0.0, 1.0)
