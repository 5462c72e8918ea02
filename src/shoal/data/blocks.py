"""New data through a saved schema, in blocks: to train on, to stop by, to calibrate, to test.

What `prepare` does for the data that a schema was made from; here the schema is there already, and
nothing is inferred or fitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from shoal.data import splits
from shoal.data.errors import DataError
from shoal.data.files import read_table
from shoal.data.infer import too_few
from shoal.data.predict import windows_for_evaluation
from shoal.data.request import bases
from shoal.data.schema import Schema
from shoal.data.sequences import Sequences, tidy
from shoal.data.series import split_series
from shoal.data.windows import make_windows, with_base


def blocks_for_training(
    source: Any, schema: Schema, split: Mapping[str, Any] | None = None, *, stride: int = 1
) -> dict[str, Sequences]:
    """Raw sequences of a new table with their answers, in the blocks that `split` asks for.

    Args:
        source: whatever `prepare` takes.
        schema: what `prepare` returned.
        split: see `shoal.data.splits`.
        stride: of forecasts, take every `stride`-th origin.

    Raises:
        DataError: as `windows_for_evaluation`; a block without windows.

    >>> schema = Schema("forecast", "t", ("y",), ("y",), window=2, horizons=(1,), step=1.0)
    >>> t = np.arange(20.0)
    >>> made = blocks_for_training({"t": t, "y": np.sin(t)}, schema, {"valid": 0.2, "test": 0.2})
    >>> {name: len(block) for name, block in made.items()}
    {'train': 10, 'valid': 4, 'test': 4}
    """
    if schema.arrays or schema.task != "forecast":
        return _whole(source, schema, split)
    table = read_table(source)
    for name in schema.targets:
        table.column(name, "targets")
    series = split_series(table, schema, with_targets=True)
    windows = with_base(make_windows(series, schema, stride=stride), bases(schema))
    if not len(windows.sequences):
        raise too_few(table, schema, series)
    try:
        rows = splits.split_windows(windows, series, schema, split)
    except DataError as error:
        if "leaves no window" not in error.found:
            raise
        remedy = "give more rows, or change `split`; windows that reach over a boundary are lost"
        raise DataError(error.found, remedy, path=table.name) from None
    return {name: tidy(windows.sequences[chosen]) for name, chosen in rows.items()}


def _whole(source: Any, schema: Schema, split: Mapping[str, Any] | None) -> dict[str, Sequences]:
    whole = windows_for_evaluation(source, schema)
    if schema.arrays:
        _check_arrays(whole, schema)
    origin = np.arange(float(len(whole))) if whole.origin is None else whole.origin
    by = "time" if schema.task == "forecast" else "series"
    rows = splits.split_whole(origin, split, by=by)
    return {name: whole[chosen] for name, chosen in rows.items()}


def _check_arrays(whole: Sequences, schema: Schema) -> None:
    found, known = whole.x.shape[-1], len(schema.features)
    if found != known:
        raise DataError(f"`x` has {found} features, training had {known}", "give the same ones")
    answer = () if schema.task == "classification" else schema.output_shape
    if whole.y is None or whole.y.shape[1:] != answer:
        given = "none" if whole.y is None else str(whole.y.shape)
        raise DataError(f"`y` must be {(len(whole), *answer)}, found {given}", "give such answers")
