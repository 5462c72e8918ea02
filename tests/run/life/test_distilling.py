"""A crowd in one student: what it is taught, what it keeps, and how sure it is."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import shoal
from shoal.data.blocks import blocks_for_training
from shoal.equations.outputs import Normal
from shoal.equations.prediction import Prediction
from shoal.run import distill, update
from shoal.run.errors import Fruitless, Refused
from shoal.run.life.existing import existing
from shoal.run.life.report_card import alone, card
from shoal.run.life.student import lessons, normal_loss

SHORT = {"training.epochs": 3}


@pytest.fixture(scope="module")
def taught(home, tmp_path_factory):
    """A student of the forecasting crowd, half as wide as a member."""
    data, output = home.data["forecast"], tmp_path_factory.mktemp("d") / "student"
    said = []
    progress = SimpleNamespace(say=said.append, epoch=lambda info: None, close=lambda: None)
    sets = ["model.units=3", "training.epochs=150", "training.patience=20"]
    found = distill(home.bundle(), data, output=output, overrides=sets, progress=progress)
    crowd = shoal.load(home.bundle())
    split = {"valid": 0.2, "calibration": 0.2, "test": 0.2}
    blocks = blocks_for_training(data, crowd.schema, split)
    return SimpleNamespace(found=found, crowd=crowd, blocks=blocks, said=said)


def test_a_student_of_half_the_width_keeps_most_of_the_accuracy(taught):
    """On rows that nobody learned from, beside the crowd's own error and a naive method's."""
    rows, test = taught.found.card.rows, taught.blocks["test"]
    assert rows["student"]["rmse"] < 1.15 * rows["crowd"]["rmse"]
    past = test.x[:, -1, 0]
    naive = float(np.sqrt(np.nanmean((past - test.y[:, 0, 0]) ** 2)))
    assert rows["student"]["rmse"] < 0.7 * naive


def test_its_spread_is_that_of_the_crowd(taught):
    student, test = shoal.load(taught.found.path), taught.blocks["test"]
    assert student.n_models == 1
    assert student.population.member(0).rnn.state_size == 3
    own, whole = student.predict(test).std, taught.crowd.predict(test).std
    assert isinstance(student.predict(test).outputs, Normal)
    assert np.corrcoef(own.ravel(), whole.ravel())[0, 1] > 0.7
    assert 0.8 < own.mean() / whole.mean() < 1.25
    assert taught.found.card.agreement["spread_correlation"] > 0.7


def test_what_is_said_and_kept(taught):
    text = "\n".join(taught.said)
    for word in ("crowd", "best member", "mean member", "student", "spreads: correlation"):
        assert word in text
    facts = existing(taught.found.path).facts
    assert facts["distilled"]["members"] == 3
    assert facts["distilled"]["rows"]["student"] == taught.found.card.rows["student"]
    assert facts["members"][0]["status"] == "student"
    assert (taught.found.student.calibration is None) == (taught.crowd.calibration is None)


def test_it_is_taught_the_crowds_answers_and_no_truth(taught):
    block = taught.blocks["train"]
    told = lessons(taught.crowd, block)
    said = taught.crowd.predict(block)
    half = told.y.shape[-1] // 2
    scaling = taught.crowd.scaling
    back = scaling.decode(np, Normal(told.y[..., :half], told.y[..., half:]), block.x, block.mask)
    assert_allclose(back.mean, said.mean, rtol=1e-4, atol=1e-5)
    assert_allclose(back.std, said.std, rtol=1e-4)
    assert told.y_mask is None


def test_the_loss_is_least_where_the_student_says_what_the_crowd_says():
    y = jnp.array([[[0.5, 0.2]]])
    at = normal_loss(y, y, None)
    assert at.shape == y.shape
    for other in ([[[0.6, 0.2]]], [[[0.5, 0.3]]], [[[0.5, 0.1]]]):
        assert float(normal_loss(jnp.array(other), y, None).mean()) > float(at.mean())


def test_a_student_lives_on(taught, home, tmp_path):
    found = update(
        taught.found.path,
        home.data["forecast"],
        retrain=True,
        output=tmp_path / "older",
        overrides={**SHORT, "training.learning_rate": 1e-4},
    )
    assert found.members[0]["status"] in ("retrained", "kept")


def test_a_card_of_one_that_says_the_same(taught):
    blocks = taught.blocks
    found = card(taught.crowd, taught.crowd, blocks["valid"], blocks["test"])
    assert found.kept == 1
    assert found.agreement == pytest.approx(
        {"apart": 0.0, "spread_correlation": 1.0, "spread_ratio": 1.0}
    )
    whole = Prediction(Normal(np.ones((2, 3, 1)), np.ones((2, 3, 1))), np.array([0.5, 0.5]))
    assert alone(whole, 1).mean.shape == (3, 1)


def test_what_cannot_be_is_refused(home, tmp_path):
    bundle, data = home.bundle(), home.data["forecast"]

    def refuse(message, kind=Refused, **asked):
        with pytest.raises(kind, match=message):
            distill(bundle, data, output=tmp_path / "new", **asked)
        assert not (tmp_path / "new").exists()

    refuse("unknown key; it belongs to kind", overrides=["model.kind=gru", "model.ode_unfolds=3"])
    refuse("there is no 'gro'; did you mean `gru`", overrides=["model.kind=gro"])
    refuse("was decided when the crowd was made", overrides=["data.window=9"])
    with pytest.raises(Refused, match="exists already; name another"):
        distill(bundle, data, output=bundle)
    wild = {"training.learning_rate": 1e30, "training.optimizer": "sgd"}
    refuse("the student has no finite loss", Fruitless, overrides=wild)
