"""The wiring as an SVG of its own: columns of neurons, excitatory solid, inhibitory dashed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from shoal.report.measures import count

ROLES = ("sensory", "inter", "command", "motor")
COLORS = {"sensory": "#0072B2", "inter": "#009E73", "command": "#E69F00", "motor": "#D0342C"}
WIDTH, MOST = 640, 1500  # user units; synapses drawn one by one
LEGEND = (
    '<p class="key"><svg width="34" height="10" aria-hidden="true"><path d="M2 5H32" '
    'stroke="#1b1f24" stroke-width="2"/></svg> excitatory &nbsp; <svg width="34" height="10" '
    'aria-hidden="true"><path d="M2 5H32" stroke="#B0417A" stroke-width="2" '
    'stroke-dasharray="5 3"/></svg> inhibitory</p>'
)


def wiring_figure(wiring: Any) -> str:
    """The figure's HTML: picture, key, words and a table of synapses between the layers."""
    parts = _parts(wiring)
    if parts is None:
        return ""
    inner, sensory, roles = parts
    everyone = ["sensory"] * len(sensory) + list(roles)
    full = np.zeros((len(everyone),) * 2, int)
    full[: len(sensory), len(sensory) :] = sensory
    full[len(sensory) :, len(sensory) :] = inner
    words = _words(full, everyone)
    picture = ""
    if np.count_nonzero(full) <= MOST:
        picture = f"{LEGEND}{_svg(full, everyone, words)}"
    else:
        words += " There are too many synapses to draw; the table counts them."
    return (
        '<figure id="wiring-picture" class="wide"><h3>How the neurons are connected</h3>'
        f"{picture}<figcaption>{escape(words)}</figcaption>{_table(full, everyone)}</figure>"
    )


def _parts(wiring: Any) -> tuple[np.ndarray, np.ndarray, Sequence[str]] | None:
    """Inner (N, N), sensory (I, N) and roles, from a Wiring, its dict, or plain arrays."""
    if wiring is None:
        return None
    if isinstance(wiring, Mapping) and "adjacency" not in wiring:
        from shoal.wirings import Wiring

        wiring = Wiring.from_dict(wiring)
    if isinstance(wiring, Mapping):
        inner = np.asarray(wiring["adjacency"])
        sensory = wiring.get("sensory_adjacency")
        roles = wiring.get("types")
    else:
        built = wiring.is_built()
        if not built:
            return None
        inner = np.asarray(wiring.adjacency_matrix)
        sensory, roles = wiring.sensory_adjacency_matrix, wiring.roles
    sensory = np.zeros((0, len(inner)), int) if sensory is None else np.asarray(sensory)
    roles = list(roles) if roles is not None and len(roles) == len(inner) else []
    return inner, sensory, roles or ["inter"] * len(inner)


def _places(everyone: Sequence[str]) -> tuple[dict[int, tuple[float, float]], float]:
    """Neuron → its place, and the picture's height."""
    columns = [[i for i, r in enumerate(everyone) if r == role] for role in ROLES]
    columns = [c for c in columns if c]
    tallest = max(map(len, columns))
    gap = min(34.0, max(9.0, 520 / max(tallest, 1)))
    height = max(gap * tallest, 150) + 56
    middle, places = (height + 30) / 2, {}
    for k, column in enumerate(columns):
        x = 56 + (WIDTH - 112) * (k / max(len(columns) - 1, 1) if len(columns) > 1 else 0.5)
        for row, i in enumerate(column):
            places[i] = (x, middle + (row - (len(column) - 1) / 2) * gap)
    return places, height


def _svg(full: np.ndarray, everyone: Sequence[str], words: str) -> str:
    places, height = _places(everyone)
    number = np.count_nonzero(full)
    opacity = float(np.clip(26 / max(number, 1) ** 0.7, 0.22, 0.75))
    synapses = [_synapse(places, i, j, int(full[i, j])) for i, j in np.argwhere(full)]
    radius = min(10.0, 0.36 * min(34.0, max(9.0, 520 / max(map(everyone.count, ROLES)))))
    neurons = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{COLORS[everyone[i]]}" '
        f'stroke="#fff" stroke-width="1.5"><title>{everyone[i]} {i}</title></circle>'
        for i, (x, y) in places.items()
    )
    heads = "".join(
        f'<text x="{places[everyone.index(role)][0]:.0f}" y="18" text-anchor="middle" '
        f'font-size="15" font-weight="600" fill="#1b1f24">{role}</text>'
        for role in ROLES
        if role in everyone
    )
    return (
        f'<svg class="wiring" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'aria-label="{escape(words)}" font-family="system-ui, sans-serif">'
        f'<g fill="none" stroke-opacity="{opacity:.2f}" stroke-width="1.3">{"".join(synapses)}</g>'
        f"{neurons}{heads}</svg>"
    )


def _synapse(places: Mapping[int, tuple[float, float]], i: int, j: int, sign: int) -> str:
    """A curve from i to j; within a column it bows outward, to itself it is a loop."""
    (x0, y0), (x1, y1) = places[int(i)], places[int(j)]
    look = 'stroke="#1b1f24"' if sign > 0 else 'stroke="#B0417A" stroke-dasharray="5 3"'
    if i == j:
        path = f"M{x0:.0f} {y0:.0f}c22 -20 22 20 0 0"
    elif x0 == x1:
        bow = min(58.0, 12 + 0.24 * abs(y1 - y0)) * (1 if y1 > y0 else -1)
        path = f"M{x0:.0f} {y0:.1f}Q{x0 + bow:.0f} {(y0 + y1) / 2:.1f} {x1:.0f} {y1:.1f}"
    else:
        half = (x0 + x1) / 2
        path = f"M{x0:.0f} {y0:.1f}C{half:.0f} {y0:.1f} {half:.0f} {y1:.1f} {x1:.0f} {y1:.1f}"
    return f'<path d="{path}" {look}/>'


def _words(full: np.ndarray, everyone: Sequence[str]) -> str:
    known = [(role, everyone.count(role)) for role in ROLES if role in everyone]
    crowd = ", ".join(f"{number} {role}" for role, number in known)
    possible = full[:, everyone.count("sensory") :].size
    share = np.count_nonzero(full) / max(possible, 1)
    return (
        f"Neurons: {crowd}. {count(int((full > 0).sum()), 'excitatory synapse')} and "
        f"{int((full < 0).sum()):,} inhibitory: {100 * share:.0f} % of all that could be."
    )


def _table(full: np.ndarray, everyone: Sequence[str]) -> str:
    roles = [role for role in ROLES if role in everyone]
    kind, rows = np.array(everyone), []
    for a in roles:
        for b in roles:
            block = full[np.ix_(kind == a, kind == b)]
            if np.any(block):
                counts = f"<td>{(block > 0).sum():,}</td><td>{(block < 0).sum():,}</td>"
                rows.append(f"<tr><th>{a} → {b}</th>{counts}</tr>")
    head = '<thead><tr><th class="text">synapses</th><th>excitatory</th><th>inhibitory</th></tr>'
    return f'<div class="scroll"><table>{head}</thead><tbody>{"".join(rows)}</tbody></table></div>'
