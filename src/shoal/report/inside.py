"""What goes on inside a model while it reads one sequence: plain data, and its pictures.

    inside = look(crowd, windows)          # shoal.report.inside_look
    write(inside, "inside.html")           # or .png, .svg, .pdf

Nothing here depends on JAX: arrays are NumPy. Axes: T observations, N neurons, F features, M
scales.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

FORMATS = (".html", ".png", ".svg", ".pdf")
ROLES = ("inter", "command", "motor")  # in the order of a signal


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The neurons of one cell.

    Args:
        name: such as "CfC" or "LTC layer 2 backward".
        hidden: (T, N) what each holds after every observation.
        numbers: N numbers, by which the wiring calls them; default 0 … N−1.
        roles: N of "inter", "command", "motor"; empty without such.
        memory: (T, N) the c of an LSTM or of a mixed memory.
        traces: (T, N, M) of a CT-GRU, and
        scales: (M,) their time scales.
        constants: (T, N) time constants in raw units of time, NaN where there is none.
        nominal: (N,) the same of the neurons as such.

    >>> Cell(name="GRU", hidden=np.zeros((5, 2))).labels
    ('neuron 0', 'neuron 1')
    """

    name: str
    hidden: np.ndarray
    numbers: Sequence[int] = ()
    roles: Sequence[str] = ()
    memory: np.ndarray | None = None
    traces: np.ndarray | None = None
    scales: np.ndarray | None = None
    constants: np.ndarray | None = None
    nominal: np.ndarray | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """What each neuron is called: its role and its number."""
        n = self.hidden.shape[1]
        roles = self.roles or ("neuron",) * n
        return tuple(f"{r} {i}" for r, i in zip(roles, self.numbers or range(n), strict=True))

    @property
    def order(self) -> np.ndarray:
        """(N,) the neurons from input to output, and from fast to slow within a role."""
        rank = np.array([ROLES.index(r) if r in ROLES else 0 for r in self.roles], int)
        rank = rank if len(rank) else np.zeros(self.hidden.shape[1], int)
        return np.lexsort((self.typical(), rank))

    def typical(self) -> np.ndarray:
        """(N,) the median of each neuron's time constants; infinite where there is none."""
        if self.constants is None:
            return np.full(self.hidden.shape[1], np.inf)
        known = np.where(np.isnan(self.constants), np.inf, self.constants)
        return np.median(known, axis=0)


@dataclass(frozen=True, kw_only=True)
class Member:
    """One member: its name, as "member 3", and its cells in the order of the signal."""

    name: str
    cells: Sequence[Cell]


@dataclass(frozen=True, kw_only=True)
class Leaning:
    """What an answer leans on: ∂answer/∂x (T, F) and ∂answer/∂Δt (T,), in raw units."""

    features: np.ndarray
    timespans: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Inside:
    """Everything that the pictures show.

    Args:
        title: what is looked into, as "co2: member 5".
        source: what is read, as "the last window of the test block"; "" where unknown.
        members: whose states and time constants are shown.
        values: (T, F) the sequence as it is read, raw, NaN where missing.
        elapsed: (T,) the time before each observation.
        feature_names: F names.
        leanings: who → answer → `Leaning`; who is a member's name or "the collective".
        spreads: (F,) what counts as an ordinary step of each feature: its standard deviation in
            training; and
        elapsed_spread: that of the elapsed times.
        times: (T,) datetime64 or numbers; None where unknown.
        time_unit: as "day"; "" where unknown.
        answers: a sentence that says what was answered.

    Raises:
        ValueError: a shape does not fit `values`.
    """

    title: str
    members: Sequence[Member]
    values: np.ndarray
    elapsed: np.ndarray
    feature_names: Sequence[str]
    leanings: Mapping[str, Mapping[str, Leaning]] = field(default_factory=dict)
    spreads: np.ndarray | None = None
    elapsed_spread: float = 1.0
    times: Any = None
    time_unit: str = ""
    answers: str = ""
    source: str = ""

    def __post_init__(self):
        steps, features = np.shape(self.values)
        _fits("elapsed", self.elapsed, (steps,))
        _fits("feature_names", self.feature_names, (features,))
        spreads = np.ones(features) if self.spreads is None else self.spreads
        object.__setattr__(self, "spreads", np.asarray(_fits("spreads", spreads, (features,))))
        if self.times is not None:
            _fits("times", self.times, (steps,))
        for of_member in self.leanings.values():
            for one in of_member.values():
                _fits("leanings", one.features, (steps, features))
        for member in self.members:
            for cell in member.cells:
                _fits(f"{cell.name}: hidden", cell.hidden, (steps, cell.hidden.shape[1]))

    @property
    def dates(self) -> list[str]:
        """What each observation is called on an axis: its time, or its number from 1."""
        if self.times is None:
            return [str(i + 1) for i in range(len(self.values))]
        times = np.asarray(self.times)
        if times.dtype.kind != "M":
            return [f"{t:.6g}" for t in times.tolist()]
        days = times.astype("M8[D]")
        whole = bool((days == times).all())
        return [str(t).replace("T", " ") for t in (days if whole else times.astype("M8[s]"))]

    def effects(self, leaning: Leaning) -> np.ndarray:
        """(T, F + 1) what one standard deviation of a feature changes; the last column of Δt."""
        by_time = leaning.timespans[:, None] * self.elapsed_spread
        return np.concatenate([leaning.features * self.spreads, by_time], axis=1)

    @property
    def inputs(self) -> tuple[str, ...]:
        """What an answer can lean on: the features, and the elapsed time."""
        return (*self.feature_names, "elapsed time")


def render(inside: Inside) -> str:
    """The pictures as one HTML page that needs no network."""
    from shoal.report.inside_page import page

    return page(inside)


def write(inside: Inside, path: str | Path) -> Path:
    """Write a page (.html) or a picture of the first member (.png, .svg, .pdf).

    Raises:
        ImportError: for a picture without the package matplotlib.
        ValueError: for a path that ends otherwise.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"`path` must end in one of {', '.join(FORMATS)}; got {str(path)!r}.")
    if path.suffix.lower() == ".html":
        path.write_text(render(inside), "utf-8")
    else:
        from shoal.report.inside_paper import draw

        draw(inside).savefig(path, dpi=150)
    return path


def _fits(name: str, value: Any, shape: tuple[int, ...]) -> Any:
    if np.shape(value) != shape:
        raise ValueError(f"`{name}` must have shape {shape}, got {np.shape(value)}")
    return value
