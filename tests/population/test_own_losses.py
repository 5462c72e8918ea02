"""What a member's own modules add reaches its training, is told apart, and is not validated."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import shoal
from shoal.collective import MixtureOfExperts, UnifiedCollective

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 3)).astype(np.float32)
X[:, 2] = 1.0
Y = X[:, :1]


class Decaying(eqx.Module):
    """A line that wants to be small."""

    w: jax.Array
    price: float = eqx.field(static=True, default=0.5)

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        return x @ self.w

    def with_losses(self, x, timespans=None, *, mask=None, key=None):
        return self(x), self.price * jnp.sum(self.w**2)


class Mixture(eqx.Module):
    """A member whose router starts by sending everything to one expert."""

    moe: MixtureOfExperts

    def __init__(self, key, weight=0.0):
        moe = MixtureOfExperts(
            3,
            1,
            hidden_size=4,
            n_experts=4,
            top_k=1,
            router="top_k",
            aux_loss_weight=weight,
            z_loss_weight=0.0,
            key=key,
        )
        leaning = jnp.zeros_like(moe.router.weight).at[0].set(jnp.array([0.0, 0.0, 3.0]))
        self.moe = eqx.tree_at(lambda m: m.router.weight, moe, leaning)

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        return self.moe(x, key=key)[0]

    def with_losses(self, x, timespans=None, *, mask=None, key=None):
        y, info = self.moe(x, key=key)
        return y, info.aux_loss


def line(key):
    return Decaying(jax.random.normal(key, (3, 1)))


def fit(make, n=2, **options):
    defaults = {"epochs": 1, "batch_size": 64, "learning_rate": 0.1, "optimizer": "sgd"}
    people = make if isinstance(make, shoal.Population) else shoal.Population.init(make, n)
    return shoal.fit(people, (X, Y), (X, Y), stopping=None, **(defaults | options))


@pytest.mark.parametrize("regime", ["independent", "joint"])
def test_a_step_goes_down_both_losses(regime):
    start = shoal.Population.init(line, 2)
    w = np.asarray(start.groups[0].members.w, float)
    fitted = fit(start, regime=regime)
    errors = X @ w - Y
    if regime == "joint":
        errors = np.broadcast_to(errors.mean(0), errors.shape)
    gradient = 2 * np.swapaxes(errors, 1, 2) @ X / len(X)
    expected = w - 0.1 * (np.swapaxes(gradient, 1, 2) + 1.0 * w)
    np.testing.assert_allclose(fitted.last.groups[0].members.w, expected, atol=1e-5)
    told = fitted.history.columns()
    np.testing.assert_allclose(told["aux_loss"], 0.5 * (w**2).sum((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(told["train_loss"], ((X @ w - Y) ** 2).mean((1, 2)), rtol=1e-4)
    parts = told["train_loss"] + told["diversity"] + told["aux_loss"]
    np.testing.assert_allclose(told["total_loss"], parts)
    valid = ((X @ expected - Y) ** 2).mean((1, 2))
    np.testing.assert_allclose(told["valid_loss"], valid, rtol=1e-4)


def test_a_mixture_of_experts_is_balanced_where_its_losses_count():
    entropies = {}
    for weight in (0.0, 0.3):
        fitted = fit(
            lambda key, w=weight: Mixture(key, w),
            1,
            epochs=60,
            batch_size=32,
            learning_rate=2e-2,
            optimizer="adam",
        )
        member = fitted.last.member(0)
        entropies[weight] = float(member.moe(X)[1].statistics.entropy)
        assert (fitted.history.columns()["aux_loss"] > 0).all() == (weight > 0)
    assert entropies[0.3] > entropies[0.0] + 0.2
    assert entropies[0.3] > 0.8


def test_layers_pass_on_what_their_members_want():
    crowd = UnifiedCollective([line(jax.random.key(i)) for i in range(3)], balance=0.1)
    answer, added = crowd.with_losses(X)
    w = np.stack([np.asarray(crowd.members.member(i).w) for i in range(3)])
    np.testing.assert_allclose(added, 0.5 * (w**2).sum(), rtol=1e-5)
    np.testing.assert_array_equal(answer, crowd(X))


def test_what_is_no_number_is_refused():
    class Wrong(Decaying):
        def with_losses(self, x, timespans=None, *, mask=None, key=None):
            return self(x), self.w

    with pytest.raises(ValueError, match=r"one number for the loss, got the shape \(3, 1\)"):
        fit(lambda key: Wrong(line(key).w))
