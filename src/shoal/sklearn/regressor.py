"""`CollectiveRegressor`: a crowd that predicts numbers, and how sure it is of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_array

from shoal.data.schema import Schema
from shoal.sklearn.base import CollectiveEstimator, check_y


class CollectiveRegressor(RegressorMixin, CollectiveEstimator):
    """A crowd of neural members that predicts numbers, and how sure it is of them.

    X may be a table (n, features); a table with a `time_column`, whose rows are observations of a
    series; sequences (n, time, features); or a list of sequences of any lengths. It is standardised
    within, as y is; NaN in X marks what is missing.

    Args:
        n_models: members of the crowd.
        member: kind of member: "mlp", "cfc", "ltc", "ctrnn", "ctgru", "lstm", "gru"; "auto": "mlp"
            for tables, "cfc" for sequences and series. Or a dict of the kind and its arguments, as
            the `model` section of a configuration file; or a list of these, taken in turn.
        width: units of a layer; 64 for "mlp", 32 for neurons.
        layers: hidden layers; 2 for "mlp", 1 for neurons.
        regime: how members are trained with regard to one another; a name or dict as in the
            configuration file, or a regime of `shoal.population.regimes`.
        weighting: how much each counts; a name, a dict, or a rule of `shoal.weighting`. Rules that
            learn from predictions set aside `validation_fraction`.
        sharing: matrices that members have in common: None, "tabm", "batch_ensemble", or a dict as
            `ensemble.sharing` in the configuration file.
        likelihood: what members answer: "normal", a mean and a standard deviation, or "point".
            "auto": "normal", unless regime, weighting or loss need points.
        loss: None follows from the likelihood; or "mse", "mae", "huber", "normal_nll".
        epochs, batch_size, learning_rate, weight_decay, dropout, optimizer, schedule, clip_norm: of
            the training, as of `shoal.fit`.
        early_stopping: whether to set aside `validation_fraction`, to keep each member's best epoch
            by it, and to stop a member after `patience` epochs without a better one. "auto": from
            200 samples on.
        validation_fraction: of the samples, set aside where something needs them.
        patience: epochs without a better validation loss.
        calibration_fraction: of the samples, set aside to make intervals conformal; 0 for none.
        split: which samples are set aside: "random", or the last in "time". "auto": at random, but
            of a series the last.
        time_column: of a table, the column with the time of each row, which makes it a series; of
            sequences, the feature that holds the time of each observation. Name or number.
        series_column: of a table with a `time_column`, the column that tells series apart.
        window: of a series, the observations up to a row that its answer is predicted from.
        random_state: seed of members, of the order of data, and of what is set aside.

    Attributes:
        collective_: the fitted `Collective`.
        members_: a dict for each member: seed, status, best loss, epochs.
        history_: losses of every epoch; `history_.to_frame()`.
        n_outputs_: targets.
        n_features_in_, feature_names_in_: columns of X.

    >>> import numpy as np
    >>> from shoal.sklearn import CollectiveRegressor
    >>> X = np.linspace(-3, 3, 80)[:, None]
    >>> crowd = CollectiveRegressor(n_models=2, width=8, layers=1, epochs=60, random_state=0)
    >>> mean, std = crowd.fit(X, 2 * X[:, 0]).predict([[1.0], [2.0]], return_std=True)
    >>> mean.shape, bool((std > 0).all()), bool(crowd.score(X, 2 * X[:, 0]) > 0.9)
    ((2,), True, True)
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
        likelihood="auto",
        loss=None,
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
        self.likelihood = likelihood
        self.loss = loss
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

    def fit(self, X, y, timespans=None) -> CollectiveRegressor:
        """Trains the crowd.

        Args:
            X: (n, features), (n, time, features), or a list of (time, features).
            y: (n,) or (n, targets).
            timespans: of sequences, the time before each observation: (n, time), or a list of
                (time,); 1 where it is not given.

        Returns:
            self.

        Raises:
            ValueError: X, y or a parameter is not what it must be.
        """
        sequences = self._read(X, timespans, fresh=True)
        check_y(self, y, len(sequences))
        y = _numbers(y)
        self._flat = y.ndim == 1
        y = y.reshape(len(y), -1)
        self.n_outputs_ = y.shape[1]
        targets = ("y",) if self._flat else tuple(f"y{i}" for i in range(y.shape[1]))
        schema = Schema("regression", None, self._form.features, targets, arrays=True)
        self._fit("regression", replace(sequences, y=y), schema)
        return self

    def predict(self, X, timespans=None, *, return_std=False):
        """The crowd's mean, (n,) or (n, targets); with `return_std` also its standard deviation.

        The standard deviation is √(aleatoric + epistemic): what the members expect of the noise,
        and how far they disagree.
        """
        p = self._predict(X, timespans)
        return (self._shaped(p.mean), self._shaped(p.std)) if return_std else self._shaped(p.mean)

    def predict_interval(self, X, timespans=None, *, level=0.9):
        """(lower, upper), each (n,) or (n, targets), meant to hold `level` of the truths.

        Conformal where a `calibration_fraction` was set aside, and infinite where that were too few
        samples for the level (0.9 needs 9); else of the predicted distribution.

        Raises:
            ValueError: the level is not between 0 and 1.
        """
        lower, upper = self._predict(X, timespans).interval(level)
        return self._shaped(lower), self._shaped(upper)

    def score(self, X, y, sample_weight=None, *, timespans=None) -> float:
        """R², the coefficient of determination, of `predict`."""
        return float(r2_score(y, self.predict(X, timespans), sample_weight=sample_weight))

    def _shaped(self, answers: np.ndarray) -> np.ndarray:
        return answers[:, 0] if self._flat else answers

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _numbers(y: Any) -> np.ndarray:
    options: Any = {"ensure_2d": False, "dtype": np.float64, "input_name": "y"}
    y = check_array(y, **options)
    if y.ndim > 2:
        raise ValueError(f"y must be (n,) or (n, targets), got {y.shape}")
    return y
