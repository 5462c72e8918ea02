"""What a crowd's successor is trained by: the settings it was made with, and what is set anew.

The paths are those of a configuration: training.epochs, data.split.valid, ensemble.weighting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shoal.run.checking import validated
from shoal.run.ensemble_section import IndependentRegime, Regime, Weighting
from shoal.run.errors import Refused
from shoal.run.life.existing import Existing
from shoal.run.model_section import Model
from shoal.run.overrides import Overrides, override
from shoal.run.reading import Document, Key, dotted
from shoal.run.schema import Split
from shoal.run.sections import Section, Training

SHARE = 0.2  # of the new data, for each block that is not trained on


class NewData(Section):
    """How the new data are divided."""

    split: Split = Split()


class NewEnsemble(Section):
    """Who counts how much, and how members are trained with regard to one another."""

    weighting: Weighting | None = None  # the crowd's own
    regime: Regime = IndependentRegime()


class Settings(Section):
    """The parts of a configuration that members which exist still need.

    >>> Settings().training.epochs, Settings().ensemble.regime.kind
    (100, 'independent')
    """

    data: NewData = NewData()
    training: Training = Training()
    ensemble: NewEnsemble = NewEnsemble()


class _Student(Section):
    model: Model


def settings_of(old: Existing, overrides: Overrides, allowed: Sequence[str]) -> Settings:
    """The settings of the crowd's training, with overrides on top.

    Args:
        old: the crowd.
        overrides: `"training.epochs=5"` texts, or a mapping from such paths to values.
        allowed: the beginnings of the paths that may be set.

    Raises:
        Refused: an override is wrong, or may not be set here.
    """
    everything = override(Document({}, {}, str(old.path)), overrides)
    for key in everything.places:
        _check_allowed(key, everything.places[key], allowed)
    document = Document(_known(old.config), {}, str(old.path))
    return validated(Settings, override(document, _part(overrides, model=False)))


def student_section(old: Existing, overrides: Overrides) -> Model | None:
    """The `model` section of a student that is to be another model; None where it is not.

    Raises:
        Refused: it is no such section.
    """
    asked = _part(overrides, model=True)
    if not asked:
        return None
    fresh = override(Document({}, {}, ""), asked).data["model"]
    known = old.config.get("model") or {}
    kind = fresh.get("kind", known.get("kind")) if isinstance(fresh, dict) else None
    fresh_kind = {} if kind is None else {"kind": kind}
    base = {"model": known if known and known.get("kind") == kind else fresh_kind}
    return validated(_Student, override(Document(base, {}, str(old.path)), asked)).model


def _part(overrides: Overrides, *, model: bool) -> Overrides:
    """The overrides of the `model` section, or all others."""

    def fits(path: str) -> bool:
        return (path.strip().split(".")[0].split("=")[0] == "model") == model

    if isinstance(overrides, Mapping):
        return {path: value for path, value in overrides.items() if fits(path)}
    return [text for text in overrides if fits(text)]


def _check_allowed(key: Key, place: str, allowed: Sequence[str]) -> None:
    """Refuses to set what has been decided when the crowd was made."""
    path = dotted(key)
    if not any(path == one or path.startswith(f"{one}.") for one in allowed):
        raise Refused(
            f"{place}: `{path}` was decided when the crowd was made; here one may set what begins "
            f"with {', '.join(f'`{one}`' for one in allowed)}"
        )


def split_of(settings: Settings, calibrated: bool) -> dict[str, Any]:
    """How new data are divided: a fifth to each block that is needed, unless it is said otherwise.

    Raises:
        Refused: a block that is needed gets nothing.
    """
    asked = settings.data.split.model_dump(exclude_none=True)
    wanted = ("valid", "calibration", "test") if calibrated else ("valid", "test")
    dated = any(name.endswith("_from") for name in asked) or "test_origins" in asked
    split = asked if dated else {**dict.fromkeys(wanted, SHARE), **asked}
    for name in wanted:
        listed = name == "test" and isinstance(asked.get("test_origins"), list)
        if not split.get(name) and f"{name}_from" not in split and not listed:
            remedy = f"set data.split.{name}_from too" if dated else "give it a share"
            raise Refused(
                f"data.split.{name}: new data need a {name} block, {_ENDS[name]}; {remedy}"
            )
    if not calibrated and (split.get("calibration") or "calibration_from" in split):
        raise Refused(
            "data.split.calibration: the crowd has no calibration that could be fitted anew; "
            "remove this"
        )
    return split


_ENDS = {
    "valid": "by which members stop and weights are fitted",
    "calibration": "since the crowd's intervals are conformal",
    "test": "on which the crowd is compared with what it was",
}


def _known(config: dict[str, Any]) -> dict[str, Any]:
    """What `Settings` has of a configuration."""
    known: dict[str, Any] = {}
    if config.get("training"):
        known["training"] = dict(config["training"])
    ensemble = config.get("ensemble") or {}
    if ensemble.get("enabled") and ensemble.get("regime"):
        known["ensemble"] = {"regime": ensemble["regime"]}
    return known
