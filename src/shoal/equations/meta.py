"""A meta-model: what learns from the members' answers to say the crowd's.

    columns of points       μ_1 … μ_n of one output: every output is answered by the same model
    columns of classes      p_1 … p_n, the probabilities of all members side by side; of two classes
                            the second's alone, since the first's is what is left

    layers                  h ← activation(h·W + b), the last one without; classes by its softmax

Linear models, logistic regression and multilayer perceptrons are layers, and as such run over any
array namespace and are saved as numbers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from shoal.equations.activations import sigmoid
from shoal.equations.combine import softmax
from shoal.equations.namespaces import alike

ACTIVATIONS = ("identity", "tanh", "relu", "logistic")


class Layers(NamedTuple):
    """A meta-model as numbers.

    Attributes:
        weights: one (inputs, outputs) for every layer, as nested tuples or arrays.
        biases: one (outputs,) for every layer.
        activation: between layers.
        classes: whether the answer is the softmax of the last layer.

    >>> import numpy as np
    >>> halves = Layers((((0.5,), (0.5,)),), ((1.0,),))
    >>> halves(np, np.array([[2.0, 4.0]])).tolist()
    [[4.0]]
    """

    weights: tuple
    biases: tuple
    activation: str = "identity"
    classes: bool = False

    def __call__(self, xp, columns) -> Any:
        """(rows, inputs) to (rows, outputs)."""
        hidden, last = columns, len(self.weights) - 1
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            hidden = hidden @ alike(weight, columns) + alike(bias, columns)
            if number < last:
                hidden = activated(xp, self.activation, hidden)
        return softmax(xp, hidden) if self.classes else hidden


def activated(xp, name: str, values):
    """One of `ACTIVATIONS`.

    >>> import numpy as np
    >>> activated(np, "relu", np.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    if name == "tanh":
        return xp.tanh(values)
    if name == "relu":
        return xp.where(values > 0, values, xp.zeros_like(values))
    if name == "logistic":
        return sigmoid(xp, values)
    if name != "identity":
        raise ValueError(f"`activation` must be one of {', '.join(ACTIVATIONS)}; got {name!r}")
    return values


def columns_of_points(xp, means):
    """(members, batch, ...) as rows of one output each, (numbers, members).

    >>> import numpy as np
    >>> columns_of_points(np, np.arange(4.0).reshape(2, 1, 2)).tolist()
    [[0.0, 2.0], [1.0, 3.0]]
    """
    return xp.swapaxes(means.reshape(means.shape[0], -1), 0, 1)


def columns_of_classes(xp, probabilities):
    """(members, batch, classes) side by side, (batch, members × classes).

    >>> import numpy as np
    >>> columns_of_classes(np, np.array([[[0.9, 0.1]], [[0.4, 0.6]]])).tolist()
    [[0.1, 0.6]]
    """
    if probabilities.shape[-1] == 2:
        probabilities = probabilities[..., 1:]
    beside = xp.swapaxes(probabilities, 0, 1)
    return beside.reshape(beside.shape[0], -1)
