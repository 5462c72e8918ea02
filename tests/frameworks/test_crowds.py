"""Crowds of PyTorch's and MLX's modules: what JAX answers, from the same rules."""

import sys
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
from mlx.utils import tree_flatten

import shoal.mlx
import shoal.torch
from shoal.collective import Collective
from shoal.equations.conformal import fit_calibration
from shoal.equations.outputs import Categorical, Normal
from shoal.equations.pooling import CLASSES, POINTS
from shoal.population import Population
from shoal.weighting import RULES, Evidence, Selector, combined, pool_of, resolve

ROWS, TIME, FEATURES, N = 14, 3, 2, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, TIME, FEATURES)).astype(np.float32)
TIMESPANS = RNG.exponential(3.0, (ROWS, TIME)).astype(np.float32)
SIZES = {"points": 1, "normal": 2, "classes": 3}
WEIGHTS = {w: RNG.normal(size=(N, FEATURES, n)).astype(np.float32) for w, n in SIZES.items()}
LIKELIHOODS = {"points": None, "normal": "normal", "classes": "categorical"}
Y = {
    "points": RNG.normal(size=(ROWS, 1)).astype(np.float32),
    "normal": RNG.normal(size=(ROWS, 1)).astype(np.float32),
    "classes": RNG.integers(0, 3, ROWS),
}
EXAMPLES = {
    "fixed": {"weights": [1, 0, 2]},
    "pooled": {"weights": [1, 0, 2], "pool": "median"},
    "time_table": {"edges": [1.0, 4.0]},
    "local": {"neighbours": 3},
    "stacking": {"meta": "linear"},
}


class TorchModel(torch.nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(weight))

    def forward(self, x, timespans):
        return (x * timespans[..., None]).sum(1) @ self.weight, "a state"


class MlxModel(mlx.nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = mx.array(weight)

    def __call__(self, x, timespans):
        return (x * timespans[..., None]).sum(1) @ self.weight


class JaxModel(eqx.Module):
    weight: jax.Array
    what: str = eqx.field(static=True)

    def __call__(self, x, timespans=None, *, mask=None, key=None):
        numbers = (x * timespans[..., None]).sum(1) @ self.weight
        if self.what == "classes":
            return Categorical(numbers)
        if self.what == "points":
            return numbers
        return Normal(numbers[:, :1], jax.nn.softplus(numbers[:, 1:]) + 1e-3)


FRAMEWORKS = {
    "torch": SimpleNamespace(
        crowd=shoal.torch.Collective,
        model=TorchModel,
        put=torch.tensor,
        get=lambda a: a.detach().numpy(),
        parameters=lambda m: {k: v.detach().numpy() for k, v in m.named_parameters()},
    ),
    "mlx": SimpleNamespace(
        crowd=shoal.mlx.Collective,
        model=MlxModel,
        put=mx.array,
        get=np.array,
        parameters=lambda m: {k: np.array(v) for k, v in tree_flatten(m.parameters())},
    ),
}


@pytest.fixture(params=sorted(FRAMEWORKS))
def framework(request):
    return FRAMEWORKS[request.param]


@pytest.fixture(scope="module")
def in_jax():
    """What JAX's members answer, by what they answer."""
    found = {}
    for what, weights in WEIGHTS.items():
        members = [JaxModel(jnp.asarray(w), what) for w in weights]
        found[what] = Collective(Population.of(members)).predict(X, TIMESPANS).outputs
    return found


def crowd_of(framework, what, weighting="uniform", count=N):
    members = [framework.model(w) for w in WEIGHTS[what][:count]]
    return framework.crowd(members, weighting, likelihood=LIKELIHOODS[what])


def first(outputs, count):
    if isinstance(outputs, tuple):
        return type(outputs)(*(part[:count] for part in outputs))
    return outputs[:count]


def fitted(kind, what, outputs):
    given = {"y": Y[what], "x": X, "timespans": TIMESPANS}
    losses = np.arange(1.0, 4.0)[: 2 if kind == "pair" else N]
    rule = resolve({"kind": kind, **EXAMPLES.get(kind, {})})
    return rule.fit(Evidence(losses, outputs, **given))


def makes_sense(kind, what):
    if kind == "confidence":
        return what != "points"
    pool = {"pooled": "median", "hard_vote": "vote"}.get(kind, "mixture")
    return pool in (CLASSES if what == "classes" else POINTS)


CASES = [(kind, what) for kind in sorted(RULES) for what in SIZES if makes_sense(kind, what)]


@pytest.mark.parametrize(("kind", "what"), CASES, ids=["-".join(case) for case in CASES])
def test_every_rule_answers_what_it_answers_in_jax(framework, in_jax, kind, what):
    count = 2 if kind == "pair" else N
    outputs = first(in_jax[what], count)
    rule = fitted(kind, what, outputs)
    asked = SimpleNamespace(x=X, timespans=TIMESPANS, mask=None)
    expected = combined(rule, outputs, asked)
    crowd = crowd_of(framework, what, rule, count)
    found = crowd.predict(X, TIMESPANS)
    near = {"rtol": 2e-5, "atol": 2e-5}
    for name in ("mean", "std", "members", "aleatoric", "epistemic", "weights"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), **near)
    mean = crowd(framework.put(X), framework.put(TIMESPANS))
    np.testing.assert_allclose(framework.get(mean), expected.mean, rtol=1e-4, atol=1e-4)
    assert pool_of(crowd.weighting).kind == pool_of(rule).kind


def test_a_function_selects(framework):
    crowd = crowd_of(framework, "points", Selector(lambda x, timespans: 1 * (x[:, -1, 0] > 0)))
    p = crowd.predict(X, TIMESPANS)
    chosen = (X[:, -1, 0] > 0).astype(int)
    np.testing.assert_array_equal(p.mean, p.members[chosen, np.arange(ROWS)])
    mean = crowd(framework.put(X), framework.put(TIMESPANS))
    np.testing.assert_allclose(framework.get(mean), p.mean, rtol=1e-5, atol=1e-6)


def test_rules_are_fitted_on_validation_data(framework, in_jax):
    crowd = crowd_of(framework, "points")
    found = crowd.weigh("stacking", (X, TIMESPANS, Y["points"])).weighting
    losses = ((in_jax["points"] - Y["points"]) ** 2).mean((1, 2))
    given = Evidence(losses, in_jax["points"], Y["points"])
    expected = resolve("stacking").fit(given)
    np.testing.assert_allclose(found.coefficients, expected.coefficients, rtol=1e-3, atol=1e-6)
    inverse = crowd.weigh("inverse_loss", (X, TIMESPANS, Y["points"]))
    np.testing.assert_allclose(inverse.weighting.losses, losses, rtol=1e-5)
    assert inverse.members[0] is crowd.members[0]


def test_intervals_are_calibrated_as_in_jax(framework, in_jax):
    crowd = crowd_of(framework, "points", {"kind": "fixed", "weights": [2, 1, 1]})
    calibrated = crowd.calibrate((X, TIMESPANS, Y["points"]))
    asked = SimpleNamespace(x=X, timespans=TIMESPANS, mask=None)
    raw = combined(crowd.weighting, in_jax["points"], asked)
    fitted = fit_calibration(raw.mean, raw.std, Y["points"], None, "auto")
    for found, want in zip(
        calibrated.predict(X, TIMESPANS).interval(0.8),
        fitted.interval(0.8, raw.mean, raw.std),
        strict=True,
    ):
        np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-4)
    assert not crowd.predict(X, TIMESPANS).calibrated
    assert not calibrated.select([0, 1]).predict(X, TIMESPANS).calibrated
    assert set(framework.parameters(calibrated)) == set(framework.parameters(crowd))
    with pytest.raises(ValueError, match="classes have no intervals"):
        crowd_of(framework, "classes").calibrate((X, TIMESPANS, Y["classes"]))


def test_parameters_hold_the_members_and_what_is_learned(framework):
    plain, learned = crowd_of(framework, "points"), crowd_of(framework, "points", "learned")
    of_members = {f"members.{i}.weight" for i in range(N)}
    assert set(framework.parameters(plain)) == of_members
    assert set(framework.parameters(learned)) == of_members | {"logits"}
    np.testing.assert_allclose(learned.predict(X, TIMESPANS).weights, 1 / N)
    kept = learned.select([0, 2])
    assert set(framework.parameters(kept)) == {"members.0.weight", "members.1.weight", "logits"}


def test_learned_weights_follow_pytorchs_gradient():
    crowd = crowd_of(FRAMEWORKS["torch"], "points", "learned")
    crowd.members.requires_grad_(False)
    x, spans = torch.tensor(X), torch.tensor(TIMESPANS)
    y = crowd.members[1](x, spans)[0].detach()
    descent = torch.optim.Adam([p for p in crowd.parameters() if p.requires_grad], lr=0.3)
    for _ in range(60):
        descent.zero_grad()
        ((crowd(x, spans) - y) ** 2).mean().backward()
        descent.step()
    assert crowd.predict(X, TIMESPANS).weights[1] > 0.95
    assert crowd.weighting.logits[1] == crowd.logits[1].item()
    again = crowd_of(FRAMEWORKS["torch"], "points", "learned")
    again.load_state_dict(crowd.state_dict())
    assert again.weighting == crowd.weighting


def test_learned_weights_follow_mlxs_gradient():
    crowd = crowd_of(FRAMEWORKS["mlx"], "points", "learned")
    for member in crowd.members:
        member.freeze()
    x, spans = mx.array(X), mx.array(TIMESPANS)
    y = crowd.members[1](x, spans)
    descent = mlx.optimizers.Adam(learning_rate=0.3)
    step = mlx.nn.value_and_grad(crowd, lambda: ((crowd(x, spans) - y) ** 2).mean())
    for _ in range(60):
        descent.update(crowd, step()[1])
        mx.eval(crowd.parameters())
    assert crowd.predict(X, TIMESPANS).weights[1] > 0.95


def test_a_learned_curve_of_elapsed_time_goes_on_learning(in_jax):
    rule = fitted("time_curve", "points", in_jax["points"])
    crowd = crowd_of(FRAMEWORKS["torch"], "points", rule)
    np.testing.assert_allclose(crowd.weighting.logits, rule.logits, rtol=1e-5, atol=1e-6)
    crowd(torch.tensor(X), torch.tensor(TIMESPANS)).sum().backward()
    assert crowd.logits.grad.abs().sum() > 0


def test_gradients_reach_the_members_and_what_confidence_makes_of_them():
    crowd = crowd_of(FRAMEWORKS["torch"], "classes", "confidence")
    inner = torch.nn.Linear(3, 1)  # a crowd inside a larger module
    inner(crowd(torch.tensor(X), torch.tensor(TIMESPANS))).sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in crowd.parameters())


def test_members_of_x_alone_and_of_a_mask(framework):
    linear = torch.nn.Linear if framework.crowd is shoal.torch.Collective else mlx.nn.Linear
    crowd = framework.crowd.init(lambda: linear(FEATURES, 1), n_models=2)
    assert crowd.predict(X[:, 0]).mean.shape == (ROWS, 1)
    with pytest.raises(ValueError, match="cannot be told of `timespans`"):
        crowd.predict(X[:, 0], TIMESPANS[:, 0])
    with pytest.raises(ValueError, match="no argument `mask`"):
        crowd_of(framework, "points").predict(X, TIMESPANS, np.ones((ROWS, TIME), bool))


def test_neurons_themselves_may_be_members(framework):
    module = sys.modules[framework.crowd.__module__.rpartition(".")[0]]
    make = lambda: module.CfC(FEATURES, TIME, return_sequences=False)  # noqa: E731
    crowd = framework.crowd.init(make, n_models=2)  # TIME units: timespans might pass for a state
    x, spans = framework.put(X), framework.put(TIMESPANS)
    want = framework.get(crowd.members[0](x, timespans=spans)[0])
    found = crowd.predict(X, TIMESPANS).members[0]
    np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-6)


def test_neurons_are_told_of_the_mask(framework):
    module = sys.modules[framework.crowd.__module__.rpartition(".")[0]]
    make = lambda: module.SequenceModel(module.GRU(FEATURES, 3), module.Head(3, (1,)))  # noqa: E731
    crowd = framework.crowd.init(make, n_models=2)
    mask = np.arange(TIME) < np.array([2] * ROWS)[:, None]
    found = crowd.predict(X, TIMESPANS, mask).mean
    np.testing.assert_allclose(found, crowd.predict(X[:, :2], TIMESPANS[:, :2]).mean, rtol=1e-4)


def test_asking_leaves_every_part_in_its_own_mode(framework):
    nn = torch.nn if framework.crowd is shoal.torch.Collective else mlx.nn
    crowd = framework.crowd([nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.9)) for _ in range(2)])
    frozen = crowd.members[0].layers[0] if nn is mlx.nn else crowd.members[0][0]
    frozen.eval()
    p = crowd.predict(X[:, 0])
    np.testing.assert_array_equal(p.mean, crowd.predict(X[:, 0]).mean)  # nothing is dropped
    assert [part.training for part in crowd.modules()].count(False) == 1
    assert not frozen.training


def test_compiled_members_and_double_precision():
    torch.manual_seed(0)
    crowd = shoal.torch.Collective([torch.compile(torch.nn.Linear(2, 1), backend="eager")])
    assert crowd.predict(X[:, 0]).mean.shape == (ROWS, 1)
    double = crowd_of(FRAMEWORKS["torch"], "points").double()
    mean = double(torch.tensor(X).double(), torch.tensor(TIMESPANS).double())
    assert mean.dtype == torch.float64
    found = double.predict(X.astype(float), TIMESPANS.astype(float)).mean
    np.testing.assert_allclose(found, mean.detach(), rtol=1e-12)


def test_seeds_make_the_members_and_leave_the_others_alone(framework):
    linear = torch.nn.Linear if framework.crowd is shoal.torch.Collective else mlx.nn.Linear
    crowds = [framework.crowd.init([lambda: linear(3, 1)], 3, base_seed=s) for s in (5, 5, 6)]
    one, same, other = (framework.parameters(crowd) for crowd in crowds)
    assert crowds[2].seeds == (6, 7, 8)
    for name, weight in one.items():
        np.testing.assert_array_equal(weight, same[name])
    np.testing.assert_array_equal(one["members.1.weight"], other["members.0.weight"])
    assert (one["members.0.weight"] != one["members.1.weight"]).any()


def test_what_cannot_be_is_refused(framework):
    model = framework.model(WEIGHTS["points"][0])
    wide = framework.model(WEIGHTS["classes"][0])
    with pytest.raises(ValueError, match="at least one module"):
        framework.crowd([])
    with pytest.raises(ValueError, match="member 1 is a function"):
        framework.crowd([model, lambda x: x])
    with pytest.raises(ValueError, match="`likelihood` must be one of"):
        framework.crowd([model], likelihood="gaussian")
    with pytest.raises(ValueError, match="an even number"):
        framework.crowd([wide], likelihood="normal").predict(X, TIMESPANS)
    with pytest.raises(ValueError, match=r"alike: member 0 gives .*\(14, 1\).*\(14, 3\)"):
        framework.crowd([model, wide]).predict(X, TIMESPANS)
    with pytest.raises(ValueError, match="member 1 an array"):
        framework.crowd([model, wide])(framework.put(X), framework.put(TIMESPANS))
    with pytest.raises(ValueError, match="2 weights, but there are 3"):
        crowd_of(framework, "points", {"kind": "learned", "logits": [0.0, 1.0]})
    with pytest.raises(ValueError, match="cannot be pooled by 'vote'"):
        crowd_of(framework, "points", "hard_vote").predict(X, TIMESPANS)
    spoiled = framework.model(np.full((FEATURES, 1), np.nan, np.float32))
    with pytest.raises(ValueError, match=r"members 1 \(seed 1\) predict values"):
        framework.crowd([model, spoiled]).predict(X, TIMESPANS)
