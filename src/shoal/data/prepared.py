"""What preparing comes to: raw sequences in blocks, the scaling, the schema, and notes."""

from __future__ import annotations

from dataclasses import dataclass, field

from shoal.data import splits
from shoal.data.errors import DataError
from shoal.data.scaling import Scaling, fit_scaling
from shoal.data.schema import Schema
from shoal.data.sequences import Sequences
from shoal.data.series import Series
from shoal.data.table import Table


@dataclass(frozen=True)
class Prepared:
    """Raw sequences in blocks, and what is needed to train on them and to come back.

    Args:
        train, valid, calibration, test: the blocks; None where none was asked for.
        scaling: fitted on `train` alone.
        schema: how the table became sequences.
        table: the table that was read; None for arrays.
        series: its series, for pictures and baselines; empty for arrays.
        notes: what was left out, in sentences.
    """

    train: Sequences
    valid: Sequences | None
    calibration: Sequences | None
    test: Sequences | None
    scaling: Scaling
    schema: Schema
    table: Table | None = None
    series: list[Series] = field(default_factory=list)
    notes: tuple[str, ...] = ()


def scaling_of(
    train: Sequences, schema: Schema, change_of: tuple[int, ...] | None, missing: str, path: str
) -> Scaling:
    """Fitted on the training block alone.

    Raises:
        DataError: a column that cannot be scaled, with the file's name.
    """
    try:
        return fit_scaling(
            train,
            schema.feature_names,
            targets=schema.targets,
            unscaled=schema.feature_names[len(schema.features) :],
            change_of=change_of,
            missing=missing,
            relative=_relative(schema),
        )
    except DataError as error:
        raise DataError(error.found, error.remedy, path=path, column=error.column) from None


def _relative(schema: Schema) -> range:
    return range(len(schema.features) if schema.input_transform == "change" else 0)


def assembled(
    blocks: dict[str, Sequences],
    scaling: Scaling,
    schema: Schema,
    table: Table | None,
    series: list[Series],
    notes: tuple[str, ...] = (),
) -> Prepared:
    """The blocks by their names, None for those that are not there."""
    parts = {name: blocks.get(name) for name in splits.BLOCKS[1:]}
    return Prepared(
        train=blocks["train"],
        **parts,
        scaling=scaling,
        schema=schema,
        table=table,
        series=series,
        notes=notes,
    )
