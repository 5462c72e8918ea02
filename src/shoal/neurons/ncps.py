"""Published weights: an `ncps.torch` module as the JAX neuron that computes the same.

Nothing of `ncps` or PyTorch is imported: the module that the user has brings them along. Its wiring
is copied synapse by synapse, never drawn again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from shoal.neurons.memory import MixedMemory
from shoal.neurons.sequence import AbstractRNN
from shoal.wiring_copy import copy_wiring

Weights = Mapping[str, np.ndarray]


def from_ncps(module: Any) -> AbstractRNN:
    """The JAX neuron with the weights of an `ncps.torch.CfC` or `ncps.torch.LTC`.

    Args:
        module: the trained PyTorch module. float64 modules need JAX in 64-bit mode.

    Returns:
        A `CfC` or `LTC` with the same wiring, mode, memory, projection and weights.

    Raises:
        ValueError: for a module of another class.

    Two things differ on purpose: `ncps` drops nothing in a backbone of a single layer, and its
    time spans for a whole batch are broken, so compare with batches of one.

        rnn = shoal.from_ncps(torch.load("cfc.pt", weights_only=False))
    """
    convert = {"CfC": _cfc, "LTC": _ltc}.get(type(module).__name__)
    if convert is None or not hasattr(module, "rnn_cell"):
        raise ValueError(
            "`module` must be an ncps.torch.CfC or ncps.torch.LTC, got "
            f"{type(module).__module__}.{type(module).__name__}; take the recurrent layer out of "
            "the model around it."
        )
    weights = {name: _numpy(value) for name, value in module.state_dict().items()}
    return convert(module, weights)


def _numpy(tensor: Any) -> np.ndarray:
    tensor = tensor.detach().cpu()
    # NumPy has no bfloat16
    return (tensor if str(tensor.dtype) != "torch.bfloat16" else tensor.float()).numpy()


def _cfc(module: Any, weights: Weights) -> AbstractRNN:
    from shoal.neurons.cfc import CfC

    cell, wired = module.rnn_cell, not hasattr(module.rnn_cell, "backbone")
    options: dict[str, Any] = {"mode": (cell._layers[0] if wired else cell).mode}
    if wired:
        params = _wired_params(weights)
    else:
        options |= _backbone(cell)
        params = _dense_params(weights)
    return _filled(CfC, module, weights, params, options)


def _wired_params(weights: Weights) -> dict[str, np.ndarray]:
    prefix = "rnn_cell."
    names = [name for name in weights if name.startswith(prefix + "layer_")]
    # "rnn_cell.layer_0.ff1.weight" -> "layer_0_ff1_weight"
    return {name[len(prefix) :].replace(".", "_"): weights[name] for name in names}


def _dense_params(weights: Weights) -> dict[str, np.ndarray]:
    params, depth = {}, {}
    for name, value in weights.items():
        kind, _, rest = name.partition(".")
        if kind != "rnn_cell":
            continue
        if rest.startswith("backbone."):
            # linear maps lie between activations and dropouts: number them on their own
            _, index, what = rest.split(".")
            layer = depth.setdefault(index, len(depth))
            rest = f"backbone_{layer}.{what}"
        params[rest.replace(".", "_")] = value
    return params


def _backbone(cell: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"backbone_layers": cell.backbone_layers}
    if not cell.backbone_layers:
        return found
    modules = list(cell.backbone)
    kind = type(modules[1]).__name__
    rates = [module.p for module in modules if type(module).__name__ == "Dropout"]
    found["activation"] = "lecun_tanh" if kind == "LeCun" else kind.lower()
    found["backbone_units"] = modules[0].out_features
    return found | ({"backbone_dropout": rates[0]} if rates else {})


def _ltc(module: Any, weights: Weights) -> AbstractRNN:
    from shoal.neurons.ltc import LTC

    cell = module.rnn_cell
    options = {
        "input_mapping": cell._input_mapping,
        "output_mapping": cell._output_mapping,
        "ode_unfolds": cell._ode_unfolds,
        "epsilon": cell._epsilon,
        "implicit_param_constraints": cell._implicit_param_constraints,
    }
    named = {name.removeprefix("rnn_cell."): value for name, value in weights.items()}
    return _filled(LTC, module, weights, named, options)


def _filled(kind: Any, module: Any, weights: Weights, params: Weights, options: dict) -> Any:
    """A new layer of the module's shape, with its weights put in."""
    dtype = next(iter(module.parameters())).dtype
    projection = weights.get("fc.weight")
    wiring = getattr(module, "wiring", None) or getattr(module, "_wiring", None)
    rnn = kind(
        module.input_size,
        module.state_size if wiring is None else copy_wiring(wiring),
        proj_size=None if projection is None else projection.shape[0],
        return_sequences=module.return_sequences,
        mixed_memory=module.use_mixed,
        dtype=str(dtype).removeprefix("torch."),
        key=0,
        **options,
    )
    cell = rnn.stack.layers[0].forward
    inner: Any = cell.cell if isinstance(cell, MixedMemory) else cell
    new = eqx.tree_at(lambda c: c.params, inner, _matched(inner.params, params))
    if isinstance(cell, MixedMemory):
        memory = _matched(cell.memory, _memory(weights))
        new = eqx.tree_at(lambda c: (c.cell, c.memory), cell, (new, memory))
    rnn = eqx.tree_at(lambda r: r.stack.layers[0].forward, rnn, new)
    if projection is not None:
        fc = {"weight": projection, "bias": weights["fc.bias"]}
        fc = _matched(rnn.stack.projection, fc)
        rnn = eqx.tree_at(lambda r: r.stack.projection, rnn, fc)
    return rnn


def _memory(weights: Weights) -> dict[str, np.ndarray]:
    return {
        "input_weight": weights["lstm.input_map.weight"],
        "input_bias": weights["lstm.input_map.bias"],
        "recurrent_weight": weights["lstm.recurrent_map.weight"],
    }


def _matched(ours: Mapping[str, Array], theirs: Weights) -> dict[str, Array]:
    """Their values under our names; w_tau and A are (1, N) there and (N,) here."""
    return {
        name: jnp.array(theirs[name], mine.dtype).reshape(mine.shape) for name, mine in ours.items()
    }
