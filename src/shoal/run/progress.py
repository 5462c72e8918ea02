"""What a person sees while members train: a live table, or plain lines where nobody looks."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TextIO

import numpy as np

if TYPE_CHECKING:
    from shoal.population import EpochInfo

_EVERY_SECONDS = 5.0


@dataclass(frozen=True)
class Line:
    """The numbers of one epoch that are shown."""

    epoch: int
    epochs: int
    best: float
    mean: float
    std: float
    alive: int
    members: int
    seconds_left: float

    @classmethod
    def of(cls, info: EpochInfo, first: EpochInfo | None = None) -> Line:
        """From what `shoal.fit` tells; `first` is what it told first, compilation included."""
        scores = np.where(np.isnan(info.valid_loss), info.train_loss, info.valid_loss)
        known = scores[np.isfinite(scores)]
        best = info.best_loss[np.isfinite(info.best_loss)]
        alive = sum(status == "active" for status in info.status)
        to_do = info.epochs - info.epoch - 1 if alive else 0
        done = 0 if first is None else info.epoch - first.epoch
        pace = (info.elapsed - first.elapsed) / done if first and done else float("nan")
        return cls(
            epoch=info.epoch + 1,
            epochs=info.epochs,
            best=float(best.min()) if best.size else float("nan"),
            mean=float(known.mean()) if known.size else float("nan"),
            std=float(known.std()) if known.size else float("nan"),
            alive=alive,
            members=len(info.status),
            seconds_left=pace * to_do if to_do else 0.0,
        )

    def __str__(self) -> str:
        return (
            f"epoch {self.epoch:>{len(str(self.epochs))}}/{self.epochs}  best {self.best:.4g}  "
            f"mean {self.mean:.4g} ± {self.std:.2g}  alive {self.alive}/{self.members}  "
            f"left {duration(self.seconds_left)}"
        )


class Progress(Protocol):
    """Told of everything that happens; decides what to show."""

    def say(self, text: str) -> None: ...
    def epoch(self, info: EpochInfo) -> None: ...
    def close(self) -> None: ...


class Silent:
    """Shows nothing; for the library."""

    def say(self, text: str) -> None:
        pass

    def epoch(self, info: EpochInfo) -> None:
        pass

    def close(self) -> None:
        pass


class Lines:
    """Plain lines: the first epoch, one every few seconds, and the last."""

    def __init__(self, out: TextIO | None = None, clock: Callable[[], float] = time.monotonic):
        self._out, self._clock, self._next = out, clock, 0.0
        self._first: EpochInfo | None = None

    def say(self, text: str) -> None:
        print(text, file=self._out or sys.stdout, flush=True)

    def epoch(self, info: EpochInfo) -> None:
        self._first = self._first or info
        line = Line.of(info, self._first)
        if self._clock() < self._next and line.epoch < line.epochs and line.alive:
            return
        self._next = self._clock() + _EVERY_SECONDS
        self.say(str(line))

    def close(self) -> None:
        pass


class Live:
    """A table that redraws itself: the crowd on top, a row per member below."""

    def __init__(self, console: Any = None):
        from rich.console import Console
        from rich.live import Live as RichLive

        self._console = console or Console()
        self._live = RichLive(console=self._console, refresh_per_second=8, transient=True)
        self._started = False
        self._first: EpochInfo | None = None
        self._last: Line | None = None

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def epoch(self, info: EpochInfo) -> None:
        if not self._started:
            self._live.start()
            self._started = True
        self._first = self._first or info
        self._last = Line.of(info, self._first)
        self._live.update(table(info, self._last))

    def close(self) -> None:
        if self._started:
            self._live.stop()
            self._started = False
        if self._last is not None:
            self.say(str(self._last))
            self._last = None


_SHOWN = 16
_STYLES = {"active": "green", "stopped": "yellow", "early": "cyan", "diverged": "red"}


def table(info: EpochInfo, line: Line) -> Any:
    """The live table as something Rich can draw."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    members = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("member", "loss", "best", "status"):
        members.add_column(name, justify="left" if name == "status" else "right", min_width=8)
    order = np.argsort(np.where(np.isfinite(info.best_loss), info.best_loss, np.inf))
    for place, member in enumerate(order[:_SHOWN]):
        status = info.status[member]
        loss = info.valid_loss[member]
        loss = info.train_loss[member] if np.isnan(loss) else loss
        cells = (str(member), _loss(float(loss)), _loss(float(info.best_loss[member])))
        style = "bold" if place == 0 else ""
        members.add_row(*cells, Text(status, style=_STYLES.get(status, "")), style=style)
    hidden = len(order) - _SHOWN
    foot = [Text(f"and {hidden} more members", style="dim")] if hidden > 0 else []
    bar = Padding(ProgressBar(total=line.epochs, completed=line.epoch, width=60), 0)
    return Group(Text(str(line), style="bold"), bar, members, *foot)


def _loss(value: float) -> str:
    return f"{value:.4g}" if np.isfinite(value) else "–"


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> [duration(s) for s in (4.2, 75, 7300, float("nan"))]
    ['4s', '1m15s', '2h01m', '–']
    """
    if not np.isfinite(seconds):
        return "–"
    whole = int(max(seconds, 0.0))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
