"""What every MLX neuron promises, one table for all of them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from shoal.bundle.arrays import named_leaves, path_name
from shoal.neurons import partition
from shoal.neurons.model import neuron
from shoal.wirings import AutoNCP

mx = pytest.importorskip("mlx.core")
nn = pytest.importorskip("mlx.nn")
utils = pytest.importorskip("mlx.utils")
ours = pytest.importorskip("shoal.mlx")

B, T, F = 3, 6, 3  # as many features as outputs, so that residual connections fit
WIRED = AutoNCP(8, F)
NEURONS = {
    "cfc": ("CfC", {"units": F, "backbone_units": 5}),
    "cfc wired": ("CfC", {"units": WIRED, "fully_recurrent": False, "mode": "no_gate"}),
    "cfc mixed": ("CfC", {"units": F, "mixed_memory": True, "mode": "pure", "backbone_layers": 0}),
    "ltc": ("LTC", {"units": F, "ode_unfolds": 2}),
    "ltc wired": ("LTC", {"units": WIRED, "mixed_memory": True, "ode_unfolds": 2}),
    "ctrnn": ("CTRNN", {"units": WIRED, "ode_unfolds": 2}),
    "ctgru": ("CTGRU", {"units": F, "n_scales": 4}),
    "lstm": ("LSTM", {"units": F}),
    "gru with time": ("GRU", {"units": F, "use_timespans": True}),
}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(B, T, F)).astype(np.float32)
ELAPSED = RNG.uniform(0.0, 3.0, (B, T)).astype(np.float32)
MASK = np.arange(T) < np.array([6, 2, 4])[:, None]


@pytest.fixture(params=NEURONS)
def make(request):
    """A new neuron of the kind at hand, the same one for the same arguments."""

    def new(**more):
        mx.random.seed(0)
        name, options = NEURONS[request.param]
        return getattr(ours, name)(F, **options, **more)

    return new


def leaves(tree):
    return [np.array(leaf) for leaf in jax.tree.leaves(tree) if hasattr(leaf, "shape")]


def same(left, right, tolerance=2e-6):
    left, right = leaves(left), leaves(right)
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def take(tree, index):
    return utils.tree_map(lambda array: array[index], tree)


def test_shapes_and_every_form_of_timespans(make):
    rnn = make()
    output, state = rnn(X, timespans=0.7)
    assert output.shape == (B, T, F)
    assert (rnn.input_size, rnn.output_size) == (F, F)
    assert all(leaf.shape[:2] == (B, rnn.state_size) for leaf in leaves(state))
    for shape in [(T,), (T, 1), (B, T), (B, T, 1)]:
        same(rnn(X, timespans=np.full(shape, 0.7)), (output, state))
    same(rnn(X), rnn(X, timespans=mx.array(1.0)))


def test_one_series_needs_no_batch(make):
    rnn = make()
    whole = rnn(X, timespans=ELAPSED)
    same(rnn(X[1], timespans=ELAPSED[1][:, None]), take(whole, 1))
    same(rnn(X[1], take(whole[1], 1), ELAPSED[1]), take(rnn(X, whole[1], ELAPSED), 1))


def test_time_may_come_first(make):
    output, state = make()(X, timespans=ELAPSED, mask=MASK)
    turned = make(batch_first=False)
    other, end = turned(X.swapaxes(0, 1), timespans=ELAPSED.T, mask=MASK.T)
    same((mx.swapaxes(other, 0, 1), end), (output, state))


def test_chunks_give_what_the_whole_gives(make):
    rnn = make(num_layers=2)
    whole = rnn(X, timespans=ELAPSED)
    first, state = rnn(X[:, :4], timespans=ELAPSED[:, :4])
    second, state = rnn(X[:, 4:], state, ELAPSED[:, 4:])
    same((mx.concatenate([first, second], 1), state), whole)


def test_masked_steps_might_as_well_not_be_there(make):
    rnn, last = make(bidirectional=True), make(bidirectional=True, return_sequences=False)
    keep = np.array([0, 1, 3, 5])
    mask = np.zeros((B, T), bool)
    mask[:, keep] = True
    holes = np.where(mask[..., None], X, np.nan)
    output, state = rnn(holes, timespans=np.where(mask, ELAPSED, 9.0), mask=mask)
    same((output[:, mx.array(keep)], state), rnn(X[:, keep], timespans=ELAPSED[:, keep]))
    assert not np.any(np.array(output)[:, [2, 4]])
    same(last(holes, timespans=ELAPSED, mask=mask), last(X[:, keep], timespans=ELAPSED[:, keep]))


@pytest.mark.parametrize("more", [{}, {"num_layers": 2, "bidirectional": True, "proj_size": 2}])
def test_jax_gives_the_same_with_the_same_parameters(make, more):
    rnn = make(**more)
    if more and type(rnn).__name__ not in ("CfC", "LTC"):
        return  # stacks are the same for all
    arguments = rnn.arguments
    kind, wiring = arguments.pop("kind"), arguments.pop("wiring")
    arguments["units"] = wiring or arguments["units"]
    twin = neuron(kind)(**arguments, key=0)
    own = rnn.layout()
    # |w_tau| has no slope at 0, where it starts
    own = {k: np.array(v) + (0.1 if k.endswith("w_tau") else 0.0) for k, v in own.items()}
    rnn.load_layout(own)
    assert own.keys() == {k for k in named_leaves(twin) if not k.endswith("rate.value")}
    twin = jax.tree_util.tree_map_with_path(
        lambda path, leaf: jnp.asarray(own.get(path_name(path), leaf)), twin
    )
    trainable, rest = partition(twin)

    def theirs(params):
        return jnp.sum(eqx.combine(params, rest)(X, timespans=ELAPSED, mask=MASK)[0] ** 2)

    def mine(rnn):
        return mx.sum(rnn(X, timespans=ELAPSED, mask=MASK)[0] ** 2)

    same(rnn(X, timespans=ELAPSED, mask=MASK), twin(X, timespans=ELAPSED, mask=MASK), 1e-5)
    gradients = dict(utils.tree_flatten(nn.value_and_grad(rnn, mine)(rnn)[1]))
    for name, wanted in named_leaves(jax.jit(jax.grad(theirs))(trainable)).items():
        scale = 1.0 + np.abs(wanted).max()
        np.testing.assert_allclose(gradients[name] / scale, wanted / scale, atol=1e-5)


def test_gradients_reach_every_parameter_and_no_constant(make):
    rnn = make(num_layers=2, bidirectional=True)
    holes, elapsed = np.where(MASK[..., None], X, np.nan), ELAPSED * np.array([1, 1, 0, 1, 1, 1])

    def loss(rnn):
        return mx.sum(rnn(holes, timespans=elapsed, mask=MASK)[0] ** 2)

    gradients = dict(utils.tree_flatten(nn.value_and_grad(rnn, loss)(rnn)[1]))
    assert gradients.keys() == rnn.layout().keys()
    assert not any(name.rpartition(".")[2].startswith("_") for name in gradients)
    for name, gradient in gradients.items():
        assert np.isfinite(np.array(gradient)).all(), name
        # |w_tau| has no slope at 0, where it starts
        assert np.any(np.array(gradient)) or name.endswith("w_tau"), name


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(make, dtype):
    rnn = make(dtype=dtype)
    output, state = rnn(X, timespans=ELAPSED)
    for array in (output, *rnn.layout().values(), *(s for _, s in utils.tree_flatten(state))):
        assert array.dtype == getattr(mx, dtype)
    exact, _ = make()(X, timespans=ELAPSED)
    assert float(mx.max(mx.abs(output - exact))) < 0.1
    converted = make()
    converted.set_dtype(getattr(mx, dtype))
    assert converted(X)[0].dtype == getattr(mx, dtype)


def test_mapping_over_members_of_a_batch(make):
    rnn = make()
    x, elapsed = mx.array(X), mx.array(ELAPSED)
    mapped = mx.vmap(lambda x, elapsed: rnn(x, timespans=elapsed))(x, elapsed)
    same(mapped, rnn(x, timespans=elapsed), 1e-5)


def test_residual_and_projection(make):
    plain, residual, projected = make(), make(residual=True), make(proj_size=2)
    same(residual(X)[0], plain(X)[0] + mx.array(X))
    weight = projected.stack.projection
    same(projected(X)[0], plain(X)[0] @ weight.weight.T + weight.bias, 1e-5)
    assert projected.output_size == 2
    assert "stack.projection.weight" in projected.layout()


def test_dropout_is_for_training(make):
    rnn, plain = make(dropout=0.5), make()
    dropped = np.array(rnn(X)[0])
    assert 0.2 < np.mean(dropped == 0) < 0.8
    kept = dropped != 0
    np.testing.assert_allclose(dropped[kept], 2 * np.array(plain(X)[0])[kept], rtol=1e-5)
    rnn.eval()
    same(rnn(X), plain(X))


def test_seeds_decide_everything(make):
    first, second = make(), make()
    same(first.layout(), second.layout(), 0.0)
    other = type(first)(**_without(first.arguments, "kind"))
    assert any(
        not np.array_equal(a, b)
        for a, b in zip(leaves(other.layout()), leaves(first.layout()), strict=True)
    )


def _without(arguments, *names):
    units = arguments["wiring"] or arguments["units"]
    left = {k: v for k, v in arguments.items() if k not in (*names, "wiring")}
    return left | {"units": units}
