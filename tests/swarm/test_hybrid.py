"""What the hybrid promises: who goes down the gradient, what it costs, what is updated after."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from shoal.swarm import HybridSwarm, ParticleSwarm

BOX = (-5.0, 5.0)
KEYS = (0, 1, 2)


def bowl(x):
    return jnp.sum((x - 1.0) ** 2)


def told(swarm, values):
    """A swarm that has just been told these losses."""
    positions, state = swarm.ask(swarm.init(0, jnp.zeros(3)))
    return swarm.tell(state, positions, values)


def test_the_currently_best_go_down_and_then_the_bests_are_updated():
    """Not those with the best history: of the losses told last."""
    hybrid = HybridSwarm(5, BOX, gradient_steps=4, top=2, restarts=False, axes="coordinates")
    state = told(hybrid, jnp.array([0.0, 1.0, 2.0, 3.0, 4.0]))  # 0 and 1 have the best past
    positions, state = hybrid.ask(state)
    state = hybrid.tell(state, positions, jnp.array([90.0, 80.0, 70.0, 60.0, 50.0]))
    after = hybrid.refine(state, bowl)
    moved = (np.asarray(after.position) != np.asarray(state.position)).any(1)
    assert moved.tolist() == [False, False, False, True, True]
    for i in (3, 4):
        assert float(after.value[i]) == pytest.approx(float(bowl(after.position[i])), rel=1e-5)
        assert float(bowl(after.position[i])) < float(bowl(state.position[i]))
        best = min(float(state.best_value[i]), float(after.value[i]))
        assert float(after.best_value[i]) == pytest.approx(best)
    assert float(after.found_value) == pytest.approx(
        min(float(state.found_value), float(after.value.min()))
    )


def test_one_step_is_the_optimisers():
    hybrid = HybridSwarm(
        4,
        BOX,
        gradient_steps=1,
        top=1,
        optimizer="sgd",
        learning_rate=0.1,
        restarts=False,
        axes="coordinates",
    )
    positions, state = hybrid.ask(hybrid.init(0, jnp.zeros(3)))
    values = jax.vmap(bowl)(positions)
    state = hybrid.tell(state, positions, values)
    best = int(jnp.argmin(values))
    x = np.asarray(positions[best])
    after = hybrid.refine(state, bowl)
    np.testing.assert_allclose(after.position[best], x - 0.1 * 2 * (x - 1.0), rtol=1e-5)


def test_gradients_are_counted():
    """A move of 10 particles, 3 of which take 10 steps: 10 + 3·(10 + 1) losses, 30 gradients."""
    hybrid = HybridSwarm(bounds=BOX, axes="coordinates")
    assert hybrid.cost() == 10 + 33 + 2 * 30
    found = hybrid.minimise(bowl, jnp.zeros(3), evaluations=5 * hybrid.cost() + 7)
    assert (found.iterations, found.evaluations, found.gradients) == (5, 5 * 43, 5 * 30)
    assert HybridSwarm(bounds=BOX, gradient_cost=0.0).cost() == 43


def test_it_is_never_worse_for_its_gradients():
    """Steps that lead uphill, out of the box or to NaN leave a particle where it was best."""

    def trap(x):
        return jnp.where(x.sum() > 0, jnp.nan, bowl(x))

    for rate, loss in ((1e3, bowl), (0.5, trap)):
        hybrid = HybridSwarm(6, BOX, learning_rate=rate, restarts=False, axes="coordinates")
        positions, state = hybrid.ask(hybrid.init(0, jnp.zeros(3)))
        state = hybrid.tell(state, positions, jax.vmap(loss)(positions))
        after = hybrid.refine(state, loss)
        assert (np.asarray(after.value) <= np.asarray(state.value)).all()
        assert float(after.found_value) <= float(state.found_value)
        assert np.isfinite(np.asarray(after.position)).all()
        assert (np.abs(np.asarray(after.position)) <= 5).all()


def test_gradients_help_where_a_swarm_alone_is_lost():
    """Rosenbrock's valley in fifty dimensions, the same budget for both."""

    def rosenbrock(x):
        return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    def found(swarm):
        runs = [swarm.minimise(rosenbrock, jnp.zeros(50), evaluations=6000, key=k) for k in KEYS]
        return np.median([run.value for run in runs])

    alone, helped = found(ParticleSwarm(10, BOX)), found(HybridSwarm(10, BOX))
    assert helped < 0.2 * alone


@pytest.mark.parametrize("optimizer", ["rmsprop", optax.scale_by_adam(b1=0.8)])
def test_optimisers(optimizer):
    hybrid = HybridSwarm(6, BOX, optimizer=optimizer, learning_rate=0.02, axes="coordinates")
    assert hybrid.minimise(bowl, jnp.zeros(3), iterations=15, evaluate=4).value < 0.3


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"top": 11}, "at most the 10 particles"),
        ({"gradient_steps": 0}, "gradient_steps"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"optimizer": "newton"}, "optimizer"),
        ({"gradient_cost": -1.0}, "gradient_cost"),
        ({"n_particles": 0}, "n_particles"),
    ],
)
def test_refusals(wrong, said):
    with pytest.raises(ValueError, match=said):
        HybridSwarm(**wrong)
