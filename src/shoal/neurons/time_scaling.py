"""How a member scales elapsed times, as data; the scales are those of `shoal.equations.elapsed`."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from shoal.equations import elapsed
from shoal.equations.elapsed import KINDS
from shoal.neurons.frozen import Frozen

_DIVIDES_BY = {
    "raw": (),
    "log": ("mean",),
    "normalised": ("mean",),
    "zscore": ("mean", "std"),
    "bounded": ("mean",),
}


class TimeScaling(eqx.Module):
    """Which scale, and its numbers, all of them data: the members of one program may differ.

    Args:
        kind: raw, log, normalised, zscore or bounded.
        mean: of the training data's elapsed times, in their unit.
        std: likewise.

    Raises:
        ValueError: for an unknown kind, or a number that this kind divides by and is not above 0.

    >>> TimeScaling("normalised", mean=2.0)(jnp.array([1.0, 4.0]))
    Array([0.5, 2. ], dtype=float32)
    """

    kind: Frozen
    mean: Frozen
    std: Frozen

    def __init__(self, kind: str = "raw", *, mean: float = 1.0, std: float = 1.0):
        if kind not in KINDS:
            raise ValueError(f"`kind` must be one of {', '.join(KINDS)}; got {kind!r}.")
        numbers = {"mean": mean, "std": std}
        for name, value in numbers.items():
            if np.isfinite(value) and value > 0:
                continue
            if name in _DIVIDES_BY[kind]:
                raise ValueError(
                    f"`{name}` must be greater than 0 for {kind!r}, got {value!r}; use kind='raw' "
                    "where elapsed times are all zero, anything but 'zscore' where they are equal."
                )
            numbers[name] = 1.0  # never used, and 0 would spoil the gradient
        self.kind = Frozen(jnp.asarray(KINDS.index(kind), jnp.int32))
        self.mean = Frozen(jnp.asarray(numbers["mean"], jnp.float32))
        self.std = Frozen(jnp.asarray(numbers["std"], jnp.float32))

    def __call__(self, timespans: Float[Array, " *shape"]) -> Array:
        mean, std = (a.value.astype(timespans.dtype) for a in (self.mean, self.std))
        return elapsed.scaled(jnp, timespans, self.kind.value, mean, std)

    def inverse(self, scaled: Float[Array, " *shape"]) -> Array:
        """The raw elapsed time that is seen as `scaled`; infinite where none is."""
        mean, std = self.mean.value, self.std.value
        raw = [scaled, mean * jnp.expm1(scaled), scaled * mean, scaled * std + mean]
        raw.append(jnp.where(scaled < 1, scaled * mean / (1 - scaled), jnp.inf))
        return jnp.select([self.kind.value == which for which in range(len(raw))], raw)

    def describe(self) -> dict[str, float | str]:
        """The arguments that make this scaling again; for one member, not a stack."""
        numbers = {name: shortest(getattr(self, name).value) for name in ("mean", "std")}
        return {"kind": KINDS[int(self.kind.value)], **numbers}


def shortest(value: Array) -> float:
    """The number with the fewest digits that is this float32."""
    return float(str(np.asarray(value, np.float32)))
