"""A cell: how one kind of neuron turns a sequence and a state into outputs and a new state.

Cells are batched and know nothing of layers, directions or user-facing shapes; the sequence layer
in `sequence.py` does. A cell hoists out of the scan whatever does not depend on the state, and
leaves the loop itself to `scan_steps`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree


class AbstractCell(eqx.Module):
    """One kind of recurrent neuron, batched.

    `signed_time` says whether elapsed times below zero (a z-score) make sense to it.
    A cell with a wiring keeps it in a static field named `wiring`. `steady` names matrices that
    change their meaning with their sign.
    """

    signed_time: ClassVar[bool] = False
    steady: ClassVar[tuple[str, ...]] = ()

    input_size: eqx.AbstractVar[int]
    state_size: eqx.AbstractVar[int]
    output_size: eqx.AbstractVar[int]

    @abstractmethod
    def initial_state(self, batch: int) -> PyTree[Array]:
        """The state before the first observation: arrays with the axis `batch` first."""

    def signals(self) -> dict[str, tuple[tuple[str, int], ...]]:
        """What the columns of a matrix hear, by parameter: signals and their widths, in order.

        Members that share matrices tune a signal once, for all matrices that hear it (see
        `shared_matrix.py`). A matrix that is not named hears a signal of its own.
        """
        return {}

    @abstractmethod
    def run(
        self,
        x: Float[Array, "batch time input"],
        timespans: Float[Array, "batch time"],
        mask: Bool[Array, "batch time"] | None,
        state: PyTree[Array],
        key: PRNGKeyArray | None,
    ) -> tuple[Float[Array, "batch time output"], PyTree[Array]]:
        """Every output and the last state. A masked step leaves the state as it was.

        `key=None` means inference: no dropout.
        """


def scan_steps(
    step: Callable[[PyTree, PyTree], tuple[Array, PyTree]],
    state: PyTree,
    inputs: PyTree,
    mask: Bool[Array, "time batch"] | None,
    *,
    checkpoint: bool = False,
    keep: str | None = None,
    batch_axis: int = 0,
) -> tuple[Array, PyTree]:
    """`step(state, inputs_t) -> (output_t, state)` over the leading axis, time, of `inputs`.

    Where `mask` is False the new state is dropped. `checkpoint` recomputes the step in the
    backward pass in place of keeping its insides; `keep` does too, but for what is named so by
    `jax.ad_checkpoint.checkpoint_name`. `batch_axis` is where the state's leaves have
    their batch (0, or -1 for cells that keep it innermost).
    """
    if checkpoint or keep is not None:
        policy = jax.checkpoint_policies.save_only_these_names(keep) if keep else None
        # inside a scan nothing needs protection from being merged with the forward pass
        step = jax.checkpoint(step, policy=policy, prevent_cse=False)

    def body(carry: PyTree, xs: tuple[PyTree, Any]) -> tuple[PyTree, Array]:
        inputs_t, mask_t = xs
        output, new = step(carry, inputs_t)
        if mask_t is not None:
            new = jax.tree.map(lambda a, b: _keep(mask_t, a, b, batch_axis), new, carry)
        return new, output

    last, outputs = jax.lax.scan(body, state, (inputs, mask))
    return outputs, last


def _keep(mask: Array, new: Array, old: Array, batch_axis: int) -> Array:
    shape = [1] * new.ndim
    shape[batch_axis] = -1
    return jnp.where(mask.reshape(shape), new, old)
