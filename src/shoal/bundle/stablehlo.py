"""A member as StableHLO: raw inputs in, raw predictions out, batch and time symbolic.

    (params: dict, x, timespans) -> prediction

`params` is keyed as the safetensors file beside it; x (batch, time, features) is raw float32 with
NaN where a feature is missing; timespans (batch, time). The answer is an array for points,
{"mean", "std"} for normals, {"probabilities"} for classes. Indicators, elapsed times, scaling and
the way back are inside, in single precision; no value is checked. Of an MLP, which reads a fixed
number of values, time is the number that it was trained on.

The module is lowered for CPU and for CUDA. Where both come out the same, as they do for all of
Shoal's neurons, one module serves every platform, and its arguments are those above. Where a
member of your own lowers differently, the module holds both ways, and takes JAX's platform index
(0: cpu, 1: cuda) before them.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import export
from jaxtyping import PyTree

from shoal.bundle.arrays import filled, named_leaves
from shoal.bundle.manifest import BundleError
from shoal.equations.combine import softmax
from shoal.equations.outputs import Categorical, Normal
from shoal.neurons.mlp import MLP

PLATFORMS = ("cpu", "cuda")
_KNOWN = "`eqx.error_if` and diffrax's adaptive loops (LTC's solver='adaptive') cannot be exported"


def exported_member(member: PyTree, scaling: Any, features: int) -> export.Exported:
    """The member and its scaling as one exported function.

    Args:
        member: called as `member(x, timespans)` with encoded x.
        scaling: a `shoal.data.Scaling`; None for members that read raw values.
        features: how many raw columns x has.

    Raises:
        BundleError: something in the member has no StableHLO.
    """
    batch, time = export.symbolic_shape("batch, time")
    if isinstance(member, MLP):
        time = _length(member, features if scaling is None else scaling.encoded_size)
    shapes = {k: jax.ShapeDtypeStruct(v.shape, v.dtype) for k, v in named_leaves(member).items()}
    x = jax.ShapeDtypeStruct((batch, time, features), jnp.float32)
    timespans = jax.ShapeDtypeStruct((batch, time), jnp.float32)
    function = jax.jit(pure_function(member, scaling))
    try:
        each = [_lowered(function, (p,), shapes, x, timespans) for p in PLATFORMS]
        if each[0].mlir_module() == each[1].mlir_module():
            return each[0]
        return _lowered(function, PLATFORMS, shapes, x, timespans)
    except Exception as error:  # lowering may raise anything, a member's own errors among it
        raise BundleError(
            f"{type(member).__name__} cannot be exported to StableHLO: {_KNOWN}. "
            f"JAX says: {str(error).strip().splitlines()[0] if str(error) else repr(error)}"
        ) from error


def _length(member: MLP, width: int) -> int:
    """How many observations an MLP reads, of `width` encoded features each."""
    return max(member.layers[0]["weight"].shape[-1] // width, 1)


def _lowered(function: Any, platforms: tuple[str, ...], *arguments: Any) -> export.Exported:
    anywhere = [export.DisabledSafetyCheck.platform()] if len(platforms) == 1 else []
    return export.export(function, platforms=platforms, disabled_checks=anywhere)(*arguments)


def pure_function(member: PyTree, scaling: Any):
    """`predict(params, x, timespans)`, the member's arrays taken from `params`."""
    static = jax.tree.map(_shape_of, member)

    def predict(params, x, timespans):
        model = filled(static, params)
        encoded = x if scaling is None else scaling.encode(jnp, x, timespans, None)
        answer = model(encoded, timespans)
        if scaling is not None and not isinstance(answer, Categorical):
            answer = scaling.decode(jnp, answer, x, None)
        return _plain(answer)

    return predict


def _shape_of(leaf: Any) -> Any:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) if eqx.is_array(leaf) else leaf


def _plain(answer: Any) -> Any:
    if isinstance(answer, Normal):
        return {"mean": answer.mean, "std": answer.std}
    if isinstance(answer, Categorical):
        return {"probabilities": softmax(jnp, answer.logits)}
    return answer
