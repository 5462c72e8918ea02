"""`CollectiveClassifier`: a crowd that predicts classes, and how probable they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from shoal.data.schema import Schema
from shoal.sklearn.base import CollectiveEstimator, check_y


class CollectiveClassifier(ClassifierMixin, CollectiveEstimator):
    """A crowd of neural members that predicts classes, and how probable they are.

    X is what it may be for `CollectiveRegressor`; y holds labels of any type.

    Args:
        n_models, member, width, layers, regime, weighting, sharing: as of `CollectiveRegressor`.
        epochs, batch_size, learning_rate, weight_decay, dropout, optimizer, schedule, clip_norm:
            likewise.
        early_stopping, validation_fraction, patience, split: likewise; samples set aside at random
            hold their share of each class.
        time_column, series_column, window, random_state: likewise.

    Attributes:
        classes_: the labels, sorted; the columns of `predict_proba`.
        collective_, members_, history_, n_features_in_, feature_names_in_: as of
            `CollectiveRegressor`.

    >>> import numpy as np
    >>> from shoal.sklearn import CollectiveClassifier
    >>> X = np.linspace(-3, 3, 80)[:, None]
    >>> y = np.where(X[:, 0] > 0, "up", "down")
    >>> crowd = CollectiveClassifier(n_models=2, width=8, layers=1, epochs=60, random_state=0)
    >>> crowd.fit(X, y).predict([[-2.0], [2.0]]).tolist()
    ['down', 'up']
    >>> crowd.predict_proba([[-2.0]]).round(1).tolist()
    [[1.0, 0.0]]
    """

    def __init__(
        self,
        n_models=5,
        *,
        member="auto",
        width=None,
        layers=None,
        regime="independent",
        weighting="uniform",
        sharing=None,
        epochs=100,
        batch_size=32,
        learning_rate=1e-2,
        weight_decay=1e-2,
        dropout=None,
        optimizer="adam",
        schedule="cosine",
        clip_norm=None,
        early_stopping="auto",
        validation_fraction=0.1,
        patience=20,
        calibration_fraction=0.0,
        split="auto",
        time_column=None,
        series_column=None,
        window=16,
        random_state=None,
    ):
        self.n_models = n_models
        self.member = member
        self.width = width
        self.layers = layers
        self.regime = regime
        self.weighting = weighting
        self.sharing = sharing
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.optimizer = optimizer
        self.schedule = schedule
        self.clip_norm = clip_norm
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.calibration_fraction = calibration_fraction
        self.split = split
        self.time_column = time_column
        self.series_column = series_column
        self.window = window
        self.random_state = random_state

    def fit(self, X, y, timespans=None) -> CollectiveClassifier:
        """Trains the crowd.

        Args:
            X: (n, features), (n, time, features), or a list of (time, features).
            y: (n,) labels.
            timespans: of sequences, the time before each observation: (n, time), or a list of
                (time,); 1 where it is not given.

        Returns:
            self.

        Raises:
            ValueError: X, y or a parameter is not what it must be; y holds only one class.
        """
        sequences = self._read(X, timespans, fresh=True)
        check_y(self, y, len(sequences))
        self.classes_, numbers = _labels(y)
        names = tuple(str(label) for label in self.classes_)
        schema = Schema(
            "classification", None, self._form.features, ("y",), classes=names, arrays=True
        )
        self._fit("classification", replace(sequences, y=numbers), schema)
        return self

    def predict(self, X, timespans=None) -> np.ndarray:
        """The most probable label of each sample, (n,)."""
        number = self.predict_proba(X, timespans).argmax(axis=1)
        return self.classes_[number]

    def predict_proba(self, X, timespans=None) -> np.ndarray:
        """(n, classes) how probable each class is, in the order of `classes_`."""
        return self._predict(X, timespans).probabilities

    def score(self, X, y, sample_weight=None, *, timespans=None) -> float:
        """The accuracy of `predict`."""
        return float(accuracy_score(y, self.predict(X, timespans), sample_weight=sample_weight))


def _labels(y: Any) -> tuple[np.ndarray, np.ndarray]:
    """The classes, and the number of each sample's class."""
    y = column_or_1d(y, warn=True)
    check_classification_targets(y)
    classes, numbers = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y holds only one class, {classes.tolist()[0]!r}; a classifier needs at least 2"
        )
    return classes, numbers
