"""A network that answers a normal distribution in raw units, and may be attacked while it trains.

Adversarial training (fast gradient sign) adds the loss at x + ε·sign(∂loss/∂x), ε being 1 % of each
feature's range. A loss of `shoal.fit` sees answers, not networks: so in training an answer brings
along the way to ask again nearby.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from shoal.equations.losses import ELEMENTWISE
from shoal.equations.outputs import Normal, interpret
from shoal.neurons.frozen import Frozen


class Scales(eqx.Module):
    """Of the training rows of one split, and of nothing else."""

    centre: Frozen
    spread: Frozen
    y_centre: Frozen
    y_spread: Frozen
    reach: Frozen  # ε of adversarial training, in scaled units

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray) -> Scales:
        spread = np.where(x.std(0) > 0, x.std(0), 1.0)
        reach = 0.01 * np.ptp(x, axis=0) / spread
        parts = (x.mean(0), spread, y.mean(0), y.std(0), reach)
        return cls(*(Frozen(part.astype(np.float32)) for part in parts))


class Answer(eqx.Module):
    """What training sees of a network: its answer, and the one at the worst point nearby."""

    mean: jax.Array
    std: jax.Array
    nearby: Callable = eqx.field(static=True)


class Network(eqx.Module):
    """13 – 50 – normal distribution, raw units in, raw units out."""

    mlp: eqx.nn.MLP
    scales: Scales
    adversarial: bool = eqx.field(static=True)

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        x = (x - self.scales.centre.value) / self.scales.spread.value
        answer = self.ask(x)
        if key is None or not self.adversarial:  # a key says that it is being trained
            return answer
        return Answer(*answer, lambda loss: self.ask(self.moved(x, loss)))

    def ask(self, x) -> Normal:
        """The distribution in the units of y, of scaled inputs."""
        centre, spread = self.scales.y_centre.value, self.scales.y_spread.value
        mean, std = interpret(jnp, jax.vmap(self.mlp)(x), (1,), "normal")
        return Normal(mean * spread + centre, std * spread)

    def moved(self, x, loss: Callable[[Normal], jax.Array]) -> jax.Array:
        """x + ε·sign(∂loss/∂x), of scaled inputs."""
        slope = jax.grad(lambda x: loss(self.ask(x)).sum())(x)
        return jax.lax.stop_gradient(x + self.scales.reach.value * jnp.sign(slope))


def adversarial_loss(answer: Any, y: jax.Array, y_mask: jax.Array) -> jax.Array:
    """The mean of the loss as it is and at the worst point nearby."""
    if isinstance(answer, Normal):
        return nll(answer, y)
    nearby = answer.nearby(lambda given: nll(given, y))
    return 0.5 * (nll(Normal(answer.mean, answer.std), y) + nll(nearby, y))


def nll(answer: Normal, y: jax.Array) -> jax.Array:
    return ELEMENTWISE["normal_nll"](jnp, answer, y)
