"""From a collective and a sequence to what its pictures show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from shoal.data.sequences import Sequences
from shoal.report.figure import thin
from shoal.report.inside import Cell, Inside, Leaning, Member
from shoal.report.measures import short

if TYPE_CHECKING:
    from shoal.collective import Collective

COLLECTIVE = "the collective"
MOST = 8  # answers that are asked about


def look(
    model: Collective | Any,
    sequences: Sequences,
    *,
    row: int = -1,
    members: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
    title: str = "inside",
    source: str = "",
) -> Inside:
    """Read one sequence and watch.

    Args:
        model: a `Collective` of `SequenceModel`s, or one of these.
        sequences: raw, as of `shoal.data`; encoded where the model has no scaling.
        row: which of them; the last by default.
        members: which members of a collective; None means all, and the collective itself beside
            them.
        names: what these members are called; "member 0" and so on by default.
        title: of the page.
        source: what is read, in words.

    Raises:
        ValueError: a member is no `SequenceModel`, or there is no such row or member.

    >>> from shoal.neurons import build_model
    >>> make = {"kind": "gru", "input_size": 2, "units": 3, "output_shape": [1]}
    >>> watched = look(build_model(make, 0), Sequences(np.ones((4, 6, 2)), np.ones((4, 6))))
    >>> watched.members[0].cells[0].hidden.shape
    (6, 3)
    """
    crowd = _as_crowd(model)
    one = _only(sequences, row)
    chosen = list(range(crowd.n_models)) if members is None else list(members)
    names = [f"member {i}" for i in chosen] if names is None else list(names)
    read = one if crowd.scaling is None else crowd.scaling.encode_sequences(one)
    watched = [
        Member(name=name, cells=_cells(_member(crowd, i), read))
        for name, i in zip(names, chosen, strict=True)
    ]
    asked = crowd if members is None else crowd.select(chosen)
    places = answers(crowd.schema, asked.predict(one).mean.shape[1:])
    return Inside(
        title=title,
        source=source,
        members=watched,
        leanings=_leanings(asked, names, one, places),
        answers=_answered(asked, one, places),
        **_facts(crowd, one),
    )


def _as_crowd(model: Any) -> Collective:
    from shoal.collective import Collective

    return model if isinstance(model, Collective) else Collective.of([model])


def _member(crowd: Collective, index: int) -> Any:
    from shoal.neurons import SequenceModel

    member = crowd.population.member(index)
    if not isinstance(member, SequenceModel):
        raise ValueError(
            f"member {index} must be a SequenceModel to be looked into, got "
            f"{type(member).__name__}; shoal.neurons.sensitivities takes any member."
        )
    return member


def _only(sequences: Sequences, row: int) -> Sequences:
    """One sequence without its padding."""
    if not -len(sequences) <= row < len(sequences):
        raise ValueError(f"there is no sequence {row}: there are {len(sequences)}, from 0 on")
    at = row % len(sequences)
    one = sequences[[at]]
    if one.mask is None:
        return one
    real = one.mask[0]
    return replace(one, x=one.x[:, real], timespans=one.timespans[:, real], mask=None)


def _cells(member: Any, read: Sequences) -> list[Cell]:
    from shoal.neurons import effective_time_constants, time_constants, trajectories
    from shoal.neurons.inspect import named_cells

    x, timespans = read.x[0], read.timespans[0]
    held = trajectories(member, x, timespans)
    clocks = effective_time_constants(member, x, timespans)
    nominal = time_constants(member)
    found = []
    for name, cell in named_cells(member.rnn):
        parts = {k: _numpy(v) for k, v in held[name]._asdict().items()}
        scales = None if parts["traces"] is None else nominal[name]
        own = nominal.get(name) if scales is None else None
        found.append(
            Cell(
                name=name,
                **parts,
                **_wired(cell),
                scales=scales,
                constants=_numpy(clocks.get(name)),
                nominal=own,
            )
        )
    return found


def _numpy(value: Any) -> np.ndarray | None:
    return None if value is None else np.asarray(value, np.float32)


def _wired(cell: Any) -> dict[str, Any]:
    """Numbers and roles of the neurons in the order of the state."""
    from shoal.neurons.memory import MixedMemory
    from shoal.neurons.wired_cfc import WiredCfCCell

    cell = cell.cell if isinstance(cell, MixedMemory) else cell
    wiring = getattr(cell, "wiring", None)
    if wiring is None or len(set(wiring.roles)) < 2:
        return {}
    layered = isinstance(cell, WiredCfCCell)
    numbers = [i for layer in wiring.layers for i in layer] if layered else range(wiring.units)
    return {"numbers": tuple(numbers), "roles": tuple(wiring.roles[i] for i in numbers)}


def _leanings(
    crowd: Collective, names: list[str], one: Sequences, places: Mapping[str, Any]
) -> dict[str, dict[str, Leaning]]:
    """Who → answer → what it leans on; of several members the collective first."""
    from shoal.neurons.inside_gradients import of_members

    who = [COLLECTIVE, *names] if len(names) > 1 else names
    found: dict[str, dict[str, Leaning]] = {name: {} for name in who}
    for answer, place in places.items():
        mean, each = of_members(crowd, one, output=place)
        parts = ([mean] if len(names) > 1 else []) + [
            type(each)(*(a[i] for a in each)) for i in range(len(names))
        ]
        for name, part in zip(who, parts, strict=True):
            features, timespans = (np.asarray(a[0]) for a in part)
            found[name][answer] = Leaning(features=features, timespans=timespans)
    return found


def answers(schema: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    """Which numbers of an answer are asked about: what they are called, and their place.

    >>> answers(None, (2, 1))
    {'the mean of all answers': None, 'answer 0, 0': (0, 0), 'answer 1, 0': (1, 0)}
    """
    if schema is not None and schema.task == "classification":
        each = {f"the probability of {name}": k for k, name in enumerate(schema.classes)}
        return {"the most probable class": None} | dict(list(each.items())[: MOST - 1])
    if schema is not None and schema.task == "forecast":
        return _forecasts(schema)
    if schema is not None:
        return {name: (d,) for d, name in enumerate(schema.target_names[:MOST])}
    many = list(np.ndindex(shape))[:MOST]
    each = {f"answer {', '.join(map(str, at))}": at for at in many}
    return each if len(many) < 2 else {"the mean of all answers": None} | each


def _forecasts(schema: Any) -> dict[str, Any]:
    targets, found = schema.target_names, {}
    if len(targets) == 1 and schema.horizon > 1:
        found[f"{targets[0]}, the mean of all steps"] = None
    each = max(1, MOST // len(targets) - 1) if len(targets) < MOST else 1
    for d, name in enumerate(targets[:MOST]):
        for h in thin(schema.horizon, min(each, 4)):
            found[f"{name}, step {schema.horizons[h]}"] = (int(h), d)
    return found


def _answered(crowd: Collective, one: Sequences, places: Mapping[str, Any]) -> str:
    """What is answered, at up to three places, with its spread."""
    p = crowd.predict(one)
    if crowd.schema is not None and crowd.schema.task == "classification":
        best = int(p.mean[0].argmax())
        said = f"{crowd.schema.classes[best]}, with probability {short(float(p.mean[0, best]))}"
        return f"The answer is {said}."
    known = {name: at for name, at in places.items() if at is not None}
    some = [list(known)[i] for i in thin(len(known), 2)] if known else []
    parts = [f"{name}: {_with_spread(p, (0, *known[name]))}" for name in some]
    return f"The answer is {'; '.join(parts)}." if parts else ""


def _with_spread(p: Any, place: tuple[int, ...]) -> str:
    spread = float(p.std[place])
    return f"{float(p.mean[place]):.5g}" + (f" ± {short(spread)}" if spread > 0 else "")


def _facts(crowd: Collective, one: Sequences) -> dict[str, Any]:
    scaling, schema = crowd.scaling, crowd.schema
    count = one.x.shape[-1]
    facts: dict[str, Any] = {"values": one.x[0], "elapsed": one.timespans[0]}
    facts["feature_names"] = tuple(f"feature {i}" for i in range(count))
    if scaling is not None:
        facts["feature_names"], facts["spreads"] = scaling.names, np.array(scaling.std)
        facts["elapsed_spread"] = scaling.time.std or scaling.time.mean or 1.0
    if schema is not None:
        facts["time_unit"] = schema.time_unit or ""
    if schema is not None and one.origin is not None:
        later = np.cumsum(one.timespans[0][::-1])[::-1] - one.timespans[0]
        facts["times"] = schema.dates(one.origin[0] - later)
    return facts
