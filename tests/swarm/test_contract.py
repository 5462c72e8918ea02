"""What every neighbourhood, boundary, random generator and optimiser must do."""

import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.swarm import CMAES, DifferentialEvolution, HybridSwarm, ParticleSwarm
from shoal.swarm.boundaries import BOUNDARIES
from shoal.swarm.draws import KINDS, pair
from shoal.swarm.neighbourhoods import NEIGHBOURHOODS, best_informant

LIKE = {"a": jnp.zeros(2), "b": (jnp.zeros((1, 2)), "a name"), "n": 3}
BOX = (-4.0, 6.0)
GOAL = 1.5


def bowl(position) -> jax.Array:
    return ((position["a"] - GOAL) ** 2).sum() + ((position["b"][0] - GOAL) ** 2).sum()


def fitness(positions) -> np.ndarray:
    """The same of a batch, by NumPy."""
    a, b = np.asarray(positions["a"]), np.asarray(positions["b"][0])
    return ((a - GOAL) ** 2).sum(1) + ((b - GOAL) ** 2).sum((1, 2))


SWARMS = {  # every neighbourhood, boundary and generator flies in one of them
    "swarm": {"neighbourhood": "global", "boundary": "clip", "random": "hash"},
    "ring": {"neighbourhood": "ring", "boundary": "reflect", "random": "split"},
    "torus": {"neighbourhood": "von_neumann", "boundary": "periodic", "random": "full"},
    "drawn": {"neighbourhood": "random", "boundary": "resample", "restarts": False},
    "no walls": {"bounds": None, "spread": 2.0, "velocity_limit": None},
}
AXES = {"swarm": "learned"}
OPTIMISERS = {
    **{
        name: ParticleSwarm(12, axes=AXES.get(name, "coordinates"), **{"bounds": BOX, **own})
        for name, own in SWARMS.items()
    },
    "hybrid": HybridSwarm(bounds=BOX, axes="coordinates"),
    "cma-es": CMAES(bounds=BOX),
    "differential evolution": DifferentialEvolution(1000, 12, bounds=BOX),
}


def test_every_part_flies():
    for field, registry in (
        ("neighbourhood", NEIGHBOURHOODS),
        ("boundary", BOUNDARIES),
        ("random", KINDS),
    ):
        assert {own.get(field) for own in SWARMS.values()} >= set(registry)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_ask_and_tell(name):
    optimiser = OPTIMISERS[name]
    state = optimiser.init(0, LIKE)
    best = np.inf
    for move in range(20):
        positions, state = optimiser.ask(state)
        values = fitness(positions)
        lead = len(values)
        assert positions["a"].shape == (lead, 2)
        assert positions["b"][0].shape == (lead, 1, 2)
        assert positions["b"][1] == "a name"
        assert positions["n"] == 3
        if name != "no walls":
            rows = np.concatenate([positions["a"], positions["b"][0].reshape(lead, 2)], axis=1)
            assert (rows >= BOX[0]).all()
            assert (rows <= BOX[1]).all()
        if move == 3:
            values = np.full(lead, np.nan)  # a generation that fails
        else:
            values[0] = np.nan
            best = min(best, np.nanmin(values))
        state = optimiser.tell(state, positions, values)
        assert float(state.found_value) == pytest.approx(best, rel=1e-6)
        assert float(bowl(state.best)) == pytest.approx(best, rel=1e-5)
    assert best < 2.0


@pytest.mark.parametrize("name", ["hybrid", "cma-es", "differential evolution", "swarm"])
def test_minimise(name):
    """The same search for the same key, another for another; the optimum is found."""
    optimiser = OPTIMISERS[name]
    found, again, other = (
        optimiser.minimise(bowl, LIKE, key=key, evaluations=1200) for key in (0, 0, 1)
    )
    assert (found.history.now == again.history.now).all()
    assert found.history.now[0] != other.history.now[0]
    assert found.value < 1e-2
    assert float(bowl(found.best)) == pytest.approx(found.value, rel=1e-5, abs=1e-12)
    assert found.evaluations <= 1200
    assert len(found.history.best) == found.iterations
    assert (np.diff(found.history.best) <= 0).all()
    assert found.history.best[-1] == pytest.approx(found.value, rel=1e-6)
    assert (found.history.now >= found.history.best).all()


@pytest.mark.parametrize("name", ["hybrid", "cma-es", "differential evolution", "swarm"])
def test_budget_target_and_progress(name):
    optimiser, told = OPTIMISERS[name], []
    ended = optimiser.minimise(bowl, LIKE, iterations=60, target=0.5)
    assert ended.reason == "target"
    assert ended.value <= 0.5
    assert ended.iterations < 60
    stopped = optimiser.minimise(
        bowl, LIKE, iterations=60, every=4, progress=lambda t: told.append(t) or t.iteration >= 8
    )
    assert stopped.reason == "stopped"
    assert [t.iteration for t in told] == [4, 8]
    assert told[-1].best == stopped.value
    for wrong in ({}, {"iterations": 3, "evaluations": 3}, {"iterations": 0}):
        with pytest.raises(ValueError, match=r"iterations|budget"):
            optimiser.minimise(bowl, LIKE, **wrong)


@pytest.mark.parametrize("name", NEIGHBOURHOODS)
def test_tables(name):
    n, neighbourhood = 6, NEIGHBOURHOODS[name]()
    alone = np.asarray(neighbourhood.table(1, jax.random.key(0)))
    assert (alone == 0).all()
    table = np.asarray(neighbourhood.table(n, jax.random.key(0)))
    assert table.shape[0] in (1, n)
    assert ((table >= 0) & (table < n)).all()
    if len(table) == n:
        assert (table == np.arange(n)[:, None]).any(1).all(), "everybody listens to itself"
        if not neighbourhood.redrawn:
            reached = np.eye(n, dtype=bool)
            for _ in range(n):
                reached |= reached[table].any(1)
            assert reached.all(), "word gets round"
            heard = (table[:, :, None] == np.arange(n)).any(1)
            assert (heard == heard.T).all(), "whom one hears hears one"
    values = jnp.asarray(np.random.default_rng(0).normal(size=n))
    winners = np.asarray(best_informant(jnp.asarray(table), values))
    for row, winner in zip(table, winners, strict=True):
        assert winner in row
        assert values[winner] == values[row].min()


@pytest.mark.parametrize("name", BOUNDARIES)
@settings(max_examples=30, deadline=None)
@given(
    share=st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4),
    v=st.lists(st.floats(-40, 40, width=32), min_size=4, max_size=4),
    low=st.floats(-3, 0, width=32),
    width=st.floats(0.125, 5, width=32),
)
def test_boundaries(name, share, v, low, width):
    """Everything ends inside; what stays inside moves as it would."""
    x, v = low + width * np.array([share], np.float32), np.array([v], np.float32)
    high = np.float32(low + width)
    after, speed = (np.asarray(a) for a in BOUNDARIES[name](x, v, low, high, np.float32(0.25)))
    assert (after >= low - 1e-4).all()
    assert (after <= high + 1e-4).all()
    inside = (x + v >= low) & (x + v <= high)
    np.testing.assert_allclose(after[inside], (x + v)[inside], atol=1e-5)
    np.testing.assert_allclose(speed[inside], v[inside], atol=1e-5)
    assert (np.abs(speed) <= np.abs(v) + 1e-5).all()


@pytest.mark.parametrize("kind", KINDS)
def test_uniforms(kind):
    """Even, and independent of each other, of neighbours, and of the move before."""
    shape, draw = (400, 50), jax.jit(pair, static_argnums=(0, 3, 4))
    rounds = [draw(kind, jax.random.key(7), jnp.asarray(i), shape, jnp.float32) for i in range(3)]
    arrays = [np.asarray(a, np.float64) for both in rounds for a in both]
    n = arrays[0].size
    for a in arrays:
        assert a.min() >= 0
        assert a.max() < 1
        counts = np.histogram(a, bins=64, range=(0, 1))[0]
        chi = ((counts - n / 64) ** 2 / (n / 64)).sum()
        assert 20 < chi < 130, "63 degrees of freedom"
        for other in (np.roll(a, 1, 0), np.roll(a, 1, 1), np.roll(a, 7, 1)):
            assert abs(np.corrcoef(a.ravel(), other.ravel())[0, 1]) < 5 / np.sqrt(n)
    table = np.corrcoef([a.ravel() for a in arrays]) - np.eye(len(arrays))
    assert np.abs(table).max() < 5 / np.sqrt(n)
    other = draw(kind, jax.random.key(8), jnp.asarray(0), shape, jnp.float32)[0]
    assert abs(np.corrcoef(arrays[0].ravel(), np.asarray(other).ravel())[0, 1]) < 5 / np.sqrt(n)


@pytest.mark.parametrize("name", ["cma-es", "differential evolution"])
def test_what_runs_on_the_host_says_what_it_does_not_do(name):
    optimiser = OPTIMISERS[name]
    with pytest.raises(ValueError, match="start"):
        optimiser.init(0, LIKE, start=LIKE)
    state = optimiser.init(0, LIKE)
    with pytest.raises(ValueError, match="ask before you tell"):
        optimiser.tell(state, LIKE, np.zeros(3))
    positions, state = optimiser.ask(state)
    with pytest.raises(ValueError, match="one loss per position"):
        optimiser.tell(state, positions, np.zeros(1))
    with pytest.raises(ValueError, match="method"):
        DifferentialEvolution(method="simulated annealing")


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [("cma-es", "cmaes", "swarm"), ("differential evolution", "minionpy", "swarm")],
)
def test_a_package_that_is_missing_is_named(name, package, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"needs {package}: pip install 'shoal\[{extra}\]'"):
        OPTIMISERS[name].minimise(bowl, LIKE, iterations=1)


def test_a_swarm_of_swarms():
    """`init`, `ask` and `tell` can be mapped over keys: what one does, many do."""
    swarm, keys = OPTIMISERS["ring"], jax.random.split(jax.random.key(0), 3)
    many = eqx.filter_jit(jax.vmap(lambda key: swarm.init(key, LIKE)))(keys)
    asks, tells = (eqx.filter_jit(eqx.filter_vmap(act)) for act in (swarm.ask, swarm.tell))
    alone = [swarm.init(key, LIKE) for key in keys]
    for _ in range(3):
        positions, many = asks(many)
        values = jnp.stack([fitness(jax.tree.map(_nth(i), positions)) for i in range(3)])
        many = tells(many, positions, values)
        for i, state in enumerate(alone):
            own, state = swarm.ask(state)
            alone[i] = swarm.tell(state, own, fitness(own))
    wanted = [float(state.found_value) for state in alone]
    np.testing.assert_allclose(many.found_value, wanted, rtol=1e-5)


def _nth(i: int):
    return lambda leaf: leaf[i] if eqx.is_array(leaf) else leaf
