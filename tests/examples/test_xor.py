"""The XOR task: every string can be read back from its events, and the answer is its parity."""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "xor"))
import events as xor


def test_runs_give_the_bits_back():
    bits, lengths = xor.random_bits(np.random.default_rng(1), 300)
    values, steps, mask = xor.runs(bits, lengths)
    np.testing.assert_array_equal(steps.sum(axis=1), lengths)
    for row in range(300):
        back = np.repeat(values[row], steps[row])
        np.testing.assert_array_equal(back, bits[row, : lengths[row]])
    assert (steps[mask] > 0).all()
    assert (steps[~mask] == 0).all()


def test_neighbouring_runs_differ():
    values, _, mask = xor.runs(*xor.random_bits(np.random.default_rng(2), 300))
    both = mask[:, 1:] & mask[:, :-1]
    assert (values[:, 1:] != values[:, :-1])[both].all()


def test_lengths_are_uniform_below_the_longest():
    _, lengths = xor.random_bits(np.random.default_rng(3), 30_000)
    counts = np.bincount(lengths, minlength=32)
    assert (counts[:2] == 0).all()
    assert len(counts) == 32
    assert counts[2:].min() > 0.8 * 1000


def test_the_answer_is_the_parity_of_the_ones():
    made = xor.events(500, seed=4)
    steps = np.rint(made.timespans * 32).astype(int)
    ones = (made.x[..., 0] * steps).sum(axis=1)
    np.testing.assert_array_equal(made.y, ones % 2)
    assert abs(made.y.mean() - 0.5) < 0.1
    assert not made.x[~made.mask].any()


def test_seeds_decide():
    a, b = xor.events(50, seed=1), xor.events(50, seed=2)
    np.testing.assert_array_equal(a.x, xor.events(50, seed=1).x)
    assert (a.timespans != b.timespans).any()


@pytest.mark.parametrize("text", ["11", "10", "0001", "1" * 31])
def test_single_strings(text):
    bits = np.array([[int(c) for c in text.ljust(32, "1")]])
    values, steps, mask = xor.runs(bits, np.array([len(text)]))
    back = "".join(str(v) * n for v, n in zip(values[0], steps[0], strict=True))
    assert back == text
    assert mask.sum() == 1 + sum(a != b for a, b in pairwise(text))
