"""Parity with Mixtral: a file made by the real block, and the block's equations in PyTorch.

`mixtral.npz` holds the weights, an input, the output and every gradient of sum(y²) of
`MixtralSparseMoeBlock` in double precision (transformers 5.23.0, PyTorch 2.13.0, run once):

    torch.manual_seed(0)
    config = MixtralConfig(
        hidden_size=4, intermediate_size=6, num_local_experts=4, num_experts_per_tok=2
    )
    block = MixtralSparseMoeBlock(config).double()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x = torch.randn(2, 5, 4, dtype=torch.float64, requires_grad=True)
    y = block(x)
    (y**2).sum().backward()
    # x, y, dx, weights/NAME and gradients/NAME of block.named_parameters()
"""

from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from shoal.collective.moe import from_mixtral

GOLDEN = Path(__file__).parent / "mixtral.npz"


def ours(weights, x):
    """Output, and gradients of sum(y²) by x and by the block's own names."""
    moe, x = from_mixtral(weights), jnp.asarray(x)

    @eqx.filter_jit
    @eqx.filter_grad
    def gradient(parts):
        return jnp.sum(parts[0](parts[1])[0] ** 2)

    g, dx = gradient((moe, x))
    gate_up = np.concatenate([g.experts.gate_weight, g.experts.up_weight], axis=2).mT
    named = {
        "gate.weight": g.router.weight,
        "experts.gate_up_proj": gate_up,
        "experts.down_proj": g.experts.down_weight,
    }
    return moe(x)[0], dx, named


def torch_block(gate, gate_up, down, x, top_k=2):
    """Jiang et al. 2024, equation 1 and SwiGLU, token by token."""
    rows = []
    for token in x.reshape(-1, x.shape[-1]):
        logits = gate @ token
        best = torch.topk(logits, top_k)
        weights = torch.softmax(best.values, 0)
        row = torch.zeros_like(token)
        for weight, e in zip(weights, best.indices, strict=True):
            a, b = (gate_up[e] @ token).chunk(2)
            row = row + weight * (down[e] @ (a * torch.sigmoid(a) * b))
        rows.append(row)
    return torch.stack(rows).reshape(x.shape)


def test_outputs_and_gradients_of_the_real_block(x64):
    golden = np.load(GOLDEN)
    weights = {n.removeprefix("weights/"): golden[n] for n in golden if n.startswith("weights/")}
    y, dx, gradients = ours(weights, golden["x"])
    # the block rounds its routing to single precision, whatever the model is in
    np.testing.assert_allclose(y, golden["y"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(dx, golden["dx"], rtol=0, atol=1e-5)
    assert set(gradients) == set(weights)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, golden[f"gradients/{name}"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("names", ["stacked", "one by one"])
def test_outputs_and_gradients_of_the_published_equations(names):
    rng = torch.Generator().manual_seed(0)
    sizes = (8, 16), (8, 48, 16), (8, 16, 24), (3, 7, 16)
    parts = [torch.randn(size, generator=rng) / 4 for size in sizes]
    for part in parts:
        part.requires_grad_()
    y = torch_block(*parts)
    (y**2).sum().backward()
    gate, gate_up, down, x = parts
    weights = {"gate.weight": gate, "experts.gate_up_proj": gate_up, "experts.down_proj": down}
    if names == "one by one":
        first, last = gate_up.chunk(2, dim=1)
        weights = {"gate.weight": gate}
        for e in range(8):
            for number, array in ((1, first), (2, down), (3, last)):
                weights[f"experts.{e}.w{number}.weight"] = array[e]
    found, dx, gradients = ours(weights, x.detach().numpy())
    np.testing.assert_allclose(found, y.detach(), atol=1e-5)
    np.testing.assert_allclose(dx, x.grad, atol=1e-5)
    for array, part in zip(gradients.values(), parts, strict=False):
        np.testing.assert_allclose(array, part.grad, atol=1e-5)


def test_a_missing_name_is_named():
    with pytest.raises(ValueError, match=r"must hold 'experts\.0\.w1\.weight'"):
        from_mixtral({"gate.weight": np.zeros((2, 3))})
