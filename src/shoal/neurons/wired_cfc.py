"""A CfC wired as a neural circuit policy: one backbone-less cell for each layer of the wiring.

At one step layer k hears what layer k − 1 has just said, so computed step by step the layers wait
for each other. Here they work side by side, each one step behind the one before it:

    layer k does step t at tick t + k

Then all that a layer needs is in the state that the last tick left, and one matrix product does
every head of every layer at once; T steps of L layers take T + L − 1 ticks in place of T·L.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from shoal.equations import cfc
from shoal.equations.arrays import split
from shoal.neurons.cell import AbstractCell, scan_steps
from shoal.neurons.initialise import initialise
from shoal.neurons.remember import KEPT, kept, remembering
from shoal.neurons.shared_matrix import SharedMatrix, is_shared
from shoal.unrolled.wired_cfc import synapses
from shoal.wirings import Wiring


class WiredCfCCell(AbstractCell):
    """The state is h, (batch, units), layer after layer: inter, command, motor.

    `params` holds one layer after the other, `layer_0_ff1_weight` (neurons, inputs + neurons) and
    so on, whatever the wiring masks. The output is the motor neurons.
    """

    signed_time = True

    params: dict[str, Any]  # arrays; large matrices may be shared (SharedMatrix)
    wiring: Wiring = eqx.field(static=True)
    input_size: int = eqx.field(static=True)
    state_size: int = eqx.field(static=True)
    output_size: int = eqx.field(static=True)
    mode: str = eqx.field(static=True)
    fully_recurrent: bool = eqx.field(static=True)

    def __init__(
        self,
        input_size: int,
        wiring: Wiring,
        *,
        mode: str = "default",
        fully_recurrent: bool = True,
        initializer=None,
        dtype=jnp.float32,
        key: PRNGKeyArray,
    ):
        self.wiring = wiring.build(input_size)
        self.mode, self.fully_recurrent = mode, fully_recurrent
        self.input_size, self.state_size = input_size, wiring.units
        self.output_size = wiring.output_dim
        options = {"dtype": dtype, "initializer": initializer}
        self.params = {}
        keys = jax.random.split(key, len(self.wiring.layers))
        for k, (fan_in, neurons) in enumerate(self._sizes()):
            sizes = cfc.dimensions(fan_in, neurons, backbone_layers=0)
            drawn = initialise(cfc.table(mode, 0), sizes, key=keys[k], **options)
            self.params |= {f"layer_{k}_{name}": value for name, value in drawn.items()}

    def initial_state(self, batch):
        return jnp.zeros((batch, self.state_size), self.params["layer_0_ff1_bias"].dtype)

    def signals(self):
        sizes = [("inputs", self.input_size)]
        sizes += [(f"layer {k}", neurons) for k, (_, neurons) in enumerate(self._sizes())]
        layers = range(len(self.wiring.layers))
        return {
            f"layer_{k}_{head}_weight": (sizes[k], sizes[k + 1])
            for k in layers
            for head in cfc.heads(self.mode)
        }

    def run(self, x, timespans, mask, state, key):
        weight, bias, rates = self._joined()
        sizes = [len(layer) for layer in self.wiring.layers]
        behind, heads = len(sizes) - 1, len(cfc.heads(self.mode))
        exists = jnp.ones((1, x.shape[1]), bool) if mask is None else mask
        active, elapsed = _staggered(exists.T, sizes), _staggered(timespans.T, sizes)
        weight = weight.T

        def tick(hidden, given):
            # x is narrow: projected before the loop it would be heads·N wide, and slower to read
            x_t, elapsed_t, active_t = given
            pre = jnp.concatenate([hidden, x_t], axis=-1) @ weight + bias
            pre = split(jnp, pre, heads)
            pre = [kept(pre[0])] if self.mode == "pure" else pre
            new = cfc.update(remembering, self.mode, pre, elapsed_t, rates)
            hidden = jnp.where(active_t, new, hidden)
            return hidden, hidden

        given = (_late(jnp.swapaxes(x, 0, 1), 0, behind), elapsed, active)
        outputs, state = scan_steps(tick, state, given, None, keep=KEPT)
        motor = self.state_size - sizes[-1]
        outputs = outputs[behind:, :, motor : motor + self.output_size]
        return jnp.swapaxes(outputs, 0, 1), state

    def _sizes(self) -> list[tuple[int, int]]:
        """What comes in and how many neurons there are, for each layer."""
        neurons = [len(layer) for layer in self.wiring.layers]
        return list(zip([self.input_size, *neurons[:-1]], neurons, strict=True))

    def _joined(self):
        """All layers as one: weight of [h, x], (heads·N, N + I), bias, and what `pure` learns."""
        weights, biases = [], []
        for head in cfc.heads(self.mode):
            start, before = 0, 0
            for k, (fan_in, neurons) in enumerate(self._sizes()):
                weight = self.params[f"layer_{k}_{head}_weight"]
                weight = weight.shared if is_shared(weight) else weight
                weight = weight * synapses(self.wiring, k, head, self.fully_recurrent)
                after = self.state_size - start - neurons
                if k == 0:
                    own = jnp.pad(weight[:, fan_in:], ((0, 0), (0, after)))
                    weight = jnp.concatenate([own, weight[:, :fan_in]], axis=1)
                else:
                    weight = jnp.pad(weight, ((0, 0), (before, after + self.input_size)))
                weights.append(weight)
                biases.append(self.params[f"layer_{k}_{head}_bias"])
                start, before = start + neurons, start
        rates = {}
        if self.mode == "pure":
            count = range(len(self.wiring.layers))
            for name in ("w_tau", "A"):
                rates[name] = jnp.concatenate([self.params[f"layer_{k}_{name}"] for k in count])
        return self._tuned(jnp.concatenate(weights)), jnp.concatenate(biases), rates

    def _tuned(self, weight: Array) -> Any:
        """The joined weight as a shared matrix, where the layers' are."""
        if not is_shared(self.params["layer_0_ff1_weight"]):
            return weight
        layers = list(enumerate(self._sizes()))
        own = [self.params[f"layer_{k}_ff1_weight"].columns for k, _ in layers]
        columns = [s[fan_in:] for s, (_, (fan_in, _)) in zip(own, layers, strict=True)]
        columns.append(own[0][: self.input_size])
        rows = [
            self.params[f"layer_{k}_{head}_weight"].rows
            for head in cfc.heads(self.mode)
            for k, _ in layers
        ]
        return SharedMatrix(weight, jnp.concatenate(rows), jnp.concatenate(columns))


def _late(sequence: Array, start: int, end: int) -> Array:
    """A sequence, time first, with empty ticks before and after it."""
    return jnp.pad(sequence, ((start, end), *[(0, 0)] * (sequence.ndim - 1)))


def _staggered(steps: Array, sizes: list[int]) -> Array:
    """(time, batch) as (ticks, batch, neurons): each layer one tick behind the one before."""
    behind = len(sizes) - 1
    late = [_late(steps, k, behind - k)[..., None] for k in range(len(sizes))]
    shape = late[0].shape[:-1]
    return jnp.concatenate(
        [jnp.broadcast_to(a, (*shape, n)) for a, n in zip(late, sizes, strict=True)], axis=-1
    )
