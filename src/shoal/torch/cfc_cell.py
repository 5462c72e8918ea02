"""CfC cells: one observation at a time, with the names of `ncps.torch`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shoal.equations.activations import find_activation
from shoal.torch.closed_form import ClosedFormCell, ClosedFormWiredCell
from shoal.torch.neuron import Neuron
from shoal.unrolled.wired_cfc import synapses
from shoal.wiring_copy import copy_wiring
from shoal.wirings import Wiring

MASKED = (
    "ff1_weight",
    "ff2_weight",
)  # the heads that a sparsity mask silences; the time gates hear everything


class LeCun(nn.Module):
    """1.7159·tanh(0.666x)."""

    def forward(self, x: Tensor) -> Tensor:
        return find_activation("lecun_tanh")(torch, x)


ACTIVATIONS = {
    "lecun_tanh": LeCun,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


class CfCCell(Neuron):
    """A closed-form continuous-time cell.

        h' = tanh(ff1)·(1 − s) + s·tanh(ff2),   s = σ(time_a·Δt + time_b)

    with ff1, ff2, time_a, time_b linear in a backbone of [x, h]; see `shoal.equations.cfc`.

    Args:
        input_size: features of an observation.
        hidden_size: neurons.
        mode: "default", "no_gate" or "pure".
        backbone_activation: lecun_tanh, relu, tanh, gelu or silu.
        backbone_units: width of the backbone.
        backbone_layers: its depth; 0 leaves it out.
        backbone_dropout: rate after each of its layers while training.
        sparsity_mask: (features of the heads, hidden_size), 0 where ff1 and ff2 have no synapse.
        initializer: of the weights, a name or a function of `torch.nn.init`; None means
            Xavier-uniform. Biases start at 0, A at 1, w_tau at 0.
        dtype, device: of the parameters.

    Raises:
        ValueError: for unknown names.

    >>> cell = CfCCell(3, 8)
    >>> output, h = cell(torch.ones(2, 3), torch.zeros(2, 8), 0.5)
    >>> output.shape
    torch.Size([2, 8])
    """

    ff1: Any
    backbone: Any
    sparsity_mask: Any

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        mode: str = "default",
        backbone_activation: str = "lecun_tanh",
        backbone_units: int = 128,
        backbone_layers: int = 1,
        backbone_dropout: float = 0.0,
        sparsity_mask: np.ndarray | None = None,
        *,
        initializer=None,
        dtype=None,
        device=None,
    ):
        super().__init__()
        if not 0.0 <= backbone_dropout < 1.0:
            raise ValueError(
                f"`backbone_dropout` must be at least 0 and below 1, got {backbone_dropout!r}."
            )
        self.hidden_size, self.mode = hidden_size, mode
        self.backbone_layers, self.backbone_dropout = backbone_layers, backbone_dropout
        sizes = (backbone_units, backbone_layers)
        plan = ClosedFormCell(input_size, hidden_size, mode, backbone_activation, *sizes)
        self._adopt(plan, device)
        self._make_linear(backbone_activation, {"device": device, "dtype": dtype})
        mask = None
        if sparsity_mask is not None:
            mask = np.abs(np.asarray(sparsity_mask, float).T)
            mask = torch.as_tensor(mask, device=device, dtype=self.ff1.weight.dtype)
        self.register_buffer("sparsity_mask", mask)
        self.reset_parameters(initializer)

    def _make_linear(self, activation: str, options: dict) -> None:
        sizes = self.plan.sizes()
        width, depth = sizes["backbone"], self.backbone_layers
        modules: list[nn.Module] = []
        for layer in range(depth):
            seen = sizes["joined"] if layer == 0 else width
            modules += [nn.Linear(seen, width, **options), ACTIVATIONS[activation]()]
            if layer and self.backbone_dropout > 0.0:  # numbered as in ncps
                modules.append(nn.Dropout(self.backbone_dropout))
        self.backbone = nn.Sequential(*modules) if depth else None
        for entry in self.plan.table():
            head, _, what = entry.name.rpartition("_")
            if what == "weight" and not head.startswith("backbone"):
                self.add_module(head, nn.Linear(sizes["features"], sizes["units"], **options))
            elif entry.shape == ("units",) and what != "bias":
                self.register_parameter(
                    entry.name, nn.Parameter(torch.empty(1, sizes["units"], **options))
                )

    def path(self, name: str) -> str:
        if name in ("w_tau", "A"):
            return name
        head, _, what = name.rpartition("_")
        if not head.startswith("backbone"):
            return f"{head}.{what}"
        layer = int(head.rpartition("_")[2])
        index = 2 * layer if self.backbone_dropout == 0.0 else max(3 * layer - 1, 0)
        return f"backbone.{index}.{what}"

    def learned(self) -> dict[str, Tensor]:
        found = super().learned()
        for name in ("w_tau", "A"):
            if name in found:
                found[name] = found[name][0]
        return found

    def taken(self) -> dict[str, Tensor]:
        found = super().taken()
        if self.sparsity_mask is not None:
            for name in MASKED:
                if name in found:
                    found[name] = found[name] * self.sparsity_mask
        return found

    def drops(self, time: int, batch: int) -> list[Tensor] | None:
        """What multiplies every backbone layer at every step while training."""
        if not (self.training and self.backbone_dropout and self.backbone_layers):
            return None
        weight = self.backbone[0].weight  # type: ignore[index]
        ones = weight.new_ones(time, batch, weight.shape[0])
        drop = nn.functional.dropout
        return [drop(ones, self.backbone_dropout) for _ in range(self.backbone_layers)]

    def forward(self, input: Tensor, hx: Tensor, ts: Any = 1.0) -> tuple[Tensor, Tensor]:
        """The output and the next state, which are the same.

        Args:
            input: (batch, input_size).
            hx: (batch, hidden_size).
            ts: elapsed time: a number, (batch,) or (batch, 1).
        """
        return self._advance(input, hx, ts)


class WiredCfCCell(Neuron):
    """A CfC wired as a neural circuit policy: one backbone-less cell for each layer of a wiring.

    Args:
        input_size: features of an observation; None where the wiring was built for them.
        wiring: a `shoal.wirings.Wiring`, or one of `ncps`.
        mode: "default", "no_gate" or "pure".
        fully_recurrent: whether every neuron of a layer hears the whole layer's past, and the time
            gates hear everything, as in `ncps`. False keeps to the wiring's own synapses.
        initializer, dtype, device: as in `CfCCell`.

    Raises:
        ValueError: for a wiring of another number of inputs, or one without any.

    >>> from shoal.wirings import AutoNCP
    >>> cell = WiredCfCCell(3, AutoNCP(8, 2))
    >>> output, h = cell(torch.ones(5, 3), torch.zeros(5, 8), 1.0)
    >>> output.shape, h.shape
    (torch.Size([5, 2]), torch.Size([5, 8]))
    """

    def __init__(
        self,
        input_size: int | None,
        wiring: Wiring,
        mode: str = "default",
        *,
        fully_recurrent: bool = True,
        initializer=None,
        dtype=None,
        device=None,
    ):
        super().__init__()
        wiring = copy_wiring(wiring, input_size)
        if wiring.input_dim is None:
            raise ValueError(
                "the wiring does not know its number of inputs; give `input_size`, or build it."
            )
        self.mode, self.fully_recurrent = mode, fully_recurrent
        plan = ClosedFormWiredCell(wiring.input_dim, wiring, mode, fully_recurrent)
        self._adopt(plan, device)
        options: dict[str, Any] = {"initializer": initializer, "dtype": dtype, "device": device}
        before = wiring.input_dim
        for k, mask in enumerate(self._masks()):
            cell = CfCCell(
                before, len(mask), mode, backbone_layers=0, sparsity_mask=mask.T, **options
            )
            self.add_module(f"layer_{k}", cell)
            before = len(mask)
        self.register_load_state_dict_post_hook(_adopt_masks)

    def _masks(self) -> list[np.ndarray]:
        wiring, count = self.wiring, len(self.wiring.layers)  # type: ignore[union-attr]
        return [synapses(wiring, k, "ff1", self.fully_recurrent) for k in range(count)]

    @property
    def layers(self) -> list[CfCCell]:
        """One cell for each layer of the wiring."""
        return [getattr(self, f"layer_{k}") for k in range(self.num_layers)]

    @property
    def num_layers(self) -> int:
        return len(self.wiring.layers)

    @property
    def layer_sizes(self) -> list[int]:
        """Neurons of each layer, in the order of the state."""
        return [len(layer) for layer in self.wiring.layers]

    @property
    def wiring(self) -> Wiring:
        """The wiring, built."""
        return self.plan.wiring  # type: ignore[return-value]

    @property
    def sensory_size(self) -> int:
        return self.input_size

    @property
    def motor_size(self) -> int:
        return self.output_size

    @property
    def synapse_count(self) -> int:
        """Synapses among the neurons."""
        return self.wiring.synapse_count

    @property
    def sensory_synapse_count(self) -> int:
        """Synapses from the inputs."""
        return self.wiring.sensory_synapse_count

    def path(self, name: str) -> str:
        _, layer, rest = name.split("_", 2)
        return f"layer_{layer}.{self.layers[int(layer)].path(rest)}"

    def learned(self) -> dict[str, Tensor]:
        return {
            f"layer_{k}_{name}": value
            for k, cell in enumerate(self.layers)
            for name, value in cell.learned().items()
        }

    def taken(self) -> dict[str, Tensor]:
        layers = enumerate(self.layers)
        masked = {f"layer_{k}_{name}": v for k, cell in layers for name, v in cell.taken().items()}
        return masked | self.constants()

    def forward(self, input: Tensor, hx: Tensor, timespans: Any = 1.0) -> tuple[Tensor, Tensor]:
        """The motor neurons and the next state, (batch, units), layer after layer.

        Args:
            input: (batch, input_size).
            hx: (batch, units).
            timespans: elapsed time: a number, (batch,) or (batch, 1).
        """
        return self._advance(input, hx, timespans)


def _adopt_masks(cell: WiredCfCCell, _: Any) -> None:
    """Synapses as a checkpoint has them: what its masks silence or let through."""
    found = [layer.sparsity_mask.cpu() != 0 for layer in cell.layers]  # type: ignore[union-attr]
    if all(
        (mask.numpy() == (own != 0)).all() for mask, own in zip(found, cell._masks(), strict=True)
    ):
        return
    wiring = cell.wiring
    inner, sensory = np.array(wiring.adjacency_matrix), np.array(wiring.sensory_adjacency_matrix)
    for k, (here, mask) in enumerate(zip(wiring.layers, found, strict=True)):
        heard = mask.numpy()[:, : mask.shape[1] - len(here)].T
        if k == 0:
            sensory[:, list(here)] = redrawn(heard, sensory[:, list(here)])
        else:
            at = np.ix_(wiring.layers[k - 1], here)
            inner[at] = redrawn(heard, inner[at])
        if not cell.fully_recurrent:
            own = np.ix_(here, here)
            inner[own] = redrawn(mask.numpy()[:, mask.shape[1] - len(here) :].T, inner[own])
    roles = wiring.roles if len(wiring.layers) > 1 else None
    new = Wiring(inner, sensory, wiring.output_dim, roles)
    plan = ClosedFormWiredCell(cell.input_size, new, cell.mode, cell.fully_recurrent)
    cell._adopt(plan, cell.layer_0.ff1.weight.device)  # type: ignore[union-attr]


def redrawn(exists: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Signs where there is a synapse: those known, +1 for new ones."""
    return np.where(exists, np.where(signs == 0, 1, signs), 0)
