"""The page of `Inside`: its head in words and numbers, then its figures."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

import numpy as np

from shoal.report.figure import listing
from shoal.report.inside import Inside
from shoal.report.inside_figures import inside_figures
from shoal.report.measures import count, percent, short
from shoal.report.page import FISH, document, grid

TITLES = {
    "reads": "What it reads",
    "states": "Hidden states",
    "clocks": "Time constants",
    "leans": "Sensitivity",
}


def page(inside: Inside) -> str:
    """The whole page as HTML text."""
    return document(inside.title, _top(inside), _sections(inside))


def _sections(inside: Inside) -> Iterator[tuple[str, str, str]]:
    for name, figures in inside_figures(inside):
        yield f"section-{name}", TITLES[name], grid(figures)


def _top(inside: Inside) -> str:
    cards = "".join(
        f'<div class="tile"><div class="label">{escape(label)}</div><div class="value">'
        f"{escape(value)} <small>{escape(unit)}</small></div>"
        f'<div class="verdict" style="color:var(--soft)">{escape(more)}</div></div>'
        for label, value, unit, more in tiles(inside)
    )
    said = "".join(f'<p class="lead">{escape(s)}</p>' for s in sentences(inside))
    return (
        f'<header class="top"><p class="eyebrow">{FISH}Shoal · looking inside</p>'
        f"<h1>{escape(inside.title)}</h1>{said}<div class=tiles>{cards}</div></header>"
    )


def sentences(inside: Inside) -> list[str]:
    """What was read, and what came of it."""
    dates = inside.dates
    span = f", from {dates[0]} to {dates[-1]}" if inside.times is not None else ""
    names = list(inside.feature_names)
    what = listing(names) if len(names) <= 4 else f"{len(names)} features"
    said = f"{count(len(inside.values), 'observation')} of {what}{span}. {inside.answers}"
    begin = f"{inside.source[:1].upper()}{inside.source[1:]}: " if inside.source else ""
    return [f"{begin}{said}".strip()]


def tiles(inside: Inside) -> list[tuple[str, str, str, str]]:
    """(label, value, unit, words): neurons, how slow they are, what the answer leans on."""
    cells, found = inside.members[0].cells, []
    neurons = sum(cell.hidden.shape[1] for cell in cells)
    inner = listing([cell.name for cell in cells]) if len(cells) < 4 else f"{len(cells)} cells"
    more = f", in {len(inside.members)} members" if len(inside.members) > 1 else ""
    found.append(("neurons", f"{neurons:,}", "", inner + more))
    tau = [
        np.ravel(c.constants) for m in inside.members for c in m.cells if c.constants is not None
    ]
    tau = np.concatenate(tau) if tau else np.zeros(0)
    tau = tau[np.isfinite(tau)]
    if len(tau):
        reach = (
            f"half of them from {short(np.quantile(tau, 0.25))} to {short(np.quantile(tau, 0.75))}"
        )
        unit = f"{inside.time_unit}s" if inside.time_unit else ""
        found.append(("median time constant", short(float(np.median(tau))), unit, reach))
    total = first_effects(inside)
    if total is not None and total.sum() > 0:
        best = int(total[:-1].argmax())
        share = percent(total[best] / total.sum())
        found.append(("leans most on", inside.inputs[best], "", f"{share} of all its sensitivity"))
        found.append(
            ("leans on elapsed time", percent(total[-1] / total.sum()), "", "of its sensitivity")
        )
    return found


def first_effects(inside: Inside) -> np.ndarray | None:
    """(F + 1,) how much the first answer leans on each input, all steps together."""
    if not inside.leanings:
        return None
    first = next(iter(next(iter(inside.leanings.values())).values()))
    return np.abs(inside.effects(first)).sum(0)
