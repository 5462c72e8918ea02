"""LTC for loops over time; the equation is `shoal.equations.ltc`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from shoal.equations import ltc
from shoal.equations.arrays import add_product, split
from shoal.equations.checks import require_one_of
from shoal.unrolled.arrays import add_matmul
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
        constants = self.inner.constants(xp, params) | {"cm": params["cm"]}
        constants |= {name: params[name] for name in ("output_w", "output_b") if name in params}
        base = self._base(xp, params, constants["sum"], ltc.affine(params, "input", x))
        elapsed = xp.swapaxes(timespans, 0, 1)[..., None] / self.unfolds
        if self.solver == "semi_implicit":  # with the elapsed time and cm on top of it
            n = self.state_size
            top = elapsed * (base[..., n:] + self.epsilon) + params["cm"]
            base = xp.concatenate([elapsed * base[..., :n], top], axis=-1)
        return constants, (base, elapsed)

    def step(self, xp, constants, state, given):
        advance = self._implicit if self.solver == "semi_implicit" else self._explicit
        v = advance(xp, constants, state, *given)
        output = v[:, : self.output_size]
        return ltc.affine(constants, "output", output), v

    def _base(self, xp, params, inner_sum, x):
        """[pull, conductance] without the synapses among the neurons, (time, batch, 2·units)."""
        sensory, gleak = self.sensory, params["gleak"]
        constants = sensory.constants(xp, params)
        alone = xp.concatenate([gleak * params["vleak"], gleak], axis=-1)
        alone = alone + inner_sum + constants["sensory_sum"]
        batch, time, inputs = x.shape
        x = xp.swapaxes(x, 0, 1).reshape(time * batch, inputs)
        base = add_matmul(xp, alone, sensory.open(xp, constants, x), constants["sensory_sums"])
        return base.reshape(time, batch, -1)

    def _implicit(self, xp, constants, v, base, step):
        for _ in range(self.unfolds):
            both = add_product(xp, base, step, self.inner.sums(xp, constants, v))
            top, bottom = split(xp, both, 2)
            v = add_product(xp, top, constants["cm"], v) / bottom
        return v

    def _explicit(self, xp, constants, v, base, step):
        def forces(v):
            return split(xp, base + self.inner.sums(xp, constants, v), 2)

        advance = partial(ltc.SOLVERS[self.solver], forces, cm=constants["cm"])
        for _ in range(self.unfolds):
            v = advance(v=v, step=step)
        return v
