"""Training modules with their own optimisers: the numbers of JAX, whatever the regime."""

from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import mlx.core as mx
import mlx.nn
import mlx.optimizers
import numpy as np
import pytest
import torch

import shoal
import shoal.mlx
import shoal.torch
from shoal.equations.outputs import Categorical
from shoal.population import Population, Stopping

N, ROWS, TIME, FEATURES, HIDDEN = 3, 40, 3, 2, 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, TIME, FEATURES)).astype(np.float32)
TIMESPANS = RNG.uniform(0.2, 1.0, (ROWS, TIME)).astype(np.float32)
Y = (X[:, -1, :1] * TIMESPANS[:, -1:] + 0.1 * RNG.normal(size=(ROWS, 1))).astype(np.float32)
CLASS = (X[:, -1].sum(-1) > 0).astype(np.int32) + (X[:, 0, 0] > 0.5)
OUTPUTS = {"points": 1, "classes": 3}
WEIGHTS = {
    what: [
        (RNG.normal(size=(FEATURES, HIDDEN)), RNG.normal(size=(HIDDEN, n)) / 2) for _ in range(N)
    ]
    for what, n in OUTPUTS.items()
}
DATA = {"points": (X, TIMESPANS, Y), "classes": (X, TIMESPANS, CLASS)}
VALID = {what: tuple(part[:11] for part in data) for what, data in DATA.items()}
LIKELIHOODS = {"points": None, "classes": "categorical"}
CASES = {
    "independent": ("points", "independent"),
    "joint": ("points", "joint"),
    "negative_correlation": ("points", {"kind": "negative_correlation", "weight": 0.5}),
    "correlation": ("points", {"kind": "correlation", "weight": 0.3}),
    "bagging": ("points", "bagging"),
    "classes": ("classes", {"kind": "negative_correlation", "weight": 0.5}),
}
COURSE = {"epochs": 3, "batch_size": 16, "learning_rate": 0.1, "stopping": None}


class JaxModel(eqx.Module):
    first: jax.Array
    second: jax.Array
    classes: bool = eqx.field(static=True)

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        numbers = jnp.tanh((x * timespans[..., None]).sum(1) @ self.first) @ self.second
        return Categorical(numbers) if self.classes else numbers


class TorchModel(torch.nn.Module):
    def __init__(self, first, second):
        super().__init__()
        self.first = torch.nn.Parameter(torch.tensor(first, dtype=torch.float32))
        self.second = torch.nn.Parameter(torch.tensor(second, dtype=torch.float32))

    def forward(self, x, timespans):
        return torch.tanh((x * timespans[..., None]).sum(1) @ self.first) @ self.second


class MlxModel(mlx.nn.Module):
    def __init__(self, first, second):
        super().__init__()
        self.first, self.second = (mx.array(w.astype(np.float32)) for w in (first, second))

    def __call__(self, x, timespans):
        return mx.tanh((x * timespans[..., None]).sum(1) @ self.first) @ self.second


FRAMEWORKS = {
    "torch": SimpleNamespace(
        module=shoal.torch,
        model=TorchModel,
        sgd=torch.optim.SGD,
        dropout=lambda: torch.nn.Sequential(
            torch.nn.Linear(2, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1)
        ),
        numbers=lambda m: [p.detach().numpy().copy() for p in m.parameters()],
    ),
    "mlx": SimpleNamespace(
        module=shoal.mlx,
        model=MlxModel,
        sgd=mlx.optimizers.SGD,
        dropout=lambda: mlx.nn.Sequential(
            mlx.nn.Linear(2, 8), mlx.nn.Dropout(0.5), mlx.nn.Linear(8, 1)
        ),
        numbers=lambda m: [np.array(p) for _, p in mlx.utils.tree_flatten(m.parameters())],
    ),
}


@pytest.fixture(params=sorted(FRAMEWORKS))
def framework(request):
    return FRAMEWORKS[request.param]


@pytest.fixture(scope="module")
def in_jax():
    """What `shoal.fit` makes of the same members; by the case."""
    found = {}

    def trained(case):
        if case not in found:
            what, regime = CASES[case]
            members = [
                JaxModel(
                    jnp.asarray(a, jnp.float32), jnp.asarray(b, jnp.float32), what == "classes"
                )
                for a, b in WEIGHTS[what]
            ]
            found[case] = shoal.fit(
                Population.of(members, range(N)),
                DATA[what],
                VALID[what],
                regime=regime,
                optimizer="sgd",
                strategy="vmap",
                **COURSE,
            )
        return found[case]

    return trained


def trained(framework, what, regime="independent", **options):
    members = [framework.model(*w) for w in WEIGHTS[what]]
    given = COURSE | {"likelihood": LIKELIHOODS[what], "optimizer": framework.sgd} | options
    return framework.module.fit(members, DATA[what], VALID[what], regime=regime, **given)


@pytest.mark.parametrize("case", CASES)
def test_plain_descent_finds_what_it_finds_in_jax(framework, in_jax, case):
    what, regime = CASES[case]
    expected, found = in_jax(case), trained(framework, what, regime)
    for name in ("train_loss", "valid_loss", "diversity", "learning_rate"):
        own, other = found.history.matrix(name), expected.history.matrix(name)
        np.testing.assert_allclose(own, other, rtol=2e-5, atol=1e-5, err_msg=name)
    for i, member in enumerate(found.population):
        one = expected.population.member(i)
        for own, other in zip(framework.numbers(member), (one.first, one.second), strict=True):
            np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-5)
    assert [s["best_epoch"] for s in found.status] == [s["best_epoch"] for s in expected.status]
    assert (np.diff(found.history.matrix("train_loss"), axis=0) < 0).any()


def test_the_history_adds_up(framework):
    found = trained(framework, "points", {"kind": "negative_correlation", "weight": 0.5})
    columns = found.history.columns()
    total = columns["train_loss"] + columns["diversity"]
    np.testing.assert_allclose(columns["total_loss"], total)
    assert (columns["diversity"] < 0).all()


def test_the_models_given_stay_as_they_are_and_the_best_epoch_is_kept(framework):
    members = [framework.model(*w) for w in WEIGHTS["points"]]
    before = [framework.numbers(m) for m in members]
    crowd = framework.module.Collective(members)
    # a rate that overshoots: the first epochs are the best
    found = framework.module.fit(
        crowd, DATA["points"], VALID["points"], optimizer=framework.sgd, epochs=8, learning_rate=1.2
    )
    for member, numbers in zip(members, before, strict=True):
        for one, other in zip(framework.numbers(member), numbers, strict=True):
            np.testing.assert_array_equal(one, other)
    best = framework.module.Collective(found.population)
    predicted = best.predict(*VALID["points"][:2]).members
    losses = ((predicted - VALID["points"][2]) ** 2).mean((1, 2))
    np.testing.assert_allclose([s["best_loss"] for s in found.status], losses, rtol=1e-4)
    assert any(s["best_epoch"] != 7 for s in found.status)


def test_conductances_stay_positive(framework):
    module = framework.module
    make = lambda: module.LTC(2, 3, return_sequences=False, implicit_param_constraints=False)  # noqa: E731
    crowd = module.Collective.init(make, n_models=1)
    data, rate = (X, TIMESPANS, np.repeat(Y, 3, 1)), {"learning_rate": 1.0, "epochs": 1}
    (member,) = module.fit(crowd, data, optimizer=framework.sgd, stopping=None, **rate).last
    found = {name: np.asarray(a.tolist()) for name, a in member.layout().items()}
    bounded = [a for name, a in found.items() if name.endswith(("gleak", "cm", ".w"))]
    assert len(bounded) == 3
    assert all((a >= 0).all() for a in bounded)
    assert any((a == 0).any() for a in bounded)  # the step went beyond


def test_a_member_draws_in_a_crowd_what_it_draws_alone(framework):
    crowd = framework.module.Collective.init(framework.dropout, n_models=2, base_seed=3)
    options = {"epochs": 2, "batch_size": 16, "stopping": None}
    data = X[:, 0], Y
    together = framework.module.fit(crowd, data, **options).last
    alone = framework.module.fit(crowd.select([1]), data, **options).last
    for one, other in zip(*map(framework.numbers, (together[1], alone[0])), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    other_seed = framework.module.fit(crowd.select([1]), data, seeds=[9], **options).last
    pairs = zip(*map(framework.numbers, (alone[0], other_seed[0])), strict=True)
    assert any((one != other).any() for one, other in pairs)


@pytest.mark.parametrize("regime", ["independent", "joint"])
def test_a_member_that_diverges_leaves_the_others_alone(framework, regime):
    weights = WEIGHTS["points"]
    members = [
        framework.model(*w) for w in (weights[0], [np.nan * w for w in weights[1]], weights[2])
    ]
    options = {"regime": regime, "optimizer": framework.sgd, **COURSE}
    data = DATA["points"], VALID["points"]
    found = framework.module.fit(members, *data, **options)
    assert [s["status"] for s in found.status] == ["finished", "diverged", "finished"]
    assert [s["usable"] for s in found.status] == [True, False, True]
    without = framework.module.fit(members[::2], *data, **options)
    for i, one in enumerate(without.population):
        pairs = zip(framework.numbers(one), framework.numbers(found.population[2 * i]), strict=True)
        for a, b in pairs:
            np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("epochs", [1, 3])
def test_without_validation_one_that_explodes_has_no_best_parameters(framework, epochs):
    members = [framework.model(*w) for w in WEIGHTS["points"]]
    options = {"optimizer": framework.sgd, "learning_rate": [0.1, 1e30, 0.1], "epochs": epochs}
    found = framework.module.fit(members, DATA["points"], stopping=None, **options)
    assert [s["status"] for s in found.status] == ["finished", "diverged", "finished"]
    assert found.usable == [0, 2]
    assert all(np.isnan(part).all() for part in framework.numbers(found.population[1]))
    with pytest.raises(ValueError, match=r"members 1 \(seed 1\) predict values"):
        framework.module.Collective(found.population).predict(X, TIMESPANS)


@pytest.mark.parametrize("regime", ["independent", "joint", "bagging"])
def test_without_validation_the_best_are_those_of_jax(framework, regime):
    """A rate that overshoots; with one batch an epoch's loss is that of what it begins with."""
    options = {"epochs": 5, "batch_size": ROWS, "learning_rate": 1.2, "stopping": None}
    options |= {"regime": regime}
    members = [framework.model(*w) for w in WEIGHTS["points"]]
    data = DATA["points"]
    found = framework.module.fit(members, data, optimizer=framework.sgd, seeds=range(N), **options)
    in_jax = [JaxModel(jnp.float32(a), jnp.float32(b), False) for a, b in WEIGHTS["points"]]
    expected = shoal.fit(
        Population.of(in_jax, range(N)), data, optimizer="sgd", strategy="vmap", **options
    )
    for one, other in zip(found.status, expected.status, strict=True):
        assert one["best_epoch"] == other["best_epoch"]
        assert one["best_loss"] == pytest.approx(other["best_loss"], rel=1e-4)
    if regime != "bagging":
        own = framework.module.Collective(found.population).predict(X, TIMESPANS).members
        told = [one["best_loss"] for one in found.status]
        np.testing.assert_allclose(told, ((own - Y) ** 2).mean((1, 2)), rtol=1e-4)


def test_progress_is_told_and_training_can_be_stopped(framework):
    seen = []
    found = trained(
        framework, "points", on_epoch=seen.append, should_stop=lambda: len(seen) == 2, epochs=9
    )
    assert [info.epoch for info in seen] == [0, 1]
    assert found.interrupted
    assert seen[0].train_loss.shape == (N,)
    stopping = Stopping(sigma=0.01, warmup=0, patience=1, min_members=2)
    behind = trained(framework, "points", stopping=stopping, epochs=6)
    assert {s["status"] for s in behind.status} == {"finished", "stopped"}


def test_masked_targets_and_losses_of_ones_own(framework):
    y = Y.copy()
    y[::2] = np.nan
    data = SimpleNamespace(x=X, timespans=TIMESPANS, y=y, y_mask=np.isfinite(y))
    some = X[1::2], TIMESPANS[1::2], Y[1::2]
    members = [framework.model(*WEIGHTS["points"][0])]
    options = {"optimizer": framework.sgd, "epochs": 3, "batch_size": 99, "learning_rate": 0.1}
    one, other = (framework.module.fit(members, d, **options).last[0] for d in (data, some))
    for a, b in zip(framework.numbers(one), framework.numbers(other), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    loss = lambda f, y, known: known * (f - y) ** 2  # noqa: E731
    own = framework.module.fit(members, data, loss=loss, **options).last[0]
    for a, b in zip(framework.numbers(one), framework.numbers(own), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regime": "snapshot"}, "asks for stages"),
        ({"regime": {"kind": "bagging", "features": 0.5}}, "asks for features"),
        ({"regime": "nonsense"}, "unknown regime"),
        ({"loss": "mes"}, "`loss` must be one of"),
        ({"regime": "joint", "loss": lambda f, y, known: f - y}, "needs a `loss` by name"),
        ({"loss": lambda f, y, known: (f - y).reshape(-1)}, "one value per target"),
        ({"epochs": 0}, "`epochs` must be at least 1"),
        ({"learning_rate": [0.1, 0.1]}, r"must be a number or \(3,\)"),
        ({"seeds": [1]}, "`seeds` must have one number per member"),
        ({"optimizer": lambda *parameters: "descent"}, "`optimizer` must be a class of"),
    ],
)
def test_what_cannot_be_is_refused(framework, options, message):
    with pytest.raises(ValueError, match=message):
        trained(framework, "points", **options)


def test_answers_of_another_shape_than_y_are_refused(framework):
    members = [framework.model(*WEIGHTS["classes"][0])]
    with pytest.raises(ValueError, match=r"shape of y, \(40, 1\), got \(40, 3\)"):
        framework.module.fit(members, DATA["points"], epochs=1)
    data = X, TIMESPANS, CLASS.astype(np.float32)
    with pytest.raises(ValueError, match="y must hold integers"):
        framework.module.fit(members, data, likelihood="categorical", epochs=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({4: 5}, "`train`: y of sample 4 is class 5, but members know 3 classes, 0 to 2"),
        ({9: -3}, "`train`: y of sample 9 is class -3"),
        (dict.fromkeys(range(ROWS), 1), "`train`: y holds only class 1"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(framework, change, message):
    labels = CLASS.copy()
    labels[list(change)] = list(change.values())
    members = [framework.model(*w) for w in WEIGHTS["classes"]]
    options = {"likelihood": "categorical", "epochs": 1}
    with pytest.raises(ValueError, match=message):
        framework.module.fit(members, (X, TIMESPANS, labels), **options)
    if message.endswith("0 to 2"):
        valid, message = (X, TIMESPANS, labels), "`valid`: y of sample 4 is class 5"
        with pytest.raises(ValueError, match=message):
            framework.module.fit(members, DATA["classes"], valid, **options)
