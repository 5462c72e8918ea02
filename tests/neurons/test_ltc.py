"""LTC: agreement with ncps, solvers, any elapsed time, constraints."""

import equinox as eqx
import jax
import jax.numpy as jnp
import ncps.torch
import ncps.wirings
import numpy as np
import pytest
import torch

from shoal.equations import ltc
from shoal.neurons.frozen import project_constraints
from shoal.neurons.ltc import LTC
from shoal.wirings import NCP, AutoNCP, FullyConnected, Random, Wiring

WIRINGS = {
    "dense": (FullyConnected(5), lambda: ncps.wirings.FullyConnected(5)),
    "few outputs": (FullyConnected(6, 2), lambda: ncps.wirings.FullyConnected(6, 2)),
    "random": (Random(9, 4, 0.6), lambda: ncps.wirings.Random(9, 4, 0.6)),
    "policy": (AutoNCP(14, 3), lambda: ncps.wirings.AutoNCP(14, 3)),
    "by hand": (NCP(5, 4, 2, 2, 2, 3, 2), lambda: ncps.wirings.NCP(5, 4, 2, 2, 2, 3, 2)),
}
BATCH, TIME, INPUTS = 3, 4, 3


def peers(name="policy", seed=0, **options):
    """An ncps model in double precision, and ours with its parameters."""
    ours, theirs = WIRINGS[name]
    torch.manual_seed(seed)
    peer = ncps.torch.LTC(INPUTS, theirs(), **options).double()
    for parameter in peer.parameters():
        if parameter.requires_grad and parameter.dim() < 2:
            parameter.data += (
                0.1 * torch.randn(parameter.shape).abs()
            )  # no mapping left at identity
    options = {k: v for k, v in options.items() if k != "batch_first"}
    rnn = LTC(INPUTS, ours, **options, dtype=jnp.float64, key=0)
    values = {k: jnp.array(v.detach().numpy()) for k, v in cell_of(peer).named_parameters()}
    values = {name: values[name] for name in rnn.stack.layers[0].forward.params}
    return peer, eqx.tree_at(lambda r: r.stack.layers[0].forward.params, rnn, values)


def cell_of(peer):
    return peer.rnn_cell


def data(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(BATCH, TIME, INPUTS))
    return x, rng.uniform(0.01, 3.0, size=(BATCH, TIME)), rng.normal(size=BATCH)


def peer_outputs(peer, x, timespans=None, state=None):
    """One series at a time: batched timespans are broken in ncps."""
    rows = []
    for b in range(len(x)):
        spans = None if timespans is None else torch.tensor(timespans[b : b + 1, :, None])
        start = torch.zeros(1, peer.state_size, dtype=torch.float64)
        start = start if state is None else torch.tensor(state[b : b + 1])
        rows.append(peer(torch.tensor(x[b : b + 1]), start, spans))
    return [torch.cat(part) for part in zip(*rows, strict=True)]


def close(a, b, tolerance=1e-10):
    b = b.detach().numpy() if isinstance(b, torch.Tensor) else b
    np.testing.assert_allclose(np.asarray(a), b, rtol=tolerance, atol=tolerance)


@eqx.filter_jit
def answers_and_gradients(rnn, x, timespans, state=None):
    """The output, the last state, and the parameters' gradients: one program."""

    def loss_of(rnn):
        output, last = rnn(x, state, timespans)
        return (output**2).sum() + (last**2).sum(), (output, last)

    gradients, found = eqx.filter_grad(loss_of, has_aux=True)(rnn)
    return *found, gradients


@pytest.mark.parametrize(
    ("name", "irregular"), [("dense", False), *((name, True) for name in WIRINGS)]
)
def test_agrees_with_ncps(x64, name, irregular):
    peer, rnn = peers(name, ode_unfolds=3)
    x, timespans, _ = data()
    timespans = timespans if irregular else None
    start = np.random.default_rng(1).normal(size=(BATCH, rnn.state_size))
    output, last = peer_outputs(peer, x, timespans, start)
    ((output**2).sum() + (last**2).sum()).backward()
    mine, my_last, gradients = answers_and_gradients(rnn, x, timespans, start)
    close(mine, output)
    close(my_last, last)
    gradients = gradients.stack.layers[0].forward.params
    for key, parameter in cell_of(peer).named_parameters():
        if parameter.requires_grad:
            close(gradients[key], parameter.grad)


OPTIONS = [
    {"input_mapping": "linear", "output_mapping": None},
    {"input_mapping": None, "output_mapping": "linear"},
    {"ode_unfolds": 2, "epsilon": 1e-3},
    {"implicit_param_constraints": False},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_agrees_with_ncps_for_every_option(x64, options):
    peer, rnn = peers(**options)
    x, timespans, _ = data()
    output, last = peer_outputs(peer, x, timespans)
    mine, my_last = rnn(x, timespans=timespans)
    close(mine, output)
    close(my_last, last)


def test_explicit_constraints_are_those_of_ncps(x64):
    peer, rnn = peers(implicit_param_constraints=False)
    names = ("gleak", "cm", "w", "sensory_w")
    for name in names:
        getattr(cell_of(peer), name).data -= 0.5
    cell_of(peer).apply_weight_constraints()
    cell = rnn.stack.layers[0].forward
    lowered = {k: v - 0.5 if k in names else v for k, v in cell.params.items()}
    rnn = eqx.tree_at(lambda r: r.stack.layers[0].forward.params, rnn, lowered)
    params = project_constraints(rnn).stack.layers[0].forward.params
    for name, value in params.items():
        close(value, getattr(cell_of(peer), name), 1e-7)
        assert name not in names or float(value.min()) >= 0.0
    assert float(params["cm"].min()) > 0.0  # so that no elapsed time divides zero by zero


def test_a_softplus_needs_no_projection():
    rnn = LTC(INPUTS, 4, key=0)
    assert eqx.tree_equal(project_constraints(rnn), rnn)


def test_no_time_no_change():
    rnn = LTC(INPUTS, AutoNCP(14, 3), ode_unfolds=2, key=0)
    x = jnp.asarray(data()[0], jnp.float32)
    start = jnp.full((BATCH, 14), 0.3)
    _, last, gradients = answers_and_gradients(rnn, x, jnp.zeros((BATCH, TIME)), start)
    close(last, start, 1e-6)
    assert all(jnp.isfinite(g).all() for g in jax.tree.leaves(gradients))


@pytest.mark.parametrize("elapsed", [1e-6, 1.0, 1e3, 1e9])
def test_is_stable_for_any_elapsed_time(elapsed):
    rnn = LTC(INPUTS, AutoNCP(14, 3), key=0)
    output, last = rnn(jnp.asarray(data()[0], jnp.float32), timespans=elapsed)
    assert jnp.isfinite(output).all()
    assert float(jnp.abs(last).max()) < 2.0  # between the reversal potentials


def exact(rnn, x, timespans, substeps=400):
    """The solution by many small Runge-Kutta steps, in NumPy."""
    cell = rnn.stack.layers[0].forward
    params = {k: np.asarray(v) for k, v in cell.physical().items()}
    masks = cell.wiring.adjacency_matrix != 0, cell.wiring.sensory_adjacency_matrix != 0
    v = np.zeros((len(x), cell.state_size))
    for t in range(x.shape[1]):
        forces = ltc.matrix_forces(np, params, ltc.affine(params, "input", x[:, t]), masks)
        options = {"solver": "rk4", "unfolds": substeps}
        v = ltc.update(forces, v, timespans[:, t, None], params["cm"], **options)
    return v


@pytest.mark.parametrize(
    ("solver", "unfolds", "order"), [("semi_implicit", 6, 1), ("euler", 6, 1), ("rk4", 2, 4)]
)
def test_solvers_converge_with_their_order(x64, solver, unfolds, order):
    x, timespans, _ = data()
    timespans = timespans / 30
    errors = []
    for steps in (unfolds, 2 * unfolds):
        options = {"solver": solver, "ode_unfolds": steps, "dtype": jnp.float64, "key": 0}
        rnn = LTC(INPUTS, AutoNCP(9, 3), **options)
        _, last = rnn(x, timespans=timespans)
        errors.append(np.abs(last - exact(rnn, x, timespans)).max())
    assert errors[1] < 0.05
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.35)


def test_the_adaptive_solver_meets_its_tolerance(x64):
    x, timespans, _ = data()
    x, timespans = x[:, :3], timespans[:, :3]
    timespans[:, 2] = 0.0
    options = {"solver": "adaptive", "tolerance": 1e-8, "dtype": jnp.float64, "key": 0}
    rnn = LTC(INPUTS, AutoNCP(9, 3), **options)
    _, last, gradients = answers_and_gradients(rnn, x, timespans)
    close(last, exact(rnn, x, timespans), 1e-6)
    longer = timespans * np.array([[1.0], [9.0], [0.1]])
    _, other, _ = answers_and_gradients(rnn, x, longer)
    close(other[:1], last[:1])  # whatever its neighbours need
    assert all(jnp.isfinite(g).all() for g in jax.tree.leaves(gradients))


def test_synapses_that_do_not_exist_do_nothing():
    wiring = Wiring([[0, 1, 0], [0, 0, -1], [0, 0, 0]], [[0, 1, 0], [0, 0, 0]], output_dim=1)
    rnn = LTC(2, wiring, key=0)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 2)), jnp.float32)
    gradient = eqx.filter_jit(eqx.filter_grad(lambda both: (both[0](both[1])[1] ** 2).sum()))
    gradients, of_x = gradient((rnn, x))
    params = gradients.stack.layers[0].forward.params
    for name in ("w", "mu", "sigma", "erev"):
        for prefix, matrix in (
            ("", wiring.adjacency_matrix),
            ("sensory_", wiring.sensory_adjacency_matrix),
        ):
            exists = matrix != 0
            gradient = np.asarray(params[prefix + name])
            assert (gradient[~exists] == 0).all()
            assert (gradient[exists] != 0).all()
    assert (of_x[..., 1] == 0).all()
    assert (of_x[..., 0] != 0).any()


WRONG = [
    ({"solver": "heun"}, "`solver` must be one of semi_implicit, euler, rk4, adaptive; got 'heun'"),
    ({"input_mapping": "quadratic"}, "`input_mapping` must be one of affine, linear, None"),
    ({"output_mapping": "x"}, "`output_mapping` must be one of"),
    ({"ode_unfolds": 0}, "`ode_unfolds` must be a whole number of at least 1, got 0"),
    ({"epsilon": 0.0}, "`epsilon` must be greater than 0, got 0.0"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=str)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        LTC(INPUTS, 4, **options, key=0)


@pytest.mark.parametrize("elapsed", [np.array([[1.0, -1.0]]), np.array([[[1.0], [-1.0]]])])
def test_time_that_nobody_sees_may_be_below_zero(elapsed):
    rnn, x, mask = LTC(3, 4, key=0), np.ones((1, 2, 3)), np.array([[True, False]])
    output, _ = rnn(x, timespans=elapsed, mask=mask)
    assert np.isfinite(output).all()
    with pytest.raises(ValueError, match="at least 0"):
        rnn(x, timespans=elapsed)


def test_few_rows_get_what_they_get_among_many():
    """Matrices and the list of synapses are two ways to one result."""
    rnn = LTC(INPUTS, 7, ode_unfolds=2, key=0)
    x, timespans = (jnp.asarray(np.resize(a, (8, *a.shape[1:])), "float32") for a in data()[:2])

    @eqx.filter_jit
    @eqx.filter_value_and_grad(has_aux=True)
    def asked(rnn, size):
        parts = [slice(start, start + size) for start in range(0, 8, size)]
        output = jnp.concatenate([rnn(x[own], timespans=timespans[own])[0] for own in parts])
        return (output**2).sum(), output

    (_, many), slopes = asked(rnn, 8)
    (_, few), alike = asked(rnn, 4)
    np.testing.assert_allclose(few, many, atol=1e-6)
    for a, b in zip(jax.tree.leaves(alike), jax.tree.leaves(slopes), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
