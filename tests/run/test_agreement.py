"""The schema offers what the layers above it take, no more and no less."""

import inspect
from typing import get_args

import pytest

from shoal.neurons import model as neurons
from shoal.run import model_section as sections
from shoal.run.ensemble_section import Ensemble, Stopping
from shoal.run.members import fit_options
from shoal.run.sections import Training

KINDS = {name: getattr(sections, class_name) for name, class_name in neurons.NEURONS.items()}


def choices(model, field):
    """The texts of a Literal, also inside a union."""
    found = set()
    todo = [model.model_fields[field].annotation]
    while todo:
        one = todo.pop()
        todo += list(get_args(one))
        if isinstance(one, str):
            found.add(one)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_neurons_options_are_its_arguments(kind):
    taken = inspect.signature(neurons.neuron(kind)).parameters
    offered = {"units", *set(KINDS[kind].model_fields) - set(sections._OURS)}
    left_out = {"input_size", "return_sequences", "dtype", "key"}
    assert offered == set(taken) - left_out
    for name in offered - {"units"}:
        assert KINDS[kind].model_fields[name].default == taken[name].default, name


def test_the_choices_are_the_registries():
    from shoal.equations import activations, ctrnn
    from shoal.neurons import initialise, ltc, time_scaling
    from shoal.population import objective, optimiser

    assert choices(sections.CfC, "activation") == set(activations.ACTIVATIONS)
    assert choices(sections.CTRNN, "activation") == set(activations.ACTIVATIONS)
    assert choices(sections.LTC, "solver") == set(ltc.SOLVERS)
    assert choices(sections.CTRNN, "solver") == set(ctrnn.SOLVERS)
    assert choices(sections.Neuron, "initializer") == set(initialise.INITIALIZERS)
    assert choices(sections.Neuron, "time_scaling") == set(time_scaling.KINDS)
    assert choices(Training, "optimizer") == set(optimiser.DIRECTIONS)
    assert choices(Training, "schedule") == set(optimiser.SCHEDULES)
    for name in choices(Training, "loss"):
        objective.check_loss(name)


def test_every_training_option_is_an_argument_of_fit(tmp_path):
    from shoal.population import fit
    from shoal.run.schema import Config

    config = Config(
        data={"path": "a.csv", "time": "t", "features": ["x"], "targets": ["x"], "window": 8},
        model={"kind": "cfc"},
    )
    options = fit_options(config, tmp_path, "0", False)
    taken = inspect.signature(fit).parameters
    assert set(options) <= set(taken)
    assert set(taken) - set(options) == {"population", "train", "valid", "on_epoch", "should_stop"}


def test_the_stopping_rule_is_that_of_the_population():
    from shoal.population import Stopping as Rule

    for name, field in Stopping.model_fields.items():
        if name != "enabled":
            assert getattr(Rule(), name) == field.default


def test_the_weightings_are_the_registered_ones():
    from shoal.run.paths import models_at
    from shoal.weighting import RULES

    kinds = {
        tag
        for model in models_at(("ensemble", "weighting"))
        for tag in get_args(model.model_fields["kind"].annotation)
    }
    assert kinds == set(RULES) - {"pooled"}  # which boosting leaves, and nobody writes


def test_data_options_are_arguments_of_prepare():
    from shoal.data import prepare
    from shoal.run.schema import Data

    taken = set(inspect.signature(prepare).parameters) - {"source"}
    assert set(Data.model_fields) - {"path"} == taken


def test_the_regimes_are_the_registry_s_with_their_defaults():
    from dataclasses import fields

    from shoal.population.regimes import REGIMES

    union = get_args(Ensemble.model_fields["regime"].annotation)
    offered = {get_args(one.model_fields["kind"].annotation)[0]: one for one in union}
    assert set(offered) == set(REGIMES)
    for kind, section in offered.items():
        taken = {field.name: field.default for field in fields(REGIMES[kind])}
        given = {name: info.default for name, info in section.model_fields.items()}
        assert {n: v for n, v in given.items() if n != "kind"} == taken, kind


def test_the_sharings_are_the_population_s_with_their_defaults():
    from shoal.population.sharing import KINDS
    from shoal.population.sharing import resolve as sharing

    union = get_args(Ensemble.model_fields["sharing"].annotation)
    offered = {get_args(one.model_fields["kind"].annotation)[0]: one for one in union}
    assert set(offered) == {"none", *KINDS}
    for kind, section in offered.items():
        assert sharing(section(kind=kind).model_dump()) == sharing(kind)


def test_the_weightings_have_their_rules_defaults():
    from shoal.weighting import RULES, resolve

    union = get_args(Ensemble.model_fields["weighting"].annotation)
    filled = {"fixed": {"weights": [1.0]}, "time_table": {"edges": [1.0]}}
    for section in union:
        kind = get_args(section.model_fields["kind"].annotation)[0]
        own = {"kind": kind, **filled.get(kind, {})}
        assert resolve(section(**own).model_dump()) == resolve(own), kind
        assert type(resolve(own)) is RULES[kind]
