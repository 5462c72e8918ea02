"""From a neuron's arguments, those of its JAX class and of a bundle's description, to its stack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shoal.equations import cfc
from shoal.equations.checks import require_positive
from shoal.unrolled.cell import Cell
from shoal.unrolled.cfc import CfCCell
from shoal.unrolled.ctgru import CTGRUCell
from shoal.unrolled.ctrnn import CTRNNCell
from shoal.unrolled.gru import GRUCell
from shoal.unrolled.lstm import LSTMCell
from shoal.unrolled.ltc import LTCCell
from shoal.unrolled.memory import MixedMemory
from shoal.unrolled.stack import Stack, build_stack
from shoal.unrolled.wired_cfc import WiredCfCCell
from shoal.wirings import FullyConnected, Wiring

# what each kind's own arguments are, and what they are where nothing is said
DEFAULTS: dict[str, dict[str, Any]] = {
    "cfc": {
        "mode": "default",
        "activation": "lecun_tanh",
        "backbone_units": None,
        "backbone_layers": None,
        "backbone_dropout": None,
        "fully_recurrent": True,
    },
    "ltc": {
        "input_mapping": "affine",
        "output_mapping": "affine",
        "ode_unfolds": 6,
        "solver": "semi_implicit",
        "epsilon": 1e-8,
        "tolerance": 1e-5,
        "implicit_param_constraints": True,
    },
    "ctrnn": {"ode_unfolds": 6, "solver": "exponential", "tau": 1.0, "activation": "tanh"},
    "ctgru": {"n_scales": 8, "min_tau": 1.0},
    "lstm": {"use_timespans": False},
    "gru": {"use_timespans": False},
}
_STACK = ("num_layers", "bidirectional", "residual", "proj_size")
_ELSEWHERE = ("return_sequences", "dropout", "initializer", "dtype")  # none of a stack's concern


def stack_of(kind: str, arguments: Mapping[str, Any]) -> Stack:
    """The stack of cells that a neuron's arguments describe.

    Args:
        kind: cfc, ltc, ctrnn, ctgru, lstm or gru.
        arguments: `input_size`, `units` (an int or a `Wiring`), or `wiring` (a `Wiring`, or what
            `Wiring.to_dict` gave) in its place, and any other argument of the JAX class.

    Raises:
        ValueError: for an unknown kind or argument, and for values that the JAX class refuses; the
            solver "adaptive" too, which only JAX has.

    >>> stack_of("cfc", {"input_size": 3, "units": 8, "bidirectional": True}).output_size
    16
    """
    if kind not in DEFAULTS:
        raise ValueError(f"`kind` must be one of {', '.join(DEFAULTS)}; got {kind!r}.")
    given = dict(arguments)
    input_size, units = _sizes(kind, given)
    mixed = given.pop("mixed_memory", False) if kind not in ("lstm", "gru") else False
    stacked = {name: given.pop(name) for name in _STACK if name in given}
    for name in _ELSEWHERE:
        given.pop(name, None)
    unknown = sorted(set(given) - set(DEFAULTS[kind]))
    if unknown:
        known = ", ".join([*DEFAULTS[kind], *_STACK, *_ELSEWHERE])
        raise ValueError(f"{kind!r} has no argument `{unknown[0]}`; it has {known}.")
    options = DEFAULTS[kind] | given

    def make(size: int) -> Cell:
        cell = cell_of(kind, size, units, options)
        return MixedMemory(cell) if mixed else cell

    return build_stack(make, input_size, **stacked)


def cell_of(kind: str, input_size: int, units: int | Wiring, options: Mapping[str, Any]) -> Cell:
    """One cell of a kind, without a memory; `options` has all of the kind's own arguments."""
    if not isinstance(units, Wiring):
        require_positive(units=units)
    return _MAKE[kind](input_size, units, options)


def _sizes(kind: str, given: dict[str, Any]) -> tuple[int, int | Wiring]:
    for name in ("input_size", "units"):
        if given.get(name) is None and not (name == "units" and given.get("wiring") is not None):
            raise ValueError(f"{kind!r} needs the argument `{name}`.")
    units, wiring = given.pop("units", None), given.pop("wiring", None)
    if wiring is not None:
        units = wiring if isinstance(wiring, Wiring) else Wiring.from_dict(wiring)
    if kind in ("lstm", "gru") and isinstance(units, Wiring):
        raise ValueError(f"`units` of {kind!r} must be a whole number, got {units!r}.")
    return given.pop("input_size"), units


def _cfc(input_size: int, units: int | Wiring, options: Mapping[str, Any]) -> Cell:
    names = ("backbone_units", "backbone_layers", "backbone_dropout")
    backbone = {name: options[name] for name in names if options[name] is not None}
    if isinstance(units, Wiring):
        cfc.refuse_backbone(backbone)
        return WiredCfCCell(input_size, units, options["mode"], options["fully_recurrent"])
    cfc.check_backbone(**backbone)
    backbone.pop("backbone_dropout", None)
    return CfCCell(input_size, units, options["mode"], options["activation"], **backbone)


def _ltc(input_size: int, units: int | Wiring, options: Mapping[str, Any]) -> Cell:
    if options["solver"] == "adaptive":
        raise ValueError(
            "`solver` 'adaptive' is available in JAX only; use 'semi_implicit', 'euler' or 'rk4'."
        )
    return LTCCell(
        input_size,
        units if isinstance(units, Wiring) else FullyConnected(units),
        input_mapping=options["input_mapping"],
        output_mapping=options["output_mapping"],
        unfolds=options["ode_unfolds"],
        solver=options["solver"],
        epsilon=options["epsilon"],
        implicit_param_constraints=options["implicit_param_constraints"],
    )


def _ctrnn(input_size: int, units: int | Wiring, options: Mapping[str, Any]) -> Cell:
    return CTRNNCell(
        input_size,
        *_counted(units),
        unfolds=options["ode_unfolds"],
        solver=options["solver"],
        tau=options["tau"],
        activation=options["activation"],
    )


def _ctgru(input_size: int, units: int | Wiring, options: Mapping[str, Any]) -> Cell:
    return CTGRUCell(input_size, *_counted(units), **options)


def _lstm(input_size: int, units: int, options: Mapping[str, Any]) -> Cell:
    return LSTMCell(input_size, units, **options)


def _gru(input_size: int, units: int, options: Mapping[str, Any]) -> Cell:
    return GRUCell(input_size, units, **options)


def _counted(units: int | Wiring) -> tuple[int, Wiring | None]:
    return (units.units, units) if isinstance(units, Wiring) else (units, None)


_MAKE: dict[str, Any] = {
    "cfc": _cfc,
    "ltc": _ltc,
    "ctrnn": _ctrnn,
    "ctgru": _ctgru,
    "lstm": _lstm,
    "gru": _gru,
}
