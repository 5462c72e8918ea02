"""A member for rows: a multi-layer perceptron with a head that answers.

    h⁰ = x;   hˡ = dropout(act(Wˡ hˡ⁻¹ + bˡ));   prediction = head(hᴸ)

It reads a fixed number of numbers. Of a sequence it reads all of them side by side, whatever time
passed between; what is masked must be 0, as encoded data are.
"""

from __future__ import annotations

from math import prod
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from shoal.equations.activations import find_activation
from shoal.equations.checks import require_positive
from shoal.neurons.frozen import Dropout, FeatureMask
from shoal.neurons.initialise import as_dtype, as_key, initialise
from shoal.neurons.model import Head, Prediction, described_mask
from shoal.neurons.stack import PROJECTION
from shoal.neurons.time_scaling import shortest


class MLP(eqx.Module):
    """Rows in, one answer for each of them out.

    Args:
        input_size: numbers in a row: features, or time times features.
        units: of every hidden layer.
        output_shape: of one answer, as of `Head`.
        num_layers: hidden layers.
        likelihood: "point", "normal" or "categorical", as of `Head`.
        activation: lecun_tanh, tanh, relu, gelu or silu.
        dropout: rate after every hidden layer, in training only.
        initializer: of the weights, a name or function; None means Xavier-uniform.
        dtype: of the parameters; inputs of higher precision are answered in theirs.
        feature_mask: 1 for every feature that is seen, 0 for those that are not; None shows all.
        key: a JAX key or an int seed.

    Raises:
        ValueError: for a size below one, an unknown activation, initialiser or likelihood.

    >>> member = MLP(3, 16, (1,), likelihood="normal", key=0)
    >>> member(jnp.ones((5, 3))).mean.shape, member(jnp.ones((5, 1, 3))).mean.shape
    ((5, 1), (5, 1))
    """

    layers: tuple[dict[str, Array], ...]
    dropout: Dropout
    head: Head
    feature_mask: FeatureMask | None
    activation: str = eqx.field(static=True)
    initializer: Any = eqx.field(static=True)

    def __init__(
        self,
        input_size: int,
        units: int,
        output_shape: tuple[int, ...],
        *,
        num_layers: int = 1,
        likelihood: str = "point",
        activation: str = "relu",
        dropout: float = 0.0,
        initializer=None,
        dtype=jnp.float32,
        feature_mask: Any = None,
        key: PRNGKeyArray | int,
    ):
        require_positive(input_size=input_size, units=units, num_layers=num_layers)
        find_activation(activation)
        if not 0 <= dropout < 1:
            raise ValueError(f"`dropout` must lie in [0, 1), got {dropout!r}")
        *keys, last = jax.random.split(as_key(key), num_layers + 1)
        options: dict[str, Any] = {"dtype": as_dtype(dtype), "initializer": initializer}
        sizes = [input_size, *(units for _ in range(num_layers))]
        self.layers = tuple(
            initialise(PROJECTION, {"inputs": size, "outputs": units}, key=own, **options)
            for size, own in zip(sizes, keys, strict=False)
        )
        self.dropout = Dropout(dropout)
        self.head = Head(units, output_shape, likelihood, key=last, **options)
        self.activation, self.initializer = activation, initializer
        mask = feature_mask if feature_mask is None else jnp.asarray(feature_mask, jnp.float32)
        self.feature_mask = None if mask is None else FeatureMask(mask)

    def with_feature_mask(self, mask: Any) -> MLP:
        """The member, or a stack of such, seeing only the features that `mask` marks 1."""
        mask = None if mask is None else FeatureMask(mask)
        return eqx.tree_at(lambda m: m.feature_mask, self, mask, is_leaf=lambda node: node is None)

    def __call__(
        self,
        x: Float[Array, "batch *time features"],
        timespans: Any = None,
        *,
        mask: Any = None,
        key: PRNGKeyArray | None = None,
    ) -> Prediction:
        """Predict.

        Args:
            x: (batch, features) or (batch, time, features), encoded.
            timespans, mask: not looked at.
            key: randomness for dropout; None means inference.

        Returns:
            An array, `Normal` or `Categorical` of shape (batch, *head.shape).
        """
        x = jnp.asarray(x)
        hidden = self._rows(x if self.feature_mask is None else self.feature_mask(x))
        act = find_activation(self.activation)
        for number, params in enumerate(self.layers):
            own = None if key is None else jax.random.fold_in(key, number)
            hidden = act(jnp, hidden @ params["weight"].T + params["bias"])
            hidden = self.dropout(hidden, own)
        return self.head(hidden)

    def _rows(self, x: Array) -> Array:
        rows = x.reshape(x.shape[0], prod(x.shape[1:]))
        wanted = self.layers[0]["weight"].shape[-1]
        if rows.shape[-1] != wanted:
            raise ValueError(
                f"`x` must have {wanted} numbers in a row, got {x.shape}; an MLP reads a fixed "
                "number of them: for sequences of any length take a neuron, such as 'cfc'"
            )
        return rows


def build(description: dict[str, Any], key: PRNGKeyArray | int) -> MLP:
    """A new member of the structure that `describe` told of."""
    options = {name: value for name, value in description.items() if name != "kind"}
    return MLP(**options, key=key)


def describe(member: Any) -> dict[str, Any]:
    """The arguments from which `build` makes a member of the same structure, as JSON data.

    Raises:
        TypeError: for anything but an `MLP`, or one whose initialiser is a function.

    >>> describe(MLP(3, 16, (1,), key=0))["units"]
    16
    """
    if type(member) is not MLP:
        raise TypeError(f"not an MLP: {type(member).__name__}")
    if callable(member.initializer):
        raise TypeError("an `initializer` that is a function has no description; use its name")
    units, input_size = member.layers[0]["weight"].shape[-2:]
    return {
        "kind": "mlp",
        "input_size": int(input_size),
        "units": int(units),
        "output_shape": list(member.head.shape),
        "num_layers": len(member.layers),
        "likelihood": member.head.likelihood,
        "activation": member.activation,
        "dropout": shortest(member.dropout.rate.value),
        "initializer": member.initializer,
        "dtype": str(member.layers[0]["weight"].dtype),
        **described_mask(member.feature_mask),
    }


class _MLPs:
    """What a bundle asks about this kind of member."""

    describe = staticmethod(describe)
    build = staticmethod(build)


KIND = _MLPs()
