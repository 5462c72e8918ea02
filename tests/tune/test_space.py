"""A space means the same to samplers, grids and swarms."""

import math

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.tune import Choice, Float, Integer, Space

DIMENSIONS = {
    "choice": Choice([None, "a", {"kind": "auto_ncp", "units": 8}, 3, True]),
    "integer": Integer(2, 11, step=3),
    "wide": Integer(8, 4096, log=True),
    "float": Float(-1.0, 2.0),
    "log": Float(1e-5, 1e-1, log=True),
    "stepped": Float(0.0, 0.5, step=0.1),
}


@pytest.mark.parametrize("name", DIMENSIONS)
@given(share=st.floats(0.0, 1.0))
def test_every_place_in_the_unit_interval_is_a_value(name, share):
    dimension = DIMENSIONS[name]
    assert dimension.holds(dimension.at(share))


@pytest.mark.parametrize("name", DIMENSIONS)
def test_samplers_propose_values_that_are_held(name):
    dimension = DIMENSIONS[name]
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        trial = study.ask()
        value = dimension.suggest(trial, name)
        assert dimension.holds(value)
        kept = study.get_trials()[-1].params[name]
        assert dimension.value(kept) == value


@pytest.mark.parametrize("name", DIMENSIONS)
def test_a_grid_holds_the_ends_and_no_value_twice(name):
    dimension = DIMENSIONS[name]
    found = dimension.grid(4)
    assert all(map(dimension.holds, found))
    assert len(found) == len({repr(value) for value in found})
    if name != "choice":
        assert found == sorted(found)
        assert math.isclose(found[0], dimension.low)
        assert found[-1] <= dimension.high


def test_the_logarithm_is_what_is_even():
    assert DIMENSIONS["log"].at(0.5) == pytest.approx(1e-3)
    assert DIMENSIONS["float"].at(0.5) == pytest.approx(0.5)


CONDITIONAL = Space(
    {
        "unfolds": Integer(2, 6, when={"kind": ["ltc", "ctrnn"]}),
        "kind": ["cfc", "ltc", "gru"],
        "solver": Choice(["euler", "rk4"], when={"kind": "ltc", "unfolds": [2, 3]}),
    }
)


def test_what_others_depend_on_comes_first():
    assert list(CONDITIONAL.dimensions) == ["kind", "unfolds", "solver"]


def test_a_grid_leaves_out_what_does_not_count():
    found = list(CONDITIONAL.grid(2))
    assert {"kind": "cfc"} in found
    assert {"kind": "ltc", "unfolds": 2, "solver": "rk4"} in found
    assert {"kind": "ltc", "unfolds": 6} in found
    assert len(found) == 2 + 2 + 1


def test_samplers_are_not_asked_for_what_does_not_count():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(40):
        trial = study.ask()
        point = CONDITIONAL.suggest(trial)
        assert ("unfolds" in point) == (point["kind"] == "ltc")
        assert ("solver" in point) == (point.get("unfolds") in (2, 3))
        assert CONDITIONAL.read(trial.params) == point
        assert CONDITIONAL.holds(point) == point


def test_conditions_may_speak_of_what_is_not_searched():
    space = Space({"a": [1, 2], "b": Choice([3], when={"c": 9})}, fixed={"c": 9})
    assert list(space.grid()) == [{"a": 1, "b": 3}, {"a": 2, "b": 3}]
    assert list(Space(space.dimensions, fixed={"c": 8}).grid()) == [{"a": 1}, {"a": 2}]


def test_a_swarm_moves_in_a_cube():
    rng = np.random.default_rng(0)
    for shares in rng.uniform(size=(50, 3)):
        point = CONDITIONAL.at(shares)
        assert CONDITIONAL.holds(point) == point
    with pytest.raises(ValueError, match="3 coordinates, got 2"):
        CONDITIONAL.at([0.1, 0.2])


def test_values_outside_are_not_held():
    assert CONDITIONAL.holds({"kind": "lstm"}) is None
    assert CONDITIONAL.holds({"kind": "ltc", "unfolds": 7}) is None
    assert Space({"a": Choice([1])}).holds({"a": True}) is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Space({}), "at least one dimension"),
        (lambda: Space({"a": 3}), "`a` must be a Choice"),
        (lambda: Choice([]), "at least one choice"),
        (lambda: Float(2.0, 1.0), "lies above high"),
        (lambda: Float(1.0, 1.0), "nothing to search"),
        (lambda: Float(0.0, 1.0, log=True), "begin above 0"),
        (lambda: Float(1.0, 2.0, step=3.0), "longer than the range"),
        (lambda: Integer(1, 8, step=2, log=True), "has no step"),
        (lambda: Integer(1, 2.5), "whole bounds"),
        (
            lambda: Space({"a": Choice([1], {"b": 1}), "b": Choice([1], {"a": 1})}),
            "in a circle: a, b",
        ),
    ],
)
def test_what_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()
