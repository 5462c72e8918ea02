"""The members of the study: eight alike, that differ in their seeds, and eight of four kinds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx

import shoal
from shoal.neurons import MLP, Head

N_MODELS = 8


class Line(eqx.Module):
    """All numbers of a row side by side, and a linear map."""

    head: Head

    def __init__(self, width: int, shape: tuple[int, ...], likelihood: str, key: Any):
        self.head = Head(width, shape, likelihood, key=key)

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        return self.head(x.reshape(len(x), -1))


def makes(split: Any, crowd: str, likelihood: str | None = None) -> list[Callable]:
    """What makes the members of a crowd, "alike" or "unlike", in turn.

    Args:
        split: whose data they are for.
        crowd: "alike" or "unlike".
        likelihood: by default normal distributions for numbers, and classes for classes.
    """
    train = split.blocks["train"]
    classes = train.y.dtype.kind == "i"
    likelihood = likelihood or ("categorical" if classes else "normal")
    shape = (int(train.y.max()) + 1,) if classes else (1,)
    build = _of_series if train.timespans is not None else _of_rows
    kinds = build(train.x.shape[1:], shape, likelihood)
    return kinds if crowd == "unlike" else kinds[-1:]


def _of_rows(inputs: tuple, shape: tuple, likelihood: str) -> list[Callable]:
    (width,) = inputs
    net = partial(MLP, width, output_shape=shape, likelihood=likelihood)
    return [
        lambda key: Line(width, shape, likelihood, key),
        lambda key: net(units=8, activation="tanh", key=key),
        lambda key: net(units=64, num_layers=2, key=key),
        lambda key: net(units=32, key=key),
    ]


def _of_series(inputs: tuple, shape: tuple, likelihood: str) -> list[Callable]:
    width = inputs[0] * inputs[1]
    net = partial(MLP, width, output_shape=shape, likelihood=likelihood)

    def neuron(kind, key, **options):
        rnn = kind(inputs[1], 16, return_sequences=False, key=key, **options)
        return shoal.SequenceModel(rnn, Head(16, shape, likelihood, key=key))

    return [
        lambda key: Line(width, shape, likelihood, key),
        lambda key: net(units=32, key=key),
        lambda key: neuron(shoal.GRU, key, use_timespans=True),
        lambda key: neuron(shoal.CfC, key, backbone_units=32),
    ]
