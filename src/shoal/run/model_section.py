"""The `model` section: one class per kind of neuron, one per kind of wiring."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from shoal.run.sections import Count, Positive, Rate, Section, Seed


class FullyConnectedWiring(Section):
    """Every neuron to every neuron."""

    kind: Literal["fully_connected"]
    units: Count
    outputs: Count | None = None
    self_connections: bool = True
    seed: Seed = 1111


class RandomWiring(Section):
    """Synapses at random."""

    kind: Literal["random"]
    units: Count
    outputs: Count | None = None
    sparsity_level: Annotated[float, Field(ge=0, lt=1)] = 0.0
    seed: Seed = 1111


class NCPWiring(Section):
    """Neural circuit policy with every number given."""

    kind: Literal["ncp"]
    inter_neurons: Count
    command_neurons: Count
    motor_neurons: Count
    sensory_fanout: Count
    inter_fanout: Count
    recurrent_command_synapses: Annotated[int, Field(ge=0)]
    motor_fanin: Count
    seed: Seed = 22222


class AutoNCPWiring(Section):
    """Neural circuit policy from two sizes."""

    kind: Literal["auto_ncp"]
    units: Count
    outputs: Count
    sparsity_level: Annotated[float, Field(ge=0.1, le=1)] = 0.5
    seed: Seed = 22222


Wiring = Annotated[
    FullyConnectedWiring | RandomWiring | NCPWiring | AutoNCPWiring, Field(discriminator="kind")
]


Activation = Literal["lecun_tanh", "tanh", "relu", "gelu", "silu"]
Initializer = Literal[
    "xavier_uniform",
    "xavier_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
    "orthogonal",
    "normal",
    "zeros",
]


class Neuron(Section):
    """What all kinds share."""

    units: Count | None = Field(default=None, description="neurons; 32 unless a wiring gives them")
    proj_size: Count | None = None
    num_layers: Count = 1
    bidirectional: bool = False
    residual: bool = False
    dropout: Rate = 0.0
    initializer: Initializer | None = None
    likelihood: Literal["point", "normal"] = "point"
    time_scaling: Literal["raw", "log", "normalised", "zscore", "bounded"] = "normalised"


class Wired(Neuron):
    """Neurons that a wiring can connect."""

    wiring: Wiring | None = None
    mixed_memory: bool = False


class CfC(Wired):
    """Closed-form continuous-time neuron."""

    kind: Literal["cfc"]
    mode: Literal["default", "pure", "no_gate"] = "default"
    activation: Activation = "lecun_tanh"
    backbone_units: Count | None = None
    backbone_layers: Annotated[int, Field(ge=0)] | None = None
    backbone_dropout: Rate | None = None
    fully_recurrent: bool = True


class LTC(Wired):
    """Liquid time-constant neuron."""

    kind: Literal["ltc"]
    input_mapping: Literal["affine", "linear"] | None = "affine"
    output_mapping: Literal["affine", "linear"] | None = "affine"
    ode_unfolds: Count = 6
    solver: Literal["semi_implicit", "euler", "rk4", "adaptive"] = "semi_implicit"
    epsilon: Positive = 1.0e-8
    tolerance: Positive = 1.0e-5
    implicit_param_constraints: bool = True


class CTRNN(Wired):
    """Continuous-time recurrent neuron."""

    kind: Literal["ctrnn"]
    ode_unfolds: Count = 6
    solver: Literal["exponential", "euler"] = "exponential"
    tau: Positive = 1.0
    activation: Activation = "tanh"


class CTGRU(Wired):
    """Continuous-time gated recurrent unit."""

    kind: Literal["ctgru"]
    n_scales: Count = 8
    min_tau: Positive = 1.0


class LSTM(Neuron):
    """Long short-term memory."""

    kind: Literal["lstm"]
    use_timespans: bool = False


class GRU(Neuron):
    """Gated recurrent unit."""

    kind: Literal["gru"]
    use_timespans: bool = False


class MLP(Section):
    """Multi-layer perceptron: reads a whole window side by side, whatever time passed."""

    kind: Literal["mlp"]
    units: Count | None = Field(default=None, description="of every hidden layer; 64")
    num_layers: Count = 2
    activation: Activation = "relu"
    dropout: Rate = 0.0
    initializer: Initializer | None = None
    likelihood: Literal["point", "normal"] = "point"
    time_scaling: ClassVar[str] = "raw"  # it sees no elapsed time
    bidirectional: ClassVar[bool] = False


Model = Annotated[CfC | LTC | CTRNN | CTGRU | LSTM | GRU | MLP, Field(discriminator="kind")]

_OURS = ("kind", "units", "wiring", "likelihood", "time_scaling")


def neuron_options(model: Neuron | MLP) -> dict[str, Any]:
    """The arguments of the member's class that the file sets besides units and wiring."""
    return model.model_dump(exclude=set(_OURS))


def units_of(model: Neuron | MLP) -> int:
    """How many neurons a section asks for, in each layer of an MLP.

    >>> units_of(CfC(kind="cfc")), units_of(MLP(kind="mlp"))
    (32, 64)
    """
    wiring = getattr(model, "wiring", None)
    if wiring is not None:
        return wiring_units(wiring)
    return model.units or (64 if model.kind == "mlp" else 32)  # type: ignore[attr-defined]


_WIRING_NAMES = {
    "fully_connected": {"outputs": "output_dim", "seed": "erev_init_seed"},
    "random": {"outputs": "output_dim", "seed": "random_seed"},
    "auto_ncp": {"outputs": "output_size"},
    "ncp": {},
}


def wiring_dict(wiring: FullyConnectedWiring | RandomWiring | NCPWiring | AutoNCPWiring) -> dict:
    """The section as `shoal.wirings.Wiring.from_dict` takes it.

    >>> wiring_dict(AutoNCPWiring(kind="auto_ncp", units=8, outputs=2))["kind"]
    'autoncp'
    """
    names = _WIRING_NAMES[wiring.kind]
    fields = wiring.model_dump(exclude={"kind"})
    renamed = {names.get(name, name): value for name, value in fields.items()}
    return {"kind": wiring.kind.replace("_", ""), **renamed}


def wiring_units(wiring: Section) -> int:
    """How many neurons a wiring section asks for."""
    if isinstance(wiring, NCPWiring):
        return wiring.inter_neurons + wiring.command_neurons + wiring.motor_neurons
    return wiring.units  # type: ignore[attr-defined]
