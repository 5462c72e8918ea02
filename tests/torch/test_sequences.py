"""Timespans, masks, states and refusals of the layers over sequences."""

import copy
import pickle

import ncps.wirings
import pytest
import torch

from shoal.torch import CTGRU, CTRNN, GRU, LSTM, LTC, CfC, Head, LTCCell, SequenceModel
from shoal.wirings import NCP, AutoNCP, FullyConnected

MODULES = {
    "cfc": lambda **kw: CfC(3, 5, backbone_units=8, **kw),
    "pure": lambda **kw: CfC(3, 5, mode="pure", backbone_layers=0, **kw),
    "wired cfc": lambda **kw: CfC(3, AutoNCP(9, 2), **kw),
    "strict wired cfc": lambda **kw: CfC(3, AutoNCP(9, 2), fully_recurrent=False, **kw),
    "ltc": lambda **kw: LTC(3, AutoNCP(9, 2), **kw),
    "rk4": lambda **kw: LTC(3, 5, solver="rk4", **kw),
    "ctrnn": lambda **kw: CTRNN(3, 5, **kw),
    "ctgru": lambda **kw: CTGRU(3, 5, n_scales=3, **kw),
    "lstm": lambda **kw: LSTM(3, 5, use_timespans=True, **kw),
    "gru": lambda **kw: GRU(3, 5, use_timespans=True, **kw),
}
every = pytest.mark.parametrize("make", MODULES.values(), ids=MODULES.keys())


def flat(state):
    return [state] if isinstance(state, torch.Tensor) else [a for part in state for a in flat(part)]


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@every
@pytest.mark.parametrize("deep", [{}, {"num_layers": 2, "bidirectional": True, "proj_size": 4}])
def test_every_sample_has_its_own_timespans_and_length(make, deep):
    rnn = make(**deep)
    x, elapsed = torch.randn(3, 6, 3), torch.rand(3, 6) * 2
    mask = torch.arange(6) < torch.tensor([6, 2, 4])[:, None]
    x[~mask] = float("nan")
    output, state = rnn(x, None, elapsed, mask=mask)
    assert not output[~mask].any()
    for i, length in enumerate([6, 2, 4]):
        alone, last = rnn(x[i : i + 1, :length], None, elapsed[i : i + 1, :length, None])
        close(output[i : i + 1, :length], alone)
        for found, expected in zip(flat(state), flat(last), strict=True):
            close(found[i : i + 1], expected)
        close(
            rnn.last_output(x, timespans=elapsed, mask=mask)[i],
            rnn.last_output(x[i, :length], timespans=elapsed[i, :length]),
        )


@every
def test_every_documented_shape_of_timespans(make):
    rnn, x = make(), torch.randn(4, 6, 3)
    elapsed = torch.rand(6) + 0.1
    whole = rnn(x, None, elapsed.expand(4, 6))[0]
    for shaped in (elapsed, elapsed[:, None], elapsed.expand(4, 6)[..., None], elapsed.numpy()):
        close(rnn(x, None, shaped)[0], whole)
    close(rnn(x, None, 1.0)[0], rnn(x)[0])
    late = make(batch_first=False)
    late.load_state_dict(rnn.state_dict())
    x, whole = x.transpose(0, 1), whole.transpose(0, 1)
    close(late(x, None, elapsed[:, None].expand(6, 4))[0], whole)
    close(rnn(x[:, 0], None, elapsed)[0], whole[:, 0])
    with pytest.raises(ValueError, match="transpose it"):
        rnn(x, None, torch.ones(4, 6)) if x.shape[:2] == (6, 4) else None


@every
@pytest.mark.parametrize("mixed", [False, True])
def test_chunks_and_no_time(make, mixed):
    if mixed and isinstance(make(), (LSTM, GRU)):
        return  # these have a memory of their own
    rnn = make(mixed_memory=True) if mixed else make()
    x, elapsed = torch.randn(2, 6, 3), torch.rand(2, 6)
    whole, last = rnn(x, None, elapsed)
    first, state = rnn(x[:, :2], None, elapsed[:, :2])
    second, state = rnn(x[:, 2:], state, elapsed[:, 2:])
    close(torch.cat([first, second], 1), whole)
    close(flat(state), flat(last))
    assert torch.isfinite(rnn(x, None, 0.0)[0]).all()


@every
def test_survives_copies_and_files(make, tmp_path):
    rnn = make(num_layers=2, dropout=0.1).eval()
    x = torch.randn(2, 4, 3)
    torch.save(rnn.state_dict(), tmp_path / "weights.pt")
    fresh = make(num_layers=2).eval()
    fresh.load_state_dict(torch.load(tmp_path / "weights.pt"))
    for other in (copy.deepcopy(rnn), pickle.loads(pickle.dumps(rnn)), fresh):
        close(other(x)[0], rnn(x)[0])
    again = make(num_layers=2).eval()
    again.load_layout({name: value.detach().numpy() for name, value in rnn.layout().items()})
    close(again(x)[0], rnn(x)[0])
    rnn.reset_parameters()
    assert not torch.equal(rnn(x)[0], again(x)[0])


@pytest.mark.parametrize("layers", [1, 2])
def test_dropout_of_a_backbone_drops_in_training_only(layers):
    rnn = CfC(3, 5, backbone_layers=layers, backbone_dropout=0.5)
    x = torch.randn(2, 4, 3)
    assert not torch.equal(rnn(x)[0], rnn(x)[0])
    rnn.eval()
    assert torch.equal(rnn(x)[0], rnn(x)[0])


def test_dropout_between_layers():
    rnn = CfC(3, 5, num_layers=2, dropout=0.5)
    x = torch.randn(2, 40, 3)
    share = (rnn(x)[0] == 0).double().mean().item()
    assert 0.4 < share < 0.6
    assert not (rnn.eval()(x)[0] == 0).any()


@pytest.mark.parametrize("kind", [LTC, CfC])
def test_wirings_of_ncps_are_taken(kind):
    theirs = ncps.wirings.AutoNCP(9, 2)
    rnn, ours = kind(3, theirs), kind(3, AutoNCP(9, 2))
    assert not theirs.is_built()
    rnn.load_state_dict(ours.state_dict())
    x = torch.randn(2, 4, 3)
    close(rnn(x)[0], ours(x)[0])
    with pytest.raises(ValueError, match="built for 3 inputs and cannot be built for 5"):
        kind(5, ours.wiring)


def test_the_wiring_that_was_handed_in_answers_for_the_one_that_is_used():
    wiring = NCP(10, 10, 8, 6, 6, 4, 6)
    rnn = LTC(8, wiring)
    assert wiring.synapse_count == rnn.synapse_count == rnn.rnn_cell.synapse_count > 0
    assert wiring.sensory_synapse_count == rnn.sensory_synapse_count > 0
    assert (rnn.state_size, rnn.motor_size, rnn.output_size, rnn.sensory_size) == (28, 8, 8, 8)


def test_constraints_after_a_step():
    rnn = LTC(3, 4, implicit_param_constraints=False, num_layers=2)
    optimiser = torch.optim.SGD(rnn.parameters(), 50.0)
    optimiser.register_step_post_hook(lambda *_: rnn.apply_weight_constraints())
    (rnn(torch.randn(4, 5, 3))[0] ** 2).sum().backward()
    optimiser.step()
    for cell in (rnn.rnn_cell, rnn.rnn_cell_l1):
        assert min(p.min() for p in (cell.w, cell.sensory_w, cell.gleak)) == 0
        assert cell.cm.min() > 0
    assert torch.isfinite(rnn(torch.randn(4, 5, 3))[0]).all()


def test_a_model_from_its_description():
    description = {
        "kind": "ltc",
        "input_size": 3,
        "units": 9,
        "wiring": AutoNCP(9, 2).to_dict(),
        "tolerance": 1e-5,
        "dtype": "float64",
        "output_shape": [4, 2],
        "likelihood": "normal",
        "time_scaling": {"kind": "log", "mean": 2.0, "std": 1.0},
    }
    model = SequenceModel.from_description(description)
    answer = model(torch.randn(5, 6, 3), torch.rand(5, 6))
    assert answer.mean.shape == answer.std.shape == (5, 4, 2)
    assert set(model.layout()) == set(model.plan.shapes())
    assert {k: tuple(v.shape) for k, v in model.layout().items()} == model.plan.shapes()
    other = SequenceModel.from_description(description)
    frozen = {"time_scaling.mean.value": 3.0, "rnn.stack.layers.0.dropout.rate.value": 0.2}
    other.load_layout(model.layout() | frozen)
    assert other.time_scaling.mean == 3.0
    assert other.rnn.dropout == 0.2
    with pytest.raises(ValueError, match="`kind` must be one of"):
        SequenceModel.from_description({"kind": "rnn", "output_shape": [1]})
    with pytest.raises(ValueError, match="Head\\(2"):
        SequenceModel(model.rnn, Head(3, (1,)))


REFUSED = {
    "features": (lambda: CfC(3, 4)(torch.ones(2, 5, 4)), "input_size = 3"),
    "axes": (lambda: CfC(3, 4)(torch.ones(3)), r"must be \(batch, time, 3\)"),
    "no time": (lambda: CfC(3, 4)(torch.ones(2, 0, 3)), "at least one observation"),
    "a tensor for a pair": (
        lambda: CfC(3, 4, mixed_memory=True)(torch.ones(2, 5, 3), torch.ones(2, 4)),
        r"`hx` must be a tuple \(h, c\) with the shapes \(\(2, 4\), \(2, 4\)\)",
    ),
    "state": (lambda: LTC(3, 4)(torch.ones(2, 5, 3), torch.ones(2, 5)), r"shape \(2, 4\)"),
    "timespans": (lambda: LTC(3, 4)(torch.ones(2, 5, 3), None, torch.ones(7)), "`timespans`"),
    "negative": (lambda: LTC(3, 4)(torch.ones(2, 5, 3), None, -1.0), "at least 0; got -1"),
    "mask": (lambda: LTC(3, 4)(torch.ones(2, 5, 3), mask=torch.ones(3)), "`mask`"),
    "mode": (lambda: CfC(3, 4, mode="x"), "`mode` must be one of"),
    "solver": (lambda: LTC(3, 4, solver="adaptive"), "adaptive"),
    "unfolds": (lambda: LTC(3, 4, ode_unfolds=0), "ode_unfolds"),
    "backbone": (lambda: CfC(3, AutoNCP(9, 2), backbone_units=3), "`backbone_units` cannot"),
    "rate": (lambda: CfC(3, 4, backbone_dropout=1.0), "`backbone_dropout` must be"),
    "initializer": (lambda: CfC(3, 4, initializer="x"), "`initializer` must be one of"),
    "unbuilt": (lambda: LTCCell(FullyConnected(3)), "give `in_features`"),
    "cell's time": (
        lambda: LTCCell(FullyConnected(3), 2)(torch.ones(4, 2), torch.ones(4, 3), torch.ones(3)),
        r"\(batch, 1\) with batch = 4",
    ),
    "cell's input": (
        lambda: LTCCell(FullyConnected(3), 2)(torch.ones(4, 5), torch.ones(4, 3)),
        r"`input` must be \(batch, 2\)",
    ),
}


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_weights_that_do_not_fit_change_nothing():
    rnn = GRU(3, 4)
    before = {name: value.clone() for name, value in rnn.state_dict().items()}
    layout = {name: value.detach() + 1 for name, value in rnn.layout().items()}
    name = "stack.layers.0.forward.params.input_weight"
    wrong = {
        "is missing": {k: v for k, v in layout.items() if k != name},
        "has no place": layout | {"extra": torch.ones(1)},
        r"shape \(12, 3\) in this module, got \(12, 4\)": layout | {name: torch.ones(12, 4)},
    }
    for message, weights in wrong.items():
        with pytest.raises(ValueError, match=message):
            rnn.load_layout(weights)
    assert all(torch.equal(rnn.state_dict()[name], value) for name, value in before.items())
    with pytest.raises(RuntimeError, match=r"size mismatch for rnn_cell\.input_weight"):
        rnn.load_state_dict(GRU(4, 4).state_dict())
