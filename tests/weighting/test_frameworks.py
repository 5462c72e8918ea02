"""Every rule is arithmetic over the arrays it is given: traced by JAX, alike in each framework."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from shoal.equations.namespaces import namespace
from shoal.equations.outputs import Categorical, Normal
from shoal.weighting import RULES, Evidence, Selector, Stacking, moments_of, pool_of, resolve

mx = pytest.importorskip("mlx.core")

N, ROWS = 3, 10
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 4, 2))
X[2, 1] = np.nan  # a missing value, as a crowd is asked
TIMESPANS = RNG.exponential(2.0, (ROWS, 4))
MASK = np.arange(4) < RNG.integers(1, 5, (ROWS, 1))
Y, CLASS = RNG.normal(size=(ROWS, 2)), RNG.integers(0, 3, ROWS)
POINT = Y + RNG.normal(size=(N, ROWS, 2)) * np.array([0.3, 0.5, 1.0])[:, None, None]
ANSWERS = {
    "points": (POINT, Y),
    "normal": (Normal(POINT, RNG.uniform(0.5, 2.0, POINT.shape)), Y),
    "classes": (Categorical(RNG.normal(size=(N, ROWS, 3)) + np.eye(3)[CLASS]), CLASS),
}
EXAMPLES = {
    "fixed": {"weights": [1, 0, 2]},
    "pooled": {"weights": [1, 0.5, 2], "pool": "median"},
    "time_table": {"edges": [1.0, 4.0]},
    "local": {"neighbours": 3},
}
SELECTORS = {
    "indices": lambda x, timespans: namespace(x).argsort(timespans[:, :3], -1)[:, :2],
    "mask": lambda x, timespans: timespans[:, :3] > 0.5 * timespans[:, :1],
    "weights": lambda x, timespans: timespans[:, :3] + 0.1,
}


def told(rule, what):
    """The rule after it has learned, and the members' answers."""
    answers, y = ANSWERS[what]
    evidence = Evidence(np.array([0.4, 0.5, 0.9]), answers, y, x=X, timespans=TIMESPANS, mask=MASK)
    if getattr(rule, "kind", "").startswith("pair"):
        answers = part(answers, slice(0, 2))
    return rule.fit(evidence), answers


def part(answers, rows):
    if isinstance(answers, tuple):
        return type(answers)(*(a[rows] for a in answers))
    return answers[rows]


def rule_of(kind):
    if kind.startswith("selector"):
        return Selector(SELECTORS[kind.split("-")[1]])
    if kind.startswith("stacking-"):
        return Stacking(kind.split("-")[1])
    return resolve({"kind": kind, **EXAMPLES.get(kind, {})})


KINDS = [*sorted(RULES), "stacking-linear", "stacking-mlp", *(f"selector-{s}" for s in SELECTORS)]
SENSELESS = {("hard_vote", "points"), ("hard_vote", "normal"), ("confidence", "points")}
SENSELESS |= {("pooled", "classes")}
CASES = [(k, w) for k in KINDS for w in ANSWERS if (k, w) not in SENSELESS]
BY_CLASS = ("uniform", "confidence", "hard_vote", "stacking-mlp")  # ways of pooling classes
TRACED = [(k, w) for k, w in CASES if w == "normal" or (k in BY_CLASS and w == "classes")]
FITTED = {}


def fitted(case):
    """Learns once for all tests."""
    kind, what = case
    if case not in FITTED:
        FITTED[case] = told(rule_of(kind), what)
    return FITTED[case]


def given(make, answers):
    """All arrays in a framework's own."""
    outputs = type(answers)(*map(make, answers)) if isinstance(answers, tuple) else make(answers)
    return outputs, make(X), make(TIMESPANS), make(MASK)


def as_mlx(array):
    return mx.array(array.astype(np.float32) if array.dtype == float else array)


@pytest.mark.parametrize("case", CASES, ids="-".join)
@pytest.mark.parametrize("make", [torch.as_tensor, as_mlx], ids=["torch", "mlx"])
def test_every_framework_answers_as_numpy_does(case, make):
    rule, answers = fitted(case)
    expected = moments_of(rule, answers, X, TIMESPANS, MASK)
    found = moments_of(rule, *given(make, answers))
    assert isinstance(found.mean, type(make(X)))
    tolerance = 1e-12 if make is torch.as_tensor else 2e-5
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.asarray(one), other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", TRACED, ids="-".join)
def test_traced_mapped_and_differentiated(case):
    """One program: jit of a vmap over two problems of the mean and its gradient by the answers."""
    rule, answers = fitted(case)
    outputs, x, timespans, mask = given(jnp.asarray, answers)

    def mean(outputs, x, timespans, mask):
        return moments_of(rule, outputs, x, timespans, mask).mean

    def slope(outputs, *asked):
        return jax.jit(jax.grad(lambda o: (mean(o, *asked) ** 2).sum()))(outputs)

    def both(*problem):
        return mean(*problem), slope(*problem)

    flipped = [jax.tree.map(lambda a: a[:, ::-1], outputs), x[::-1], timespans[::-1], mask[::-1]]
    stacked = jax.tree.map(
        lambda *pair: jnp.stack(pair), (outputs, x, timespans, mask), tuple(flipped)
    )
    means, slopes = jax.jit(jax.vmap(both))(*stacked)
    expected = moments_of(rule, answers, X, TIMESPANS, MASK).mean
    np.testing.assert_allclose(means[0], expected, rtol=2e-5, atol=2e-5)
    if not getattr(rule, "per_batch", False):  # each row by itself
        np.testing.assert_allclose(means[1], expected[::-1], rtol=2e-5, atol=2e-5)
    leaves = jax.tree.leaves(slopes)
    assert all(np.isfinite(leaf).all() for leaf in leaves)
    if pool_of(rule).kind != "vote":  # which has no slope
        assert any(np.abs(leaf).max() > 0 for leaf in leaves)


def test_gradients_are_those_of_differences(x64):
    rule, _ = fitted(("stacking-mlp", "points"))
    at = jnp.asarray(POINT)
    found = jax.jit(jax.grad(lambda o: moments_of(rule, o).mean.sum()))(at)
    moved = POINT.copy()
    moved[1, 3, 0] += 1e-6
    slope = (moments_of(rule, moved).mean.sum() - moments_of(rule, POINT).mean.sum()) / 1e-6
    assert found[1, 3, 0] == pytest.approx(slope, rel=1e-4)


def test_every_rule_is_here():
    assert {kind.split("-")[0] for kind, _ in TRACED} == set(RULES) | {"selector"}
