"""A run in which a member comes to nothing: it is left out and named, and the run is finished."""

import json
from dataclasses import replace

import numpy as np
import pytest

import shoal
from shoal.population import Fitted, Population
from shoal.run import Refused, load_config, train
from shoal.run import training as training_module
from shoal.run.crowd import collective, left_out
from shoal.run.members import make, prepare_data
from shoal.run.progress import Silent

LOST = 1
CONFIG = {
    "model": {"kind": "gru", "units": 2},
    "ensemble.n_models": 3,
    "training.epochs": 2,
    "training.optimizer": "sgd",
    "export.stablehlo": False,
}


class Listens(Silent):
    def __init__(self):
        self.said = []

    def say(self, text):
        self.said += text.splitlines()


def test_a_diverged_member_is_left_out_and_named(workspace, monkeypatch):
    options = training_module.fit_options
    rates = [1e-2, 1e30, 1e-2]
    monkeypatch.setattr(
        training_module, "fit_options", lambda *given: {**options(*given), "learning_rate": rates}
    )
    progress = Listens()
    written = {"kind": "fixed", "weights": [1.0, 5.0, 3.0]}
    run = train("c.yaml", {**CONFIG, "ensemble.weighting": written}, progress=progress)

    crowd = shoal.load(run.bundle)
    assert crowd.seeds == (42, 44)
    np.testing.assert_allclose(crowd.weighting.weights(2), [0.25, 0.75])
    facts = json.loads((workspace / "exported_models/ensemble_metadata.json").read_text())
    assert [one["usable"] for one in facts["members"]] == [True, False, True]
    assert facts["members"][LOST]["status"] == "diverged"
    assert facts["collective"]["weights"] == [0.25, 0.75]
    assert facts["best_model_index"] != LOST
    assert any(
        line.startswith("member 1 (seed 43) is left out of the crowd") for line in progress.said
    )
    assert any(line.split()[:2] == ["1", "43"] and "diverged" in line for line in progress.said)
    assert "diverged" in run.report.read_text()


@pytest.fixture(scope="module")
def trained(finished):
    """Members as they begin, the middle one marked as diverged."""
    from contextlib import chdir

    with chdir(finished[0]):
        config = load_config("c.yaml", CONFIG)
        prepared = prepare_data(config)
    population = Population.init(make(config, prepared), 3)
    status = [
        {
            "index": i,
            "seed": 42 + i,
            "usable": i != LOST,
            "best_loss": 0.5 + i,
            "reason": "overflow",
        }
        for i in range(3)
    ]
    return config, prepared, Fitted(population, None, None, status, "vmap")


def weighed(trained, weighting, members=3):
    """The crowd of those that are left, and what is said of the others."""
    config, prepared, fitted = trained
    data = config.to_dict()
    data["ensemble"] |= {"weighting": weighting, "n_models": members}
    config = type(config)(**data)
    kept = replace(
        fitted, population=fitted.population.select(range(members)), status=fitted.status[:members]
    )
    return collective(config, prepared, kept), left_out(config, kept)


@pytest.mark.parametrize(
    ("weighting", "members", "weights", "falls_back"),
    [
        ({"kind": "uniform"}, 3, [0.5, 0.5], False),
        ({"kind": "fixed", "weights": [1, 5, 3]}, 3, [0.25, 0.75], False),
        ({"kind": "fixed", "weights": [0, 5, 0]}, 3, [0.5, 0.5], True),
        ({"kind": "inverse_loss"}, 3, [5 / 6, 1 / 6], False),
        ({"kind": "time_table", "edges": [9], "table": [[1, 1, 3], [1, 1, 3]]}, 3, None, False),
        ({"kind": "time_table", "edges": [9], "table": [[1, 1, 3], [0, 1, 0]]}, 3, None, True),
        ({"kind": "time_table", "edges": [9]}, 3, None, False),
        ({"kind": "stacking"}, 3, None, False),
        ({"kind": "pair"}, 2, [1.0], True),
        ({"kind": "pair", "of": "horizon", "threshold": 2}, 2, [1.0], True),
    ],
)
def test_the_rest_is_weighed(trained, weighting, members, weights, falls_back):
    crowd, said = weighed(trained, weighting, members)
    assert crowd.n_models == members - 1
    assert crowd.seeds == (42, 44)[: members - 1]
    p = crowd.predict(trained[1].valid)
    assert np.isfinite(p.mean).all()
    if weights is not None:
        np.testing.assert_allclose(p.weights, weights)
    assert said[0] == "member 1 (seed 43) is left out of the crowd: overflow"
    assert (len(said) == 2 and "they count alike" in said[-1]) == falls_back


def test_a_table_with_a_row_of_zeros_is_refused_before_training(workspace):
    table = {"kind": "time_table", "edges": [1.0], "table": [[1, 1], [0, 0]]}
    with pytest.raises(Refused, match="every row must have a weight above 0"):
        load_config("c.yaml", {"ensemble.weighting": table})


def test_a_rule_without_anything_to_learn_from_is_refused_before_training(workspace):
    changes = {"ensemble.weighting.kind": "greedy", "data.split": {"test": 0.2}}
    with pytest.raises(Refused, match=r"'greedy' learns from validation data.*data\.split\.valid"):
        train("c.yaml", changes)
    assert not (workspace / "runs").exists()


def test_what_a_rule_refuses_after_all_has_a_place(trained, monkeypatch):
    from shoal.weighting import SoftmaxLoss

    def refuse(self, evidence):
        raise ValueError("these losses will not do")

    monkeypatch.setattr(SoftmaxLoss, "fit", refuse)
    with pytest.raises(Refused, match=r"ensemble\.weighting: these losses will not do"):
        weighed(trained, {"kind": "softmax_loss"})
