"""How unlike the members are: spread around their mean, correlation of errors, right and wrong.

Of answers in numbers, (members, rows, ...):

    variance     mean Σ_i w_i (f_i − m)²,  m = Σ_i w_i f_i      around the mean; divided by n
    correlation  of e_i = f_i − y and e_j over the observed truths

Of two members, with N^ab the share of rows where i is a and j is b (1 right, 0 wrong):

    disagreement D = N^10 + N^01                                        (Skalak 1996)
    Q-statistic  Q = (N^11 N^00 − N^01 N^10)/(N^11 N^00 + N^01 N^10)    (Yule 1900)
    correlation  ρ = (N^11 N^00 − N^01 N^10)/√(row and column sums)
    double fault F = N^00                                               (Giacinto & Roli 2001)

and of all L members together, with l_j of them right in row j of N,

    Kohavi-Wolpert variance  KW = Σ_j l_j (L − l_j)/(N L²) = (L − 1)/(2L) · mean disagreement.

Pairwise measures are (members, members) matrices; `pair_mean` is the mean over unlike pairs. The
greater D and KW, the smaller Q, ρ and F, the more diverse. Source: Kuncheva & Whitaker 2003,
"Measures of diversity in classifier ensembles and their relationship with the ensemble accuracy".
What diversity buys is in `ambiguity.py`.
"""

from __future__ import annotations

import numpy as np

from shoal.equations.combine import moments
from shoal.equations.members import check_members
from shoal.score.points import masked_mean, observed


def variance(weights, members, y=None, mask=None, axis: int | None = None) -> np.ndarray:
    """Mean weighted variance of the members around their mean.

    Args:
        weights: (members,) or (members, rows), summing to one over the members.
        members: (members, rows, ...); probabilities (members, rows, classes) too.
        y, mask: the truth (rows, ...): where it was not observed, nothing counts. Optional.
        axis: what is averaged: None for everything, 0 for the rows alone.

    >>> import numpy as np
    >>> float(variance(np.full(2, 0.5), np.array([[0.0, 1.0], [4.0, 1.0]])))
    2.0
    """
    members = np.asarray(members, float)
    check_members(members)
    spread = moments(np.asarray(weights, float), members).epistemic
    return masked_mean(spread, np.zeros_like(spread) if y is None else y, mask, axis)


def error_correlation(members, y, mask=None) -> np.ndarray:
    """(members, members) Pearson correlations of the errors; NaN of errors that do not vary.

    Args:
        members: (members, rows, ...). y: (rows, ...); NaN or masked where unobserved.

    >>> import numpy as np
    >>> members = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [-1.0, -2.0, -3.0]])
    >>> error_correlation(members, np.zeros(3)).round(3).tolist()[0]
    [1.0, 1.0, -1.0]
    """
    members, y = np.asarray(members, float), np.asarray(y, float)
    if members.ndim < 2 or members.shape[1:] != y.shape:
        raise ValueError(f"`members` must be (members, *{y.shape}) to fit `y`, got {members.shape}")
    check_members(members)
    seen = observed(y, mask)
    return _correlations(members[:, seen] - y[seen])


def right(choices, labels) -> np.ndarray:
    """(members, rows) whether each member is right, of its chosen classes or its probabilities.

    >>> right([[0, 1], [1, 1]], [0, 1]).tolist()
    [[True, True], [False, True]]
    """
    choices, labels = np.asarray(choices), np.asarray(labels)
    if choices.ndim == 3:
        check_members(choices)
        choices = choices.argmax(axis=-1)
    if choices.ndim != 2 or choices.shape[1:] != labels.shape:
        raise ValueError(
            "`choices` must be (members, rows), or probabilities (members, rows, classes), and "
            f"`labels` (rows,), got {choices.shape} and {labels.shape}"
        )
    return choices == labels


def disagreement(answers) -> np.ndarray:
    """(members, members) the share of rows in which two members answer unlike.

    Of `right(...)` it is Skalak's disagreement; of chosen classes it needs no truth.

    Args:
        answers: (members, rows) of booleans or classes.

    >>> disagreement([[True, True, False], [True, False, True]])[0, 1].round(4)
    np.float64(0.6667)
    """
    answers = _rows(answers)
    return np.stack([(answers != one).mean(axis=1) for one in answers])


def q_statistic(correct) -> np.ndarray:
    """(members, members) Yule's Q: 0 for independent members, 1 if they err in the same rows.

    NaN where it is 0/0, as of two members of which one is never wrong.

    Args:
        correct: (members, rows) of booleans, as `right` gives.

    >>> q_statistic([[1, 1, 0, 0], [1, 0, 1, 0]])[0, 1]
    np.float64(0.0)
    """
    both, first, second, neither = _table(correct)
    same, unlike = both * neither, first * second
    total = same + unlike
    return np.divide(same - unlike, total, out=np.full(total.shape, np.nan), where=total > 0)


def right_correlation(correct) -> np.ndarray:
    """(members, members) the correlation ρ of being right; NaN of members that never vary.

    >>> right_correlation([[1, 1, 0, 0], [1, 1, 0, 0]])[0, 1]
    np.float64(1.0)
    """
    return _correlations(_booleans(correct).astype(float))


def double_fault(correct) -> np.ndarray:
    """(members, members) the share of rows in which both are wrong; on the diagonal the error rate.

    >>> double_fault([[1, 0, 0, 0], [1, 1, 0, 0]])[0, 1]
    np.float64(0.5)
    """
    return _table(correct)[3]


def kohavi_wolpert(correct) -> float:
    """The Kohavi-Wolpert variance of all members together, between 0 and ¼.

    >>> kohavi_wolpert([[1, 1], [0, 1]])  # (2 − 1)/(2·2) · a disagreement of ½
    0.125
    """
    correct = _booleans(correct)
    number = correct.sum(axis=0)
    return float((number * (len(correct) - number)).mean() / len(correct) ** 2)


def pair_mean(matrix) -> float:
    """The mean over pairs of unlike members, without NaN; NaN where there is none.

    >>> import numpy as np
    >>> pair_mean(np.array([[1.0, 0.2], [0.2, 1.0]]))
    0.2
    """
    matrix = np.asarray(matrix, float)
    pairs = matrix[np.triu_indices(len(matrix), 1)]
    pairs = pairs[np.isfinite(pairs)]
    return float(pairs.mean()) if len(pairs) else float("nan")


def _correlations(values: np.ndarray) -> np.ndarray:
    """(members, members) Pearson correlations over the last axis."""
    if not values.shape[1]:
        return np.full((len(values),) * 2, np.nan)
    apart = values - values.mean(axis=1, keepdims=True)
    length, whole = (np.sqrt((a**2).sum(axis=1)) for a in (apart, values))
    varies = length > 1e-12 * whole  # what rounding leaves of a constant is none
    unit = np.where(varies, 1.0 / np.where(varies, length, 1.0), np.nan)[:, None] * apart
    return np.clip(unit @ unit.T, -1.0, 1.0)


def _table(correct) -> tuple[np.ndarray, ...]:
    """N^11, N^10, N^01, N^00 of all pairs."""
    yes = _booleans(correct).astype(float)
    no, rows = 1.0 - yes, yes.shape[1]
    return yes @ yes.T / rows, yes @ no.T / rows, no @ yes.T / rows, no @ no.T / rows


def _booleans(correct) -> np.ndarray:
    correct = _rows(correct)
    if not np.isin(correct, (0, 1)).all():
        raise ValueError("`correct` must be True or False (or 1, 0); make it with `right`")
    return correct.astype(bool)


def _rows(answers) -> np.ndarray:
    answers = np.asarray(answers)
    if answers.ndim != 2 or not answers.shape[1]:
        raise ValueError(f"answers must be (members, rows) with rows, got shape {answers.shape}")
    return answers
