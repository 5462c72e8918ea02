"""Every neuron, wiring, mode, memory and elapsed time: JAX, PyTorch and MLX agree.

The same weights give the same outputs, states and gradients with respect to x and everything
learned. JAX compiles one program for each neuron: elapsed times of every shape are, to it, one per
sample, as its own tests hold them to be.
"""

from contextlib import nullcontext

import equinox as eqx
import jax
import jax.numpy as jnp
import mlx.core as mx
import mlx.nn
import numpy as np
import pytest
import torch
from mlx.utils import tree_flatten

import shoal.mlx
import shoal.neurons
import shoal.torch
from shoal.bundle import load_parameters, parameters, save_parameters
from shoal.bundle.arrays import filled, named_leaves
from shoal.bundle.frameworks import to_mlx, to_torch
from shoal.bundle.registry import shapes_of
from shoal.neurons.model import NEURONS, neuron
from shoal.wirings import NCP, AutoNCP, FullyConnected, Random

BATCH, TIME, INPUTS = 3, 4, 2
RNG = np.random.default_rng(0)
X = RNG.normal(size=(BATCH, TIME, INPUTS))
MASK = np.array([[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 0]], bool)
PER_SAMPLE = RNG.uniform(0.1, 2, (BATCH, TIME))
ELAPSED = {
    "none": (None, None),
    "scalar": (0.7, None),
    "sample": (PER_SAMPLE, None),
    "masked": (PER_SAMPLE, MASK),
}
UNITS = {"dense": 5, "ncp": AutoNCP(7, 2), "full": FullyConnected(5, 2)}
MORE = {"random": Random(6, 2, sparsity_level=0.4), "circuit": NCP(3, 3, 2, 2, 2, 2, 2)}


def _cases():
    for wiring, units in UNITS.items():
        for mixed in (False, True)[: 1 if wiring == "full" else 2]:
            own = {"units": units, "mixed_memory": mixed}
            name = f"{wiring}{'-mixed' if mixed else ''}"
            backbone = {"backbone_units": 6} if wiring == "dense" else {}
            for mode in ("default", "pure", "no_gate")[: 1 if mixed else 3]:
                yield f"cfc-{name}-{mode}", "cfc", {**own, **backbone, "mode": mode}
            for kind in ("ltc", "ctrnn", "ctgru"):
                few = {"n_scales": 3} if kind == "ctgru" else {"ode_unfolds": 2}
                yield f"{kind}-{name}", kind, {**own, **few}
    for wiring, units in MORE.items():  # whose synapses are laid out by the same code
        yield f"cfc-{wiring}", "cfc", {"units": units}
        yield f"ltc-{wiring}", "ltc", {"units": units, "ode_unfolds": 2}
    own = {"units": UNITS["ncp"], "fully_recurrent": False}
    yield "cfc-ncp-own", "cfc", own
    for kind, solver in (("ltc", "euler"), ("ltc", "rk4"), ("ctrnn", "euler")):
        yield f"{kind}-{solver}", kind, {"units": 4, "solver": solver, "ode_unfolds": 2}
    for kind in ("lstm", "gru"):
        for told in (False, True):
            yield f"{kind}-{told}", kind, {"units": 4, "use_timespans": told}
    deep = {"num_layers": 2, "bidirectional": True, "residual": True, "proj_size": 3}
    yield "gru-deep", "gru", {"units": 2, **deep}
    yield "cfc-deep", "cfc", {"units": 2, "backbone_layers": 0, "mixed_memory": True, **deep}


CASES = {name: (kind, options) for name, kind, options in _cases()}
DOUBLE = ["cfc-ncp-pure", "ltc-ncp-mixed", "ltc-rk4", "gru-deep"]
EXPLICIT = 5e-5  # LTC's explicit solvers magnify what single precision rounds off; see DOUBLE


@pytest.fixture(autouse=True, scope="module")
def _eager():
    """MLX compiles with the system's C++ compiler, a second for each structure; not asked for."""
    mx.disable_compile()
    yield
    mx.enable_compile()


def in_jax(kind, options, dtype="float32"):
    """A neuron of JAX with parameters drawn in NumPy; nothing is compiled to make it."""
    template = shapes_of(lambda key: neuron(kind)(INPUTS, **options, dtype=dtype, key=key))
    rng = np.random.default_rng(1)
    drawn = {
        name: jnp.asarray(rng.uniform(0.1, 0.6, leaf.shape), leaf.dtype)
        for name, leaf in named_leaves(template).items()
    }
    return filled(template, drawn | _no_dropout(drawn))


def _no_dropout(arrays):
    return {name: jnp.zeros_like(a) for name, a in arrays.items() if name.endswith("rate.value")}


def asked_of_jax(rnn):
    """(x, timespans, mask) -> outputs and states, flat, and gradients by path; compiled once."""

    def total(parts):
        rnn, x, timespans, mask = parts
        output, state = rnn(x, timespans=timespans, mask=mask)
        leaves = [output, *jax.tree.leaves(state)]
        return sum((leaf * weigh(leaf)).sum() for leaf in leaves), leaves

    def weigh(leaf):
        return jnp.cos(jnp.arange(leaf.size, dtype=leaf.dtype)).reshape(leaf.shape)

    def both(arrays, static, x, timespans, mask):
        def of(arrays, x):
            return total((eqx.combine(arrays, static), x, timespans, mask))

        (_, leaves), (grads, of_x) = jax.value_and_grad(of, (0, 1), has_aux=True)(arrays, x)
        return leaves, named_leaves(grads) | {"x": of_x}

    arrays, static = eqx.partition(rnn, eqx.is_array)
    quick = {"xla_backend_optimization_level": 0}
    run = jax.jit(lambda a, x, t, m: both(a, static, x, t, m), compiler_options=quick)

    def ask(timespans, mask):
        dtype = jnp.asarray(0.0, next(iter(parameters(rnn).values())).dtype).dtype
        spans = np.broadcast_to(1.0 if timespans is None else timespans, (BATCH, TIME))
        mask = np.ones((BATCH, TIME), bool) if mask is None else mask
        leaves, grads = run(arrays, jnp.asarray(X, dtype), jnp.asarray(spans, dtype), mask)
        kept = {k: np.asarray(v) for k, v in grads.items() if not k.endswith("rate.value")}
        return [np.asarray(leaf) for leaf in leaves], kept

    return ask


def in_torch(rnn, kind, options, dtype=torch.float32):
    module = getattr(shoal.torch, NEURONS[kind])(INPUTS, **options, dtype=dtype)
    module.load_layout({name: to_torch(a) for name, a in parameters(rnn).items()})

    def ask(timespans, mask):
        x = torch.tensor(X, dtype=dtype, requires_grad=True)
        module.zero_grad()
        spans = None if timespans is None else torch.tensor(timespans, dtype=dtype)
        mask = None if mask is None else torch.tensor(mask)
        output, state = module(x, timespans=spans, mask=mask)
        leaves = [output, *_leaves(state)]
        weights = [torch.cos(torch.arange(a.numel(), dtype=dtype)).reshape(a.shape) for a in leaves]
        sum((a * w).sum() for a, w in zip(leaves, weights, strict=True)).backward()
        grads = {k: _zero_for_none(v.grad, v) for k, v in module._slots().items()}
        shapes = module.layout()
        grads = {k: g.reshape(shapes[k].shape).numpy() for k, g in grads.items()}
        return [a.detach().numpy() for a in leaves], grads | {"x": x.grad.numpy()}

    return ask


def _zero_for_none(grad, value):
    return torch.zeros_like(value) if grad is None else grad


def in_mlx(rnn, kind, options):
    module = getattr(shoal.mlx, NEURONS[kind])(INPUTS, **options)
    module.load_layout({name: to_mlx(a) for name, a in parameters(rnn).items()})

    def ask(timespans, mask):
        spans = None if timespans is None else mx.array(np.asarray(timespans, np.float32))
        mask = None if mask is None else mx.array(mask)
        found = []

        def total(parameters, x):
            module.update(parameters)
            output, state = module(x, timespans=spans, mask=mask)
            found[:] = [output, *_leaves(state)]
            weights = [mx.cos(mx.arange(a.size).astype(mx.float32)).reshape(a.shape) for a in found]
            return sum((a * w).sum() for a, w in zip(found, weights, strict=True))

        x = mx.array(X.astype(np.float32))
        before = module.parameters()
        grads, of_x = mx.grad(total, (0, 1))(before, x)
        module.update(before)
        total(before, x)
        return [np.array(a) for a in found], {
            **{k: np.array(v) for k, v in tree_flatten(grads)},
            "x": np.array(of_x),
        }

    return ask


def _leaves(state):
    if isinstance(state, tuple | list):
        return [leaf for part in state for leaf in _leaves(part)]
    return [state]


def agree(found, expected, tolerance, where):
    for place, (a, b) in enumerate(zip(found[0], expected[0], strict=True)):
        np.testing.assert_allclose(a, b, tolerance, tolerance, err_msg=f"{where} output {place}")
    assert found[1].keys() == expected[1].keys(), where
    for name, value in found[1].items():
        size = max(1.0, float(np.abs(expected[1][name]).max()))
        np.testing.assert_allclose(
            value / size, expected[1][name] / size, 0, tolerance, err_msg=f"{where} d/d{name}"
        )


@pytest.mark.parametrize("name", CASES)
def test_the_three_frameworks_agree(name):
    kind, options = CASES[name]
    rnn = in_jax(kind, options)
    expected = asked_of_jax(rnn)
    others = {"torch": in_torch(rnn, kind, options), "mlx": in_mlx(rnn, kind, options)}
    tolerance = EXPLICIT if name in ("ltc-euler", "ltc-rk4") else 1e-5
    for elapsed, given in ELAPSED.items():
        wanted = expected(*given)
        for framework, ask in others.items():
            agree(ask(*given), wanted, tolerance, f"{framework} {elapsed}")


@pytest.mark.parametrize("name", DOUBLE)
def test_double_precision_agrees_to_the_last_digits(name):
    kind, options = CASES[name]
    with jax.enable_x64(True):
        rnn = in_jax(kind, options, "float64")
        expected, ask = asked_of_jax(rnn), in_torch(rnn, kind, options, torch.float64)
        for elapsed in ("sample", "masked"):
            agree(ask(*ELAPSED[elapsed]), expected(*ELAPSED[elapsed]), 1e-11, elapsed)


TYPES = ["float32", "float16", "bfloat16", "float64"]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", ["cfc-ncp-mixed-default", "ltc-full", "gru-deep"])
def test_files_carry_every_bit_there_and_back(tmp_path, name, dtype):
    kind, options = CASES[name]
    with jax.enable_x64(True) if dtype == "float64" else nullcontext():
        rnn, blank = (
            in_jax(kind, options, dtype),
            neuron(kind)(INPUTS, **options, dtype=dtype, key=0),
        )
        file = save_parameters(rnn, tmp_path / "jax.safetensors")
        modules = [
            getattr(shoal.torch, NEURONS[kind])(INPUTS, **options, dtype=getattr(torch, dtype))
        ]
        if dtype != "float64":  # MLX has it on the CPU alone, and not everywhere
            modules.append(getattr(shoal.mlx, NEURONS[kind])(INPUTS, **options, dtype=dtype))
        for number, module in enumerate(modules):
            assert load_parameters(file, into=module) is module
            own = save_parameters(module, tmp_path / f"{number}.safetensors")
            same_bits(parameters(load_parameters(own, into=blank)), parameters(rnn))
        if len(modules) == 2:
            modules[1].save_weights(str(tmp_path / "mlx.safetensors"))  # MLX's own
            again = load_parameters(tmp_path / "mlx.safetensors", into=blank)
            same_bits(parameters(again), parameters(rnn))


def same_bits(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype
        assert a[name].tobytes() == b[name].tobytes()


@pytest.mark.parametrize("framework", ["torch", "mlx"])
def test_what_does_not_fit_changes_nothing(tmp_path, framework):
    package = {"torch": shoal.torch, "mlx": shoal.mlx}[framework]
    file = save_parameters(shoal.GRU(2, 3, key=0), tmp_path / "w.safetensors")
    module = package.GRU(2, 4)
    before = parameters(module)
    with pytest.raises(ValueError, match=r"is float32\(.*but the module needs float32\("):
        load_parameters(file, into=module)
    same_bits(parameters(module), before)
    with pytest.raises(ValueError, match=r"lacks stack\.layers\.1"):
        load_parameters(file, into=package.GRU(2, 3, num_layers=2))
    foreign = {"torch": torch.nn.Linear(2, 2), "mlx": mlx.nn.Linear(2, 2)}[framework]
    with pytest.raises(TypeError, match="no neuron or SequenceModel of shoal"):
        parameters(foreign)
