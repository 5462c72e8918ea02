"""What the pictures of `Inside` mean, in a sentence or two."""

from __future__ import annotations

import numpy as np

from shoal.report.inside import Cell, Inside
from shoal.report.inside_parts import COLUMNS, has_clock, with_unit
from shoal.report.measures import count, short

CLOCKS = {
    "CfC": "It is the time over which a neuron's gate turns (in mode pure its solution decays), "
    "given what it hears at that step.",
    "LTC": "It is the membrane's, cm over its conductance, with the synapses as open as the state "
    "and the input make them when the step begins.",
    "CTRNN": "It is the leak's, as learned: the same at every step. What feedback between neurons "
    "adds is not in it.",
    "CTGRU": "It is the scale on which the event of the step is stored: how long what is stored "
    "then will stay.",
    "LSTM": "An LSTM has no clock: this is the leak that would have kept as much as its forget "
    "gate over the time that elapsed.",
    "GRU": "A GRU has no clock: this is the leak that would have kept as much as its update gate "
    "over the time that elapsed.",
}
LEANS = (
    "How much the answer would rise (orange) or fall (blue) if one value were one standard "
    "deviation greater{calendar}, to first order; the colours are stretched so that small effects "
    "show."
)
SIDE = "On the right all steps together, without their signs."


def of_reading(inside: Inside) -> str:
    """The sequence."""
    low, high = inside.elapsed.min(), inside.elapsed.max()
    span = f"from {with_unit(inside, low)} to {with_unit(inside, high)}"
    span = f"{with_unit(inside, low)} every time" if low == high else span
    gaps = int(np.isnan(inside.values).any(1).sum())
    lacking = f" In {gaps} of them a feature is missing." if gaps else ""
    shown = f" Of these, {COLUMNS} are shown." if len(inside.values) > COLUMNS else ""
    return (
        f"{count(len(inside.values), 'observation')}, one column each; below, the time that "
        f"elapsed before each: {span}.{lacking}{shown}"
    )


def of_states(cell: Cell) -> str:
    """A heatmap of states."""
    speed = "from fast at the top to slow" if has_clock(cell) else "by number"
    order = f"Neurons stand {speed}."
    if cell.roles:
        order = f"Neurons stand from the inputs' side to the output, and {speed} within a role."
    return (
        "Each row is a neuron, each column its state after an observation: blue below zero, orange "
        f"above, white near it. {order}"
    )


def of_clocks(inside: Inside, cells: list[Cell], side: bool = True) -> str:
    """A heatmap of the time constants of these cells, which are of one kind."""
    value = np.concatenate([np.ravel(np.asarray(c.constants, float)) for c in cells])
    value, never = value[np.isfinite(value)], bool(np.isinf(value).any())
    marks = "; a dash is the nominal one" if cells[0].nominal is not None else ""
    right = f" On the right each neuron's smallest, median and largest{marks}." if side else ""
    endless = " Grey: longer than any step can be on this scale of time." if never else ""
    return (
        f"The darker, the slower: from {short(value.min())} to {short(value.max())}, with a median "
        f"of {with_unit(inside, float(np.median(value)))}.{right} "
        f"{CLOCKS.get(cells[0].name.split(' ')[0], '')}{endless}"
    ).strip()


def of_leanings(inside: Inside, side: bool = True) -> str:
    """A heatmap of sensitivities."""
    assert inside.spreads is not None
    waves = bool((inside.spreads == 1.0).any())
    said = [LEANS.format(calendar=" (by one, for a feature that is not scaled)" if waves else "")]
    said += [SIDE] if side else []
    gaps = np.isnan(inside.values).any()
    said += ["Grey: a missing value, on which nothing leans."] if gaps else []
    return " ".join(said)
