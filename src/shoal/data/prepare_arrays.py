"""From arrays x and y, cut into sequences already, to what a population is trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from shoal.data import splits
from shoal.data.arrays import array_names, sequences_from_arrays
from shoal.data.errors import DataError
from shoal.data.prepared import Prepared, assembled, scaling_of
from shoal.data.request import bases
from shoal.data.schema import Schema
from shoal.data.sequences import Sequences, tidy
from shoal.data.whole import check_classes, class_numbers, class_order
from shoal.equations.scalers import last_observed


def prepare_arrays(
    arrays: Mapping[str, Any],
    name: str,
    task: str,
    features: Sequence[str] | str | None,
    targets: Sequence[str] | str | None,
    target_transform: str,
    split: Any,
    missing: str,
) -> Prepared:
    """As `shoal.data.prepare`, whose arguments these are; `name` is the file's.

    Raises:
        DataError: arrays that cannot be used.
    """
    sequences, labels = sequences_from_arrays(arrays, task, name)
    columns = array_names(features, sequences.x.shape[-1], "x")
    schema = Schema(task, None, columns, (), arrays=True)
    if labels is not None:
        schema = replace(schema, classes=class_order(labels), targets=array_names(targets, 1, "y"))
        sequences = replace(sequences, y=class_numbers(labels, schema.classes))
    elif sequences.y is not None:
        answer = array_names(targets, sequences.y.shape[-1], "y")
        steps = tuple(range(1, sequences.y.shape[1] + 1)) if task == "forecast" else ()
        schema = replace(schema, targets=answer, horizons=steps, target_transform=target_transform)
    change_of = bases(schema)
    _check_bases(sequences, schema, change_of, name)
    by = "time" if task == "forecast" else "series"
    rows = splits.split_whole(np.arange(float(len(sequences))), split, by=by)
    blocks = {name: tidy(sequences[chosen]) for name, chosen in rows.items()}
    if labels is not None:
        check_classes(blocks["train"], schema, name)
    scaling = scaling_of(blocks["train"], schema, change_of, missing, name)
    return assembled(blocks, scaling, schema, None, [])


def _check_bases(
    sequences: Sequences, schema: Schema, columns: tuple[int, ...] | None, path: str
) -> None:
    """A change needs a value to change from."""
    if columns is None:
        return
    last = last_observed(np, sequences.x, sequences.mask, columns)
    unknown = np.argwhere(np.isnan(last))
    if len(unknown):
        row, target = unknown[0]
        found = f"`x[{row}]` holds no value of {schema.targets[target]!r} to count its change from"
        raise DataError(found, "leave that sequence out, or forecast the level", path=path)
