"""EnbPI: by hand, its coverage on series, and out-of-bag means."""

import numpy as np
import pytest
from scipy.stats import binom

from shoal.score import EnbPI, out_of_bag

RNG = np.random.default_rng(0)


def run(enbpi, errors):
    state, misses, widths = enbpi.init(), [], []
    for e in errors:
        state, info = enbpi.step(state, np.zeros(1), np.array([e]))
        misses.append(info["miss"][0])
        widths.append(info["upper"][0] - info["lower"][0])
    return np.array(misses), np.array(widths)


def test_by_hand():
    window = np.array([5.0, -1, 0, 2, 3, 9, -4, 1, 7])[:, None]
    low, high = EnbPI(window, 0.5).interval(window, np.array([100.0]))
    assert (low, high) == (97.0, 103.0)  # the 5th of 0 1 1 2 3 4 5 7 9
    low, high = EnbPI(window, 0.5, "narrowest").interval(window, np.array([100.0]))
    assert (low, high) == (99.0, 105.0)  # −4 −1 0 1 2 3 5 7 9: five gaps on from −1
    for form in ("symmetric", "narrowest"):
        low, high = EnbPI(window, 0.99, form).interval(window, np.zeros((4, 1)))
        assert np.isneginf(low).all()
        assert np.isposinf(high).all()
        assert low.shape == (4, 1)


def test_the_narrowest_is_the_narrowest_of_all():
    window = RNG.gamma(1.0, size=(50, 3))
    low, high = EnbPI(window, 0.8, "narrowest").interval(window, np.zeros(3))
    gaps = int(np.ceil(51 * 0.8))
    for d in range(3):
        ordered = np.sort(window[:, d])
        widths = [ordered[i + gaps] - ordered[i] for i in range(50 - gaps)]
        assert high[d] - low[d] == pytest.approx(min(widths))
        assert ((low[d] <= window[:, d]) & (window[:, d] <= high[d])).sum() == gaps + 1
    assert (high - low < EnbPI(window, 0.8).interval(window, np.zeros(3))[1] * 2).all()


@pytest.mark.parametrize("form", ["symmetric", "narrowest"])
def test_coverage_on_a_mixing_series(form):
    """Stationary and forgetful errors: near the level, in the long run of a long window."""
    rng = np.random.default_rng(1)
    errors = np.zeros(4300)
    for t in range(1, len(errors)):
        errors[t] = 0.6 * errors[t - 1] + rng.gamma(2.0) - 2.0
    misses, _ = run(EnbPI(errors[:300, None], 0.9, form), errors[300:])
    assert misses.mean() == pytest.approx(0.1, abs=0.02)


def test_it_follows_a_change_where_a_fixed_interval_is_lost():
    rng = np.random.default_rng(2)
    errors = rng.normal(size=1100) * np.where(np.arange(1100) < 500, 1.0, 3.0)
    enbpi = EnbPI(errors[:100, None], 0.9)
    misses, widths = run(enbpi, errors[100:])
    assert misses[500:].mean() == pytest.approx(0.1, abs=0.03)
    assert widths[-100:].mean() > 2.5 * widths[:300].mean()
    low, high = enbpi.interval(enbpi.init(), np.zeros(1))
    assert ((errors[600:] < low) | (errors[600:] > high)).mean() > 0.4


def test_exchangeable_errors_hold_the_promise():
    rng = np.random.default_rng(3)
    n, repeats, level = 29, 3000, 0.8
    errors = rng.standard_t(3, (repeats, n + 1))
    hits = 0
    for row in errors:
        low, high = EnbPI(row[:n], level).interval(row[:n], 0.0)
        hits += int(low <= row[n] <= high)
    least, most = binom.interval(0.9999, repeats, np.ceil((n + 1) * level) / (n + 1))
    assert least <= hits <= most


def test_missing_truth_moves_nothing_and_outputs_are_apart():
    enbpi = EnbPI(RNG.normal(size=(20, 2)))
    state, info = enbpi.step(enbpi.init(), np.zeros(2), np.array([np.nan, 7.0]))
    np.testing.assert_array_equal(state[:, 0], enbpi.init()[:, 0])
    np.testing.assert_array_equal(state[:, 1], [*enbpi.init()[1:, 1], 7.0])
    assert info["miss"].tolist() == [False, True]


def test_out_of_bag_is_the_mean_of_those_who_had_not_seen_it():
    members = RNG.normal(size=(4, 30, 2))
    in_bag = RNG.poisson(1.0, (4, 30))
    in_bag[:, 3] = 1
    found = out_of_bag(members, in_bag)
    assert np.isnan(found[3]).all()
    for row in np.flatnonzero((in_bag == 0).any(axis=0)):
        np.testing.assert_allclose(found[row], members[in_bag[:, row] == 0, row].mean(axis=0))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="finite"):
        EnbPI(np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="finite"):
        EnbPI(np.zeros((0, 1)))
    with pytest.raises(ValueError, match="form"):
        EnbPI(np.ones(3), form="lopsided")
    with pytest.raises(ValueError, match="between 0 and 1"):
        EnbPI(np.ones(3), level=90)
    with pytest.raises(ValueError, match="in_bag"):
        out_of_bag(np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="member 1 of 2"):
        out_of_bag(np.array([[1.0], [np.nan]]), np.zeros((2, 1)))
