"""Losses: values, masks, gradients, one source for several frameworks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from shoal.equations import losses
from shoal.equations.outputs import Categorical, Normal

RNG = np.random.default_rng(0)
Y = RNG.normal(size=(6, 2))
MEAN, STD = RNG.normal(size=(6, 2)), RNG.uniform(0.5, 2.0, (6, 2))
LOGITS, CLASSES = RNG.normal(size=(6, 4)) * 5, RNG.integers(0, 4, 6)
CASES = {
    "mse": (MEAN, Y, ((MEAN - Y) ** 2)),
    "mae": (MEAN, Y, np.abs(MEAN - Y)),
    "huber": (MEAN, Y, torch.nn.HuberLoss(reduction="none")(*map(torch.tensor, (MEAN, Y))).numpy()),
    "normal_nll": (
        Normal(MEAN, STD),
        Y,
        -torch.distributions.Normal(torch.tensor(MEAN), torch.tensor(STD))
        .log_prob(torch.tensor(Y))
        .numpy(),
    ),
    "residual": (Categorical(LOGITS), LOGITS * 0.5, (0.5 * LOGITS) ** 2),
    "cross_entropy": (
        Categorical(LOGITS),
        CLASSES,
        torch.nn.functional.cross_entropy(
            torch.tensor(LOGITS), torch.tensor(CLASSES), reduction="none"
        ).numpy(),
    ),
}


@pytest.mark.parametrize("name", losses.ELEMENTWISE)
@pytest.mark.parametrize("xp", [np, jnp, torch])
def test_values_and_masks(name, xp):
    prediction, y, expected = CASES[name]
    convert = torch.tensor if xp is torch else xp.asarray
    prediction, y = jax.tree.map(convert, prediction), convert(y)
    tolerance = 1e-5 if xp is jnp else 1e-12
    found = losses.ELEMENTWISE[name](xp, prediction, y)
    np.testing.assert_allclose(np.asarray(found), expected, rtol=tolerance)
    if name == "residual":  # which only the loop over batches averages
        return
    mask = RNG.random(expected.shape) < 0.5
    mean = getattr(losses, name)(xp, prediction, y, convert(mask))
    assert float(mean) == pytest.approx(expected[mask].mean(), rel=tolerance)
    mean = getattr(losses, name)(xp, prediction, y)
    assert float(mean) == pytest.approx(expected.mean(), rel=tolerance)


def test_nothing_to_average_is_zero_with_a_gradient_of_zero():
    def loss(prediction):
        return losses.mse(jnp, prediction, jnp.ones(3), jnp.zeros(3, bool))

    value, gradient = jax.value_and_grad(loss)(jnp.zeros(3))
    assert float(value) == 0.0
    np.testing.assert_array_equal(gradient, np.zeros(3))


def test_large_logits_stay_finite():
    found = losses.cross_entropy(np, Categorical(np.array([[1e4, 0.0]])), np.array([1]))
    assert float(found) == pytest.approx(1e4)


def test_point_losses_of_a_normal_use_its_mean():
    assert losses.mse(np, Normal(MEAN, STD), Y) == losses.mse(np, MEAN, Y)


def test_the_wrong_kind_of_prediction_is_refused():
    with pytest.raises(ValueError, match="likelihood='normal'"):
        losses.normal_nll(np, MEAN, Y)
    with pytest.raises(ValueError, match="likelihood='categorical'"):
        losses.cross_entropy(np, MEAN, Y)
    with pytest.raises(ValueError, match="no point value"):
        losses.mse(np, Categorical(LOGITS), CLASSES)
