"""Meta-models of stacking other than the closed forms: fitted to columns of predictions.

    "logistic"     a logistic regression over the members' probabilities, for classes
    "mlp"          a small multilayer perceptron, for numbers and for classes
    any object     with scikit-learn's `fit` and `predict`, for classes `predict_proba`

What is a linear model, a logistic regression or a perceptron is kept as numbers
(`shoal.equations.meta.Layers`), so that it runs anywhere and is saved; any other model stays the
object that it is, answers NumPy arrays, and cannot be saved. The first two need scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np

from shoal.equations.combine import softmax
from shoal.equations.meta import ACTIVATIONS, Layers, columns_of_classes, columns_of_points
from shoal.equations.outputs import Categorical, Normal

NAMED = ("logistic", "mlp")
_NEVER = -1e4  # the logit of a class that no row had


@dataclass(frozen=True)
class Foreign:
    """A fitted model of another library."""

    model: Any
    classes: int | None = None

    def __call__(self, xp, columns) -> np.ndarray:
        if xp is not np:
            raise ValueError(
                f"the meta-model {type(self.model).__name__} answers NumPy arrays only; linear "
                "models, logistic regressions and perceptrons answer any, and can be traced"
            )
        if self.classes is None:
            return np.asarray(self.model.predict(columns), float)
        found = np.zeros((len(columns), self.classes))
        found[:, np.asarray(self.model.classes_, int)] = self.model.predict_proba(columns)
        return found


def fit_model(meta: Any, predictions: Any, y: np.ndarray, known: np.ndarray, seed: int) -> Any:
    """The meta-model that was fitted: `model(xp, columns)`.

    Args:
        meta: a name of `NAMED`, or an object, which is copied.
        predictions, y, known: as `shoal.weighting.evidence.needed` gives them.
        seed: of the perceptron's first weights.

    Raises:
        ValueError: the model is not for such answers.
        ImportError: scikit-learn is missing.
    """
    classes = predictions.logits.shape[-1] if isinstance(predictions, Categorical) else None
    columns, target = _lesson(predictions, y, known.astype(bool))
    if meta == "mlp":
        return _perceptron(columns, target, classes, seed)
    if meta == "logistic":
        meta = _logistic(classes)
    if classes is not None and not hasattr(meta, "predict_proba"):
        raise ValueError(
            f"the meta-model {type(meta).__name__} of classes needs `predict_proba`; give a "
            "classifier, such as LogisticRegression()"
        )
    model = _copied(meta).fit(columns, target)
    return as_layers(model, columns, classes) or Foreign(model, classes)


def as_layers(model: Any, columns: np.ndarray, classes: int | None) -> Layers | None:
    """A fitted model as numbers; None where it is no such model, which is tried on the columns."""
    wanted = Foreign(model, classes)(np, columns).reshape(len(columns), -1)
    for layers in _guesses(model, classes):
        found = layers(np, columns)
        if found.shape == wanted.shape and np.allclose(found, wanted, rtol=1e-6, atol=1e-8):
            return layers
    return None


def _lesson(predictions: Any, y: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(rows, inputs) and (rows,), of the truths that are known."""
    if isinstance(predictions, Categorical):
        columns = columns_of_classes(np, softmax(np, np.asarray(predictions.logits, float)))
        return columns[kept], y[kept].astype(int)
    means = predictions.mean if isinstance(predictions, Normal) else predictions
    columns = columns_of_points(np, np.asarray(means, float))
    return columns[kept.reshape(-1)], y[kept]


def _guesses(model: Any, classes: int | None) -> Iterator[Layers]:
    """What layers the model may be."""
    if hasattr(model, "coefs_") and getattr(model, "activation", None) in ACTIVATIONS:
        weights, biases, name = model.coefs_, model.intercepts_, model.activation
    elif hasattr(model, "coef_") and hasattr(model, "intercept_"):
        weights, name = [np.atleast_2d(model.coef_).T], "identity"
        biases = [np.zeros(weights[0].shape[1]) + model.intercept_]
    else:
        return
    weights, biases = list(map(np.asarray, weights)), list(map(np.asarray, biases))
    if classes is not None:
        weights[-1], biases[-1] = _of_all_classes(weights[-1], biases[-1], model.classes_, classes)
    yield layers_of(weights, biases, name, classes is not None)


def _of_all_classes(weight: np.ndarray, bias: np.ndarray, seen: Any, classes: int):
    """The last layer with a logit for every class; one column stands for the second of two."""
    if weight.shape[1] == 1 and len(seen) == 2:
        weight = np.concatenate([0.0 * weight, weight], 1)
        bias = np.concatenate([0.0 * bias, bias])
    whole, logits = np.zeros((len(weight), classes)), np.full(classes, _NEVER)
    seen = np.asarray(seen, int)
    whole[:, seen], logits[seen] = weight, bias
    return whole, logits


def layers_of(weights: Any, biases: Any, activation: str, classes: bool) -> Layers:
    """Layers of plain numbers, which can be compared and written."""
    return Layers(
        tuple(tuple(tuple(map(float, row)) for row in weight) for weight in weights),
        tuple(tuple(map(float, bias)) for bias in biases),
        activation,
        classes,
    )


def _perceptron(columns: np.ndarray, target: np.ndarray, classes: int | None, seed: int) -> Layers:
    """One hidden layer of 8, on columns and numbers of one scale, which goes into the layers.

    The decay lies between 0.1 and 1, of which one or the other was best among 0.01, 0.1, 1 and 10
    for 60, 300 and 2000 rows of three members with normal errors, bent or not.
    """
    network = _scikit_learn("neural_network")
    options: dict[str, Any] = {"hidden_layer_sizes": (8,), "activation": "tanh", "alpha": 0.3}
    options |= {"solver": "lbfgs", "max_iter": 500, "random_state": seed}
    centre, spread = _scale(columns)
    if classes is not None:
        model = network.MLPClassifier(**options)
        middle, width = 0.0, 1.0
    else:
        model, (middle, width) = network.MLPRegressor(**options), _scale(target)
    scaled = target if classes is not None else (target - middle) / width
    model = _quietly(model.fit, (columns - centre) / spread, scaled)
    (layers,) = _guesses(model, classes)
    weights, biases = list(map(np.asarray, layers.weights)), list(map(np.asarray, layers.biases))
    weights[0] = weights[0] / np.reshape(spread, (-1, 1))
    biases[0] = biases[0] - centre @ weights[0]
    if classes is None:
        weights[-1], biases[-1] = weights[-1] * width, biases[-1] * width + middle
    return layers_of(weights, biases, "tanh", classes is not None)


def _scale(values: np.ndarray) -> tuple[Any, Any]:
    spread = values.std(0)
    return values.mean(0), np.where(spread > 0, spread, 1.0)


def _logistic(classes: int | None) -> Any:
    if classes is None:
        raise ValueError("the meta-model 'logistic' is for classes; use 'linear' or 'mlp'")
    return _scikit_learn("linear_model").LogisticRegression(max_iter=1000)


def _scikit_learn(part: str) -> Any:
    from importlib import import_module

    try:
        return import_module(f"sklearn.{part}")
    except ImportError as error:
        raise ImportError(
            f"the meta-models {', '.join(NAMED)} are fitted by scikit-learn: "
            "pip install scikit-learn"
        ) from error


def _copied(model: Any) -> Any:
    """A model that was not fitted, so that the one given stays as it is."""
    if hasattr(model, "get_params"):
        return _scikit_learn("base").clone(model)
    return deepcopy(model)


def _quietly(fit: Callable, *lesson: Any) -> Any:
    """Without the warning that a fixed number of steps is no minimum."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit(*lesson)
