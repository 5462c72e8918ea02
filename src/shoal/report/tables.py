"""The page's tables: scores beside baselines, members, facts, configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from shoal.report.classes import metric_rows
from shoal.report.figure import plain, thin
from shoal.report.forecast import lead
from shoal.report.measures import bounds, even, inside, mean, member_row, percent, rmse, short
from shoal.report.results import Classification, Evaluation, Results

WORDS = {
    "model": "model",
    "target": "target",
    "horizon": "lead time",
    "rmse": "RMSE",
    "mae": "MAE",
    "crps": "CRPS",
    "nll": "NLL",
    "coverage": "coverage",
    "width": "width",
    "brier": "Brier",
    "ece": "ECE",
}
GREATER = {"accuracy", "r2"}  # better when greater
NEITHER = {"coverage", "width"}  # no best by itself
MOST = 24  # groups of scores


def scores(results: Results) -> str:
    """The table of scores, given or worked out, the best of each lead time in bold."""
    e = results.evaluation
    if e is None:
        return ""
    rows = [dict(r) for r in e.metrics]
    if not rows:
        rows = (
            metric_rows(e, results.best_index)
            if isinstance(e, Classification)
            else _worked_out(e, results.best_index)
        )
    return _scores(rows, e) if rows else ""


def _worked_out(e: Evaluation, best: int | None) -> list[dict]:
    """RMSE, MAE (coverage and width of the collective) at a few lead times of every target."""
    crowd: dict[str, Any] = {"collective": e.mean}
    row = member_row(e, best)
    if row is not None and len(e.members) > 1:
        crowd[f"best member ({best})"] = e.members[row]
    crowd |= e.baselines
    shares, ends, rows = inside(e), bounds(e), []
    for d, target in enumerate(e.target_names):
        for h in thin(e.y.shape[1], 4):
            for name, p in crowd.items():
                mask = e.y_mask[:, h, d] & np.isfinite(p[:, h, d])
                error = np.where(mask, p[:, h, d] - e.y[:, h, d], 0.0)
                scored = {"rmse": rmse(e, p)[h, d], "mae": mean(np.abs(error), mask)}
                if name == "collective" and shares is not None and ends is not None:
                    width = (ends[1] - ends[0])[:, h, d]
                    scored["coverage"] = shares[h, d]
                    scored["width"] = mean(width, np.isfinite(width))
                where = {"target": target, "horizon": e.horizons[h]}
                rows.append({"model": name} | where | {k: float(v) for k, v in scored.items()})
    return rows


def _scores(rows: Sequence[Mapping[str, Any]], e: Evaluation | Classification) -> str:
    keys = list(
        dict.fromkeys(k for r in rows for k in r if k not in ("model", "horizon", "target"))
    )
    where = [k for k in ("target", "horizon") if len({r.get(k) for r in rows}) > 1]
    groups: dict[tuple, list] = {}
    for row in rows:
        groups.setdefault(tuple(row.get(k) for k in where), []).append(row)
    head = "".join(f'<th class="text">{WORDS[k]}</th>' for k in (*where, "model"))
    head += "".join(f"<th>{escape(WORDS.get(k, k))}</th>" for k in keys)
    shown = list(groups.items())[:MOST]
    body = "".join(_group(place, group, where, keys, e) for place, group in shown)
    caption = "Scores on held-out data, the best of each group in bold"
    if len(shown) < len(groups):
        caption += f" (the first {MOST} of {len(groups)} groups)"
    return table(caption, head, body)


def _group(place: tuple, rows: list, where: list[str], keys: list[str], e: Any) -> str:
    best = {}
    for key in keys:
        found = [r[key] for r in rows if _number(r.get(key))]
        if len(found) > 1 and key not in NEITHER:
            best[key] = max(found) if key in GREATER else min(found)
    lines = []
    for i, row in enumerate(rows):
        cells = [
            f'<td class="text">{_place(k, v, e) if not i else ""}</td>'
            for k, v in zip(where, place, strict=True)
        ]
        cells.append(f'<th class="text">{escape(str(row.get("model", "")))}</th>')
        for key in keys:
            value = row.get(key)
            text = percent(value) if key == "coverage" and _number(value) else escape(even(value))
            cells.append(
                f"<td><b>{text}</b></td>"
                if _number(value) and value == best.get(key)
                else f"<td>{text}</td>"
            )
        chosen = ' class="chosen"' if row.get("model") == "collective" else ""
        lines.append(f"<tr{chosen}>{''.join(cells)}</tr>")
    return "".join(lines)


def _place(key: str, value: Any, e: Any) -> str:
    if value is None:
        return "all"
    if key == "horizon" and isinstance(e, Evaluation):
        known = [h for h, at in enumerate(e.horizons) if at == value]
        return escape(lead(e, known[0]) if known else short(value))
    return escape(str(value))


def members(results: Results) -> str:
    """One row per member: seed, status, losses, why it stopped."""
    if not results.members:
        return ""
    known = [k for k in ("kind", "group") if any(k in m for m in results.members)]
    losses = {"best_loss": "best loss", "final_loss": "final loss"}
    if any(m.get("out_of_bag_loss") is not None for m in results.members):
        losses["out_of_bag_loss"] = "out-of-bag loss"
    titles = ["member", *known, "seed", "status", "best epoch", *losses.values(), "why"]
    why = any(m.get("reason") for m in results.members)
    titles = titles if why else titles[:-1]
    texts = {"member", "status", "why", *known}
    head = "".join(f'<th class="text">{t}</th>' if t in texts else f"<th>{t}</th>" for t in titles)
    lines = []
    for m in results.members:
        chosen = m.get("index") == results.best_index
        name = f"{m.get('index')}{' ★ best' if chosen else ''}"
        cells = [f"<th>{escape(name)}</th>"]
        cells += [f'<td class="text">{escape(str(m.get(k, "")))}</td>' for k in known]
        cells += [
            f"<td>{escape(str(m.get('seed', '–')))}</td>",
            f'<td class="text">{_status(m)}</td>',
        ]
        cells += [f"<td>{_integer(m.get('best_epoch'))}</td>"]
        cells += [f"<td>{escape(even(m.get(k)))}</td>" for k in losses]
        cells += [f'<td class="text long">{escape(str(m.get("reason") or ""))}</td>'] if why else []
        kind = "lost" if m.get("status") == "diverged" else "chosen" if chosen else ""
        lines.append(
            f'<tr class="{kind}">{"".join(cells)}</tr>' if kind else f"<tr>{''.join(cells)}</tr>"
        )
    return table("Every member", head, "".join(lines))


def _status(member: Mapping[str, Any]) -> str:
    marks = {
        "finished": "✓ ",
        "early": "✓ ",
        "stopped": "■ ",
        "diverged": "✕ ",
        "interrupted": "… ",
    }
    names = {"early": "finished early"}
    status = str(member.get("status", "–"))
    return escape(marks.get(status, "") + names.get(status, status))


def facts(data: Mapping[str, Any], title: str = "") -> str:
    """Name and value, side by side; what is nested is flattened with dots, tables are left out."""
    pairs = list(_flat(data))
    if not pairs:
        return ""
    items = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in pairs)
    return (f"<h3>{escape(title)}</h3>" if title else "") + f'<dl class="facts">{items}</dl>'


def _flat(data: Mapping[str, Any], above: str = "") -> Iterable[tuple[str, str]]:
    for key, value in data.items():
        name = f"{above}{str(key).replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name} · ")
        elif isinstance(value, (list, tuple, np.ndarray)):
            known = list(value)[:16]
            if any(isinstance(v, Mapping) for v in known):  # a table: no fact to be read in a line
                continue
            shown = [short(v) if v is None or isinstance(v, float) else str(v) for v in known]
            yield name, ", ".join(shown) + (", …" if len(value) > 16 else "")
        elif isinstance(value, bool) or value is None:
            yield name, {True: "yes", False: "no", None: "–"}[value]
        else:
            yield name, short(value) if isinstance(value, float) else str(value)


def configuration(config: Mapping[str, Any]) -> str:
    """The resolved configuration as YAML, folded."""
    if not config:
        return ""
    import yaml

    text = yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True, width=88)
    return (
        "<details><summary>The whole configuration (YAML)</summary>"
        f'<pre tabindex="0">{escape(text)}</pre></details>'
    )


def table(caption: str, head: str, body: str) -> str:
    """A table that scrolls where the page is narrow."""
    return (
        f'<p class="caption">{escape(caption)}</p>'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and bool(np.isfinite(value))


def _integer(value: Any) -> str:
    return str(int(value)) if _number(value) else "–"
