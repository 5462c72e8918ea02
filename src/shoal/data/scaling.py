"""Scaling: statistics of the training data, and the ways to a member's numbers and back.

The arithmetic is `shoal.equations.scalers`; here are its facts, fitted once on training sequences,
and kept as plain numbers so that a bundle can ship them. Elapsed times are not scaled here: each
member does that as it was told to, from the facts in `Scaling.time`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from shoal.data.errors import DataError
from shoal.data.sequences import Sequences
from shoal.equations import scalers
from shoal.equations.outputs import Normal

Numbers = tuple[Any, ...]  # of numbers, or of rows of numbers


class TimeFacts(NamedTuple):
    """Mean, standard deviation and largest of the training data's timespans, in raw units."""

    mean: float
    std: float
    max: float


@dataclass(frozen=True)
class Scaling:
    """How raw values become what members read, and predictions become raw values.

    Args:
        names: the features.
        mean, std: of each feature.
        sparse: the features (by number) that can be missing; each adds an indicator and an age.
        target_mean, target_std: shaped as one answer: (horizon, targets) or (targets,); empty for
            classification, whose answers are not scaled.
        change_of: for targets that are changes since the last value, the feature that holds it.
        time: facts about timespans.
        relative: the features that are read as changes from the last value observed.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    sparse: tuple[int, ...]
    target_mean: Numbers
    target_std: Numbers
    change_of: tuple[int, ...] | None
    time: TimeFacts
    relative: tuple[int, ...] = ()

    @property
    def encoded_size(self) -> int:
        """The number of columns that members read."""
        return len(self.mean) + 2 * len(self.sparse)

    @property
    def encoded_names(self) -> tuple[str, ...]:
        """The columns that members read, by name."""
        sparse = [self.names[i] for i in self.sparse]
        return (*self.names, *(f"{s}_missing" for s in sparse), *(f"{s}_age" for s in sparse))

    def encode(self, xp: Any, x: Any, timespans: Any = None, mask: Any = None) -> Any:
        """(batch, time, encoded_size) of raw x (batch, time, features), NaN where missing."""
        if timespans is None:
            timespans = xp.ones_like(x[..., 0])
        return scalers.encode(
            xp,
            x,
            timespans,
            mask,
            mean=self.mean,
            std=self.std,
            sparse=self.sparse,
            mean_timespan=self.time.mean if self.time.mean > 0 else 1.0,
            relative=self.relative,
        )

    def encode_targets(self, xp: Any, y: Any, x: Any, mask: Any = None) -> Any:
        """Raw answers as members give them; NaN where x holds no last value to change from."""
        if not self.target_mean:
            return y
        last = self._last(xp, x, mask)
        return scalers.encode_targets(xp, y, last, self.target_mean, self.target_std)

    def decode(self, xp: Any, prediction: Any, x: Any, mask: Any = None) -> Any:
        """A member's answer in raw units: an array or `Normal`, member axes first if any.

        Answers about classes stay as they are. Without a last value to change from: NaN.
        """
        if not self.target_mean or hasattr(prediction, "logits"):
            return prediction
        last = self._last(xp, x, mask)
        if isinstance(prediction, Normal):
            mean = scalers.decode(xp, prediction.mean, last, self.target_mean, self.target_std)
            return Normal(mean, scalers.decode_spread(xp, prediction.std, self.target_std))
        return scalers.decode(xp, prediction, last, self.target_mean, self.target_std)

    def encode_sequences(self, sequences: Sequences) -> Sequences:
        """The sequences in float32 as members read them; answers that are unknown are 0.

        Warns where a feature is missing that never was in training: members have no column for it.
        """
        x, mask = sequences.x, sequences.mask
        _warn_unexpected(x, mask, self.sparse, self.names)
        out = replace(
            sequences,
            x=self.encode(np, x, sequences.timespans, mask).astype(np.float32),
            timespans=sequences.timespans.astype(np.float32),
        )
        if sequences.y is None or not self.target_mean:
            return out
        y = self.encode_targets(np, sequences.y, x, mask)
        known = ~np.isnan(y) if sequences.y_mask is None else sequences.y_mask & ~np.isnan(y)
        y = np.where(known, y, 0.0).astype(np.float32)
        return replace(out, y=y, y_mask=None if known.all() else known)

    def _last(self, xp: Any, x: Any, mask: Any) -> Any:
        if self.change_of is None:
            return None
        return scalers.last_observed(xp, x, mask, self.change_of)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        values = {name: _lists(value) for name, value in vars(self).items() if name != "time"}
        return {**values, "time": self.time._asdict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Scaling:
        """The scaling that `to_dict` wrote."""
        known = {name: _tuples(value) for name, value in values.items() if name != "time"}
        return cls(**known, time=TimeFacts(**values["time"]))


def fit_scaling(
    train: Sequences,
    names: Sequence[str],
    *,
    targets: Sequence[str] = (),
    unscaled: Sequence[str] = (),
    change_of: Sequence[int] | None = None,
    missing: str = "auto",
    relative: Sequence[int] = (),
) -> Scaling:
    """The scaling of these training sequences.

    Args:
        train: raw training sequences.
        names: the features' names.
        targets: the targets' names, for messages.
        unscaled: features that stay as they are, such as the calendar's.
        change_of: for change targets, the feature number of each target.
        missing: "auto": the features that are missing somewhere in `train` can be missing;
            "always": all but the unscaled can.
        relative: the features (by number) to be read as changes from the last value observed.

    Raises:
        DataError: a target that is constant in training.

    >>> x = np.array([[[1.0], [3.0]], [[np.nan], [5.0]]])
    >>> s = fit_scaling(Sequences(x, np.ones((2, 2)), y=np.array([[0.0], [4.0]])), ["a"])
    >>> s.mean, s.target_mean, s.encoded_size, s.time.mean
    ((3.0,), (2.0,), 3, 1.0)
    """
    observed = scalers.is_observed(train.x, train.mask)
    mask = np.ones(train.timespans.shape, bool) if train.mask is None else train.mask
    values = scalers.changes(np, train.x, train.mask, relative)
    mean, std = zip(*map(_moments, _by_feature(values, observed)), strict=True)
    fixed = [name in unscaled for name in names]
    absent = [missing == "always" or not seen[mask].all() for seen in np.moveaxis(observed, -1, 0)]
    spans = train.timespans[mask]
    scaling = Scaling(
        names=tuple(names),
        mean=tuple(0.0 if f else m for m, f in zip(mean, fixed, strict=True)),
        std=tuple(1.0 if f else s for s, f in zip(std, fixed, strict=True)),
        sparse=tuple(i for i, a in enumerate(absent) if a and not fixed[i]),
        target_mean=(),
        target_std=(),
        change_of=None if change_of is None else tuple(change_of),
        time=TimeFacts(*(float(v) for v in (spans.mean(), spans.std(), spans.max()))),
        relative=tuple(relative),
    )
    if train.y is None or train.y.ndim == 1:
        return scaling
    return _with_targets(scaling, train, targets)


def _by_feature(x: np.ndarray, observed: np.ndarray) -> list[np.ndarray]:
    return [x[..., i][observed[..., i]] for i in range(x.shape[-1])]


def _moments(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation; (0, 1) of nothing, and 1 for what does not vary."""
    if not len(values):
        return 0.0, 1.0
    mean, std = float(values.mean()), float(values.std())
    return mean, std if std > 1e-12 * max(abs(mean), 1e-300) else 1.0


def _with_targets(scaling: Scaling, train: Sequences, names: Sequence[str]) -> Scaling:
    """Levels share their statistics over horizons; changes, which grow with it, do not."""
    assert train.y is not None
    y = train.y if train.y_mask is None else np.where(train.y_mask, train.y, np.nan)
    _check_varies(y, names)
    if scaling.change_of is not None:
        last = scalers.last_observed(np, train.x, train.mask, scaling.change_of)
        y = y - last[:, None, :]
    pooled = y.reshape(-1, y.shape[-1])
    shared = [_moments(column[~np.isnan(column)]) for column in pooled.T]
    rows = np.array([shared] * y.shape[1]) if y.ndim == 3 else np.array(shared)
    if scaling.change_of is not None:
        for h, d in np.ndindex(y.shape[1:]):
            known = y[:, h, d][~np.isnan(y[:, h, d])]
            rows[h, d] = _moments(known) if len(known) > 1 else shared[d]
    return replace(scaling, target_mean=_tuples(rows[..., 0]), target_std=_tuples(rows[..., 1]))


def _check_varies(y: np.ndarray, names: Sequence[str]) -> None:
    for d in range(y.shape[-1]):
        known = y[..., d][~np.isnan(y[..., d])]
        name = names[d] if names else f"y[..., {d}]"
        if not len(known):
            found = "the target has no value in the training data"
            raise DataError(found, "check the column and the split", column=name)
        if known.min() == known.max():
            found = f"the target is constant ({known[0]:g}) in the training data"
            raise DataError(found, "choose another target or split", column=name)


def _warn_unexpected(
    x: np.ndarray, mask: np.ndarray | None, sparse: Sequence[int], names: Sequence[str]
) -> None:
    absent = ~scalers.is_observed(x, None)
    if mask is not None:
        absent = absent & mask[..., None]
    for i in np.flatnonzero(absent.any((0, 1))).tolist():
        if i not in sparse:
            warnings.warn(
                f"feature {names[i]!r} is missing here but never was in training: it is read as "
                "its mean, with no indicator; train with `missing: always` to have one",
                stacklevel=3,
            )


def _lists(value: Any) -> Any:
    return [_lists(v) for v in value] if isinstance(value, tuple) else value


def _tuples(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else value
