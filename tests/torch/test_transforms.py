"""torch.func, torch.compile, autocast, few digits, and derivatives against finite differences."""

import pytest
import torch
from torch.func import functional_call, grad, stack_module_state, vmap

from shoal.torch import LTC, CfC
from shoal.wirings import AutoNCP

MODULES = {
    "cfc": lambda **kw: CfC(3, 5, backbone_units=6, **kw),
    "wired cfc": lambda **kw: CfC(3, AutoNCP(8, 2), **kw),
    "mixed cfc": lambda **kw: CfC(3, 5, backbone_layers=0, mixed_memory=True, **kw),
    "ltc": lambda **kw: LTC(3, AutoNCP(8, 2), ode_unfolds=2, **kw),
}
every = pytest.mark.parametrize("make", MODULES.values(), ids=MODULES.keys())


def state_of(hx):
    return hx[0] if isinstance(hx, tuple) else hx


@every
def test_functional_members_side_by_side(make):
    members = [make() for _ in range(3)]
    params, buffers = stack_module_state(members)
    x, elapsed = torch.randn(2, 4, 3), torch.rand(2, 4)

    def loss(params, buffers, x):
        output, hx = functional_call(members[0], (params, buffers), (x, None, elapsed))
        return (output**2).sum() + state_of(hx).sum()

    found = vmap(grad(loss), in_dims=(0, 0, None))(params, buffers, x)
    for i, member in enumerate(members):
        output, hx = member(x, None, elapsed)
        own = dict(member.named_parameters())
        total = (output**2).sum() + state_of(hx).sum()
        expected = torch.autograd.grad(total, list(own.values()))
        for (name, value), gradient in zip(own.items(), expected, strict=True):
            assert value.shape == found[name][i].shape
            torch.testing.assert_close(found[name][i], gradient, rtol=0, atol=1e-10)


@every
def test_derivatives_against_finite_differences(make):
    rnn = make()
    x, elapsed = torch.randn(2, 3, 3), 0.1 + torch.rand(2, 3)
    mask = torch.tensor([[True, True, True], [True, False, True]])
    names = [name for name, _ in rnn.named_parameters()]

    def call(x, elapsed, *values):
        params = dict(zip(names, values, strict=True))
        output, hx = functional_call(rnn, params, (x, None, elapsed), {"mask": mask})
        return output, state_of(hx)

    inputs = [x, elapsed, *rnn.parameters()]
    inputs = [value.detach().requires_grad_() for value in inputs]
    assert torch.autograd.gradcheck(call, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(call, inputs, fast_mode=True)


def test_the_loops_of_an_ltc_agree():
    rnn = LTC(3, AutoNCP(8, 2))
    x, elapsed = torch.randn(2, 4, 3), torch.rand(2, 4).requires_grad_()
    mask = torch.rand(2, 4) > 0.3

    def gradients(call):
        total = sum((part**2).sum() for part in call(x, None, elapsed, mask=mask))
        return torch.autograd.grad(total, [elapsed, *rnn.parameters()])

    def plain(*args, **kw):
        return functional_call(rnn, dict(rnn.named_parameters()), args, kw)

    quick = gradients(rnn)
    slow = grad(
        lambda p: sum(
            (a**2).sum()
            for a in functional_call(rnn, p, (x, None, elapsed.detach()), {"mask": mask})
        )
    )(dict(rnn.named_parameters()))
    for (name, _), found in zip(rnn.named_parameters(), quick[1:], strict=True):
        torch.testing.assert_close(found, slow[name], rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["cfc", "wired cfc", "ltc"])
@pytest.mark.parametrize("masked", [False, True])
def test_compiles_as_one_graph_with_one_loop(name, masked):
    rnn, x, elapsed = MODULES[name](), torch.randn(2, 4, 3), 0.1 + torch.rand(2, 4)
    mask = torch.rand(2, 4) > 0.3 if masked else None
    learned = [x.requires_grad_(), elapsed.requires_grad_(), *rnn.parameters()]

    def gradients(call):
        output, state = call(x, None, elapsed, mask=mask)
        total = (output**2).sum() + state.sum()
        return output, state, *torch.autograd.grad(total, learned)

    graphs = []

    def backend(graph, _):
        graphs.append([str(node.target) for node in graph.graph.nodes])
        return graph

    found = gradients(torch.compile(rnn, fullgraph=True, backend=backend))
    assert graphs[0].count("shoal.loop.default") == 1
    torch.testing.assert_close(found, gradients(rnn), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["cfc", "ltc"])
def test_compiles_to_machine_code(name):
    rnn, x = MODULES[name]().float(), torch.randn(2, 50, 3).float()

    def gradients(call):
        output, state = call(x)
        total = (output**2).sum() + state.sum()
        return output, state, *torch.autograd.grad(total, list(rnn.parameters()))

    try:
        found = gradients(torch.compile(rnn, fullgraph=True))
    except torch._dynamo.exc.BackendCompilerFailed as error:
        if "InvalidCxxCompiler" in str(error):
            pytest.skip("no C++ compiler")
        raise
    torch.testing.assert_close(found, gradients(rnn), rtol=1e-3, atol=1e-4)


def test_a_compiled_derivative_of_torch_func():
    rnn, x = MODULES["cfc"](), torch.randn(2, 3, 3)

    def loss(params):
        return (functional_call(rnn, params, (x,))[0] ** 2).sum()

    params = dict(rnn.named_parameters())
    found = torch.compile(grad(loss), backend="eager")(params)
    torch.testing.assert_close(found, grad(loss)(params), rtol=0, atol=1e-12)


@every
def test_autocast(make):
    rnn, x = make().float(), torch.randn(4, 6, 3).float()
    expected = rnn(x)[0]
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = rnn(x)
        found.float().pow(2).sum().backward()
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=0.1)
    assert all(torch.isfinite(p.grad).all() for p in rnn.parameters() if p.grad is not None)


@every
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_few_digits(make, dtype):
    rnn, x = make().float(), torch.rand(4, 6, 3).float()
    expected = rnn(x)[0]
    output, hx = rnn.to(dtype)(x)
    assert output.dtype == state_of(hx).dtype == dtype
    torch.testing.assert_close(output.float(), expected, rtol=0, atol=0.1)
    output.sum().backward()


@every
def test_everything_moves(make):
    rnn = make().to("meta")
    tensors = [*rnn.parameters(), *rnn.buffers()]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert rnn(torch.ones(2, 4, 3, device="meta"))[0].shape == (2, 4, rnn.output_size)
