"""What a neuron's clock is: its nominal time constants, to be looked at.

    LTC      cm/gleak, of the membrane alone; its synapses shorten it
    CT-RNN   τ, as learned
    CT-GRU   the time scales τ_k, which all units share
    CfC      1/|time_a|, over which the time gate turns; in mode "pure" 1/(|w_tau| + |ff1|), the
             solution's own. Both depend on the input: this is with their mean over a fixed
             sample of standard normal inputs, at state zero

LSTM and GRU have none. What the time constants are while the neurons read something is
`effective_time_constants`.

On a scale u(Δt) of elapsed time, τ is the raw time Δt with u(Δt) = u(0) + τ: what fades with it is
down to 1/e after so long a step. It is infinite where no step is long enough, as on the scale
"bounded" for τ ≥ 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from shoal.equations import cfc, ctrnn
from shoal.equations.activations import find_activation
from shoal.neurons.cell import AbstractCell
from shoal.neurons.cfc import CfCCell
from shoal.neurons.ctgru import CTGRUCell
from shoal.neurons.ctrnn import CTRNNCell
from shoal.neurons.ltc import LTCCell
from shoal.neurons.memory import MixedMemory
from shoal.neurons.model import SequenceModel
from shoal.neurons.sequence import AbstractRNN
from shoal.neurons.time_scaling import TimeScaling
from shoal.neurons.wired_cfc import WiredCfCCell, synapses


def time_constants(model: AbstractRNN | SequenceModel) -> dict[str, np.ndarray]:
    """Nominal time constants of every neuron, by cell.

    Args:
        model: a recurrent layer, or a member made of one; not a stack of members.

    Returns:
        One array (neurons,) for each cell, named by class, layer and direction, such as "CfC" or
        "LTC layer 2 backward"; of a CT-GRU (scales,). In raw units of time for a `SequenceModel`,
        which knows how it scales them; infinite where a scaled time constant is never reached.

    >>> from shoal import CTRNN
    >>> time_constants(CTRNN(2, 3, tau=4.0, key=0))["CTRNN"].round(3)
    array([4., 4., 4.], dtype=float32)
    """
    scaling = model.time_scaling if isinstance(model, SequenceModel) else None
    rnn = model.rnn if isinstance(model, SequenceModel) else model
    names = [name for name, _ in named_cells(rnn)]
    pairs = zip(names, _nominal(rnn, scaling), strict=True)
    return {name: np.asarray(one, np.float32) for name, one in pairs if one is not None}


@eqx.filter_jit
def _nominal(rnn: AbstractRNN, scaling: TimeScaling | None) -> list[Array | None]:
    cells = [cell.cell if isinstance(cell, MixedMemory) else cell for _, cell in named_cells(rnn)]
    found = [_constants(cell) for cell in cells]
    return [None if one is None else in_raw_units(scaling, one) for one in found]


def in_raw_units(scaling: TimeScaling | None, constants: Float[Array, " *shape"]) -> Array:
    """Time constants on a scale of elapsed time as raw times; see the head of this file."""
    if scaling is None:
        return constants
    return scaling.inverse(scaling(jnp.zeros((), constants.dtype)) + constants)


def named_cells(rnn: AbstractRNN) -> list[tuple[str, AbstractCell]]:
    """Every cell with its name: class, layer where there are several, direction where two."""
    kind, layers = type(rnn).__name__, rnn.stack.layers
    named = []
    for number, layer in enumerate(layers, 1):
        name = f"{kind} layer {number}" if len(layers) > 1 else kind
        if layer.backward is None:
            named.append((name, layer.forward))
        else:
            named += [(f"{name} forward", layer.forward), (f"{name} backward", layer.backward)]
    return named


def _constants(cell: Any):
    if isinstance(cell, LTCCell):
        params = cell.physical()
        return params["cm"] / params["gleak"]
    if isinstance(cell, CTRNNCell):
        return ctrnn.time_constant(jnp, cell.params["tau"])
    if isinstance(cell, CTGRUCell):
        return jnp.exp(cell.log_scales())
    if isinstance(cell, CfCCell):
        joined = np.pad(_sample(cell.input_size), ((0, 0), (0, cell.state_size)))
        return 1.0 / cfc_rates(cell, joined).mean(0)
    if isinstance(cell, WiredCfCCell):
        sizes = [cell.input_size, *map(len, cell.wiring.layers[:-1])]
        silent = [len(layer) for layer in cell.wiring.layers]
        sizes = zip(sizes, silent, strict=True)
        heard = [np.pad(_sample(size), ((0, 0), (0, own))) for size, own in sizes]
        return 1.0 / wired_cfc_rates(cell, heard).mean(0)
    return None


def _sample(size: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((64, size)).astype(np.float32)


def cfc_rates(cell: CfCCell, joined) -> Float[Array, "rows neurons"]:
    """1/τ of every neuron of a dense CfC that hears the rows [x, h], (rows, I + N)."""
    if cell.backbone_layers:
        weight, bias = cfc.first(jnp, cell.params, cell.mode)
        activation = find_activation(cell.activation)
        joined = cfc.backbone(jnp, cell.params, joined @ weight.T + bias, activation)
    return _rates(cell.params, cell.mode, joined)


def wired_cfc_rates(cell: WiredCfCCell, heard: Sequence) -> Float[Array, "rows neurons"]:
    """1/τ of a wired CfC, whose layer k hears heard[k]: what comes in beside its own state."""
    each = []
    for k, joined in enumerate(heard):
        prefix = f"layer_{k}_"
        params = {n.removeprefix(prefix): v for n, v in cell.params.items() if n.startswith(prefix)}
        for head in cfc.heads(cell.mode):
            exists = synapses(cell.wiring, k, head, cell.fully_recurrent)
            params[f"{head}_weight"] = params[f"{head}_weight"] * exists
        each.append(_rates(params, cell.mode, joined))
    return jnp.concatenate(each, axis=-1)


def _rates(params: dict, mode: str, z):
    head = "ff1" if mode == "pure" else "time_a"
    rate = jnp.abs(z @ params[f"{head}_weight"].T + params[f"{head}_bias"])
    return rate + jnp.abs(params["w_tau"]) if mode == "pure" else rate
