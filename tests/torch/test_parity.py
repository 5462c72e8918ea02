"""What `ncps.torch` computes, keyed and shaped as it is there, to the last digits."""

import ncps.torch
import ncps.wirings
import pytest
import torch

import shoal.torch
import shoal.wirings

DENSE = [
    {},
    {"backbone_layers": 0},
    {"backbone_layers": 3, "backbone_units": 7, "activation": "gelu"},
    {"backbone_layers": 2, "backbone_units": 7, "backbone_dropout": 0.3},
    {"activation": "relu"},
    {"activation": "silu"},
    {"activation": "tanh"},
    {"mixed_memory": True},
    {"mixed_memory": True, "proj_size": 2, "return_sequences": False},
    {"proj_size": 2},
    {"return_sequences": False},
    {"batch_first": False},
    {"unbatched": True},
    {"unbatched": True, "mixed_memory": True},
]
WIRED = [{}, {"mixed_memory": True}, {"proj_size": 2}, {"batch_first": False}]
LIQUID = [
    {},
    {"mixed_memory": True},
    {"return_sequences": False},
    {"batch_first": False},
    {"unbatched": True},
    {"input_mapping": None, "output_mapping": "linear"},
    {"implicit_param_constraints": False},
    {"ode_unfolds": 2, "epsilon": 1e-3},
]
TABLE = [
    *(("CfC", 6, kw | {"mode": m}) for m in ("default", "no_gate", "pure") for kw in DENSE),
    *(("CfC", (9, 2), kw | {"mode": m}) for m in ("default", "no_gate", "pure") for kw in WIRED),
    *(("LTC", size, kw) for size in (6, (9, 2)) for kw in LIQUID),
]


def pair(kind, size, options):
    made = []
    for package, wirings in ((ncps.torch, ncps.wirings), (shoal.torch, shoal.wirings)):
        units = size if isinstance(size, int) else wirings.AutoNCP(*size)
        made.append(getattr(package, kind)(3, units, **options).eval())
    theirs, ours = made
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def score(output, state):
    states = state if isinstance(state, tuple) else (state,)
    return (output**2).sum() + sum((part**3).sum() for part in states)


def gradients(module, output, state):
    params = {name: p for name, p in module.named_parameters() if p.requires_grad}
    found = torch.autograd.grad(score(output, state), list(params.values()), allow_unused=True)
    zeros = (torch.zeros_like(p) if g is None else g for g, p in zip(found, params.values()))  # noqa: B905
    return dict(zip(params, zeros, strict=True))


@pytest.mark.parametrize(("kind", "size", "options"), TABLE, ids=str)
def test_outputs_states_and_gradients(kind, size, options):
    options = dict(options)
    batched, mixed = not options.pop("unbatched", False), options.get("mixed_memory", False)
    theirs, ours = pair(kind, size, options)
    x = torch.randn(5, 4, 3) if batched else torch.randn(5, 3)
    batch = 5 if options.get("batch_first", True) else 4
    h = torch.randn(batch, theirs.state_size) if batched else torch.randn(theirs.state_size)
    h = (h, torch.randn_like(h)) if mixed else h
    # timespans of a batch do not work there
    elapsed = None if batched else 0.2 + torch.rand(5, 1)
    expected, found = theirs(x, h, elapsed), ours(x, h, elapsed)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    theirs, ours = gradients(theirs, *expected), gradients(ours, *found)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("kind", "size", "options"), TABLE[::3], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_state_dicts_are_the_same_both_ways(kind, size, options, dtype):
    options = {name: value for name, value in options.items() if name != "unbatched"}
    theirs, ours = (module.to(dtype) for module in pair(kind, size, options))
    theirs.load_state_dict(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())
    assert {k: (v.shape, v.dtype) for k, v in ours.state_dict().items()} == {
        k: (v.shape, v.dtype) for k, v in theirs.state_dict().items()
    }
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value)
    learned = {name for name, p in theirs.named_parameters() if p.requires_grad}
    assert {name for name, _ in ours.named_parameters()} == learned


@pytest.mark.parametrize("implicit", [False, True])
def test_the_ltc_cell(implicit):
    options = {"implicit_param_constraints": implicit, "ode_unfolds": 3}
    theirs = ncps.torch.LTCCell(ncps.wirings.AutoNCP(9, 2), 3, **options)
    ours = shoal.torch.LTCCell(shoal.wirings.AutoNCP(9, 2), 3, **options)
    ours.load_state_dict(theirs.state_dict())
    assert not shoal.torch.LTCCell(
        shoal.wirings.FullyConnected(2), 3
    ).plan.implicit_param_constraints
    x, v = torch.randn(4, 3), torch.randn(4, 9)
    torch.testing.assert_close(ours(x, v, 0.3), theirs(x, v, 0.3), rtol=0, atol=1e-12)
    torch.testing.assert_close(ours(x, v), theirs(x, v), rtol=0, atol=1e-12)
    assert (ours.state_size, ours.sensory_size, ours.motor_size) == (9, 3, 2)


@pytest.mark.parametrize("mode", ["default", "no_gate", "pure"])
def test_the_cfc_cells(mode):
    import numpy as np

    mask = np.random.default_rng(0).integers(0, 2, (10, 7))
    arguments = (3, 7, mode, "tanh", 5, 0, 0.0, mask)
    theirs, ours = ncps.torch.CfCCell(*arguments), shoal.torch.CfCCell(*arguments)
    ours.load_state_dict(theirs.state_dict())
    x, h = torch.randn(4, 3), torch.randn(4, 7)
    torch.testing.assert_close(ours(x, h, 0.3), theirs(x, h, 0.3), rtol=0, atol=1e-12)
    theirs = ncps.torch.WiredCfCCell(3, ncps.wirings.AutoNCP(9, 2), mode)
    ours = shoal.torch.WiredCfCCell(3, ncps.wirings.AutoNCP(9, 2), mode)
    ours.load_state_dict(theirs.state_dict())
    x, h = torch.randn(4, 3), torch.randn(4, 9)
    torch.testing.assert_close(ours(x, h, 0.3), theirs(x, h, 0.3), rtol=0, atol=1e-12)
    assert ours.layer_sizes == theirs.layer_sizes


@pytest.mark.parametrize("kind", ["CfC", "LTC"])
def test_the_synapses_of_a_checkpoint_are_taken(kind):
    size = (12, 3)
    other = ncps.wirings.AutoNCP(*size, seed=5)
    theirs = getattr(ncps.torch, kind)(3, other)
    ours = getattr(shoal.torch, kind)(3, shoal.wirings.AutoNCP(*size))
    before = ours.wiring
    holder = torch.nn.ModuleDict({"rnn": ours})
    holder.load_state_dict({f"rnn.{k}": v for k, v in theirs.state_dict().items()})
    x = torch.randn(2, 4, 3)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-12)
    if kind == "LTC":  # a wired CfC has no masks among the neurons of a layer
        exists = theirs.rnn_cell._wiring.adjacency_matrix != 0
        assert ((ours.wiring.adjacency_matrix != 0) == exists).all()
    assert ours.arguments["units"] == ours.wiring
    assert ours.wiring != before


def test_pure_keeps_its_own_start():
    cell = shoal.torch.CfC(3, 6, mode="pure").rnn_cell
    assert torch.equal(cell.A, torch.ones(1, 6))
    assert torch.equal(cell.w_tau, torch.zeros(1, 6))
