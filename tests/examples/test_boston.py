"""Test rows teach nothing; the attack is what it says; the README tells the results on file."""

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "boston"))
import networks
import run

from shoal.equations.outputs import Normal

FOLDER = Path(run.__file__).parent


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3)).astype(np.float32)
    return x, x[:, :1] * 2 + 7, run.splits(40, 2)


@pytest.fixture
def two_epochs(monkeypatch):
    monkeypatch.setattr(run, "EPOCHS", 2)


def test_what_lies_in_the_test_rows_changes_no_network(small, two_epochs):
    x, y, trains = small
    rates = np.array([0.01, 0.01])
    trained = run.train(x, y, trains, rates)
    other = np.where(trains[0][:, None], y, 1e3)  # the test rows of the first split
    again = run.train(x, other, trains, rates)
    answers, others = (np.asarray(p(x).mean).reshape(run.MEMBERS, 2, 40) for p in (trained, again))
    assert np.array_equal(answers[:, 0], others[:, 0])
    assert not np.allclose(answers[:, 1], others[:, 1])  # they are training rows of the second


def test_scores_are_in_the_units_of_the_target():
    y = np.array([[10.0], [20.0]])
    found = run.scores(Normal(np.stack([y + 3, y + 1]), np.full((2, 2, 1), 2.0)), y)
    assert found["rmse"] == pytest.approx(2.0)
    variance = 4.0 + 1.0  # within, between
    assert found["nll"] == pytest.approx(0.5 * (4 / variance + np.log(2 * np.pi * variance)))


def test_the_point_nearby_is_the_fast_gradient_sign(small):
    x, y, trains = small
    network = run.create(x, y, trains, adversarial=True).member(0)
    reach = np.asarray(network.scales.reach.value)
    rows = trains[0]
    assert np.allclose(reach, 0.01 * np.ptp(x[rows], axis=0) / x[rows].std(0), rtol=1e-5)
    moved = network.moved(jnp.asarray(x), lambda given: networks.nll(given, y))
    assert np.allclose(np.abs(np.asarray(moved) - x), reach, atol=1e-6)
    plain = network(x)
    answer = network(x, key=jax.random.key(0))
    loss = networks.adversarial_loss(answer, jnp.asarray(y), None)
    scaled = (x - network.scales.centre.value) / network.scales.spread.value
    worse = networks.nll(
        network.ask(network.moved(scaled, lambda given: networks.nll(given, y))), y
    )
    assert np.allclose(loss, 0.5 * (networks.nll(plain, y) + worse), rtol=1e-5)
    assert worse.mean() > networks.nll(plain, y).mean()


def test_splits_are_nine_tenths():
    trains = run.splits(506)
    assert trains.shape == (20, 506)
    assert (trains.sum(1) == 455).all()
    assert len(np.unique(trains, axis=0)) == 20


def test_the_readme_tells_the_results_on_file():
    found = json.loads((FOLDER / "results.json").read_text())
    guide = FOLDER.parents[1] / "docs" / "how-to-build-a-crowd.md"
    for page in (FOLDER / "README.md", guide):
        assert run.table(found["results"]) in page.read_text()


def test_the_results_on_file_are_within_the_published():
    results = json.loads((FOLDER / "results.json").read_text())["results"]
    for name in ("5 networks", "5 networks, adversarial training"):
        for score, (mean, spread) in run.PUBLISHED.items():
            assert np.mean(results[name][score]) <= mean + spread
