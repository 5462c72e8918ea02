"""Progress: the same numbers, live or as lines."""

import io

import numpy as np

from shoal.population import EpochInfo
from shoal.run.progress import Line, Lines, Live


def info(epoch, epochs=10, status=("active", "stopped")):
    return EpochInfo(
        epoch=epoch,
        epochs=epochs,
        train_loss=np.array([3.0, np.nan]),
        valid_loss=np.array([2.0, np.nan]),
        best_loss=np.array([1.5, 4.0]),
        active=np.array([True, False]),
        status=list(status),
        seconds=0.5,
        elapsed=0.5 * (epoch + 1),
    )


def test_the_line_says_best_mean_alive_and_time_left():
    line = Line.of(info(3), first=info(0))
    assert (line.best, line.mean, line.std) == (1.5, 2.0, 0.0)
    assert (line.alive, line.members) == (1, 2)
    assert line.seconds_left == 0.5 * 6
    assert str(line) == "epoch  4/10  best 1.5  mean 2 ± 0  alive 1/2  left 3s"


def test_time_left_leaves_compilation_out_and_is_unknown_at_first():
    first = EpochInfo(**{**vars(info(4)), "elapsed": 60.0})
    later = EpochInfo(**{**vars(info(6)), "elapsed": 61.0})
    assert Line.of(later, first).seconds_left == 0.5 * 3
    assert "left –" in str(Line.of(first, first))
    assert Line.of(info(9), first).seconds_left == 0.0


def test_lines_are_few_but_have_the_first_and_the_last():
    out = io.StringIO()
    clock = iter(np.arange(0, 1000, 0.5))
    lines = Lines(out, clock=lambda: next(clock))
    for epoch in range(10):
        lines.epoch(info(epoch))
    shown = [text.split()[1].split("/")[0] for text in out.getvalue().splitlines()]
    assert shown[0] == "1"
    assert shown[-1] in ("9", "10")
    assert "10/10" in out.getvalue()
    assert len(shown) < 6


def test_the_live_table_shows_members_and_leaves_the_last_line():
    from rich.console import Console

    out = io.StringIO()
    live = Live(Console(file=out, force_terminal=True, width=100, height=40))
    for epoch in range(3):
        live.epoch(info(epoch))
    live.close()
    assert "stopped" in out.getvalue()
    assert any("member" in row and "━" not in row for row in out.getvalue().splitlines())
    assert "epoch  3/10" in out.getvalue().splitlines()[-1]
