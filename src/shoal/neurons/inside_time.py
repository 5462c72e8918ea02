"""What a neuron's clock shows while it reads: its time constant at every step.

At a step the neuron has a state h (of after the step before), hears an observation x, and Δt has
passed. With these its time constant is

    LTC      cm/(gleak + ΣW + ΣS), the membrane's, with the synapses as open as h and x make them
             when the step begins
    CT-RNN   τ, as learned: the same at every step. It is the leak's alone; how neurons that feed
             back on each other slow or quicken each other is not in it
    CfC      1/|time_a|, with time_a as [x, h] make it: the gate σ(time_a·Δt + time_b) turns over
             such times, and nears its end as e^(−Δt/τ). In mode "pure" 1/(|w_tau| + |ff1|), with
             which the solution itself decays
    CT-GRU   Π τ_k^s_k, the geometric mean of its time scales, weighted as the step's event is
             stored on them: how long what is stored now will stay
    LSTM     −Δt/ln f with the forget gate f. It has no clock: this is the leak that would have kept
    GRU      as much over that time, and another Δt with the same gate reads as another constant;
             of a GRU f is the update gate z. Nothing where Δt is 0

Source of the last reading: Tallec & Ollivier, "Can recurrent neural networks warp time?", ICLR
2018, arXiv 1804.11188. A mixed memory's neurons are read after the memory has passed them their
state; the memory itself has no clock.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from shoal.equations import ctgru, ctrnn, lstm, ltc
from shoal.equations.activations import softplus
from shoal.equations.arrays import split
from shoal.neurons.cell import AbstractCell
from shoal.neurons.cfc import CfCCell
from shoal.neurons.ctgru import CTGRUCell
from shoal.neurons.ctrnn import CTRNNCell
from shoal.neurons.gru import GRUCell
from shoal.neurons.inside import Visit, by_cell, in_order, ready, visit_cells
from shoal.neurons.inspect import cfc_rates, in_raw_units, wired_cfc_rates
from shoal.neurons.lstm import LSTMCell, project, with_time
from shoal.neurons.ltc import LTCCell
from shoal.neurons.memory import MixedMemory
from shoal.neurons.model import SequenceModel
from shoal.neurons.sequence import AbstractRNN
from shoal.neurons.synapses import list_forces
from shoal.neurons.time_scaling import TimeScaling
from shoal.neurons.wired_cfc import WiredCfCCell


def effective_time_constants(
    model: AbstractRNN | SequenceModel, x: Any, timespans: Any = None, mask: Any = None
) -> dict[str, Float[Array, "*batch time neurons"]]:
    """Every neuron's time constant at every step; what is meant is in the head of this file.

    Args:
        model: a recurrent layer, or a member made of one; not a stack of members.
        x: (batch, time, input) or (time, input), encoded as the model reads it.
        timespans: the time that elapsed before each observation, in any shape that the layer
            takes; raw for a `SequenceModel`, which scales them. None means 1.
        mask: False where there is no observation.

    Returns:
        One array (batch, time, neurons) for each cell, named as by `time_constants`, NaN at masked
        steps. In raw units of time for a `SequenceModel`: infinite where a time constant on its
        scale of time is never reached, and inverted as `shoal.neurons.inspect` says.

    Raises:
        ValueError: for shapes that do not fit.

    >>> from shoal import CTRNN
    >>> rnn = CTRNN(2, 3, tau=4.0, key=0)
    >>> effective_time_constants(rnn, jnp.ones((2, 2)))["CTRNN"].round(3).tolist()
    [[4.0, 4.0, 4.0], [4.0, 4.0, 4.0]]
    """
    scaling = model.time_scaling if isinstance(model, SequenceModel) else None
    rnn, sequences, batched = ready(model, x, timespans, mask)
    found = _effective(rnn, scaling, *sequences)
    return by_cell(rnn, found if batched else jax.tree.map(lambda a: a[0], found))


@eqx.filter_jit
def _effective(rnn: AbstractRNN, scaling: TimeScaling | None, x, timespans, raw, mask):
    return [_over_time(one, scaling) for one in visit_cells(rnn, x, timespans, raw, mask)]


def _over_time(visit: Visit, scaling: TimeScaling | None) -> Array | None:
    if not _is_known(visit.cell):
        return None

    def at_step(inputs):
        x, elapsed, raw, before, after = inputs
        kept = log_kept(visit.cell, x, elapsed, before)
        if kept is not None:
            return jnp.where(raw[:, None] > 0, -raw[:, None] / kept, jnp.nan)
        return in_raw_units(scaling, clock(visit.cell, x, elapsed, before, after))

    inputs = (visit.x, visit.timespans, visit.raw, visit.before, visit.after)
    tau = jax.lax.map(at_step, jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), inputs))
    tau = jnp.swapaxes(tau, 0, 1)
    tau = tau if visit.mask is None else jnp.where(visit.mask[..., None], tau, jnp.nan)
    return in_order(visit, tau)


def _is_known(cell: AbstractCell) -> bool:
    inner = cell.cell if isinstance(cell, MixedMemory) else cell
    known = CfCCell, WiredCfCCell, LTCCell, CTRNNCell, CTGRUCell, LSTMCell, GRUCell
    return isinstance(inner, known)


def clock(cell: AbstractCell, x, elapsed, before: PyTree[Array], after: PyTree[Array]) -> Array:
    """τ (batch, neurons) in the cell's own unit of time, of one step from `before` to `after`."""
    if isinstance(cell, MixedMemory):
        return clock(cell.cell, x, elapsed, _passed_on(cell, x, before), after[0])
    if isinstance(cell, CTRNNCell):
        return jnp.broadcast_to(ctrnn.time_constant(jnp, cell.params["tau"]), before.shape)
    if isinstance(cell, LTCCell):
        return _membrane(cell, x, before)
    if isinstance(cell, CTGRUCell):
        return _stored_for(cell, x, elapsed, before)
    if isinstance(cell, CfCCell):
        return 1.0 / cfc_rates(cell, jnp.concatenate([x, before], axis=-1))
    assert isinstance(cell, WiredCfCCell), cell
    return 1.0 / wired_cfc_rates(cell, _heard(cell, x, before, after))


def _passed_on(cell: MixedMemory, x, state):
    """The state that the memory hands to the cell."""
    inner, memory = state
    gates = project(cell.memory, x) + cell.read(inner) @ cell.memory["recurrent_weight"].T
    return cell.write(inner, lstm.update(jnp, gates, memory)[0])


def _membrane(cell: LTCCell, x, v):
    params = cell.physical()
    forces = list_forces(cell.wiring, params)(ltc.affine(params, "input", x).T)
    return ltc.time_constant(forces, v.T, params["cm"][:, None]).T


def _stored_for(cell: CTGRUCell, x, elapsed, traces):
    of_x, bias, gate_weight, _ = ctgru.split(jnp, cell.weights(), cell.input_size)
    n, log_tau = cell.state_size, cell.log_scales()
    hidden = ctgru.visible(jnp, ctgru.fade(jnp, traces, elapsed[:, None, None], log_tau))
    wanted = (x @ of_x.T + bias)[:, n : 2 * n] + hidden @ gate_weight[n:].T
    return jnp.exp(ctgru.choose(jnp, wanted, log_tau) @ log_tau)


def _heard(cell: WiredCfCCell, x, before, after) -> list[Array]:
    """What each layer hears: what the layer before it says at this step, and its own past."""
    heard, start, said = [], 0, x
    for layer in cell.wiring.layers:
        own = slice(start, start + len(layer))
        heard.append(jnp.concatenate([said, before[:, own]], axis=-1))
        start, said = own.stop, after[:, own]
    return heard


def log_kept(cell: AbstractCell, x, elapsed, state) -> Array | None:
    """ln f (batch, neurons) of the gate with which an LSTM or GRU forgets; None for the others."""
    if not isinstance(cell, LSTMCell | GRUCell):
        return None
    x = with_time(x[:, None], elapsed[:, None])[:, 0] if cell.use_timespans else x
    hidden = state[0] if isinstance(cell, LSTMCell) else state
    gates = project(cell.params, x) + hidden @ cell.params["recurrent_weight"].T
    if isinstance(cell, LSTMCell):
        gate = split(jnp, gates, 4)[2] + lstm.FORGET_BIAS
    else:
        gate = split(jnp, gates, 3)[1]
    return -softplus(jnp, -gate)
