"""Rules within a `model` section, and between it and the rest of a configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from shoal.run.model_section import CfC, wiring_units
from shoal.run.reading import Key

if TYPE_CHECKING:
    from shoal.run.schema import Config


def model_rules(config: Config) -> Iterator[tuple[Key, str]]:
    """What is wrong with `model`, and with each of `ensemble.members`."""
    yield from _rules_of(config, config.model, ("model",))
    if config.ensemble.enabled:
        for number, model in enumerate(config.ensemble.members or ()):
            yield from _rules_of(config, model, ("ensemble", "members", number))


def _rules_of(config: Config, model: Any, place: Key) -> Iterator[tuple[Key, str]]:
    if model.kind == "mlp" and config.data.min_window is not None:
        yield (
            (*place, "kind"),
            "'mlp' reads windows of one length, and data.min_window makes shorter ones; remove "
            "that, or take a neuron, such as 'cfc'",
        )
    if model.time_scaling == "zscore" and model.kind != "cfc":
        yield (
            (*place, "time_scaling"),
            f"'zscore' gives elapsed times below 0, which {model.kind} refuses; use 'normalised'",
        )
    exported = config.export.enabled and config.export.stablehlo
    if exported and getattr(model, "solver", None) == "adaptive":
        yield (
            (*place, "solver"),
            "'adaptive' cannot be exported as StableHLO; take 'semi_implicit' or 'rk4', "
            "or set export.stablehlo: false",
        )
    wiring = getattr(model, "wiring", None)
    if wiring is None:
        return
    units = wiring_units(wiring)
    if model.units is not None and model.units != units:
        yield (*place, "units"), f"the wiring has {units} neurons, found {model.units}; remove one"
    outputs = getattr(wiring, "outputs", None)
    most = units - 3 if wiring.kind == "auto_ncp" and outputs != units else units
    if outputs is not None and outputs > most:
        yield (
            (*place, "wiring", "outputs"),
            f"must be at most {most} for {units} units, found {outputs}; lower it",
        )
    if isinstance(model, CfC):
        for name in ("backbone_units", "backbone_layers", "backbone_dropout"):
            if getattr(model, name) is not None:
                yield (*place, name), "a wired CfC has no backbone; remove this or the wiring"
