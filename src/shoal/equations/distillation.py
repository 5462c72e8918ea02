"""What a student is taught: to say by itself what a whole crowd says.

The crowd's answer is a distribution, and so is the student's; what is made small is the cross-
entropy from the one to the other, over any array namespace `xp`. Of normal distributions, the
crowd's with mean m and total spread s,

    H = E_{y ~ N(m, s²)} [−log N(y; μ, σ²)] = ((m − μ)² + s²) / 2σ² + log σ + ½ log 2π

which is smallest at μ = m, σ = s; of classes, with the crowd's probabilities q,

    H = −Σ_c q_c log softmax(z)_c.

Both are the Kullback-Leibler divergence plus a constant, the crowd's own entropy.

Sources: Hinton, Vinyals & Dean 2015; Malinin, Mlodozeniec & Gales 2020 (ensemble distribution
distillation).
"""

from __future__ import annotations

from math import log, pi
from typing import Any

from shoal.equations.namespaces import still
from shoal.equations.outputs import Categorical, Normal


def normal_lesson(xp: Any, student: Normal, mean: Any, std: Any) -> Any:
    """H of normal distributions, elementwise.

    >>> import numpy as np
    >>> right = normal_lesson(np, Normal(np.zeros(1), np.ones(1)), np.zeros(1), np.ones(1))
    >>> round(float(right[0]), 4)  # the entropy of a standard normal
    1.4189
    """
    apart = ((mean - student.mean) ** 2 + std**2) / student.std**2
    return 0.5 * apart + xp.log(student.std) + 0.5 * log(2 * pi)


def class_lesson(xp: Any, student: Categorical, probabilities: Any) -> Any:
    """H over the classes on the last axis.

    >>> import numpy as np
    >>> even = class_lesson(np, Categorical(np.zeros((1, 2))), np.array([[0.5, 0.5]]))
    >>> round(float(even[0]), 4)  # log 2
    0.6931
    """
    logits = student.logits
    largest = getattr(xp, "amax", None) or xp.max
    shifted = logits - still(largest(logits, axis=-1, keepdims=True))
    return xp.log(xp.exp(shifted).sum(axis=-1)) - (probabilities * shifted).sum(axis=-1)
