"""The search as one program: compiled once, gone on with, over modules, told about."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from shoal.neurons.frozen import Frozen
from shoal.swarm import Convergence, ParticleSwarm, measure
from shoal.swarm.evaluate import losses, preferred
from shoal.swarm.space import describe

BOX = (-5.0, 5.0)
SWARM = ParticleSwarm(6, BOX, axes="coordinates", convergence=Convergence(settle=2, patience=4))


def sphere(x):
    return jnp.sum(x**2)


def rastrigin(x):
    return 10 * x.size + jnp.sum(x**2 - 10 * jnp.cos(2 * jnp.pi * x))


def test_it_compiles_once():
    """New keys, starts and data, and going on: no new program."""
    traced = []

    def loss(x, shift):
        traced.append(1)
        return jnp.sum((x - shift) ** 2)

    swarm = ParticleSwarm(6, BOX, axes="coordinates")
    for key, shift in ((0, 0.0), (1, 1.0), (2, -1.0)):
        found = swarm.minimise(
            loss, jnp.full(2, shift), key=key, iterations=90, args=(jnp.asarray(shift),)
        )
        assert found.best == pytest.approx(shift, abs=0.05)
    swarm.minimise(loss, state=found.state, iterations=90, args=(jnp.asarray(0.0),))
    assert len(traced) == 1


def test_going_on_is_one_search():
    whole = SWARM.minimise(sphere, jnp.zeros(2), iterations=30)
    half = SWARM.minimise(sphere, jnp.zeros(2), iterations=15)
    rest = SWARM.minimise(sphere, state=half.state, iterations=15)
    assert rest.value == whole.value
    assert rest.evaluations == whole.evaluations == 180
    assert rest.iterations == whole.iterations == 30
    assert len(rest.history.best) == 15


def test_ask_and_tell_are_what_minimise_does():
    found = SWARM.minimise(sphere, jnp.zeros(2), iterations=15, key=3)
    state = SWARM.init(3, jnp.zeros(2))
    for _ in range(15):
        positions, state = SWARM.ask(state)
        state = SWARM.tell(state, positions, (positions**2).sum(1))
    assert float(state.found_value) == pytest.approx(found.value, rel=1e-4)


class Net(eqx.Module):
    """A module with everything a module may hold."""

    weight: jax.Array
    scale: Frozen
    step: jax.Array
    act: object = jnp.tanh

    def __call__(self, x):
        return self.act(x @ self.weight) * self.scale.value + self.step


def test_positions_are_modules():
    """Only trainable floats fly; frozen arrays, integers and functions stay as they are."""
    like = Net(jnp.ones((3, 1)), Frozen(2.0), jnp.asarray(0))
    x, y = np.random.default_rng(0).normal(size=(2, 20, 3)).astype(np.float32)
    y = np.tanh(x @ np.array([[1.0], [-2.0], [0.5]], np.float32)) * 2

    def loss(net, x, y):
        return jnp.mean((net(x) - y) ** 2)

    swarm = ParticleSwarm(10, spread=2.0, axes="coordinates")
    found = swarm.minimise(loss, like, iterations=150, args=(x, y))
    assert isinstance(found.best, Net)
    assert found.value < 0.01
    assert found.best.scale.value == 2.0
    assert found.best.step == 0
    assert found.best.act is jnp.tanh
    positions, _ = swarm.ask(swarm.init(0, like))
    assert positions.weight.shape == (10, 3, 1)
    assert positions.scale.value.shape == ()


def test_starting_places():
    start = {"x": jnp.array([[1.0, 2.0], [3.0, 9.0]])}
    swarm = ParticleSwarm(5, BOX)
    positions, _ = swarm.ask(swarm.init(0, {"x": jnp.zeros(2)}, start))
    assert (positions["x"][:2] == jnp.array([[1.0, 2.0], [3.0, 5.0]])).all()
    assert not (positions["x"][2:] == 0).any()
    with pytest.raises(ValueError, match="1 to 5 particles"):
        swarm.init(0, {"x": jnp.zeros(2)}, {"x": jnp.zeros((6, 2))})


def test_ways_of_evaluating_agree():
    state = SWARM.init(0, jnp.zeros(4))
    rows = state.position
    found = [
        losses(rastrigin, state.form, state.frozen, (), how)(rows) for how in ("map", 4, "vmap")
    ]
    for other in found[1:]:
        np.testing.assert_allclose(found[0], other, rtol=1e-5)


def test_the_fastest_way_is_measured(monkeypatch):
    """All are tried, each in a program of its own, and the quickest is taken."""
    state, tried = SWARM.init(0, jnp.zeros(4)), []
    real = measure._seconds

    def seconds(loss, state, args, how):
        tried.append(how)
        assert real(loss, state, args, how) > 0
        return {"vmap": 3.0, "map": 1.0}.get(how, 2.0)

    monkeypatch.setattr(measure, "_seconds", seconds)
    assert measure.fastest(rastrigin, state) == "map"
    assert tried == measure.candidates(6) == ["vmap", "map"]


def test_models_on_a_cpu_are_evaluated_in_chunks():
    small, model = (describe(jnp.zeros(n))[0] for n in (10, 5000))
    assert preferred(small) == "vmap"
    assert preferred(model) == (8 if jax.default_backend() == "cpu" else "vmap")


def test_a_loss_that_is_never_finite_is_said():
    with pytest.warns(UserWarning, match="none of 18 losses was finite"):
        found = SWARM.minimise(lambda x: jnp.nan * x.sum(), jnp.ones(2), iterations=3)
    assert found.value == np.inf


def test_progress_is_printed(capsys):
    SWARM.minimise(sphere, jnp.zeros(2), iterations=25, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == ["10/25", "20/25", "25/25"]
