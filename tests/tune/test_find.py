"""Numbers found by looking: from curves and tables that are known, and from small trainings."""

import json

import equinox as eqx
import jax
import numpy as np
import pytest
from typer.testing import CliRunner

from shoal import Population, fit
from shoal.app.main import app
from shoal.neurons.time_scaling import TimeScaling
from shoal.run import Refused
from shoal.run.errors import Fruitless
from shoal.tune import batch_size, compare_time_scalings, find, learning_rate_range
from shoal.tune.finding import memory
from shoal.tune.finding.batch_sizes import Measured, choice, sweep
from shoal.tune.finding.curve import read
from shoal.tune.finding.time_scalings import compared, elapsed

RATES = np.geomspace(1e-6, 10, 140)


def valley(steep, least, members=3, noise=0.0):
    """Losses that fall steepest at one rate, and rise from another."""
    at = np.log10(RATES)
    fall = 1 - 1 / (1 + np.exp(-6 * (at - np.log10(steep))))
    rise = 10 ** (3 * (at - np.log10(least)))
    return np.tile(fall + 0.02 * rise, (members, 1)) + noise


def test_the_rate_of_the_steepest_fall_is_suggested():
    found = read(RATES, valley(1e-3, 1), beta=0.0)
    assert found.rate == pytest.approx(1e-3, rel=0.15)
    assert found.minimum == valley(1e-3, 1)[0].argmin()
    later = read(RATES, valley(1e-3, 1), beta=0.9)  # the running mean lags behind
    assert found.rate < later.rate < 4 * found.rate


def test_never_more_than_a_tenth_of_the_rate_of_the_least_loss():
    found = read(RATES, valley(0.03, 0.1), beta=0.0)
    assert found.steepest is not None
    assert found.rate == pytest.approx(RATES[found.minimum] / 10)
    assert found.rate < RATES[found.steepest]


def test_one_member_that_is_lost_changes_nothing():
    losses = valley(1e-3, 1, members=5)
    losses[0, 30:] = np.nan
    assert read(RATES, losses, 0.5).rate == read(RATES, losses[1:], 0.5).rate
    losses[1:4, 1:] = np.inf
    assert read(RATES, losses, 0.5).reason.endswith("begin lower")


@pytest.mark.parametrize("scale", [1.0, -1.0])
def test_noise_is_no_fall(scale):
    losses = scale + 0.1 * np.random.default_rng(0).normal(size=(3, 140))
    found = read(RATES, losses, beta=0.9)
    assert found.rate is None
    assert "batches differ by" in found.reason


def test_a_suggested_rate_trains_better_than_far_ones(dense, data, compilations):
    population = Population.init(dense, n_models=3)
    before = jax.tree.map(np.array, eqx.filter(population, eqx.is_array))
    options = {"batch_size": 16, "optimizer": "rmsprop"}
    compilations.clear()
    found = learning_rate_range(population, data[0], high=1e3, **options)
    assert len(compilations) == 1
    assert found.losses.shape == (3, len(found.rates))
    assert len(found.rates) < 140  # it ends once the loss is lost
    rates = found.suggestion * np.array([0.01, 1.0, 100.0])
    every = population.select([0, 1, 2] * 3)
    each = np.repeat(rates, 3)
    fitted = fit(every, data[0], epochs=20, stopping=None, learning_rate=each, **options)
    learned = fitted.history.matrix("train_loss")[-1].reshape(3, 3)
    small, good, large = np.nan_to_num(learned, nan=np.inf).mean(1)
    assert good < 0.8 * min(small, large)
    after = eqx.filter(population, eqx.is_array)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), before, after))


def test_members_take_the_steps_of_training(dense, data):
    """At a constant rate, the test's losses are those that training has: one batch an epoch."""
    rows = data[0]
    population = Population.init(dense, n_models=2)
    options = {"batch_size": 48, "weight_decay": 0.1, "clip_norm": 0.5}
    found = learning_rate_range(population, rows, low=0.01, high=0.01 + 1e-9, steps=20, **options)
    fitted = fit(population, rows, epochs=20, stopping=None, learning_rate=0.01, **options)
    np.testing.assert_allclose(found.losses.T, fitted.history.matrix("train_loss"), rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"low": 0.1, "high": 0.01}, "`low` must be above 0 and below `high`, got 0.1 and 0.01"),
        ({"steps": 5}, "at least 20, got 5"),
        ({"batch_size": 49}, "must not be above the number of samples, 48, got 49"),
        ({"loss": "rmse"}, "`loss` must be one of"),
    ],
)
def test_a_range_that_cannot_be(dense, data, options, message):
    with pytest.raises(ValueError, match=message):
        learning_rate_range(Population.init(dense, n_models=1), data[0], **options)


def test_the_smallest_size_that_is_as_good():
    table = [Measured(size, speed) for size, speed in ((16, 500.0), (32, 910.0), (64, 1000.0))]
    assert choice(table)[0] == 32
    assert choice(table, within=0.05)[0] == 64
    size, reason = choice([*table, Measured(128, None, 3 * 10**9, "needs 3 GB")])
    assert (size, reason.split("; ")[1]) == (32, "128 is too large: needs 3 GB")


@pytest.mark.parametrize(
    "error",
    [
        jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"),
        memory.TooLarge("needs 3 GB, the device has 2 GB", 3 * 10**9),
        MemoryError(),
    ],
)
def test_sizes_end_where_memory_does(error):
    def ready(size):
        if size > 32:
            raise error
        return size

    found, lost = sweep([16, 32, 64, 128], ready)
    assert found == [16, 32]
    assert [(one.size, one.rows_per_second) for one in lost] == [(64, None)]
    assert lost[0].reason in ("ran out of memory", "needs 3 GB, the device has 2 GB")
    with pytest.raises(ValueError, match="not even batches of 64 fit the device"):
        choice(lost)


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    def ready(size):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        sweep([16], ready)


def test_sizes_are_weighed_before_they_run(dense, data, monkeypatch):
    population = Population.init(dense, n_models=2)
    before = jax.tree.map(np.array, eqx.filter(population, eqx.is_array))
    options = {"rows": 48, "repeats": 1}
    found = batch_size(population, data[0], sizes=(4, 48), **options)
    small, large = (one.bytes for one in found.measured)
    assert small < large
    assert found.suggestion in (4, 48)
    after = eqx.filter(population, eqx.is_array)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), before, after))
    home = "shoal.tune.finding.batch_sizes.device_limit"
    monkeypatch.setattr(home, lambda: (small + large) // 2)
    found = batch_size(population, data[0], sizes=(4, 48), **options)
    assert found.suggestion == 4
    assert found.measured[1].bytes == large
    assert "48 is too large: needs" in found.reason
    with pytest.raises(ValueError, match=r"`sizes` must lie in 1 to 48, .* got \[16, 64\]"):
        batch_size(population, data[0], sizes=(64, 16))


TRACES = []


class Decay(eqx.Module):
    """What is left after some time, at a rate that is learned."""

    rate: jax.Array
    scaling: TimeScaling

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        TRACES.append(len(x))
        return x[:, -1] * jax.numpy.exp(-self.rate * self.scaling(timespans)[:, -1:])


def decays(n=40, scale=50.0):
    spans = np.random.default_rng(0).uniform(0.1, 4 * scale, (n, 3)).astype(np.float32)
    return np.ones((n, 3, 1), np.float32), spans, np.exp(-spans[:, -1:] / scale)


def test_scales_train_side_by_side_and_the_best_is_suggested():
    population = Population.init(lambda key: Decay(jax.numpy.ones(()), TimeScaling("raw")), 3)
    rows, options = decays(), {"epochs": 15, "learning_rate": 0.05, "batch_size": 20}
    TRACES.clear()
    alone = fit(population, rows, rows, stopping=None, **options)
    traces = len(TRACES)
    found = compare_time_scalings(population, rows, rows, **options)
    assert len(TRACES) == 2 * traces  # one program for all scales
    assert [one.kind for one in found.scales] == ["raw", "log", "normalised", "bounded"]
    assert (found.current, found.suggestion) == ("raw", "normalised")  # the data's own
    assert "lower than with raw" in found.reason
    own = [one["best_loss"] for one in alone.status]
    np.testing.assert_allclose(found.scales[0].losses, own, rtol=1e-5)
    assert {float(np.asarray(g.members.scaling.kind.value)[0]) for g in population.groups} == {0}


def test_what_is_within_one_standard_error_stays():
    losses = {"raw": np.array([1.0, 2.0, 3.0]), "log": np.array([0.9, 2.1, 2.9])}
    found = compared(losses, "raw")
    assert found.suggestion == "raw"
    assert found.reason == "log is better by 0.0333 ± 0.067, which is within one standard error"
    assert compared(losses, "log").reason == "its mean loss is the lowest"
    lost = {"raw": np.array([1.0, np.nan]), "log": np.array([5.0, 6.0])}
    assert compared(lost, "raw").suggestion == "log"
    with pytest.raises(ValueError, match="every time scaling a member diverged"):
        compared({"raw": np.array([np.nan])})


def test_elapsed_times_that_say_nothing(dense, data):
    from shoal.population.samples import as_samples

    x, spans, y = decays()
    told = elapsed(as_samples((x, np.full_like(spans, 7), y), "train"))
    assert told == ({"mean": 7.0, "std": 0.0}, (told[1][0],))
    assert told[1][0].startswith("all gaps are equal")
    with pytest.raises(ValueError, match="all elapsed times are 0"):
        elapsed(as_samples((x, 0 * spans, y), "train"))
    with pytest.raises(ValueError, match="no elapsed times to scale"):
        elapsed(as_samples((x, y), "train"))
    with pytest.raises(ValueError, match="members do not scale elapsed times"):
        compare_time_scalings(Population.init(dense, 1), (x, spans, y), (x, spans, y))


def test_the_command_prints_a_number_and_leaves_a_page(workspace):
    before = (workspace / "c.yaml").read_text()
    asked = ["tune", "c.yaml", "--find", "learning-rate", "--set", "training.batch_size=16"]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    (folder,) = (workspace / "runs").iterdir()
    told = json.loads((folder / "found.json").read_text())
    assert f"training.learning_rate: {told['value']}\n" in result.output
    assert f"--set training.learning_rate={told['value']}\n" in result.output
    assert 1e-4 < told["value"] < 1
    page = (folder / "report.html").read_text()
    assert "Loss while the learning rate grows" in page
    assert f"--set training.learning_rate={told['value']}" in page
    assert (workspace / "c.yaml").read_text() == before


def test_a_configuration_s_scales(workspace):
    small = {"training.epochs": 1, "model.kind": "ctrnn", "model.backbone_units": None}
    del small["model.backbone_units"]
    text = (workspace / "c.yaml").read_text().replace(", backbone_units: 8", "")
    (workspace / "c.yaml").write_text(text)
    found = find("c.yaml", "time-scaling", small)
    kinds = [one.kind for one in found.result.scales]
    assert kinds == ["raw", "log", "normalised", "bounded"]  # no z-score, which may be negative
    assert all(len(one.losses) == 2 for one in found.result.scales)
    assert found.line == f"model.time_scaling: {found.value}"
    assert "Validation loss by time scaling" in found.report.read_text()


@pytest.mark.parametrize(
    ("what", "changes", "message"),
    [
        ("learning-rates", {}, "nothing to find called `learning-rates`; did you mean"),
        ("time-scaling", {"data.split": {"test": 0.2}}, "no validation block to compare scales by"),
        ("time-scaling", {"model": {"kind": "mlp"}}, "'mlp' sees no elapsed times"),
        ("learning-rate", {"data.path": "in/wav.csv"}, "did you mean `wave.csv`"),
    ],
)
def test_what_cannot_be_found(workspace, what, changes, message):
    with pytest.raises(Refused, match=message):
        find("c.yaml", what, changes)
    assert not (workspace / "runs").exists()


def test_a_range_that_says_nothing_is_said_with_a_page(workspace):
    constant = {"training.loss": "mine:nothing"}
    (workspace / "mine.py").write_text("def nothing(p, y, mask):\n    return 0.0 * p.mean\n")
    with pytest.raises(Fruitless, match="no learning rate found: the loss falls by 0 only"):
        find("c.yaml", "learning-rate", constant)
    (folder,) = (workspace / "runs").iterdir()
    assert "nothing was found" in (folder / "report.html").read_text()
