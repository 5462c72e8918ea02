"""`ensemble.members`: kinds and configurations that the members take in turn.

    model: {kind: cfc, units: 16, likelihood: normal}
    ensemble:
      members: [{}, {units: 32}, {kind: gru}]    # cfc of 16, cfc of 32, gru of 16, cfc of 16, ...

Each entry is what differs from `model`. Of the same kind it takes over everything else that `model`
says; of another kind what the kinds have in common (`SHARED`), since what a kind has alone means
nothing to another. A resolved configuration holds whole sections.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, get_args

from shoal.run.model_section import Model, Wired
from shoal.run.reading import Key

if TYPE_CHECKING:
    from shoal.run.schema import Config

SHARED = tuple(name for name in Wired.model_fields)
_KINDS = {get_args(s.model_fields["kind"].annotation)[0]: s for s in get_args(get_args(Model)[0])}
_DENSE = ("units", "backbone_")
COUPLED = ("joint", "negative_correlation", "correlation")  # of members of one structure
_DATA = {"time_scaling", "dropout", "backbone_dropout"}  # what is no part of a structure


def spelled_out(data: Any) -> Any:
    """The configuration as data, with every entry of `ensemble.members` as a whole section.

    What cannot be understood is left for the schema to refuse.

    >>> given = {"kind": "cfc", "units": 4, "backbone_units": 8}
    >>> listed = [{"units": 2}, {"kind": "gru"}]
    >>> made = spelled_out({"model": given, "ensemble": {"members": listed}})["ensemble"]["members"]
    >>> made[0]["backbone_units"], made[1]
    (8, {'units': 4, 'kind': 'gru'})
    """
    model, ensemble = (_part(data, name) for name in ("model", "ensemble"))
    listed = _part(ensemble, "members")
    if not isinstance(model, dict) or not isinstance(listed, list):
        return data
    whole = [_whole(model, one) for one in listed]
    return {**data, "ensemble": {**ensemble, "members": whole}}


def members_rules(config: Config) -> Iterator[tuple[Key, str]]:
    """What members of unlike structure cannot do."""
    ensemble, place = config.ensemble, ("ensemble", "members")
    if ensemble.members is None:
        return
    several = len(ensemble.members) > 1
    if len(ensemble.members) > config.n_members:
        yield (
            place,
            f"lists {len(ensemble.members)} and only {config.n_members} are trained; raise "
            "ensemble.n_models, or remove some",
        )
    if ensemble.regime.kind == "snapshot" and several:
        yield (
            place,
            "'snapshot' makes every member from the one before it; remove one of the two",
        )
    if ensemble.regime.kind in COUPLED and len({_structure(one) for one in ensemble.members}) > 1:
        yield (
            place,
            f"{ensemble.regime.kind!r} ties members of one structure together, and these differ in "
            "more than time_scaling and dropout; use another regime, or remove members",
        )
    if ensemble.sharing.kind != "none" and several:
        yield (
            place,
            f"members that share matrices ({ensemble.sharing.kind!r}) are of one structure; remove "
            "one of the two",
        )
    for number, member in enumerate(ensemble.members):
        if member.likelihood != config.model.likelihood:
            yield (
                (*place, number, "likelihood"),
                f"members must answer alike, and model.likelihood is {config.model.likelihood!r}; "
                "set it there",
            )


def _structure(member: Any) -> str:
    return member.model_dump_json(exclude=_DATA)


def _part(data: Any, name: str) -> Any:
    return data.get(name) if isinstance(data, dict) else None


def _whole(model: dict[str, Any], own: Any) -> Any:
    if not isinstance(own, dict):
        return own
    kind = own.get("kind", model.get("kind"))
    section = _KINDS.get(kind) if isinstance(kind, str) else None
    if kind == model.get("kind"):
        taken = dict(model)
    else:
        known = {} if section is None else section.model_fields
        taken = {name: value for name, value in model.items() if name in SHARED and name in known}
    if own.get("wiring") is not None:  # which has the units, and no backbone
        taken = {name: v for name, v in taken.items() if not name.startswith(_DENSE)}
    return {**taken, **own, "kind": kind}
