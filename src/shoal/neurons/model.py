"""A member made of a neuron: elapsed times scaled, a recurrent layer, a head that answers.

    prediction = head(last unmasked output of rnn(x, time_scaling(Δt)))

A model is described by plain data and built from it again, so that a bundle needs no code.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from shoal.equations import elapsed
from shoal.equations.outputs import Categorical, Normal, check_head, count_numbers, interpret
from shoal.neurons.frozen import Dropout, FeatureMask
from shoal.neurons.initialise import as_dtype, as_key, initialise
from shoal.neurons.sequence import AbstractRNN, cells
from shoal.neurons.stack import PROJECTION
from shoal.neurons.time_scaling import TimeScaling, shortest
from shoal.wirings import Wiring

NEURONS = {
    "cfc": "CfC",
    "ltc": "LTC",
    "ctrnn": "CTRNN",
    "ctgru": "CTGRU",
    "lstm": "LSTM",
    "gru": "GRU",
}

Prediction = Array | Normal | Categorical


class Head(eqx.Module):
    """A linear map to an answer of any shape.

    Args:
        in_size: features of what it is given.
        shape: of one answer: (horizon, targets), (targets,) or (classes,).
        likelihood: "point" gives an array, "normal" a `Normal` whose std is
            softplus(·) + 0.001, "categorical" a `Categorical` over the last axis.
        initializer: of the weight, a name or function; None means Xavier-uniform.
        dtype: float32, bfloat16, float16 or float64.
        key: a JAX key or an int seed.

    Raises:
        ValueError: for an unknown likelihood, or sizes below one.

    >>> head = Head(4, (26, 1), "normal", key=0)
    >>> head(jnp.ones((8, 4))).mean.shape
    (8, 26, 1)
    """

    params: dict[str, Array]
    shape: tuple[int, ...] = eqx.field(static=True)
    likelihood: str = eqx.field(static=True)

    def __init__(
        self,
        in_size: int,
        shape: Sequence[int],
        likelihood: str = "point",
        *,
        initializer=None,
        dtype=jnp.float32,
        key: PRNGKeyArray | int,
    ):
        shape = check_head(in_size, shape, likelihood)
        self.shape, self.likelihood = shape, likelihood
        sizes = {"inputs": in_size, "outputs": count_numbers(shape, likelihood)}
        options = {"dtype": as_dtype(dtype), "initializer": initializer}
        self.params = initialise(PROJECTION, sizes, key=as_key(key), **options)

    def __call__(self, features: Float[Array, "*batch features"]) -> Prediction:
        numbers = features @ self.params["weight"].T + self.params["bias"]
        return interpret(jnp, numbers, self.shape, self.likelihood)


class SequenceModel(eqx.Module):
    """A member: sequences in, one answer for each of them out.

    Args:
        rnn: a neuron such as `CfC`; its last unmasked output is what the head is given, so its
            own `return_sequences` does not matter.
        head: what answers; its `in_size` is the neuron's `output_size`.
        time_scaling: what the neuron sees of the elapsed times; None leaves them as they are.
        feature_mask: 1 for every feature that the neuron sees, 0 for those it does not,
            (features,); None shows it all.

    Raises:
        ValueError: where head and neuron do not fit.

    >>> from shoal import CfC
    >>> rnn = CfC(3, 8, key=0)
    >>> model = SequenceModel(rnn, Head(8, (2,), key=1), TimeScaling("log", mean=0.5))
    >>> model(jnp.ones((4, 10, 3)), jnp.ones((4, 10))).shape
    (4, 2)
    """

    rnn: AbstractRNN
    head: Head
    time_scaling: TimeScaling
    feature_mask: FeatureMask | None

    def __init__(
        self,
        rnn: AbstractRNN,
        head: Head,
        time_scaling: TimeScaling | None = None,
        feature_mask: Any = None,
    ):
        expected = head.params["weight"].shape[-1]
        if expected != rnn.output_size:
            raise ValueError(
                f"`head` must take the neuron's output_size = {rnn.output_size} features, got "
                f"in_size = {expected}; make it with Head({rnn.output_size}, ...)."
            )
        self.rnn, self.head = rnn, head
        self.time_scaling = TimeScaling() if time_scaling is None else time_scaling
        self.feature_mask = as_feature_mask(feature_mask, rnn.input_size)

    def with_feature_mask(self, mask: Any) -> SequenceModel:
        """The model, or a stack of such, seeing only the features that `mask` marks 1."""
        mask = None if mask is None else FeatureMask(mask)
        return eqx.tree_at(lambda m: m.feature_mask, self, mask, is_leaf=lambda node: node is None)

    def __call__(
        self,
        x: Float[Array, "*batch time features"],
        timespans: Float[Array, "*shape"] | float | None = None,
        *,
        mask: Array | None = None,
        key: PRNGKeyArray | int | None = None,
    ) -> Prediction:
        """Predict.

        Args:
            x: encoded features, (batch, time, features) or (time, features).
            timespans: raw elapsed times, in any shape that the neuron takes; None means 1.
            mask: False where there is no observation.
            key: randomness for dropout; None means inference.

        Returns:
            An array, `Normal` or `Categorical` of shape (batch, *head.shape).
        """
        spans = jnp.asarray(1.0 if timespans is None else timespans, self.rnn.stack.dtype)
        x = x if self.feature_mask is None else self.feature_mask(jnp.asarray(x))
        last = self.rnn.last_output(x, timespans=self.time_scaling(spans), mask=mask, key=key)
        return self.head(last)


def as_feature_mask(mask: Any, features: int) -> FeatureMask | None:
    """The mask as a leaf that is never trained, or a refusal."""
    if mask is None:
        return None
    mask = jnp.asarray(mask, jnp.float32)
    if mask.shape != (features,):
        raise ValueError(
            f"`feature_mask` must have one number for each of {features} features, 1 where it is "
            f"seen; got the shape {mask.shape}"
        )
    return FeatureMask(mask)


def build_model(config: dict[str, Any], key: PRNGKeyArray | int) -> SequenceModel:
    """A new model from its description.

    Args:
        config: "kind" (cfc, ltc, ctrnn, ctgru, lstm, gru), "input_size", "units" or "wiring" (of
            `Wiring.to_dict`), any argument of the neuron's class, "output_shape", and optionally
            "likelihood", "time_scaling" ({"kind", "mean", "std"}) and "feature_mask".
        key: a JAX key or an int seed; nothing else decides the parameters.

    Raises:
        ValueError: for an unknown kind, or arguments that it does not have.

    >>> config = {"kind": "cfc", "input_size": 3, "units": 8, "output_shape": [2]}
    >>> build_model(config, 0).head.shape
    (2,)
    """
    options = dict(config)
    kind = options.pop("kind", None)
    if kind not in NEURONS:
        raise ValueError(f"`kind` must be one of {', '.join(NEURONS)}; got {kind!r}.")
    shape, likelihood = options.pop("output_shape"), options.pop("likelihood", "point")
    seen = options.pop("feature_mask", None)
    time = dict(options.pop("time_scaling", None) or {})
    scaling = TimeScaling(**{k: v for k, v in time.items() if k in ("kind", "mean", "std")})
    wiring = options.pop("wiring", None)
    if wiring is not None:
        options["units"] = Wiring.from_dict(wiring)
    own, other = jax.random.split(as_key(key))
    try:
        rnn = neuron(kind)(**options, key=own)
    except TypeError as error:
        raise ValueError(f"a model of kind {kind!r} cannot be built: {error}") from error
    signed_time = all(cell.signed_time for cell in cells(rnn))
    elapsed.check(time.get("kind", "raw"), kind, signed_time)
    head = Head(rnn.output_size, shape, likelihood, dtype=rnn.stack.dtype, key=other)
    return SequenceModel(rnn, head, scaling, seen)


def describe(model: SequenceModel) -> dict[str, Any]:
    """The description from which `build_model` makes a model of the same structure, as JSON data.

    Raises:
        TypeError: for anything but a `SequenceModel` of this library's neurons, or one whose
            initialiser is a function.
    """
    kinds = {name: kind for kind, name in NEURONS.items()}
    if type(model) is not SequenceModel or type(model.rnn).__name__ not in kinds:
        raise TypeError(f"not a SequenceModel of a known neuron: {type(model).__name__}")
    arguments = model.rnn.arguments.as_dict()
    units = arguments.pop("units")
    wired = isinstance(units, Wiring)
    if callable(arguments.get("initializer")):
        raise TypeError("an `initializer` that is a function has no description; use its name")
    return {
        "kind": kinds[type(model.rnn).__name__],
        "units": units.units if wired else units,
        "wiring": units.to_dict() if wired else None,
        **arguments,
        **_rates(model.rnn),
        "output_shape": list(model.head.shape),
        "likelihood": model.head.likelihood,
        "time_scaling": model.time_scaling.describe(),
        **described_mask(model.feature_mask),
    }


def described_mask(mask: FeatureMask | None) -> dict[str, list[float]]:
    """What a description says of it: nothing where all is seen."""
    return {} if mask is None else {"feature_mask": np.asarray(mask.value, float).tolist()}


def _rates(rnn: AbstractRNN) -> dict[str, float]:
    """Dropout rates, which are data, of the one model at hand."""
    found = {"dropout": shortest(rnn.stack.layers[0].dropout.rate.value)}
    inner = cells(rnn)[0]
    inner = getattr(inner, "cell", inner)
    backbone = getattr(inner, "dropout", None)
    if isinstance(backbone, Dropout):
        found["backbone_dropout"] = shortest(backbone.rate.value)
    return found


def neuron(kind: str) -> Any:
    """The class of a neuron, imported when it is asked for."""
    return getattr(import_module(f"shoal.neurons.{kind}"), NEURONS[kind])


class _SequenceModels:
    """What a bundle asks about this kind of member."""

    describe = staticmethod(describe)
    build = staticmethod(build_model)


KIND = _SequenceModels()
