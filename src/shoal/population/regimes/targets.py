"""What of a sample's targets is known."""

from __future__ import annotations

import numpy as np

from shoal.population.samples import Samples


def observed(samples: Samples) -> np.ndarray:
    """(rows, numbers) whether each number of the targets counts; (rows, 1) for classes.

    >>> observed(Samples(np.ones((2, 1)), None, None, np.ones((2, 3)), None)).shape
    (2, 3)
    """
    y = np.asarray(samples.y).reshape(samples.count, -1)
    if samples.y_mask is None:
        return np.ones(y.shape, bool)
    mask = np.asarray(samples.y_mask, bool)
    mask = mask.reshape(mask.shape + (1,) * (samples.y.ndim - mask.ndim))
    return np.broadcast_to(mask, samples.y.shape).reshape(y.shape)
