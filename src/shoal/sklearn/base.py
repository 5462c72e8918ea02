"""What the estimators share: X read, a crowd trained, asked and saved."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import jax
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _num_samples, check_is_fitted

from shoal.collective import Collective
from shoal.data.schema import Schema
from shoal.data.sequences import Sequences
from shoal.equations.prediction import Prediction
from shoal.neurons.mlp import MLP
from shoal.sklearn.blocks import split
from shoal.sklearn.crowd import Blocks, needs_valid, train
from shoal.sklearn.form import Form
from shoal.sklearn.inputs import read
from shoal.sklearn.settings import Settings, settings

_VALIDATES_FROM = 200  # samples, where `early_stopping` is "auto"


class CollectiveEstimator(BaseEstimator):
    """What both estimators share."""

    # set by the __init__ of each
    calibration_fraction: float
    early_stopping: Any
    random_state: Any
    split: str
    time_column: Any
    validation_fraction: float
    _form: Form
    collective_: Collective

    def _fit(self, task: str, sequences: Sequences, schema: Schema) -> None:
        """Trains on sequences that hold their answers."""
        asked = self._settings(task)
        warn_of_empty(sequences, schema.features)
        random = check_random_state(self.random_state)
        seed, data_seed = (int(random.randint(2**31 - 1)) for _ in range(2))
        blocks = self._blocks(asked, sequences, random)
        if not self._stops_early(asked, len(sequences)):
            asked.options["patience"] = None
        self.collective_, fitted = train(asked, blocks, schema, seed, data_seed)
        self.history_, self.members_ = fitted.history, fitted.status

    def _settings(self, task: str) -> Settings:
        sequential = self._form.kind != "rows"
        owner = type(self).__name__
        asked = settings(owner, self.get_params(deep=False), task, sequential=sequential)
        if self._in_time and isinstance(asked.weighting, dict) and asked.weighting.get("folds"):
            asked.weighting["order"] = asked.weighting["order"] or "time"
        return asked

    @property
    def _in_time(self) -> bool:
        """Whether what is set aside must be later than what is trained on."""
        return self.split == "time" or (self.split == "auto" and self._form.kind == "series")

    def _stops_early(self, asked: Settings, count: int) -> bool:
        if self.early_stopping == "auto":
            return count >= _VALIDATES_FROM
        if not isinstance(self.early_stopping, bool | np.bool_):
            raise ValueError(
                f"`early_stopping` must be True, False or 'auto', got {self.early_stopping!r}"
            )
        return bool(self.early_stopping)

    def _blocks(self, asked: Settings, sequences: Sequences, random: Any) -> Blocks:
        if self.split not in ("auto", "random", "time"):
            raise ValueError(f"`split` must be 'auto', 'random' or 'time', got {self.split!r}")
        shares = {}
        if self._stops_early(asked, len(sequences)) or needs_valid(asked.weighting):
            shares["valid"] = _fraction(self, "validation_fraction", least=0.0)
        if _fraction(self, "calibration_fraction", least=-1.0) > 0:
            shares["calibration"] = self.calibration_fraction
        made = split(shares, sequences, "time" if self._in_time else "random", random)
        return Blocks(made["train"], made.get("valid"), made.get("calibration"))

    def _read(self, X: Any, timespans: Any, *, fresh: bool) -> Sequences:
        """The sequences of X; remembers the form of X where it is `fresh`."""
        sequences, form = read(self, X, timespans, None if fresh else self._form)
        if fresh:
            self._form = form
        return sequences

    def _predict(self, X: Any, timespans: Any) -> Prediction:
        check_is_fitted(self, "collective_")
        sequences = self._read(X, timespans, fresh=False)
        groups = self.collective_.population.groups
        wide = all(isinstance(group.members, MLP) for group in groups)
        with jax.enable_x64(True) if wide else nullcontext():  # MLPs answer in the precision asked
            return self.collective_.predict(sequences)

    def save(self, path: str | Path) -> Path:
        """Saves the fitted crowd as a bundle, which `shoal.load` and every front end read.

        Args:
            path: a new folder, or a bundle, which is replaced.

        Returns:
            The folder. The estimator itself is kept by pickle or joblib.
        """
        from shoal.bundle import save

        check_is_fitted(self, "collective_")
        info = {"estimator": type(self).__name__, "members": self.members_}
        return save(self.collective_, path, info=info)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        return tags


def _fraction(estimator: Any, name: str, *, least: float) -> float:
    value = getattr(estimator, name)
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not max(least, -1e-300) < value < 1:
        rule = "between 0 and 1" if least >= 0 else "at least 0 and below 1"
        raise ValueError(f"`{name}` must be {rule}, got {value!r}")
    return float(value)


def warn_of_empty(sequences: Sequences, names: Sequence[str]) -> None:
    """Warns of features of which there is no value at all."""
    seen = np.isfinite(sequences.x)
    if sequences.mask is not None:
        seen &= sequences.mask[..., None]
    columns = np.flatnonzero(~np.asarray(seen.any(axis=(0, 1))))
    if len(columns):
        named = ", ".join(repr(names[i]) for i in columns.tolist())
        warnings.warn(
            f"X holds no value of {named}, in any sample, so that nothing can be learned of it",
            stacklevel=4,
        )


def check_y(estimator: Any, y: Any, count: int) -> None:
    """Refuses y that is not there, or is not of the `count` samples of X."""
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None"
        )
    if _num_samples(y) != count:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X has {count}, y has "
            f"{_num_samples(y)}"
        )
    if count < 2:
        raise ValueError(f"Found {count} sample, and at least 2 are needed to train; give more")
