"""The page: sections in order, put into one file that needs no network."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterable, Iterator
from functools import cache
from html import escape
from importlib.resources import files

from shoal._version import __version__
from shoal.report import (
    calibration,
    classes,
    crowd,
    diversity,
    errors,
    forecast,
    headline,
    honesty,
    losses,
    residuals,
    tables,
    weights,
)
from shoal.report.cautions import cautions
from shoal.report.figure import Figure
from shoal.report.measures import short
from shoal.report.results import Classification, Evaluation, Results
from shoal.report.wiring import wiring_figure

FISH = (
    '<svg viewBox="0 0 50 30" aria-hidden="true">'
    + "".join(
        f'<path transform="translate({x} {y})" fill="{color}" '
        'd="M15 4C11 0 5 0 0 4l-1 .2C5 8 11 8 15 4ZM1 4l-5-3.6 1.2 3.6L-4 7.6Z"/>'
        for x, y, color in ((30, 9, "#0072b2"), (15, 2, "#56b4e9"), (14, 17, "#009e73"))
    )
    + "</svg>"
)


def page(results: Results) -> str:
    """The whole report as HTML text."""
    return document(results.name, _top(results), _sections(results))


def document(name: str, top: str, sections: Iterable[tuple[str, str, str]]) -> str:
    """A page of the house: its head, and sections (id, title, HTML); empty ones are left out."""
    parts = [part for part in sections if part[2]]
    links = "".join(f'<a href="#{name}">{escape(title)}</a>' for name, title, _ in parts)
    body = "".join(
        f'<section id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">'
        f"{escape(title)}</h2>{html}</section>"
        for name, title, html in parts
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{escape(name)} – Shoal</title>'
        f"<style>{_asset('page.css')}</style></head><body><div class='sheet'>"
        f"{top}<nav aria-label='sections'>{links}</nav><main>{body}</main>"
        f"<footer>Made by Shoal {__version__}. This file holds everything it shows and loads "
        "nothing. Charts: plotly.js (MIT licence).</footer></div>"
        f"{_library() if '<figure' in body else ''}</body></html>\n"
    )


def _top(results: Results) -> str:
    said = "".join(f'<p class="lead">{escape(s)}</p>' for s in headline.sentences(results))
    doubts = cautions(results)
    warn = "".join(f"<li>{escape(text)}</li>" for text in doubts)
    box = f'<aside class="cautions"><h2>Where to be careful</h2><ul>{warn}</ul></aside>'
    cards = "".join(
        f'<div class="tile{"" if t.good else " warn"}"><div class="label">{escape(t.label)}</div>'
        f'<div class="value">{escape(t.value)} <small>{escape(t.unit)}</small></div>'
        f'<div class="verdict">{"✓" if t.good else "⚠"} {escape(t.verdict)}</div></div>'
        for t in headline.tiles(results)
    )
    when = str(results.created).replace("T", " ")[:16]
    eyebrow = " · ".join(filter(None, ("Shoal report", results.task, when)))
    return (
        f'<header class="top"><p class="eyebrow">{FISH}{escape(eyebrow)}</p>'
        f"<h1>{escape(results.name)}</h1>{said}"
        f"{f'<div class=tiles>{cards}</div>' if cards else ''}{box if doubts else ''}</header>"
    )


def _sections(r: Results) -> Iterator[tuple[str, str, str]]:
    """(id, title, HTML); those without anything to show are dropped by the page."""
    e = r.evaluation
    if isinstance(e, Evaluation) and e.y_mask.any():
        shown = [forecast.from_origin(e), forecast.along_time(e), forecast.against_truth(e)]
        yield "predictions", "Forecasts" if e.y.shape[1] > 1 else "Predictions", grid(shown)
        lead = [errors.by_lead(e, r.best_index)]
        yield "accuracy", "Accuracy", grid(lead) + tables.scores(r)
        sure = [*calibration.calibration_figures(e), errors.spread_against_error(e)]
        shown = grid([*sure, errors.parts_by_lead(e)]) + honesty.before_after(r)
        yield "certainty", "How far to trust it", shown
        yield "errors", "What it gets wrong", grid(residuals.residual_figures(e))
    if isinstance(e, Classification):
        yield "accuracy", "Accuracy", tables.scores(r)
        shown = grid(classes.class_figures(e)) + honesty.before_after(r)
        yield "certainty", "How far to trust it", shown
    trained = grid([losses.learning_curves(r), losses.coupling_terms(r)])
    yield "training", "Training", trained + tables.members(r)
    yield "weights", "Who counts how much", _weights(r)
    yield "diversity", "Diversity of the crowd", _diversity(r)
    yield (
        "inside",
        "Inside the networks",
        grid([diversity.time_constants(r)], wiring_figure(r.wiring)),
    )
    yield "data", "Data", tables.facts(r.data)
    yield "run", "The run", _run(r)


def _run(r: Results) -> str:
    """Statistics, environment and configuration; what stands elsewhere is not repeated."""
    elsewhere = ("training_config", "members", "statuses", "status", "best_epochs")
    about = {k: v for k, v in r.metadata.items() if k not in elsewhere}
    versions = about.pop("versions", {})
    env = tables.facts(versions if isinstance(versions, dict) else {}, "Versions")
    return tables.facts(about) + env + tables.configuration(r.config)


def _weights(r: Results) -> str:
    return grid([*weights.weight_figures(r.weights), weights.stage_losses(r)])


def _diversity(r: Results) -> str:
    e, measured = r.evaluation, crowd.diversity_table(r)
    if r.weights is not None and r.weights.pool == "sum":
        return ""  # parts of one answer do not disagree
    if isinstance(e, Classification):
        return measured + grid(crowd.class_figures(e))
    if not isinstance(e, Evaluation):
        return ""
    return (measured or _ambiguity(e)) + grid(diversity.diversity_figures(e))


def _ambiguity(e: Evaluation) -> str:
    parts = diversity.ambiguity(e)
    if parts is None:
        return ""
    single, crowd, spread = (short(p) for p in parts)
    return (
        "<p>Squared error of the average = mean squared error of the members − their "
        f"disagreement: <b>{crowd} = {single} − {spread}</b> (in units of the targets' variance, "
        "equal weights). What the members disagree on is what averaging takes off.</p>"
    )


def grid(figures: Iterable[Figure | None], more: str = "") -> str:
    """Figures side by side or below each other, as wide as they are."""
    html = "".join(figure.html() for figure in figures if figure is not None) + more
    return f'<div class="figures">{html}</div>' if html else ""


def _library() -> str:
    """plotly.js, compressed, and the code that unpacks and uses it."""
    return (
        "<noscript><p>The figures need JavaScript; each has a summary in words.</p></noscript>"
        f'<script type="text/plain" id="plotly">{_packed()}</script>'
        f"<script>{_asset('page.js')}</script>"
    )


@cache
def _packed() -> str:
    from plotly.offline import get_plotlyjs

    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode()


def _asset(name: str) -> str:
    return files("shoal.report").joinpath(name).read_text("utf-8")
