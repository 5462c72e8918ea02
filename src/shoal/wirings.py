"""Wirings: which neuron speaks to which, and with what sign.

A wiring is two signed matrices, +1 for an excitatory synapse, −1 for an inhibitory one, 0 for none:

    adjacency_matrix[source, target]          among the `units` neurons
    sensory_adjacency_matrix[source, target]  from the `input_dim` inputs to the neurons

The first `output_dim` neurons are the motor neurons, whose values are the output. A wiring never
changes: `build(n)` returns a new one that knows its inputs. It is equal to, and hashes like, a
wiring made with the same arguments, so it can be a static field of a compiled model.

The four ways of drawing synapses give what `ncps` 1.0.1 gives for the same arguments and seeds.
Source: Lechner et al., "Neural circuit policies enabling auditable autonomy", 2020.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from shoal import wiring_draws
from shoal.wiring_checks import ROLES, check_roles, integer, signed
from shoal.wiring_draws import Drawn, Matrix

if TYPE_CHECKING:
    import networkx
    from matplotlib.axes import Axes

W = TypeVar("W", bound="Wiring")


class Wiring:
    """A wiring given by its matrices, and the parent of those that draw their own.

    Args:
        adjacency_matrix: (units, units), entries −1, 0, +1; a row per source, a column per target.
        sensory_adjacency_matrix: (inputs, units), likewise; None where `build(n)` shall connect
            every input to every neuron, excitatory.
        output_dim: How many neurons, counted from the first, are motor neurons; default all.
        roles: For every neuron "motor", "command" or "inter". A wiring with roles has a layer for
            each role, one without is a single layer.

    Raises:
        ValueError: For a matrix of another shape or with other entries, an `output_dim` outside
            1..units, or roles that are not motor exactly for the first `output_dim` neurons.

    >>> wiring = Wiring([[0, 1, 0], [-1, 0, 0], [1, 0, 0]], output_dim=1).build(2)
    >>> wiring.units, wiring.input_dim, wiring.output_dim, wiring.synapse_count
    (3, 2, 1, 3)
    >>> wiring == Wiring.from_dict(wiring.to_dict())
    True
    """

    units: int
    output_dim: int
    input_dim: int | None
    roles: tuple[str, ...]
    layers: tuple[tuple[int, ...], ...]  # neurons, from the layer next to the inputs to the last
    _arguments: dict[str, Any]
    _draw: Callable[[int | None], Drawn]
    _inner: Matrix | None
    _sensory: Matrix | None
    _key: tuple
    _hash: int
    _built: dict[int, Wiring]  # what was built from this one, by inputs; no part of its value

    def __init__(
        self,
        adjacency_matrix: npt.ArrayLike,
        sensory_adjacency_matrix: npt.ArrayLike | None = None,
        output_dim: int | None = None,
        roles: Sequence[str] | None = None,
    ):
        inner = signed("adjacency_matrix", adjacency_matrix)
        units = len(inner)
        if inner.shape != (units, units):
            raise ValueError(f"`adjacency_matrix` must be square, got shape {inner.shape}")
        sensory = sensory_adjacency_matrix
        if sensory is not None:
            sensory = signed("sensory_adjacency_matrix", sensory)
            if sensory.shape[1] != units:
                raise ValueError(
                    "`sensory_adjacency_matrix` must be (inputs, units) with units = "
                    f"{units}, got {sensory.shape}"
                )
        arguments = {
            "adjacency_matrix": inner.tolist(),
            "sensory_adjacency_matrix": None if sensory is None else sensory.tolist(),
            "output_dim": output_dim,
            "roles": None if roles is None else list(roles),
        }
        inputs = None if sensory is None else len(sensory)
        draw = partial(_given, inner=inner, sensory=sensory)
        self._fill(arguments, draw, units, output_dim, roles, inputs)

    def _fill(
        self,
        arguments: dict[str, Any],
        draw: Callable[[int | None], Drawn],
        units: int,
        output_dim: int | None,
        roles: Sequence[str] | None = None,
        inputs: int | None = None,
    ) -> None:
        output_dim = units if output_dim is None else output_dim
        output_dim = integer("output_dim", output_dim, 1, units, "the number of units")
        known = ("motor",) * output_dim + ("inter",) * (units - output_dim)
        known = known if roles is None else tuple(roles)
        check_roles(known, units, output_dim)
        groups = [tuple(i for i in range(units) if known[i] == role) for role in ROLES]
        vars(self).update(
            units=units,
            output_dim=output_dim,
            roles=known,
            layers=(tuple(range(units)),) if roles is None else tuple(g for g in groups if g),
            _arguments=arguments,
            _draw=draw,
        )
        self._connect(inputs)

    def _connect(self, inputs: int | None) -> None:
        inner, sensory = self._draw(inputs)
        for matrix in (inner, sensory):
            if matrix is not None:
                matrix.setflags(write=False)
        key = (type(self).__name__, inputs, _hashable(self._arguments))
        vars(self).update(input_dim=inputs, _inner=inner, _sensory=sensory)
        vars(self).update(_key=key, _hash=hash(key), _built={})

    def build(self: W, inputs: int) -> W:
        """The same wiring for `inputs` inputs; itself if it has as many already.

        Raises:
            ValueError: If it was built for another number of inputs.
        """
        inputs = integer("inputs", inputs, 1)
        if self.input_dim == inputs:
            return self
        if self.input_dim is not None:
            raise ValueError(
                f"this wiring was built for {self.input_dim} inputs and cannot be built for "
                f"{inputs}; build the one that was not built yet"
            )
        if inputs not in self._built:
            new = object.__new__(type(self))
            vars(new).update(vars(self))
            new._connect(inputs)
            self._built[inputs] = new
        return cast(W, self._built[inputs])

    def is_built(self) -> bool:
        """Whether the number of inputs is known."""
        return self.input_dim is not None

    @property
    def adjacency_matrix(self) -> Matrix:
        """(units, units), read-only."""
        return self._known(self._inner)

    @property
    def sensory_adjacency_matrix(self) -> Matrix:
        """(inputs, units), read-only."""
        return self._known(self._sensory)

    def _known(self, matrix: Matrix | None) -> Matrix:
        if matrix is None:
            raise ValueError(f"{self!r} has no inputs yet: call build(number of inputs) first")
        return matrix

    @property
    def synapse_count(self) -> int:
        """How many synapses there are among the neurons.

        A wiring without inputs of its own answers for the one that was built from it, if there is
        just one: layers build the wiring that they are given.

        >>> wiring = AutoNCP(8, 2)
        >>> wiring.build(3).sensory_synapse_count == wiring.sensory_synapse_count
        True
        """
        return int(np.count_nonzero(self._meant().adjacency_matrix))

    @property
    def sensory_synapse_count(self) -> int:
        """How many synapses there are from inputs to neurons; see `synapse_count`."""
        return int(np.count_nonzero(self._meant().sensory_adjacency_matrix))

    def _meant(self) -> Wiring:
        """This wiring, or the only one that was built from it."""
        if self.is_built() or len(self._built) != 1:
            return self
        return next(iter(self._built.values()))

    def with_synapse(self, source: int, target: int, polarity: int) -> Wiring:
        """A wiring by matrices with one synapse set to +1 or −1, or dropped by 0.

        >>> FullyConnected(3).with_synapse(0, 1, 0).synapse_count
        8
        """
        inner = np.array(self.adjacency_matrix)
        source = integer("source", source, 0, self.units - 1, "units - 1")
        target = integer("target", target, 0, self.units - 1, "units - 1")
        inner[source, target] = integer("polarity", polarity, -1, 1)
        roles = self.roles if len(self.layers) > 1 else None
        return Wiring(inner, self._sensory, self.output_dim, roles)

    def to_dict(self) -> dict[str, Any]:
        """The wiring as plain data for JSON or YAML; `from_dict` undoes it."""
        return {"kind": type(self).__name__, **self._arguments, "input_dim": self.input_dim}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Wiring:
        """The wiring that `to_dict` wrote. `kind` may be in lower case, defaults may be left out.

        >>> Wiring.from_dict({"kind": "autoncp", "units": 8, "output_size": 2}).build(3)
        AutoNCP(units=8, output_size=2, sparsity_level=0.5, seed=22222).build(3)
        """
        arguments = dict(data)
        name, inputs = arguments.pop("kind", None), arguments.pop("input_dim", None)
        kinds = {kind.__name__.lower(): kind for kind in KINDS}
        kind = kinds.get(str(name).lower())
        if kind is None:
            raise ValueError(f"`kind` must be one of {sorted(kinds)}, got {name!r}")
        try:
            wiring = kind(**arguments)
        except TypeError as error:
            raise ValueError(f"a wiring of kind {kind.__name__}: {error}") from error
        return wiring if inputs is None else wiring.build(inputs)

    def to_networkx(self, include_sensory: bool = True) -> networkx.DiGraph:
        """The wiring as a `networkx.DiGraph`.

        Nodes "neuron_0"… and "sensory_0"… have a `neuron_type` (motor, command, inter, sensory),
        edges a `polarity` ("excitatory" or "inhibitory").
        """
        from shoal.wiring_picture import graph

        return graph(self, include_sensory)

    def draw(self, ax: Axes | None = None) -> Axes:
        """The wiring on a matplotlib axes, in layers; see `shoal.wiring_picture`."""
        from shoal.wiring_picture import draw

        return draw(self, ax)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Wiring) and self._key == other._key

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        if type(self) is Wiring:
            return f"Wiring(units={self.units}, input_dim={self.input_dim})"
        arguments = ", ".join(f"{name}={value!r}" for name, value in self._arguments.items())
        built = f".build({self.input_dim})" if self.is_built() else ""
        return f"{type(self).__name__}({arguments}){built}"

    def __setattr__(self, name: str, value: Any = None) -> None:
        raise AttributeError(f"a wiring never changes; make a new one to have another `{name}`")

    __delattr__ = __setattr__  # type: ignore[assignment]

    def __copy__(self: W) -> W:
        return self

    def __deepcopy__(self: W, memo: dict) -> W:
        return self

    def __reduce__(self):
        return Wiring.from_dict, (self.to_dict(),)


class FullyConnected(Wiring):
    """Every neuron and every input speaks to every neuron; two synapses in three are excitatory.

    >>> FullyConnected(4, self_connections=False).build(2).synapse_count
    12
    """

    def __init__(
        self,
        units: int,
        output_dim: int | None = None,
        erev_init_seed: int = 1111,
        self_connections: bool = True,
    ):
        units = integer("units", units, 1)
        arguments = {
            "units": units,
            "output_dim": output_dim,
            "erev_init_seed": integer("erev_init_seed", erev_init_seed, 0),
            "self_connections": bool(self_connections),
        }
        draw = partial(
            wiring_draws.fully_connected,
            units=units,
            self_connections=arguments["self_connections"],
            seed=arguments["erev_init_seed"],
        )
        self._fill(arguments, draw, units, output_dim)


class Random(Wiring):
    """A share `1 − sparsity_level` of all possible synapses, chosen at random.

    Raises:
        ValueError: If `sparsity_level` is not in [0, 1).

    >>> Random(8, 2, sparsity_level=0.75).build(4).synapse_count
    16
    """

    def __init__(
        self,
        units: int,
        output_dim: int | None = None,
        sparsity_level: float = 0.0,
        random_seed: int = 1111,
    ):
        units = integer("units", units, 1)
        if not 0.0 <= sparsity_level < 1.0:
            raise ValueError(f"`sparsity_level` must be in [0, 1), got {sparsity_level}")
        arguments = {
            "units": units,
            "output_dim": output_dim,
            "sparsity_level": float(sparsity_level),
            "random_seed": integer("random_seed", random_seed, 0),
        }
        draw = partial(
            wiring_draws.random,
            units=units,
            sparsity=arguments["sparsity_level"],
            seed=arguments["random_seed"],
        )
        self._fill(arguments, draw, units, output_dim)


class NCP(Wiring):
    """A neural circuit policy: inputs → inter → command (recurrent) → motor neurons.

    Neurons are numbered motor first, then command, then inter. What no synapse reached by chance is
    connected afterwards.

    Args:
        inter_neurons, command_neurons, motor_neurons: Sizes of the layers, each at least 1.
        sensory_fanout: Synapses from each input to inter neurons.
        inter_fanout: Synapses from each inter neuron to command neurons.
        recurrent_command_synapses: Synapses drawn among the command neurons.
        motor_fanin: Synapses into each motor neuron from command neurons.
        seed: Of the draw.

    Raises:
        ValueError: If a fan is greater than the layer it goes to or comes from.

    >>> NCP(10, 10, 8, 6, 6, 4, 6).build(20).units
    28
    """

    def __init__(
        self,
        inter_neurons: int,
        command_neurons: int,
        motor_neurons: int,
        sensory_fanout: int,
        inter_fanout: int,
        recurrent_command_synapses: int,
        motor_fanin: int,
        seed: int = 22222,
    ):
        inter = integer("inter_neurons", inter_neurons, 1)
        command = integer("command_neurons", command_neurons, 1)
        motor = integer("motor_neurons", motor_neurons, 1)
        arguments = {
            "inter_neurons": inter,
            "command_neurons": command,
            "motor_neurons": motor,
            "sensory_fanout": integer("sensory_fanout", sensory_fanout, 0, inter, "inter_neurons"),
            "inter_fanout": integer("inter_fanout", inter_fanout, 0, command, "command_neurons"),
            "recurrent_command_synapses": integer(
                "recurrent_command_synapses", recurrent_command_synapses, 0
            ),
            "motor_fanin": integer("motor_fanin", motor_fanin, 0, command, "command_neurons"),
            "seed": integer("seed", seed, 0),
        }
        layers = _policy_layers(inter, command, motor)
        fans = {name: arguments[name] for name in _FANS}
        draw = partial(wiring_draws.policy, layers=layers, seed=arguments["seed"], **fans)
        self._fill(arguments, draw, inter + command + motor, motor, _policy_roles(layers))


class AutoNCP(Wiring):
    """A neural circuit policy from its size, its outputs and how sparse it is.

    Args:
        units: All neurons. Two in five of those that are not motor neurons become command neurons.
        output_size: Motor neurons; less than units − 2. With `output_size == units` nothing is left
            to wire, and the result is fully connected, with a warning.
        sparsity_level: From 0.1 (dense) to 1 (one synapse where there must be one).
        seed: Of the draw.

    Raises:
        ValueError: If `output_size` or `sparsity_level` is outside these bounds.

    >>> AutoNCP(8, 2).build(3).sensory_adjacency_matrix[0]
    array([ 0,  0,  0,  0, -1,  0,  0, -1], dtype=int32)
    """

    def __init__(
        self, units: int, output_size: int, sparsity_level: float = 0.5, seed: int = 22222
    ):
        units = integer("units", units, 1)
        output_size = integer("output_size", output_size, 1, units, "units")
        if not 0.1 <= sparsity_level <= 1.0:
            raise ValueError(f"`sparsity_level` must be in [0.1, 1], got {sparsity_level}")
        if units - 2 <= output_size < units:
            raise ValueError(
                f"`output_size` must be less than units - 2 = {units - 2}, got {output_size}; "
                "take more units, or FullyConnected"
            )
        arguments = {
            "units": units,
            "output_size": output_size,
            "sparsity_level": float(sparsity_level),
            "seed": (seed := integer("seed", seed, 0)),
        }
        if output_size == units:
            warnings.warn(
                f"AutoNCP({units}, {output_size}) leaves no inter neurons: fully connected instead",
                stacklevel=2,
            )
            draw = partial(
                wiring_draws.fully_connected, units=units, self_connections=True, seed=seed
            )
            self._fill(arguments, draw, units, output_size)
            return
        command = max(int(0.4 * (units - output_size)), 1)
        layers = _policy_layers(units - output_size - command, command, output_size)
        fans = _automatic_fans(len(layers[0]), command, 1.0 - sparsity_level)
        draw = partial(wiring_draws.policy, layers=layers, seed=seed, **fans)
        self._fill(arguments, draw, units, output_size, _policy_roles(layers))


KINDS = (Wiring, FullyConnected, Random, NCP, AutoNCP)


_FANS = ("sensory_fanout", "inter_fanout", "recurrent_command_synapses", "motor_fanin")


def _given(inputs: int | None, inner: Matrix, sensory: Matrix | None) -> Drawn:
    if sensory is None and inputs is not None:
        sensory = np.ones((inputs, len(inner)), np.int32)
    return inner, sensory


def _policy_layers(inter: int, command: int, motor: int) -> tuple[range, range, range]:
    ends = motor, motor + command, motor + command + inter
    return range(ends[1], ends[2]), range(ends[0], ends[1]), range(ends[0])


def _policy_roles(layers: Sequence[range]) -> list[str]:
    inter, command, motor = (len(layer) for layer in layers)
    return ["motor"] * motor + ["command"] * command + ["inter"] * inter


def _automatic_fans(inter: int, command: int, density: float) -> dict[str, int]:
    sizes = (inter * density, command * density, command * density * 2, command * density)
    return {name: max(int(size), 1) for name, size in zip(_FANS, sizes, strict=True)}


def _hashable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple((name, _hashable(item)) for name, item in value.items())
    if isinstance(value, Iterable) and not isinstance(value, str):
        return tuple(_hashable(item) for item in value)
    return value
