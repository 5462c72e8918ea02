"""The equations of LTC, CT-RNN and CT-GRU mean the same over every array namespace."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from shoal.equations import ctgru, ctrnn, ltc
from shoal.equations.activations import tanh

UNITS, INPUTS, BATCH = 5, 3, 4
TORCH = ("torch", torch, lambda a: torch.tensor(a, dtype=torch.float64))
JAX = ("jax", jnp, jnp.asarray)
NAMESPACES = [TORCH, JAX]
try:
    import mlx.core as mx

    NAMESPACES.append(("mlx", mx, lambda a: mx.array(np.asarray(a, np.float32))))
except ImportError:
    pass


def drawn(table, seed=0):
    rng = np.random.default_rng(seed)
    sizes = {"units": UNITS, "inputs": INPUTS, "outputs": 2, "inputs_and_units": INPUTS + UNITS}
    return {entry.name: rng.uniform(0.1, 1.0, entry.sizes(sizes)) for entry in table}


def arrays(seed=1):
    rng = np.random.default_rng(seed)
    return {
        "x": rng.normal(size=(BATCH, INPUTS)),
        "v": rng.normal(size=(BATCH, UNITS)),
        "traces": rng.normal(size=(BATCH, UNITS, 8)),
        "elapsed": rng.uniform(0.0, 3.0, (BATCH, 1)),
        "mask": rng.integers(0, 2, (UNITS, UNITS)).astype(float),
        "sensory_mask": rng.integers(0, 2, (INPUTS, UNITS)).astype(float),
    }


def run_ltc(solver):
    def run(xp, p, a):
        p = ltc.positive(xp, p)
        inputs = ltc.affine(p, "input", a["x"])
        forces = ltc.matrix_forces(xp, p, inputs, (a["mask"], a["sensory_mask"]))
        v = ltc.update(forces, a["v"], a["elapsed"], p["cm"], solver=solver, unfolds=3)
        return ltc.affine(p, "output", v[:, :2])

    return ltc.table("affine", "affine"), run


def run_projection():
    return ltc.TABLE, lambda xp, p, a: ltc.project(xp, {"w": p["w"] - 0.5})["w"]


def run_ctrnn(solver):
    def run(xp, p, a):
        projected = a["x"] @ p["input_weight"].T + p["bias"]
        tau = ctrnn.time_constant(xp, p["tau"])

        def drive(projected, v):
            return tanh(xp, projected + v @ p["recurrent_weight"].T)

        options = {"solver": solver, "unfolds": 3}
        return ctrnn.update(xp, projected, a["v"], a["elapsed"], tau, drive, **options)

    return ctrnn.table(), run


def run_ctgru():
    def run(xp, p, a):
        of_x, bias, *rest = ctgru.split(xp, p, INPUTS)
        log_tau = a["v"][0, 0] * 0 + a["log_tau"]
        elapsed = a["elapsed"][..., None]
        projected = a["x"] @ of_x.T + bias
        traces = ctgru.update(xp, projected, a["traces"], elapsed, log_tau, *rest)
        return ctgru.visible(xp, traces)

    return ctgru.TABLE, run


CASES = {
    "ltc semi-implicit": run_ltc("semi_implicit"),
    "ltc euler": run_ltc("euler"),
    "ltc rk4": run_ltc("rk4"),
    "ltc projection": run_projection(),
    "ctrnn exponential": run_ctrnn("exponential"),
    "ctrnn euler": run_ctrnn("euler"),
    "ctgru": run_ctgru(),
}


@pytest.mark.parametrize(("name", "xp", "array"), NAMESPACES, ids=[n[0] for n in NAMESPACES])
@pytest.mark.parametrize("case", CASES)
def test_every_namespace_says_what_numpy_says(x64, case, name, xp, array):
    table, run = CASES[case]
    given = arrays() | {"log_tau": np.array(ctgru.log_scales())}
    expected = run(np, drawn(table), given)
    asked = jax.jit(partial(run, xp)) if xp is jnp else partial(run, xp)
    got = asked(
        {key: array(value) for key, value in drawn(table).items()},
        {key: array(value) for key, value in given.items()},
    )
    assert type(got).__module__.split(".")[0].startswith(name[:3])
    tolerance = 1e-5 if name == "mlx" else 1e-12
    np.testing.assert_allclose(np.asarray(got), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("module", [ltc, ctgru])
def test_a_table_names_everything_once(module):
    names = [entry.name for entry in module.TABLE]
    assert len(set(names)) == len(names)
    assert all(entry.symbol for entry in module.TABLE)


def test_a_semi_implicit_step_lies_between_where_it_was_and_where_it_is_pulled():
    v, pull, conductance = np.float64(2.0), 0.5, 1.0
    steps = [ltc.semi_implicit(lambda _: (pull, conductance), v, dt, 1.0) for dt in (0, 1, 1e12)]
    np.testing.assert_allclose(steps, [2.0, 1.25, 0.5], rtol=1e-7)


def test_gradients_flow_through_every_parameter(x64):
    for table, run in CASES.values():
        given = arrays() | {"log_tau": np.array(ctgru.log_scales()), "mask": np.ones((5, 5))}
        given |= {"sensory_mask": np.ones((INPUTS, UNITS))}
        slope = jax.jit(jax.grad(lambda p, a, run=run: (run(jnp, p, a) ** 2).sum()))
        gradient = slope(drawn(table), given)
        used = ["w"] if run is CASES["ltc projection"][1] else list(gradient)
        assert all(np.abs(gradient[key]).max() > 0 for key in used)
