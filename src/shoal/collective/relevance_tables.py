"""Relevance as tables: who said what about a row, and what each expert is for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from shoal.collective.relevance import Scored
from shoal.equations.outputs import Categorical


def explanation(scored: Scored, names: Sequence[str], output: int | None = None) -> pd.DataFrame:
    """A line for every chosen expert of every row, the most relevant first.

    >>> given = np.array([[0.75], [0.25]]), np.array([[3.0], [1.0]])  # relevance, values
    >>> parts = given[0][..., None] * given[1][..., None]
    >>> scored = Scored(parts.sum(0), parts.sum(0), parts, given[0], np.log(given[0]))
    >>> explanation(scored, ["left", "right"]).values.tolist()
    [[0, 'left', 0.75, 0, 2.25], [0, 'right', 0.25, 0, 0.25]]
    """
    relevance = np.asarray(scored.relevance)
    experts, rows = relevance.shape
    parts = np.asarray(scored.contributions).reshape(experts, rows, -1)
    outputs = _outputs(scored, parts, output)
    order = np.argsort(-relevance, axis=0, kind="stable").T  # (rows, experts)
    row, place = np.nonzero(np.take_along_axis(relevance.T, order, 1) > 0)
    expert = order[row, place]
    return pd.DataFrame(
        {
            "row": row,
            "expert": np.asarray(names, object)[expert],
            "relevance": relevance[expert, row],
            "output": outputs[row],
            "contribution": parts[expert, row, outputs[row]],
        }
    )


def _outputs(scored: Scored, parts: np.ndarray, output: int | None) -> np.ndarray:
    rows, size = parts.shape[1:]
    if output is None and isinstance(scored.answer, Categorical) and scored.output.ndim == 2:
        return np.asarray(scored.output).argmax(-1)
    if output is None and size > 1:
        raise ValueError(f"`output` must say which of the {size} numbers is to be explained")
    if output is not None and not 0 <= output < size:
        raise ValueError(f"`output` must be from 0 to {size - 1}, got {output}")
    return np.full(rows, output or 0)


def profile(scored: Scored, names: Sequence[str]) -> pd.DataFrame:
    """A line for every expert, over all rows."""
    relevance = np.asarray(scored.relevance, float)
    parts = np.abs(np.asarray(scored.contributions, float)).reshape(*relevance.shape, -1)
    table = {
        "expert": list(names),
        "chosen": (relevance > 0).mean(1),
        "relevance": relevance.mean(1),
        "share": _share(parts.sum((1, 2))),
    }
    if isinstance(scored.answer, Categorical):
        own = np.apply_along_axis(_share, 1, parts.sum(1))
        table |= {"speaks_for": own.argmax(1), "weight": own.max(1)}
    return pd.DataFrame(table)


def _share(values: np.ndarray) -> np.ndarray:
    return values / (values.sum() or 1.0)
