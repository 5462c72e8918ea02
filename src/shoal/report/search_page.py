"""The page of a search: what was found in words, then figures, then tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from shoal.report import search_figures as figures
from shoal.report.figure import listing
from shoal.report.measures import count, short
from shoal.report.page import FISH, document, grid
from shoal.report.search import SearchResults, Trial
from shoal.report.search_parallel import parallel
from shoal.report.tables import facts, table

ROWS = 40  # of the table; the file has them all


def page(results: SearchResults) -> str:
    """The whole page as HTML text."""
    return document(f"{results.name}: search", _top(results), _sections(results))


def _sections(r: SearchResults) -> Iterator[tuple[str, str, str]]:
    """(id, title, HTML); those without anything to show are dropped by the page."""
    yield "search", "The search", grid([figures.progress(r), figures.fronts(r), figures.curves(r)])
    yield "trials", "What trials were given", grid([parallel(r), figures.importances(r)])
    yield "each", "One value at a time", grid(figures.slices(r))
    yield "held-out", "On held-out data", _comparison(r)
    yield "table", "The trials", _trials(r) + _failed(r)
    yield "best", "The best configuration", f"<pre>{escape(r.best)}</pre>" if r.best else ""
    yield "about", "The run", facts(dict(r.facts)) if r.facts else ""


def _top(r: SearchResults) -> str:
    said = "".join(f'<p class="lead">{escape(s)}</p>' for s in sentences(r))
    return (
        f'<header class="top"><p class="eyebrow">{FISH}Shoal · search</p>'
        f"<h1>{escape(r.name)}</h1>{said}</header>"
    )


def sentences(r: SearchResults) -> list[str]:
    """What was searched, and what came of it.

    >>> sentences(SearchResults("co2", ("valid_loss",), ("minimize",)))
    ['No trial is complete.']
    """
    states = [trial.state for trial in r.trials]
    ends = [f"{states.count(s)} {s}" for s in sorted(set(states))]
    if not r.ranked:
        return [f"No trial is complete{f' ({listing(ends)})' if ends else ''}."]
    best = r.ranked[0]
    given = ", ".join(f"{path} {short(value)}" for path, value in best.point.items())
    reached = listing(f"{name} {short(best.values[name])}" for name in r.metrics)
    found = [
        f"{count(len(states), 'trial')} ({listing(ends)}) over "
        f"{count(len(r.paths), 'dimension')}. The best is trial {best.number}: {reached}.",
        f"It was given {given}." if given else "",
    ]
    if len(r.metrics) > 1:
        found.append(f"Beaten by none in all objectives: {count(len(r.front), 'trial')}.")
    return [sentence for sentence in (*found, r.compared) if sentence]


def _comparison(r: SearchResults) -> str:
    if not r.comparison:
        return ""
    names = [k for k in r.comparison[0] if any(row.get(k) is not None for row in r.comparison)]
    said = f"<p>{escape(r.compared)}</p>" if r.compared else ""
    caption = "The crowds that the configurations describe, on rows that no trial has seen"
    return rows_table(caption, names, r.comparison) + said


def _trials(r: SearchResults) -> str:
    if not r.ranked:
        return ""
    rows = [_row(r, trial) for trial in r.ranked[:ROWS]]
    names = [name for name in rows[0] if any(row.get(name) is not None for row in rows)]
    shown = f"the best {ROWS} of {len(r.ranked)}" if len(r.ranked) > ROWS else "the best first"
    return rows_table(f"Complete trials, {shown}; trials.csv has all", names, rows)


def _row(r: SearchResults, trial: Trial) -> dict[str, Any]:
    given = {path.name: trial.point.get(path.name) for path in r.paths}
    return {"trial": trial.number, **trial.values, **given, **trial.facts}


def _failed(r: SearchResults) -> str:
    failed = [trial for trial in r.trials if trial.state == "failed"]
    if not failed:
        return ""
    rows = [{"trial": t.number, "why": t.reason, "given": _given(t)} for t in failed[:ROWS]]
    return rows_table("Trials that failed", ["trial", "why", "given"], rows)


def _given(trial: Trial) -> str:
    return ", ".join(f"{path} {short(value)}" for path, value in trial.point.items())


def rows_table(caption: str, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """A table of these columns; words are set to the left, numbers to the right."""
    texts = {n for n in names if any(isinstance(row.get(n), str) for row in rows)}
    kind = {name: ' class="text"' if name in texts else "" for name in names}
    head = "".join(f"<th{kind[name]}>{escape(name)}</th>" for name in names)
    body = "".join(
        "<tr>"
        + "".join(f"<td{kind[name]}>{escape(_cell(row.get(name)))}</td>" for name in names)
        + "</tr>"
        for row in rows
    )
    return table(caption, head, body)


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else short(value)
