"""The neurons in MLX's own hands: its gradients, optimisers, compiler, files and larger modules."""

import subprocess
import sys

import numpy as np
import pytest

from shoal.wirings import AutoNCP

mx = pytest.importorskip("mlx.core")
nn = pytest.importorskip("mlx.nn")
optim = pytest.importorskip("mlx.optimizers")
utils = pytest.importorskip("mlx.utils")
ours = pytest.importorskip("shoal.mlx")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 5, 4)).astype(np.float32)


def parity(x):
    """The sign of the sum of the first feature, as classes."""
    return (x[..., 0].sum(1) > 0).astype(np.int32)


class Classifier(nn.Module):
    def __init__(self, i, h, classes):
        super().__init__()
        self.rnn = ours.CfC(input_size=i, units=AutoNCP(h, h), return_sequences=False)
        self.fc = nn.Linear(self.rnn.output_size, classes)

    def __call__(self, x):
        output, _ = self.rnn(x)
        return self.fc(output)


def trainer(model, loss, *, compiled=False, rate=1e-2):
    """A train step, and how often it was traced."""
    optimiser = optim.Adam(learning_rate=rate, bias_correction=True)
    optimiser.init(model.trainable_parameters())
    gradient, traces = nn.value_and_grad(model, loss), []
    state = [model.state, optimiser.state, mx.random.state]

    def step(*batch):
        traces.append(1)
        value, gradients = gradient(model, *batch)
        optimiser.update(model, gradients)
        if isinstance(model, ours.LTC):
            model.apply_weight_constraints()
        return value

    step = mx.compile(step, inputs=state, outputs=state) if compiled else step

    def call(*batch):
        value = step(*batch)
        mx.eval(value, state)
        return value.item()

    return call, traces


def test_the_first_program():
    ours.CfC(input_size=20, units=50)
    ours.CfC(20, AutoNCP(28, 4))
    rnn = ours.CfC(input_size=20, units=AutoNCP(28, 4), return_sequences=True)
    x = mx.array(RNG.normal(size=(4, 6, 20)))
    y = mx.mean(x, axis=-1, keepdims=True) * mx.ones(4)

    def loss_fn(model, x, y):
        output, _ = model(x)
        return mx.mean((output - y) ** 2)

    optimizer = optim.Adam(learning_rate=1e-2)
    loss_and_grad = nn.value_and_grad(rnn, loss_fn)
    losses = []
    for _ in range(20):
        loss, grads = loss_and_grad(rnn, x, y)
        optimizer.update(rnn, grads)
        mx.eval(rnn.parameters(), optimizer.state)
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.filterwarnings("ignore:AutoNCP")
def test_a_classifier_learns_inside_a_larger_module():
    mx.random.seed(0)
    model, y = Classifier(4, 6, 2), mx.array(parity(X))

    def loss(model, x, y):
        return nn.losses.cross_entropy(model(x), y, reduction="mean")

    step, _ = trainer(model, loss)
    losses = [step(mx.array(X), y) for _ in range(40)]
    assert losses[-1] < 0.3 * losses[0]
    assert np.mean(np.argmax(np.array(model(mx.array(X))), 1) == np.array(y)) == 1.0


@pytest.mark.parametrize(
    ("name", "options"),
    [("CfC", {"units": 6}), ("LTC", {"units": AutoNCP(8, 2), "ode_unfolds": 2})],
)
def test_a_compiled_train_step_is_the_eager_one_and_traced_once(name, options):
    found = []
    for compiled in (False, True):
        mx.random.seed(0)
        model = getattr(ours, name)(4, **options, dropout=0.1)
        step, traces = trainer(model, lambda m, x: mx.mean(m(x)[0] ** 2), compiled=compiled)
        losses = [step(mx.array(X[:, :3])) for _ in range(4)]
        assert len(traces) == (1 if compiled else 4)
        assert losses[-1] < losses[0]
        found.append((losses, model.layout()))
    np.testing.assert_allclose(*(losses for losses, _ in found), rtol=1e-4)
    eager, compiled = (layout for _, layout in found)
    for parameter in eager:
        np.testing.assert_allclose(eager[parameter], compiled[parameter], atol=2e-4)


def test_weights_are_saved_and_loaded_by_mlx(tmp_path):
    file = str(tmp_path / "rnn.safetensors")
    rnn, other = (ours.LTC(4, AutoNCP(8, 2), mixed_memory=True, proj_size=3) for _ in range(2))
    rnn.save_weights(file)
    other.load_weights(file)
    assert mx.load(file).keys() == rnn.layout().keys()
    assert not any(name.rpartition(".")[2].startswith("_") for name in mx.load(file))
    np.testing.assert_array_equal(rnn(X)[0], other(X)[0])


def test_what_is_trainable():
    ltc = ours.LTC(4, AutoNCP(8, 2), proj_size=3)
    names = {n.rpartition(".")[2] for n, _ in utils.tree_flatten(ltc.trainable_parameters())}
    assert {"erev", "sensory_erev", "w", "cm", "input_w", "output_b", "weight", "bias"} <= names
    assert not any(name.startswith("_") for name in names)
    ltc.freeze()
    assert not utils.tree_flatten(ltc.trainable_parameters())
    ltc.unfreeze(keys="erev")
    assert [n.rpartition(".")[2] for n, _ in utils.tree_flatten(ltc.trainable_parameters())] == [
        "erev"
    ]


def test_synapses_that_do_not_exist_change_nothing():
    rnn, wiring = ours.CfC(4, AutoNCP(8, 2), fully_recurrent=False), AutoNCP(8, 2).build(4)
    params = rnn.stack.layers[0].forward.params
    before, (here, there) = np.array(rnn(X)[0]), wiring.layers[:2]
    heard = wiring.adjacency_matrix[np.ix_(here, there)].T != 0
    missing = mx.array(np.concatenate([~heard, np.zeros((len(there), len(there)), bool)], 1))
    params.layer_1_ff1_weight = params.layer_1_ff1_weight + 9.0 * missing
    np.testing.assert_array_equal(before, rnn(X)[0])


def test_explicit_constraints_are_kept_after_every_step():
    ltc = ours.LTC(4, 5, implicit_param_constraints=False, mixed_memory=True)
    step, _ = trainer(ltc, lambda m: sum(mx.sum(array) for array in m.layout().values()), rate=0.3)
    for _ in range(5):
        step()
    clipped = {n: np.array(a) for n, a in ltc.layout().items() if "cell.params" in n}
    for name, array in clipped.items():
        if name.rpartition(".")[2] in ("gleak", "cm", "w", "sensory_w"):
            assert (array >= 0).all(), name
    assert any((array == 0).any() for name, array in clipped.items() if name.endswith(".w"))


def test_backbone_dropout_is_for_training():
    mx.random.seed(0)
    rnn = ours.CfC(4, 6, backbone_layers=2, backbone_dropout=0.5)
    first, second = np.array(rnn(X)[0]), np.array(rnn(X)[0])
    assert np.abs(first - second).max() > 1e-3
    rnn.eval()
    np.testing.assert_array_equal(rnn(X)[0], rnn(X)[0])
    plain = ours.CfC(4, 6, backbone_layers=2).load_layout(rnn.layout())
    np.testing.assert_array_equal(rnn(X)[0], plain(X)[0])


def test_models_take_scaled_time_and_keep_its_numbers():
    scaling = ours.TimeScaling("log", mean=0.5)
    model = ours.SequenceModel(ours.GRU(4, 3, use_timespans=True), ours.Head(3, (2,)), scaling)
    other = ours.SequenceModel(model.rnn, model.head)
    elapsed = RNG.uniform(0.1, 2.0, (8, 5)).astype(np.float32)
    np.testing.assert_allclose(model(X, elapsed), other(X, np.log1p(elapsed / 0.5)), atol=1e-6)
    model.unfreeze()
    trained = dict(utils.tree_flatten(model.trainable_parameters()))
    assert set(model.layout()) - set(trained) == {
        f"time_scaling.{name}.value" for name in ("kind", "mean", "std")
    }
    normal = ours.SequenceModel(model.rnn, ours.Head(3, (4, 2), "normal"))(X)
    assert normal.mean.shape == normal.std.shape == (8, 4, 2)
    assert (np.array(normal.std) > 0).all()


def test_jax_is_not_needed():
    code = (
        "import sys\n"
        "for name in ('jax', 'jaxlib', 'equinox', 'optax'): sys.modules[name] = None\n"
        "import mlx.core as mx\n"
        "from shoal.mlx import CfC, LTC, CTRNN, CTGRU, LSTM, GRU, Head, SequenceModel\n"
        "from shoal.wirings import AutoNCP\n"
        "for kind in (CfC, LTC, CTRNN, CTGRU, LSTM, GRU):\n"
        "    units = 4 if kind in (LSTM, GRU) else AutoNCP(8, 2)\n"
        "    output, state = kind(3, units)(mx.ones((2, 5, 3)))\n"
        "    mx.eval(output)\n"
        "print('done')"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert out.stdout.strip() == "done", out.stderr


def test_without_mlx_the_extra_is_named():
    code = "import sys; sys.modules['mlx'] = None\nimport shoal.mlx"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ImportError: shoal.mlx needs MLX: pip install 'shoal[mlx]'" in out.stderr
