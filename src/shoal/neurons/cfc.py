"""CfC: the liquid neuron whose equation has a closed-form solution, dense or wired.

A dense cell takes all its heads in one matrix product, and projects a wide x for all steps at once,
before the scan. A wired cell, in `wired_cfc.py`, is several small dense ones after each other.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from shoal.equations import cfc
from shoal.equations.activations import find_activation
from shoal.equations.arrays import split
from shoal.equations.checks import require_positive
from shoal.neurons.cell import AbstractCell, scan_steps
from shoal.neurons.frozen import Dropout
from shoal.neurons.initialise import initialise
from shoal.neurons.memory import MixedMemory
from shoal.neurons.remember import KEPT, kept, remembering
from shoal.neurons.sequence import AbstractRNN, Arguments, record
from shoal.neurons.stack import Stack, build_stack
from shoal.neurons.wired_cfc import WiredCfCCell
from shoal.wirings import Wiring


class CfCCell(AbstractCell):
    """A dense CfC with a backbone; the state is h, (batch, units)."""

    signed_time = True

    params: dict[str, Array]
    dropout: Dropout | None
    input_size: int = eqx.field(static=True)
    state_size: int = eqx.field(static=True)
    output_size: int = eqx.field(static=True)
    mode: str = eqx.field(static=True)
    activation: str = eqx.field(static=True)
    backbone_layers: int = eqx.field(static=True)

    def __init__(
        self,
        input_size: int,
        units: int,
        *,
        mode: str = "default",
        activation: str = "lecun_tanh",
        backbone_units: int = 128,
        backbone_layers: int = 1,
        backbone_dropout: float | None = None,
        initializer=None,
        dtype=jnp.float32,
        key: PRNGKeyArray,
    ):
        find_activation(activation)
        require_positive(units=units)
        self.input_size, self.state_size, self.output_size = input_size, units, units
        self.mode, self.activation, self.backbone_layers = mode, activation, backbone_layers
        self.dropout = None if backbone_dropout is None else Dropout(backbone_dropout)
        sizes = cfc.dimensions(input_size, units, backbone_units, backbone_layers)
        options = {"key": key, "dtype": dtype, "initializer": initializer}
        self.params = initialise(cfc.table(mode, backbone_layers), sizes, **options)

    def initial_state(self, batch):
        return jnp.zeros((batch, self.state_size), self.params["ff1_bias"].dtype)

    def signals(self):
        names = [f"{head}_weight" for head in cfc.heads(self.mode)]
        return {name: (("features", self.params[name].shape[-1]),) for name in names}

    def run(self, x, timespans, mask, state, key):
        weight, bias = cfc.first(jnp, self.params, self.mode)
        of_x, of_h = weight[:, : self.input_size].T, weight[:, self.input_size :].T
        # a narrow x is projected step by step: its projection would be slower to read than to make
        narrow = self.input_size < self.state_size
        seen = jnp.swapaxes(x, 0, 1)
        seen = seen if narrow else seen @ of_x + bias
        elapsed = timespans.T[..., None]
        drops = self._drops((*seen.shape[:2], weight.shape[0]), key)
        head_weight, head_bias = cfc.stacked_heads(jnp, self.params, self.mode)

        def step(hidden, inputs):
            seen_t, elapsed_t, drops_t = inputs
            pre = seen_t @ of_x + bias if narrow else seen_t
            pre = pre + hidden @ of_h
            if self.backbone_layers:
                z = cfc.backbone(remembering, self.params, pre, self._activation, drops_t)
                pre = z @ head_weight.T + head_bias
            pre = split(jnp, pre, len(cfc.heads(self.mode)))
            pre = [kept(pre[0])] if self.mode == "pure" else pre
            hidden = cfc.update(remembering, self.mode, pre, elapsed_t, self.params)
            return hidden, hidden

        mask = None if mask is None else mask.T
        inputs = (seen, elapsed, drops)
        outputs, state = scan_steps(step, state, inputs, mask, keep=KEPT)
        return jnp.swapaxes(outputs, 0, 1), state

    def _activation(self, xp, pre: Array) -> Array:
        # only a tanh can be differentiated from its output
        pre = pre if self.activation in ("tanh", "lecun_tanh") else kept(pre)
        return find_activation(self.activation)(xp, pre)

    def _drops(self, shape: tuple[int, ...], key) -> list[Array] | None:
        """What multiplies every backbone layer at every step, each (time, batch, backbone)."""
        if self.dropout is None or key is None or not self.backbone_layers:
            return None
        ones = jnp.ones(shape, self.params["ff1_bias"].dtype)
        return [self.dropout(ones, k) for k in jax.random.split(key, self.backbone_layers)]


class CfC(AbstractRNN):
    """Closed-form continuous-time neurons over irregular sequences.

        h' = tanh(ff1)·(1 − s) + s·tanh(ff2),   s = σ(time_a·Δt + time_b)

    with ff1, ff2, time_a, time_b linear in a backbone of [x, h]; see `shoal.equations.cfc` for
    the other modes.

    Args:
        input_size: features of x.
        units: neurons, or a `Wiring`: then every layer of it is a CfC without backbone whose
            synapses are the wiring's, and its motor neurons are the output.
        proj_size: width of a linear projection of the output; None for none.
        return_sequences: every output, or only the last.
        mixed_memory: pass the hidden state through an LSTM before every step.
        mode: "default", "no_gate" (the second term is added, not mixed in), or "pure" (the
            solution itself, without a second head).
        activation: of the backbone: lecun_tanh, relu, tanh, gelu or silu.
        backbone_units: width of the backbone; None means 128.
        backbone_layers: its depth; None means 1, 0 leaves it out.
        backbone_dropout: rate after each of its layers, applied when a key is given; None for
            none.
        fully_recurrent: with a wiring, whether every neuron of a layer hears the whole layer's
            past, and the time gates hear everything, as in `ncps`. False keeps to the wiring's
            own synapses in every head.
        num_layers: cells on top of each other.
        bidirectional: read the sequence backwards too, and join both outputs.
        residual: add a layer's input to its output wherever both are equally wide.
        dropout: rate on the output of every layer, applied when a key is given.
        initializer: of the weights, a name or function; None means Xavier-uniform.
        dtype: float32, bfloat16, float16 or float64.
        key: a JAX key or an int seed.

    Raises:
        ValueError: for unknown names, sizes below one, or `backbone_*` with a wiring.

    Source: Hasani et al. 2022, doi 10.1038/s42256-022-00556-7.

    >>> rnn = CfC(3, 8, key=0)
    >>> x, elapsed = jnp.ones((2, 5, 3)), jnp.array([0.1, 0.5, 2.0, 0.1, 7.0])
    >>> output, state = rnn(x, timespans=elapsed)
    >>> output.shape, state.shape
    ((2, 5, 8), (2, 8))
    """

    stack: Stack
    return_sequences: bool = eqx.field(static=True)
    arguments: Arguments = eqx.field(static=True)

    def __init__(
        self,
        input_size: int,
        units: int | Wiring,
        *,
        proj_size: int | None = None,
        return_sequences: bool = True,
        mixed_memory: bool = False,
        mode: str = "default",
        activation: str = "lecun_tanh",
        backbone_units: int | None = None,
        backbone_layers: int | None = None,
        backbone_dropout: float | None = None,
        fully_recurrent: bool = True,
        num_layers: int = 1,
        bidirectional: bool = False,
        residual: bool = False,
        dropout: float = 0.0,
        initializer=None,
        dtype=jnp.float32,
        key: PRNGKeyArray | int,
    ):
        self.arguments = record(locals())
        self.return_sequences = return_sequences
        backbone = {
            "backbone_units": backbone_units,
            "backbone_layers": backbone_layers,
            "backbone_dropout": backbone_dropout,
        }
        chosen = {name: value for name, value in backbone.items() if value is not None}
        _check_backbone(chosen, units)

        def make(size: int, key: PRNGKeyArray) -> AbstractCell:
            own, other = jax.random.split(key)
            options = {"mode": mode, "initializer": initializer, "dtype": dtype}
            if isinstance(units, Wiring):
                options["fully_recurrent"] = fully_recurrent
                cell = WiredCfCCell(size, units, **options, key=own)
            else:
                cell = CfCCell(size, units, activation=activation, **chosen, **options, key=own)
            if not mixed_memory:
                return cell
            return MixedMemory(cell, initializer=initializer, dtype=dtype, key=other)

        self.stack = build_stack(
            make,
            input_size,
            num_layers=num_layers,
            bidirectional=bidirectional,
            residual=residual,
            dropout=dropout,
            proj_size=proj_size,
            initializer=initializer,
            dtype=dtype,
            key=key,
        )


def _check_backbone(chosen: dict, units: int | Wiring) -> None:
    if isinstance(units, Wiring):
        cfc.refuse_backbone(chosen)
        return
    cfc.check_backbone(**chosen)
