"""Populations: creation, grouping, indexing, prediction."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from shoal.equations.outputs import Normal
from shoal.population import Population


def test_member_is_what_its_seed_makes(dense, same):
    population = Population.init(dense, n_models=4, base_seed=7)
    assert population.seeds == (7, 8, 9, 10)
    for i, seed in enumerate(population.seeds):
        assert same(population[i], dense(jax.random.key(seed)), 1e-6)  # compiled, so rounded anew


def test_a_member_does_not_depend_on_the_crowd(dense, same):
    assert same(Population.init(dense, 5, 42)[3], Population.init(dense, 1, 45)[0])


def test_initialisation_is_one_program(dense, compilations):
    Population.init(lambda key: dense(key, width=11), n_models=6)
    assert len(compilations) == 1


def test_calling_stacks_predictions_in_member_order(dense):
    x = jnp.linspace(-1, 1, 12).reshape(4, 3)
    makes = [dense, lambda key: dense(key, width=5)]
    population = Population.init(makes, n_models=5)
    assert [g.indices for g in population.groups] == [(0, 2, 4), (1, 3)]
    answers = population(x)
    assert answers.shape == (5, 4, 1)
    for i in range(5):
        np.testing.assert_allclose(answers[i], population[i](x), atol=1e-6)


def test_makes_of_one_structure_share_a_group(dense):
    population = Population.init([dense, lambda key: dense(key, rate=0.5)], n_models=4)
    assert [g.indices for g in population.groups] == [(0, 1, 2, 3)]
    rates = population.groups[0].members.dropout.rate.value
    np.testing.assert_array_equal(rates, np.array([0, 0.5, 0, 0.5], np.float32))


def test_select_keeps_the_order_asked_for(dense, same):
    population = Population.init([dense, lambda key: dense(key, width=5)], n_models=5)
    chosen = population.select([3, 0, 4])
    assert chosen.seeds == (45, 42, 46)
    for new, old in enumerate([3, 0, 4]):
        assert same(chosen[new], population[old])
    assert population[1:3].seeds == (43, 44)
    assert same(population[-1], population[4])


def test_to_take_members_compiles_nothing(dense, compilations):
    population = Population.init(dense, 5)
    made = len(compilations)
    population.member(3), population.select([4, 0])
    assert len(compilations) == made


def test_members_are_taken_inside_a_program_too(dense, same):
    population = Population.init(dense, 3)
    arrays, static = eqx.partition(population, eqx.is_array)
    inside = jax.jit(lambda a: eqx.filter(eqx.combine(a, static).select([2])[0], eqx.is_array))
    assert same(inside(arrays), population[2])


def test_of_groups_existing_members(dense, same):
    members = [dense(jax.random.key(i), width=4 + i % 2) for i in range(4)]
    population = Population.of(members, seeds=[9, 8, 7, 6])
    assert len(population.groups) == 2
    assert population.seeds == (9, 8, 7, 6)
    for i, member in enumerate(members):
        assert same(population[i], member)


def test_a_population_of_normals_answers_a_normal():
    class Noise(eqx.Module):
        w: jax.Array

        def __call__(self, x, timespans=None, *, mask=None, key=None):
            return Normal(x @ self.w, jnp.ones(x.shape[0]))

    population = Population.init(lambda key: Noise(jax.random.normal(key, (3,))), 3)
    answer = population(jnp.ones((4, 3)))
    assert isinstance(answer, Normal)
    assert answer.mean.shape == answer.std.shape == (3, 4)


def test_keys_differ_between_members(dense):
    population = Population.init(lambda key: dense(jax.random.key(0), rate=0.5), 2)
    a, b = population(jnp.ones((16, 3)), key=jax.random.key(1))
    assert not np.allclose(a, b)


def test_unlike_predictions_are_refused(dense):
    class Odd(eqx.Module):
        w: jax.Array

        def __call__(self, x, timespans=None, *, mask=None, key=None):
            return Normal(x @ self.w, jnp.ones(x.shape[0]))

    population = Population.init([dense, lambda key: Odd(jax.random.normal(key, (3,)))], 2)
    with pytest.raises(ValueError, match="one kind of prediction"):
        population(jnp.ones((4, 3)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_models": 0}, "`n_models` must be at least 1"),
        ({"base_seed": -1}, "seeds must lie in"),
        ({"base_seed": 2**32 - 2}, "seeds must lie in"),
    ],
)
def test_wrong_arguments_are_refused(dense, arguments, message):
    with pytest.raises(ValueError, match=message):
        Population.init(dense, **arguments)


def test_empty_lists_are_refused(dense):
    with pytest.raises(ValueError, match="empty list"):
        Population.init([])
    with pytest.raises(ValueError, match="at least one member"):
        Population.of([])
    with pytest.raises(ValueError, match="at least one member"):
        Population.init(dense, 2).select([])
