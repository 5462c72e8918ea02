"""What a neuron's clock is: its nominal time constants, to be looked at.

    LTC      cm/gleak, of the membrane alone; its synapses shorten it
    CT-RNN   τ, as learned
    CT-GRU   the time scales τ_k, which all units share
    CfC      1/|time_a|, over which the time gate turns; in mode "pure" 1/(|w_tau| + |ff1|), the
             solution's own. Both depend on the input: this is with their mean over a fixed
             sample of standard normal inputs, at state zero

LSTM and GRU have none.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

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
from shoal.neurons.wired_cfc import WiredCfCCell, synapses


def time_constants(model: AbstractRNN | SequenceModel) -> dict[str, np.ndarray]:
    """Nominal time constants of every neuron, by cell.

    Args:
        model: a recurrent layer, or a member made of one; not a stack of members.

    Returns:
        One array (neurons,) for each cell, named by class, layer and direction, such as "CfC" or
        "LTC layer 2 backward". In raw units of time for a `SequenceModel`, which knows how it
        scales them; infinite where a scaled time constant is never reached.

    >>> from shoal import CTRNN
    >>> time_constants(CTRNN(2, 3, tau=4.0, key=0))["CTRNN"].round(3)
    array([4., 4., 4.], dtype=float32)
    """
    scaled = isinstance(model, SequenceModel)
    rnn = model.rnn if scaled else model
    found = {}
    for name, cell in _named_cells(rnn):
        constants = _constants(cell.cell if isinstance(cell, MixedMemory) else cell)
        if constants is not None:
            raw = model.time_scaling.inverse(constants) if scaled else constants
            found[name] = np.asarray(raw, np.float32)
    return found


def _named_cells(rnn: AbstractRNN) -> list[tuple[str, AbstractCell]]:
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
        return _gate_constants(cell.params, cell.mode, _features(cell))
    if isinstance(cell, WiredCfCCell):
        return _wired_constants(cell)
    return None


def _sample(size: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((64, size)).astype(np.float32)


def _features(cell: CfCCell):
    """What the heads are given for the sample."""
    joined = np.pad(_sample(cell.input_size), ((0, 0), (0, cell.state_size)))
    if not cell.backbone_layers:
        return joined
    weight, bias = cfc.first(jnp, cell.params, cell.mode)
    activation = find_activation(cell.activation)
    return cfc.backbone(jnp, cell.params, joined @ weight.T + bias, activation)


def _gate_constants(params: dict, mode: str, z):
    head = "ff1" if mode == "pure" else "time_a"
    rate = jnp.abs(z @ params[f"{head}_weight"].T + params[f"{head}_bias"]).mean(0)
    return 1.0 / (rate + jnp.abs(params["w_tau"]) if mode == "pure" else rate)


def _wired_constants(cell: WiredCfCCell):
    each = []
    for k, size in enumerate([cell.input_size, *map(len, cell.wiring.layers[:-1])]):
        prefix = f"layer_{k}_"
        params = {n.removeprefix(prefix): v for n, v in cell.params.items() if n.startswith(prefix)}
        for head in cfc.heads(cell.mode):
            exists = synapses(cell.wiring, k, head, cell.fully_recurrent)
            params[f"{head}_weight"] = params[f"{head}_weight"] * exists
        z = np.pad(_sample(size), ((0, 0), (0, len(cell.wiring.layers[k]))))
        each.append(_gate_constants(params, cell.mode, z))
    return jnp.concatenate(each)
