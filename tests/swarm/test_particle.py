"""What a particle swarm promises besides the contract."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.swarm import Convergence, ParticleSwarm, Random, fly, motion
from shoal.swarm.axes import learned, principal
from shoal.swarm.draws import KINDS
from shoal.swarm.state import replaced

BOX = (-5.0, 5.0)
SWARM = ParticleSwarm(6, BOX, axes="coordinates", convergence=Convergence(settle=2, patience=4))


def sphere(x):
    return jnp.sum(x**2)


def rastrigin(x):
    return 10 * x.size + jnp.sum(x**2 - 10 * jnp.cos(2 * jnp.pi * x))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(
            st.one_of(st.floats(-1e6, 1e6), st.just(np.nan), st.just(np.inf)),
            min_size=6,
            max_size=6,
        ),
        min_size=1,
        max_size=15,
    )
)
def test_nan_never_wins_and_the_best_is_never_lost(told):
    """Whatever is told, through restarts and all, the best of it is kept with its place."""
    state, seen = SWARM.init(0, jnp.zeros(2)), []
    for values in told:
        positions, state = SWARM.ask(state)
        state = SWARM.tell(state, positions, np.array(values))
        seen += zip(np.asarray(values, np.float32), np.asarray(positions), strict=True)
        known = [(v, x) for v, x in seen if np.isfinite(v)]
        if not known:
            assert float(state.found_value) == np.inf
            continue
        least = min(v for v, _ in known)
        assert float(state.found_value) == least
        assert any((x == np.asarray(state.best)).all() for v, x in known if v == least)


def test_the_equation():
    """One move is the paper's, term by term, with the constriction's numbers."""
    assert pytest.approx(0.7298) == motion.INERTIA
    assert motion.COGNITIVE == motion.SOCIAL == pytest.approx(0.7298 * 2.05, abs=2e-4)
    swarm = ParticleSwarm(4, BOX, velocity_limit=None, random="full", axes="coordinates")
    state = swarm.init(1, jnp.zeros(3))
    positions, state = swarm.ask(state)
    state = swarm.tell(state, positions, jnp.array([3.0, 1.0, jnp.nan, 2.0]))
    x, v, own = (np.asarray(a) for a in (state.position, state.velocity, state.best_position))
    key = jax.random.fold_in(state.key, state.iteration)
    u1, u2 = (np.asarray(jax.random.uniform(k, x.shape)) for k in jax.random.split(key))
    wanted = 0.7298 * v + 1.49618 * u1 * (own - x) + 1.49618 * u2 * (own[1] - x)
    _, after = swarm.ask(state)
    there = np.clip(x + wanted, -5, 5)
    np.testing.assert_allclose(after.position, there, rtol=1e-5, atol=1e-5)
    assert (np.abs(x + wanted) < 5).any()


def test_learned_axes_are_the_axes_of_what_was_found():
    """Bests along a diagonal: the pulls are drawn along it, whatever the coordinates are."""
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    along = np.random.default_rng(1).normal(size=(8, 3)) * [10.0, 1.0, 0.1]
    spread = jnp.eye(3)
    for _ in range(100):
        spread = learned(spread, jnp.asarray(along @ turn.T + 5.0, jnp.float32))
    found = np.abs(np.asarray(principal(spread)).T @ turn)
    want = np.linalg.eigh(np.cov((along @ turn.T).T))[1]
    np.testing.assert_allclose(np.abs(np.asarray(principal(spread)).T @ want), np.eye(3), atol=0.02)
    assert found.max(1).min() > 0.9
    assert float(jnp.trace(spread)) == pytest.approx(3.0, rel=1e-4)
    same = learned(spread, jnp.ones((8, 3)))
    assert (same == spread).all(), "bests in one place say nothing"
    u, pulls = (np.full((1, 3), 0.25), np.full((1, 3), 0.5)), (0.5, 1.0, 2.0)
    v, x, own, heard = np.random.default_rng(2).normal(size=(4, 1, 3))
    turned = motion.velocity(v, x, own, heard, u, pulls, turn)
    np.testing.assert_allclose(turned, motion.velocity(v, x, own, heard, u, pulls))


def test_learned_axes_follow_a_valley_that_coordinates_do_not():
    turn = jnp.asarray(np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0], jnp.float32)

    def valley(x):
        return jnp.sum(10.0 ** jnp.arange(5) * (turn @ x) ** 2)

    values = {}
    for axes in ("coordinates", "learned"):
        swarm = ParticleSwarm(12, BOX, axes=axes)

        def search(key, swarm=swarm):
            state = swarm.init(key, jnp.zeros(5))
            return fly(swarm, valley, state, length=250, early=False)[0].found_value

        values[axes] = np.median(jax.vmap(search)(jax.random.split(jax.random.key(0), 9)))
    assert values["learned"] < 1e-2 * values["coordinates"]


def test_velocity_is_limited_relative_to_the_box():
    bounds = ({"a": 0.0, "b": -10.0}, {"a": 1.0, "b": 10.0})
    swarm = ParticleSwarm(8, bounds, velocity_limit=0.1, axes="coordinates")
    state = swarm.init(0, {"a": jnp.zeros(1), "b": jnp.zeros(1)})
    positions, state = swarm.ask(state)
    state = swarm.tell(state, positions, jnp.arange(8.0))
    _, state = swarm.ask(replaced(state, velocity=state.velocity * 1e3))
    speed = np.abs(np.asarray(state.velocity)).max(0)
    assert (speed <= [0.1 + 1e-6, 2.0 + 1e-5]).all()
    assert (speed > [0.05, 1.0]).all()


def test_restarts():
    """Where a swarm without restarts ends, one with them goes on and finds the other valley."""

    def valleys(x):  # the lower one is narrow
        wide, narrow = jnp.sum((x - 2) ** 2), 20 * jnp.sum((x + 4) ** 2) - 1.0
        return jnp.minimum(wide, narrow)

    rule = Convergence(tolerance=1e-3, settle=2, patience=8)
    plain = {"axes": "coordinates", "convergence": rule}
    once = ParticleSwarm(6, BOX, restarts=False, **plain)
    ended = [once.minimise(valleys, jnp.zeros(2), iterations=600, key=k) for k in range(4)]
    assert {found.reason for found in ended} == {"converged"}
    assert max(found.iterations for found in ended) < 300
    assert max(found.value for found in ended) > -0.5
    again = ParticleSwarm(6, BOX, **plain)
    found = again.minimise(valleys, jnp.zeros(2), iterations=600)
    assert found.restarts > 2
    assert found.value < -0.5
    assert found.history.restarts[-1] == found.restarts


def test_random_neighbours_change_when_nothing_improves():
    swarm = ParticleSwarm(8, BOX, neighbourhood=Random(2), restarts=False, axes="coordinates")
    state = swarm.init(0, jnp.zeros(2))
    tables = []
    for values in (jnp.arange(8.0), jnp.arange(8.0) - 1, jnp.arange(8.0)):
        positions, state = swarm.ask(state)
        state = swarm.tell(state, positions, values)
        tables.append(np.asarray(state.table))
    assert (tables[0] == tables[1]).all()
    assert not (tables[1] == tables[2]).all()


def test_cheap_random_numbers_cost_no_quality():
    """The median over 48 searches lies between the quartiles of those with all the bits."""
    values = {}
    for kind in KINDS:
        swarm = ParticleSwarm(
            20, BOX, random=kind, restarts=False, convergence=None, axes="coordinates"
        )

        def search(key, swarm=swarm):
            state = swarm.init(key, jnp.zeros(6))
            return fly(swarm, rastrigin, state, length=120, early=False)[0].found_value

        values[kind] = np.asarray(jax.vmap(search)(jax.random.split(jax.random.key(5), 48)))
    low, high = np.quantile(values["full"], [0.25, 0.75])
    assert low < high
    for kind in ("hash", "split"):
        assert low <= np.median(values[kind]) <= high, kind


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"n_particles": 0}, "n_particles"),
        ({"bounds": (1.0, 1.0)}, "low below high"),
        ({"bounds": (5.0, -5.0)}, "low below high"),
        ({"bounds": (0.0, np.inf)}, "finite"),
        ({"bounds": 3.0}, "pair"),
        ({"neighbourhood": "star"}, "global, ring, von_neumann, random"),
        ({"boundary": "bounce"}, "clip, reflect, periodic, resample"),
        ({"random": "cheap"}, "hash, split, full"),
        ({"axes": "polar"}, "auto, coordinates, learned"),
        ({"velocity_limit": 0.0}, "velocity_limit"),
        ({"inertia": -1.0}, "inertia"),
        ({"spread": 0.0}, "spread"),
    ],
)
def test_settings_are_checked(wrong, said):
    with pytest.raises(ValueError, match=said):
        ParticleSwarm(**wrong)


def test_arguments_are_checked():
    state = SWARM.init(0, jnp.zeros(2))
    for call, said in [
        (lambda: SWARM.init(0, {"n": 1}), "array of floats"),
        (lambda: SWARM.init(0, jnp.zeros(2, jnp.complex64)), "real numbers"),
        (lambda: SWARM.tell(state, jnp.zeros((6, 2)), jnp.zeros(5)), r"\(6,\), got \(5,\)"),
        (lambda: SWARM.tell(state, jnp.zeros((6, 3)), jnp.zeros(6)), "positions must have"),
        (lambda: SWARM.minimise(jnp.square, jnp.zeros(2), iterations=1), r"one number.*\(2,\)"),
        (lambda: SWARM.minimise(sphere, jnp.zeros(2), evaluations=5), "at least 6"),
        (lambda: SWARM.minimise(sphere, jnp.zeros(2), iterations=1, evaluate=0), "evaluate"),
        (lambda: SWARM.minimise(sphere, jnp.zeros(2), iterations=1, devices=99), "devices"),
        (lambda: ParticleSwarm(6, (jnp.zeros(3), 1.0)).init(0, jnp.zeros(2)), "like the position"),
        (lambda: ParticleSwarm(6, (0.0, jnp.ones(2))).init(0, jnp.zeros(2)), None),
        (lambda: ParticleSwarm(6, (1.0, jnp.ones(2))).init(0, jnp.zeros(2)), "low below high"),
    ]:
        if said is None:
            call()
            continue
        with pytest.raises(ValueError, match=said):
            call()
