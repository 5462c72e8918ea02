"""What is minimised, as a swarm sees it: losses, and gradients where asked, of rows of numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
from jax.sharding import Mesh
from jaxtyping import Array, Float, PyTree

from shoal.swarm.evaluate import How, loss_of_row, losses, over_rows
from shoal.swarm.space import Form


@dataclass(frozen=True)
class Problem:
    """A loss over pytrees, asked by rows (some, dims); `how` and `mesh` as in `evaluate.py`."""

    loss: Callable
    form: Form
    frozen: PyTree
    args: tuple
    how: How
    mesh: Mesh | None = None

    def losses(self, rows: Float[Array, "particles dims"]) -> Float[Array, " particles"]:
        """Of all particles, divided among the devices."""
        return losses(self.loss, self.form, self.frozen, self.args, self.how, self.mesh)(rows)

    def few(self, rows: Float[Array, "some dims"]) -> Float[Array, " some"]:
        """Of some particles, on every device alike."""
        return losses(self.loss, self.form, self.frozen, self.args, self.how)(rows)

    def slopes(self, rows: Float[Array, "some dims"]) -> tuple[Array, Array]:
        """Losses (some,) and gradients (some, dims) of some particles."""
        one = jax.value_and_grad(loss_of_row(self.loss, self.form, self.frozen, self.args))
        return over_rows(one, rows, self.how)
