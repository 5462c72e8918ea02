"""Losses that see every member's answer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import norm

from shoal.equations.coupling import OBJECTIVES, crowd_loss
from shoal.equations.outputs import Categorical, Normal

RNG = np.random.default_rng(0)
MEANS, STDS, Y = RNG.normal(size=(3, 5, 2)), RNG.uniform(0.5, 2, (3, 5, 2)), RNG.normal(size=(5, 2))
LOGITS, CLASS = RNG.normal(size=(3, 5, 4)), RNG.integers(0, 4, 5)
SHARES = np.array([0.2, 0.5, 0.3])
CASES = {
    "mse": (MEANS, Y),
    "normal_nll": (Normal(MEANS, STDS), Y),
    "cross_entropy": (Categorical(LOGITS), CLASS),
}


def test_the_crowd_of_normals_is_their_mixture():
    expected = -logsumexp(norm.logpdf(Y, MEANS, STDS), b=SHARES[:, None, None], axis=0)
    found = crowd_loss(np, "normal_nll", Normal(MEANS, STDS), SHARES, Y)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_member_that_does_not_count_is_not_heard():
    far = Normal(np.array([[[0.0]], [[1e3]]]), np.array([[[1.0]], [[1e-3]]]))
    y = np.array([[1e3]])  # where the second one, with no share, is sure
    found = crowd_loss(np, "normal_nll", far, np.array([1.0, 0.0]), y)
    np.testing.assert_allclose(found, -norm.logpdf(1e3))


def test_the_crowd_of_classes_averages_probabilities():
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
    expected = -np.log(np.tensordot(SHARES, p, 1)[np.arange(5), CLASS])
    found = crowd_loss(np, "cross_entropy", Categorical(LOGITS), SHARES, CLASS)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("objective", sorted(OBJECTIVES))
@pytest.mark.parametrize("name", CASES)
def test_torch_and_jax_have_the_same_gradients(x64, name, objective):
    outputs, y = CASES[name]
    whole = isinstance(outputs, tuple)
    parts = tuple(outputs) if whole else (outputs,)
    shares, weights = np.full(3, 1 / 3), np.ones(y.shape)

    def of(xp, parts, y, shares, weights, stop):
        answer = type(outputs)(*parts) if whole else parts[0]
        return OBJECTIVES[objective](xp, name, answer, shares, y, weights, 0.3, stop)

    def in_jax(parts):
        given = map(jnp.asarray, (y, shares, weights))
        return of(jnp, parts, *given, jax.lax.stop_gradient)

    expected = jax.jit(jax.grad(in_jax))(parts)
    tensors = [torch.tensor(part, requires_grad=True) for part in parts]
    given = map(torch.as_tensor, (y, shares, weights))
    of(torch, tensors, *given, torch.Tensor.detach).backward()
    for tensor, gradient in zip(tensors, expected, strict=True):
        np.testing.assert_allclose(tensor.grad.numpy(), gradient, atol=1e-12)


def test_liu_and_yao_s_gradient():
    """∂/∂f_i of ½·(their sum) is (f_i − y) − λ(f_i − f̄)."""

    def total(f):
        arguments = (f, jnp.full(3, 1 / 3), jnp.asarray(Y), jnp.ones(Y.shape), 0.3)
        objective = OBJECTIVES["negative_correlation"]
        return 0.5 * Y.size * objective(jnp, "mse", *arguments, jax.lax.stop_gradient)

    found = jax.jit(jax.grad(total))(MEANS)
    expected = (MEANS - Y) - 0.3 * (MEANS - MEANS.mean(0))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
