"""Along which axes a particle draws its random numbers.

In `motion.py` every coordinate has its own u, so that a swarm follows a valley along a coordinate
easily and one across them hardly at all. With learned axes the pulls are turned into the principal
axes of what the particles have found, drawn there, and turned back:

    C ← (1 − c) C + c · dims · S / tr S,      S = mean over particles of (p − p̄)(p − p̄)ᵀ
    v ← w v + R (c₁ u₁ ∘ Rᵀ(p − x) + c₂ u₂ ∘ Rᵀ(g − x)),      C = R Λ Rᵀ

p are the particles' own bests, p̄ their mean, S scaled to the same trace however small the swarm has
become. A new start begins with the coordinates again. It costs an eigendecomposition a move, which
is little up to some tens of dimensions, and a matrix of dims² numbers.

The idea of turning into the eigenvectors of the population's covariance is known from differential
evolution: Guo & Yang, "Enhancing differential evolution utilizing eigenvector-based crossover
operator" (2015).
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

KINDS = ("auto", "coordinates", "learned")

MOST = 40  # dimensions up to which "auto" learns axes


def learns(axes: str, dims: int) -> bool:
    """Whether a search of so many dimensions learns its axes.

    >>> learns("auto", 10), learns("auto", 5000), learns("coordinates", 2)
    (True, False, False)
    """
    return axes == "learned" or (axes == "auto" and 1 < dims <= MOST)


def rate(dims: int) -> float:
    """c: how much of C is new after a move.

    >>> [round(rate(d), 3) for d in (2, 5, 10)]
    [0.1, 0.04, 0.02]
    """
    return 0.2 / dims


def learned(
    spread: Float[Array, "dims dims"], bests: Float[Array, "particles dims"]
) -> Float[Array, "dims dims"]:
    """C after a move; as it was where the bests are all in one place."""
    away = bests - bests.mean(axis=0)
    away = away / jnp.maximum(jnp.abs(away).max(), jnp.finfo(bests.dtype).tiny)  # no underflow
    now = away.T @ away
    size, dims = jnp.trace(now), len(spread)
    c = rate(dims)
    mixed = (1 - c) * spread + c * dims * now / jnp.where(size > 0, size, 1)
    return jnp.where(size > 0, mixed, spread)


def principal(spread: Float[Array, "dims dims"]) -> Float[Array, "dims dims"]:
    """R: one axis in each column."""
    return jnp.linalg.eigh(spread)[1]
