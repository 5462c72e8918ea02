"""LTC for loops over time; the equation is `shoal.equations.ltc`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from shoal.equations import ltc
from shoal.equations.arrays import add_product
from shoal.equations.checks import require_one_of
from shoal.unrolled.arrays import unstack
from shoal.unrolled.cell import Cell
from shoal.unrolled.synapses import Synapses
from shoal.wirings import Wiring


@dataclass(frozen=True)
class LTCCell(Cell):
    """The state is v, (batch, units), motor neurons first; the output is theirs.

    The wiring is built for `input_size`, if it was not.
    """

    input_size: int
    wiring: Wiring
    input_mapping: str | None = "affine"
    output_mapping: str | None = "affine"
    unfolds: int = 6
    solver: str = "semi_implicit"
    epsilon: float = 1e-8
    implicit_param_constraints: bool = True

    def __post_init__(self):
        ltc.check(self.input_mapping, self.output_mapping, self.unfolds, self.epsilon)
        require_one_of("solver", self.solver, ltc.SOLVERS)
        object.__setattr__(self, "wiring", self.wiring.build(self.input_size))

    @property
    def state_size(self) -> int:
        return self.wiring.units

    @property
    def output_size(self) -> int:
        return self.wiring.output_dim

    @property
    def inner(self) -> Synapses:
        return Synapses(self.wiring)

    @property
    def sensory(self) -> Synapses:
        return Synapses(self.wiring, "sensory_")

    def table(self):
        return ltc.table(self.input_mapping, self.output_mapping)

    def sizes(self):
        return {"inputs": self.input_size, "units": self.state_size, "outputs": self.output_size}

    def matrices(self):
        return {
            "adjacency": self.wiring.adjacency_matrix,
            "sensory_adjacency": self.wiring.sensory_adjacency_matrix,
        }

    def buffers(self):
        return self.inner.buffers() | self.sensory.buffers()

    def begin(self, xp, params, x, timespans, drops=None):
        params = ltc.positive(xp, params) if self.implicit_param_constraints else dict(params)
        constants = self.inner.constants(xp, params) | {"cm": params["cm"][:, None]}
        constants |= {name: params[name] for name in ("output_w", "output_b") if name in params}
        both = self._base(xp, params, ltc.affine(params, "input", x))
        step = xp.swapaxes(timespans, 0, 1)[:, None, None] / self.unfolds
        if self.solver == "semi_implicit":  # times the step, and cm on top of the conductance
            cm = params["cm"][:, None]
            more = xp.stack([xp.zeros_like(cm), cm], 1)
            less = xp.stack([xp.zeros_like(cm), xp.zeros_like(cm) + self.epsilon], 1)
            both = step * (both + less) + more
        return constants, (both, step)

    def step(self, xp, constants, state, given):
        advance = self._implicit if self.solver == "semi_implicit" else self._explicit
        v = advance(xp, constants, state.T, *given)
        return ltc.affine(constants, "output", v[: self.output_size].T), v.T

    def _base(self, xp, params, x):
        """Pull and conductance of all but the synapses among neurons, (time, units, 2, batch)."""
        constants, gleak = self.sensory.constants(xp, params), params["gleak"]
        both = self.sensory.over_time(xp, constants, xp.swapaxes(x, 0, 2))
        leak = xp.stack([gleak * params["vleak"], gleak], 1)[..., None]
        return xp.moveaxis(both, 2, 0) + leak

    def _implicit(self, xp, constants, v, base, step):
        for _ in range(self.unfolds):
            both = add_product(xp, base, step, self.inner.sums(xp, constants, v))
            top, bottom = unstack(xp, both, 1)
            v = add_product(xp, top, constants["cm"], v) / bottom
        return v

    def _explicit(self, xp, constants, v, base, step):
        def forces(v):
            return unstack(xp, base + self.inner.sums(xp, constants, v), 1)

        advance = partial(ltc.SOLVERS[self.solver], forces, cm=constants["cm"])
        for _ in range(self.unfolds):
            v = advance(v=v, step=step[0])
        return v
