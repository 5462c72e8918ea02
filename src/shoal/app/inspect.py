"""`shoal inspect`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from shoal.run.closing import aligned, number
from shoal.run.devices import prepare_jax
from shoal.run.errors import Refused, refusing
from shoal.run.files import replacing
from shoal.run.folder import check_writable
from shoal.run.source import Source, find_source

if TYPE_CHECKING:
    from shoal.report.inside import Inside

_DRAWN = (".html", ".png", ".svg", ".pdf")
_SHOWN = 12  # inputs in the table


def inspect(
    source: Path, data: Path | None, member: str | None, window: str, out: Path | None
) -> None:
    """Watch members read one window, and draw it."""
    target = out or Path("inspect.html")
    _check(target, member)
    at = _window(window)
    found = find_source(source)
    if data is None and found.run is None:
        raise Refused(f"{source}: is a bundle; name the data to look at with --data FILE")
    prepare_jax(1)
    from shoal.report.inside_look import look

    crowd = found.load()
    if crowd.schema is None:
        raise Refused(
            f"{source}: does not say what its columns are, so no window can be read; "
            "use shoal.report.inside_look.look with sequences of your own"
        )
    places, names, who = chosen_members(_facts(found), crowd.n_models, member)
    block, windows = _windows(found, data, crowd.schema, every=at is not None)
    row = _row(at, len(windows), block)
    which = "the last window" if at is None else f"window {row}"
    words = {"title": f"{_name(found)}: {who}", "source": f"{which} of {block}"}
    with refusing(str(data or source)):
        inside = look(crowd, windows, row=row, members=places, names=names, **words)
    typer.echo("\n".join(lines(inside)))
    _draw(inside, target)
    typer.echo(f"wrote {target}")


def _check(target: Path, member: str | None) -> None:
    if target.suffix.lower() not in _DRAWN:
        known = ", ".join(_DRAWN)
        raise Refused(
            f"--out {target}: cannot draw {target.suffix or 'no extension'!r}; use {known}"
        )
    if member == "all" and target.suffix.lower() != ".html":
        raise Refused(
            f"--out {target}: {target.suffix} shows one member; "
            "use .html to choose among all, or name one with --member"
        )
    if not target.parent.is_dir():
        raise Refused(f"--out {target}: there is no folder {target.parent}; make it first")
    check_writable(target.parent, f"--out {target}")


def _window(text: str) -> int | None:
    """The number of a window; None for the last."""
    if text == "last":
        return None
    try:
        return int(text)
    except ValueError:
        raise Refused(f"--window: must be a number or `last`, found {text!r}") from None


def _facts(found: Source) -> dict[str, Any]:
    from shoal.bundle import read_manifest

    return read_manifest(found.bundle).get("info") or {}


def chosen_members(
    facts: dict[str, Any], count: int, asked: str | None
) -> tuple[list[int] | None, list[str], str]:
    """Places in the crowd, their names, and who that is in the title.

    A run counts its members from 0 and leaves those that failed out of its crowd.

    >>> facts = {"best_model_index": 2, "members": [{"index": 2, "usable": True}]}
    >>> chosen_members(facts, 1, "best")
    ([0], ['member 2'], 'member 2 (the best)')

    Raises:
        Refused: no such member, or nobody knows which is the best.
    """
    members = facts.get("members")
    numbers = [m["index"] for m in members if m["usable"]] if members else list(range(count))
    best = facts.get("best_model_index")
    if asked == "all":
        who = f"all {count} members" if count > 1 else f"member {numbers[0]}"
        return None, [f"member {i}" for i in numbers], who
    if asked == "best" and best not in numbers:
        raise Refused("--member best: the bundle does not say which member is the best; name one")
    default = int(best) if best is not None and best in numbers else numbers[0]
    one = default if asked in (None, "best") else _number(str(asked), numbers)
    more = " (the best)" if one == best else ""
    return [numbers.index(one)], [f"member {one}"], f"member {one}{more}"


def _number(asked: str, numbers: list[int]) -> int:
    if asked.isdecimal() and int(asked) in numbers:
        return int(asked)
    shown = ", ".join(map(str, numbers[:20])) + (", …" if len(numbers) > 20 else "")
    raise Refused(f"--member {asked}: there is no such member; name best, all, or one of {shown}")


def _windows(found: Source, data: Path | None, schema: Any, every: bool) -> tuple[str, Any]:
    """The run's held-out block, or windows of new data, and what they are called."""
    from shoal.data import windows_for_prediction
    from shoal.run.figures import held_out
    from shoal.run.members import prepare_data

    if data is not None:
        with refusing(str(data)):
            return data.name, windows_for_prediction(data, schema, every_origin=every)
    config = found.config()
    with refusing(config.data.path):
        name, block = held_out(prepare_data(config))
    return f"the {name} block", block


def _row(at: int | None, count: int, block: str) -> int:
    row = count - 1 if at is None else at
    if not -count <= row < count:
        raise Refused(
            f"--window {row}: {block} has {count} windows; name 0 to {count - 1}, or `last`"
        )
    return row % count


def _name(found: Source) -> str:
    return found.run.path.name if found.run is not None else found.bundle.name


def lines(inside: Inside) -> Iterator[str]:
    """What was seen, as text for a screen."""
    from shoal.report.inside_page import sentences

    yield inside.title
    yield from sentences(inside)
    yield ""
    yield from _clock_lines(inside)
    yield ""
    yield from _leaning_lines(inside)


def _clock_lines(inside: Inside) -> Iterator[str]:
    import numpy as np

    rows = []
    for member in inside.members:
        for cell in member.cells:
            tau = np.asarray([] if cell.constants is None else cell.constants, float)
            tau = tau[np.isfinite(tau)]
            ends = [number(float(v)) for v in np.quantile(tau, [0, 0.5, 1])] if len(tau) else "–––"
            rows.append((member.name, cell.name, str(cell.hidden.shape[1]), *ends))
    unit = f" [{inside.time_unit}]" if inside.time_unit else ""
    yield f"time constants over the window{unit}"
    yield aligned(("member", "cell", "neurons", "min", "median", "max"), rows)


def _leaning_lines(inside: Inside) -> Iterator[str]:
    """The inputs that the first answer leans on, the strongest first."""
    import numpy as np

    who, answers = next(iter(inside.leanings.items()))
    what, leaning = next(iter(answers.items()))
    effects, dates = inside.effects(leaning), inside.dates
    total = np.abs(effects).sum(0)
    share = total / total.sum() if total.sum() > 0 else total
    rows = []
    for i in np.argsort(-total, kind="stable")[:_SHOWN].tolist():
        at = int(np.abs(effects[:, i]).argmax())
        most = f"{effects[at, i]:+.3g}"
        rows.append((inside.inputs[i], f"{100 * share[i]:.0f} %", most, dates[at]))
    yield f"what {who} leans on, for {what}: the change per standard deviation"
    yield aligned(("input", "share", "strongest", "at"), rows)
    if len(total) > _SHOWN:
        yield f"and {len(total) - _SHOWN} more"


def _draw(inside: Inside, target: Path) -> None:
    from shoal.report.inside import write

    try:
        with refusing(str(target)), replacing(target) as temporary:
            write(inside, temporary)
    except ImportError as error:
        raise Refused(f"--out {target}: {error}") from None
