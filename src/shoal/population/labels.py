"""Class labels looked at before training: each must be a class of the members, and not all one.

The loss of a label that is no class is a number like any other, so that nothing else would tell.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from shoal.population.samples import Samples


def check_labels(
    train: Samples, valid: Samples | None, shapes: Iterable[tuple[int, ...] | None]
) -> None:
    """Refuses labels that no member has an output for, and training samples of one class.

    Args:
        shapes: of members' logits to some training samples, (rows, ..., classes); None of members
            that answer something else than classes.

    Raises:
        ValueError: naming the samples, the label and what the members know.

    >>> y = np.array([0, 1, 2])
    >>> check_labels(Samples(y[:, None], None, None, y, None), None, [(3, 3)])
    >>> check_labels(Samples(y[:, None], None, None, y, None), None, [(3, 2)])
    Traceback (most recent call last):
    ...
    ValueError: `train`: y of sample 2 is class 2, but members know 2 classes, 0 to 1; number the \
classes from 0, or give the members more outputs
    """
    if not holds_labels(train):
        return
    wanted = np.ndim(train.y)
    known = [shape[-1] for shape in shapes if shape is not None and len(shape) == wanted + 1]
    if not known:
        return
    for name, samples in (("train", train), ("valid", valid)):
        if samples is not None:
            _check_range(samples, name, min(known))
    found = np.unique(np.asarray(train.y)[_observed(train)])
    if len(found) < 2:
        what = f"only class {found[0]}" if len(found) else "no class"
        raise ValueError(
            f"`train`: y holds {what}, so there is nothing to learn; give samples of at least two "
            "classes"
        )


def holds_labels(samples: Samples) -> bool:
    """Whether y may be class labels: it holds integers."""
    return np.issubdtype(np.asarray(samples.y).dtype, np.integer)


def _check_range(samples: Samples, name: str, classes: int) -> None:
    y = np.asarray(samples.y)
    bad = np.argwhere(_observed(samples) & ((y < 0) | (y >= classes)))
    if len(bad):
        row, label = bad[0][0], y[tuple(bad[0])]
        raise ValueError(
            f"`{name}`: y of sample {row} is class {label}, but members know {classes} classes, "
            f"0 to {classes - 1}; number the classes from 0, or give the members more outputs"
        )


def _observed(samples: Samples) -> np.ndarray:
    y = np.asarray(samples.y)
    if samples.y_mask is None:
        return np.ones(y.shape, bool)
    mask = np.asarray(samples.y_mask, bool)
    return np.broadcast_to(mask.reshape(mask.shape + (1,) * (y.ndim - mask.ndim)), y.shape)
