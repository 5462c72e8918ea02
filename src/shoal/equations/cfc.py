"""The closed-form continuous-time neuron (CfC).

With z = backbone([x, h]), or z = [x, h] without a backbone, and Δt the time that elapsed:

    default   h' = tanh(ff1)·(1 − s) + s·tanh(ff2)
    no_gate   h' = tanh(ff1) + s·tanh(ff2)
    pure      h' = A − A·exp(−Δt·(|w_tau| + |ff1|))·ff1

    s = σ(time_a·Δt + time_b),   each of ff1, ff2, time_a, time_b = W z + b

Source: Hasani, Lechner, Amini et al., Nature Machine Intelligence 2022; in the form of `ncps`.

The weights that see [x, h] may take x's share for all steps at once, so `update` begins at
their pre-activation: `first` gives those weights, `update` does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shoal.equations.activations import sigmoid
from shoal.equations.arrays import below, split
from shoal.equations.checks import require_positive
from shoal.equations.parameters import Constant, Parameter, Weights

MODES = ("default", "pure", "no_gate")
RATES = ("w_tau", "A")  # what mode "pure" learns besides


def heads(mode: str) -> tuple[str, ...]:
    """The linear maps of z that a mode has.

    Raises:
        ValueError: for an unknown mode.
    """
    if mode not in MODES:
        raise ValueError(f"`mode` must be one of {', '.join(MODES)}; got {mode!r}.")
    return ("ff1",) if mode == "pure" else ("ff1", "ff2", "time_a", "time_b")


def table(mode: str = "default", backbone_layers: int = 1) -> tuple[Parameter, ...]:
    """What a CfC learns.

    >>> [entry.name for entry in table("pure", 0)]
    ['ff1_weight', 'ff1_bias', 'w_tau', 'A']
    """
    entries = []
    for layer in range(backbone_layers):
        seen = "joined" if layer == 0 else "backbone"
        entries += _linear(f"backbone_{layer}", "backbone", seen)
    for head in heads(mode):
        entries += _linear(head, "units", "features")
    if mode == "pure":
        entries += [Parameter("w_tau", ("units",), Constant(0.0), symbol="w_τ")]
        entries += [Parameter("A", ("units",), Constant(1.0), symbol="A")]
    return tuple(entries)


def _linear(name: str, outputs: str, inputs: str) -> list[Parameter]:
    weight = Parameter(f"{name}_weight", (outputs, inputs), Weights())
    return [weight, Parameter(f"{name}_bias", (outputs,), Constant(0.0))]


def dimensions(
    input_size: int, units: int, backbone_units: int = 128, backbone_layers: int = 1
) -> dict[str, int]:
    """The numbers behind the table's dimensions."""
    joined = input_size + units
    features = backbone_units if backbone_layers else joined
    return {"joined": joined, "units": units, "backbone": backbone_units, "features": features}


def check_backbone(
    backbone_units: int = 128, backbone_layers: int = 1, backbone_dropout: float | None = None
) -> None:
    """Raises a ValueError for a backbone that cannot be."""
    # 0 leaves the backbone out
    require_positive(backbone_units=backbone_units, backbone_layers=backbone_layers or None)
    if not 0.0 <= (backbone_dropout or 0.0) < 1.0:
        raise ValueError(
            f"`backbone_dropout` must be at least 0 and below 1, got {backbone_dropout!r}."
        )


def refuse_backbone(chosen: Mapping[str, Any]) -> None:
    """Raises a ValueError for the first argument about a backbone, beside a wiring."""
    for name, value in chosen.items():
        raise ValueError(
            f"`{name}` cannot be used with a wiring, whose neurons have no backbone; got "
            f"{name}={value!r}. Leave it out, or give `units` as a number."
        )


def stacked_heads(xp, params: Mapping[str, Any], mode: str):
    """The weight (heads·N, features) and bias of all heads, as one linear map."""
    names = heads(mode)
    weight = below(xp, [params[f"{name}_weight"] for name in names])
    return weight, xp.concatenate([params[f"{name}_bias"] for name in names], axis=0)


def first(xp, params: Mapping[str, Any], mode: str):
    """The weight (width, I + N) and bias of the map that sees [x, h]."""
    if "backbone_0_weight" in params:
        return params["backbone_0_weight"], params["backbone_0_bias"]
    return stacked_heads(xp, params, mode)


def backbone(
    xp,
    params: Mapping[str, Any],
    pre,
    activation: Callable[[Any, Any], Any],
    drops: Sequence[Any] | None = None,
):
    """The backbone's output from its first layer's pre-activation; drops multiply each layer."""
    z, layer = activation(xp, pre), 0
    while True:
        z = z if drops is None else z * drops[layer]
        layer += 1
        if f"backbone_{layer}_weight" not in params:
            return z
        weight, bias = params[f"backbone_{layer}_weight"], params[f"backbone_{layer}_bias"]
        z = activation(xp, z @ weight.T + bias)


def update(xp, mode: str, pre: Sequence[Any], elapsed, params: Mapping[str, Any] | None = None):
    """The next h from the heads' values, in the order of `heads(mode)`, and the elapsed time.

    `elapsed` broadcasts against (batch, N). `params` is asked for w_tau and A in mode "pure".
    """
    if mode == "pure":
        assert params is not None
        rate = xp.abs(params["w_tau"]) + xp.abs(pre[0])
        return params["A"] - params["A"] * xp.exp(-elapsed * rate) * pre[0]
    start, end, time_a, time_b = pre
    start, end = xp.tanh(start), xp.tanh(end)
    gate = sigmoid(xp, time_a * elapsed + time_b)
    if mode == "no_gate":
        return start + gate * end
    return start + gate * (end - start)


def step(xp, params: Mapping[str, Any], x, hidden, elapsed, *, mode="default", activation=None):
    """One whole step on (batch, I), (batch, N) and (batch, 1), with nothing taken out of it.

    `activation` is the backbone's; None for a cell without one.
    """
    weight, bias = first(xp, params, mode)
    pre = xp.concatenate([x, hidden], axis=-1) @ weight.T + bias
    if activation is not None:
        weight, bias = stacked_heads(xp, params, mode)
        pre = backbone(xp, params, pre, activation) @ weight.T + bias
    return update(xp, mode, split(xp, pre, len(heads(mode))), elapsed, params)
