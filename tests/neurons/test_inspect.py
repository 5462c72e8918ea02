"""Looking inside: states as the layer itself has them, time constants as measured from outside."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from shoal import CTGRU, CTRNN, GRU, LSTM, LTC, CfC
from shoal.neurons import build_model, effective_time_constants, time_constants, trajectories
from shoal.neurons.inside import _trajectories
from shoal.neurons.inside_time import _effective, log_kept
from shoal.neurons.wired_cfc import synapses
from shoal.wirings import AutoNCP

B, T, F = 2, 5, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(B, T, F))
ELAPSED = RNG.uniform(0.2, 3.0, (B, T))
WIRED = AutoNCP(8, 2)
NEURONS = {
    "cfc": (CfC, {"units": 4, "backbone_units": 5}),
    "cfc wired": (CfC, {"units": WIRED, "mode": "no_gate"}),
    "cfc mixed": (CfC, {"units": 4, "mode": "pure", "mixed_memory": True, "backbone_layers": 0}),
    "ltc wired": (LTC, {"units": WIRED, "ode_unfolds": 2}),
    "ltc mixed": (LTC, {"units": 3, "mixed_memory": True, "ode_unfolds": 2}),
    "ctrnn": (CTRNN, {"units": 4, "tau": 2.0, "ode_unfolds": 2}),
    "ctgru mixed": (CTGRU, {"units": 4, "n_scales": 3, "mixed_memory": True}),
    "lstm": (LSTM, {"units": 4}),
    "gru with time": (GRU, {"units": 4, "use_timespans": True}),
}


def build(name, **more):
    kind, options = NEURONS[name]
    return kind(F, **options, **more, dtype=jnp.float64, key=0)


def same(left, right, tolerance=1e-10):
    np.testing.assert_allclose(left, right, rtol=tolerance, atol=tolerance)


def parts(trajectory):
    """What there is of hidden, memory, traces."""
    return [part for part in trajectory if part is not None]


@pytest.mark.parametrize("name", NEURONS)
def test_trajectories_are_what_step_by_step_gives(x64, name):
    rnn = build(name)
    (inside,) = trajectories(rnn, X, ELAPSED).values()
    output, end = rnn(X, timespans=ELAPSED)
    state, each = None, []
    for t in range(T):
        _, state = rnn(X[:, t : t + 1], state, ELAPSED[:, t : t + 1])
        each.append(jax.tree.leaves(state))
    steps = [np.stack(leaf, 1) for leaf in zip(*each, strict=True)]
    kept = [part for part in (inside.traces, inside.memory) if part is not None]
    if inside.traces is None:
        kept.insert(0, inside.hidden)
    else:
        same(inside.hidden, inside.traces.sum(-1))
    for found, expected, last in zip(kept, steps, jax.tree.leaves(end), strict=True):
        same(found, expected)
        same(found[:, -1], last)
    if name == "cfc wired":
        same(inside.hidden[..., -2:], output)
    elif name == "ltc wired":
        same(inside.hidden[..., :2], output)
    else:
        same(inside.hidden, output)


def test_layers_directions_and_masks(x64):
    rnn = build("cfc", num_layers=2, bidirectional=True, residual=True)
    inside = trajectories(rnn, X, ELAPSED)
    kind = type(rnn).__name__
    assert list(inside) == [
        f"{kind} layer {k} {way}" for k in (1, 2) for way in ("forward", "backward")
    ]
    output, state = rnn(X, timespans=ELAPSED)
    heads = [inside[f"{kind} layer 2 {way}"].hidden for way in ("forward", "backward")]
    below = [inside[f"{kind} layer 1 {way}"].hidden for way in ("forward", "backward")]
    same(np.concatenate(heads, -1) + np.concatenate(below, -1), output)
    same(inside[f"{kind} layer 2 backward"].hidden[:, 0], state[1][1])

    keep = np.array([0, 1, 3, 5, 6])
    longer, gaps = np.full((B, 8, F), np.nan), np.full((B, 8), 9.0)
    longer[:, keep], gaps[:, keep] = X, ELAPSED
    mask = np.isin(np.arange(8), keep)
    padded = trajectories(rnn, longer, gaps, mask)
    constants = effective_time_constants(rnn, X, ELAPSED)
    holed = effective_time_constants(rnn, longer, gaps, mask)
    for cell, whole in inside.items():
        for a, b in zip(parts(padded[cell]), parts(whole), strict=True):
            same(a[:, keep], b)
        same(padded[cell].hidden[:, 2], padded[cell].hidden[:, 3 if "back" in cell else 1])
        same(holed[cell][:, keep], constants[cell])
        assert np.isnan(holed[cell][:, [2, 4, 7]]).all()
    one = trajectories(rnn, X[1], ELAPSED[1])
    same(one[f"{kind} layer 2 forward"].hidden, inside[f"{kind} layer 2 forward"].hidden[1])


def test_every_neuron_has_time_constants_of_every_step(x64):
    for name in NEURONS:
        rnn = build(name)
        (tau,) = effective_time_constants(rnn, X, ELAPSED).values()
        assert tau.shape == (B, T, rnn.state_size)
        assert (np.asarray(tau) > 0).all()


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def test_ltc_is_its_formula_neuron_by_neuron(x64):
    rnn = build("ltc wired")
    cell = rnn.stack.layers[0].forward
    p = {k: np.asarray(v) for k, v in cell.params.items()}
    for name in ("cm", "gleak", "w", "sensory_w"):
        p[name] = np.log1p(np.exp(p[name]))
    tau = effective_time_constants(rnn, X, ELAPSED)["LTC"]
    v = trajectories(rnn, X, ELAPSED)["LTC"].hidden[:, 1]
    for row in range(B):
        u = X[row, 2] * p["input_w"] + p["input_b"]
        for j in range(8):
            conductance = p["gleak"][j]
            for i in range(8):
                if cell.wiring.adjacency_matrix[i, j]:
                    open_ = sigmoid(p["sigma"][i, j] * (v[row, i] - p["mu"][i, j]))
                    conductance += p["w"][i, j] * open_
            for i in range(F):
                if cell.wiring.sensory_adjacency_matrix[i, j]:
                    open_ = sigmoid(p["sensory_sigma"][i, j] * (u[i] - p["sensory_mu"][i, j]))
                    conductance += p["sensory_w"][i, j] * open_
            same(tau[row, 2, j], p["cm"][j] / conductance)


def test_ltc_decays_so_fast_when_disturbed(x64):
    """dv/dt from outside, as a very short step; its slope in v is −1/τ without a self-synapse."""
    rnn = build("ltc wired")
    wiring = rnn.stack.layers[0].forward.wiring
    (tau,) = effective_time_constants(rnn, X, ELAPSED).values()
    before = rnn(X[:, :3], timespans=ELAPSED[:, :3])[1]
    short, nudge = 1e-4, 1e-4

    def slope(v):
        return (rnn(X[:, 3:4], v, short)[1] - v) / short

    for j in np.flatnonzero(np.diag(wiring.adjacency_matrix) == 0):
        up, down = (slope(before.at[:, j].add(d))[:, j] for d in (nudge, -nudge))
        same((down - up) / (2 * nudge), 1 / tau[:, 3, j], 1e-3)


@pytest.mark.parametrize("name", ["cfc", "cfc wired", "cfc mixed"])
def test_cfc_turns_as_fast_as_seen_from_outside(x64, name):
    """The step is repeated with other elapsed times, and its exponent read off."""
    rnn = build(name)
    (tau,) = effective_time_constants(rnn, X, ELAPSED).values()
    before = rnn(X[:, :2], timespans=ELAPSED[:, :2])[1]

    def after(elapsed):
        return np.asarray(jax.tree.leaves(rnn(X[:, 2:3], before, elapsed)[1])[0])

    first = len(WIRED.layers[0]) if name == "cfc wired" else 4
    if name == "cfc mixed":  # pure: h' − A fades
        far = after(1e6)
        rate = np.log(np.abs((after(0.0) - far) / (after(1.0) - far)))
    else:  # the logit of the gate grows by Δt/τ; neurons whose inputs do not change with Δt
        low, a, b, high = (after(d)[:, :first] for d in (-1e6, 0.0, 1.0, 1e6))
        logit = [np.log((h - low) / (high - h)) for h in (a, b)]
        rate = np.abs(logit[1] - logit[0])
    same(rate, 1 / tau[:, 2, :first], 1e-5)


def test_wired_cfc_hears_the_layer_before_it(x64):
    rnn = build("cfc wired", fully_recurrent=False)
    cell = rnn.stack.layers[0].forward
    hidden = np.asarray(trajectories(rnn, X, ELAPSED)["CfC"].hidden)
    (tau,) = effective_time_constants(rnn, X, ELAPSED).values()
    n = [len(layer) for layer in cell.wiring.layers]
    command = slice(n[0], n[0] + n[1])
    heard = np.concatenate([hidden[:, 3, : n[0]], hidden[:, 2, command]], -1)
    weight = cell.params["layer_1_time_a_weight"] * synapses(cell.wiring, 1, "time_a", False)
    same(tau[:, 3, command], 1 / np.abs(heard @ weight.T + cell.params["layer_1_time_a_bias"]))


def test_lstm_keeps_of_its_memory_what_its_constant_says(x64):
    rnn = build("lstm")
    (tau,) = effective_time_constants(rnn, X, ELAPSED).values()
    h, c = rnn(X[:, :2], timespans=ELAPSED[:, :2])[1]
    kept = rnn(X[:, 2:3], (h, c + 1.0))[1][1] - rnn(X[:, 2:3], (h, c))[1][1]
    same(kept, np.exp(-ELAPSED[:, 2:3] / tau[:, 2]))
    assert np.isnan(effective_time_constants(rnn, X, 0.0)["LSTM"]).all()


def test_gru_keeps_its_state_where_the_candidate_says_nothing(x64):
    """h' = (1 − z)·n + z·h: with n = 0 what is left is z·h."""
    rnn = build("gru with time")
    params = rnn.stack.layers[0].forward.params
    quiet = dict(params) | {"candidate_bias": 0 * params["candidate_bias"]}
    for name in ("input_weight", "input_bias", "recurrent_weight"):
        quiet[name] = quiet[name].at[8:].set(0.0)
    rnn = eqx.tree_at(lambda r: r.stack.layers[0].forward.params, rnn, quiet)
    first = jnp.asarray(RNG.normal(size=(B, 4)))
    after = rnn(X[:, :1], first, ELAPSED[:, :1])[1]
    kept = log_kept(rnn.stack.layers[0].forward, X[:, 0], ELAPSED[:, 0], first)
    same(after, np.exp(kept) * first)


def test_ctgru_says_how_long_an_event_will_stay(x64):
    rnn = CTGRU(F, 4, n_scales=3, min_tau=0.5, dtype=jnp.float64, key=0)
    p = {k: np.asarray(v) for k, v in rnn.stack.layers[0].forward.params.items()}
    (tau,) = effective_time_constants(rnn, X, ELAPSED).values()
    traces = np.asarray(trajectories(rnn, X, ELAPSED)["CTGRU"].traces)[:, 1]
    scales = 0.5 * np.sqrt(10.0) ** np.arange(3)
    h = (traces * np.exp(-ELAPSED[:, 2, None, None] / scales)).sum(-1)
    wanted = np.concatenate([X[:, 2], h], -1) @ p["storage_weight"].T + p["storage_bias"]
    share = np.exp(-((wanted[..., None] - np.log(scales)) ** 2))
    share /= share.sum(-1, keepdims=True)
    same(tau[:, 2], np.exp(share @ np.log(scales)))


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("raw", lambda tau: tau),
        ("normalised", lambda tau: 5.0 * tau),
        ("zscore", lambda tau: 2.0 * tau),  # what is subtracted does not slow a clock
        ("log", lambda tau: 5.0 * np.expm1(tau)),
        (
            "bounded",
            lambda tau: np.where(tau < 1, 5.0 * tau / np.where(tau < 1, 1 - tau, 1), np.inf),
        ),
    ],
)
def test_a_member_answers_in_raw_time(x64, kind, raw):
    base = {"kind": "cfc", "input_size": F, "units": 4, "backbone_units": 5, "output_shape": [1]}
    scaling = {"kind": kind, "mean": 5.0, "std": 2.0}
    model = build_model(base | {"time_scaling": scaling, "dtype": "float64"}, 0)
    seen = model.time_scaling(jnp.asarray(ELAPSED))
    inside = effective_time_constants(model.rnn, X, seen)["CfC"]
    same(effective_time_constants(model, X, ELAPSED)["CfC"], raw(np.asarray(inside)), 1e-6)
    nominal = time_constants(model.rnn)["CfC"]
    same(time_constants(model)["CfC"], raw(np.asarray(nominal)), 1e-5)
    same(trajectories(model, X, ELAPSED)["CfC"].hidden, model.rnn(X, timespans=seen)[0])


def test_a_leak_of_a_ctrnn_is_its_nominal_one(x64):
    rnn = build("ctrnn")
    (tau,) = effective_time_constants(rnn, X, ELAPSED).values()
    same(tau, np.broadcast_to(time_constants(rnn)["CTRNN"], tau.shape), 1e-6)


def test_compiled_once(x64):
    rnn = build("ctrnn")
    for look, program in ((trajectories, _trajectories), (effective_time_constants, _effective)):
        look(rnn, X, ELAPSED)
        before = program._cached._cache_size()
        look(rnn, X + 1, ELAPSED)
        assert program._cached._cache_size() == before


@pytest.mark.parametrize("look", [trajectories, effective_time_constants])
def test_what_cannot_be_looked_into_is_refused(look):
    with pytest.raises(ValueError, match="recurrent layer or a SequenceModel, got function"):
        look(lambda x: x, X)
    with pytest.raises(ValueError, match="must have input_size = 2 features"):
        look(CTRNN(2, 3, key=0), X)
    with pytest.raises(ValueError, match="at least 0"):
        look(
            build_model({"kind": "gru", "input_size": F, "units": 2, "output_shape": [1]}, 0),
            X,
            -1.0,
        )
