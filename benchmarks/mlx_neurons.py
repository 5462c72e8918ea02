"""shoal.mlx against the arithmetic of ncps-mlx: one training step, eager and under `mx.compile`.

    python benchmarks/mlx_neurons.py [--repeats 7] [--json PATH] [--time 100]

A step is the gradient of a mean squared error over the whole sequence and an Adam update: batch 64,
100 steps, 8 inputs. The peer is what ncps-mlx computes, written here the straightforward way: step
by step, one linear map for every head, a softplus in the loop, N x N matrices with masks; but with
the equations of ncps.torch (ncps-mlx's CfC lacks a tanh), so that both must give the same loss,
which is checked before anything is timed. The contestants take turns in one process.
"""

from __future__ import annotations

import argparse

import harness
import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np

from shoal.mlx import LTC, CfC
from shoal.wirings import AutoNCP

harness.PACKAGES = ("shoal", "mlx", "mlx-cpu", "numpy")
BATCH, INPUTS, UNFOLDS = 64, 8, 6
MUST = 1.5


class Affine(nn.Module):
    """x Wᵀ + b with weights that are there already, and masked where there is a mask."""

    def __init__(self, params, name: str, mask=None):
        super().__init__()
        self.weight, self.bias = params[f"{name}_weight"], params[f"{name}_bias"]
        self._mask = mask

    def __call__(self, x):
        weight = self.weight if self._mask is None else mx.multiply(self.weight, self._mask)
        return mx.add(mx.matmul(x, mx.transpose(weight)), self.bias)


class PlainCfCCell(nn.Module):
    """A CfC cell, with or without a backbone."""

    def __init__(self, params, backbone: bool, mask=None):
        super().__init__()
        self.backbone = Affine(params, "backbone_0") if backbone else None
        self.ff1, self.ff2 = Affine(params, "ff1", mask), Affine(params, "ff2", mask)
        self.time_a, self.time_b = Affine(params, "time_a"), Affine(params, "time_b")

    def __call__(self, x, hidden, elapsed):
        z = mx.concatenate([x, hidden], axis=1)
        if self.backbone is not None:
            z = 1.7159 * mx.tanh(0.666 * self.backbone(z))
        start, end = mx.tanh(self.ff1(z)), mx.tanh(self.ff2(z))
        gate = mx.sigmoid(self.time_a(z) * elapsed + self.time_b(z))
        return start * (1.0 - gate) + gate * end


class PlainCfC(nn.Module):
    """One cell, or one for each layer of a wiring after the other."""

    def __init__(self, rnn: CfC):
        super().__init__()
        params, wiring = rnn.stack.layers[0].forward.params, rnn.arguments["wiring"]
        self.sizes = Sizes([rnn.state_size])
        if wiring is None:
            self.cells = [PlainCfCCell(params, True)]
            return
        wiring = wiring.build(INPUTS)
        self.sizes = Sizes([len(layer) for layer in wiring.layers])
        self.cells = []
        for k, layer in enumerate(wiring.layers):
            own = {n.removeprefix(f"layer_{k}_"): a for n, a in params.items()}
            before = list(wiring.layers[k - 1])
            here = list(layer)
            heard = wiring.sensory_adjacency_matrix[:, here]
            heard = heard if k == 0 else wiring.adjacency_matrix[np.ix_(before, here)]
            mask = np.concatenate([np.abs(heard), np.ones((len(here), len(here)))]).T
            self.cells.append(PlainCfCCell(own, False, mx.array(mask.astype(np.float32))))

    def __call__(self, x):
        hidden = [mx.zeros((x.shape[0], n)) for n in self.sizes.numbers]
        outputs = []
        for t in range(x.shape[1]):
            seen, elapsed = x[:, t, :], mx.array(1.0)
            for k, cell in enumerate(self.cells):
                seen = hidden[k] = cell(seen, hidden[k], elapsed)
            outputs.append(seen)
        return mx.stack(outputs, axis=1)


class Sizes:
    """Numbers that MLX does not take for state."""

    def __init__(self, numbers: list[int]):
        self.numbers = numbers


class PlainLTC(nn.Module):
    """Every pair of neurons has a synapse, and a mask says which exist."""

    def __init__(self, rnn: LTC):
        super().__init__()
        cell = rnn.plan.layers[0].forward
        for name, array in rnn.stack.layers[0].forward.params.items():
            if not name.startswith("_"):
                setattr(self, name, array)
        self._mask = mx.array(np.abs(cell.wiring.adjacency_matrix).astype(np.float32))
        sensory = np.abs(cell.wiring.sensory_adjacency_matrix).astype(np.float32)
        self._sensory_mask = mx.array(sensory)
        self.units, self.motor = cell.state_size, cell.output_size

    def synapses(self, v, w, sigma, mu, mask, erev):
        x = mx.multiply(sigma, mx.subtract(mx.expand_dims(v, -1), mu))
        opened = nn.softplus(w) * mx.sigmoid(x) * mask
        return mx.sum(opened * erev, axis=1), mx.sum(opened, axis=1)

    def step(self, x, v, elapsed):
        x = x * self.input_w + self.input_b
        sensory = self.sensory_w, self.sensory_sigma, self.sensory_mu
        push, open_ = self.synapses(x, *sensory, self._sensory_mask, self.sensory_erev)
        cm, gleak = nn.softplus(self.cm) / (elapsed / UNFOLDS), nn.softplus(self.gleak)
        for _ in range(UNFOLDS):
            inner = self.synapses(v, self.w, self.sigma, self.mu, self._mask, self.erev)
            top = cm * v + gleak * self.vleak + inner[0] + push
            v = top / (cm + gleak + inner[1] + open_ + 1e-8)
        return v[:, : self.motor] * self.output_w + self.output_b, v

    def __call__(self, x):
        v, outputs = mx.zeros((x.shape[0], self.units)), []
        for t in range(x.shape[1]):
            output, v = self.step(x[:, t, :], v, mx.array(1.0))
            outputs.append(output)
        return mx.stack(outputs, axis=1)


def train_step(model: nn.Module, run, outputs: int, steps: int, compiled: bool):
    """A call that takes one training step and waits for it."""
    rng = np.random.default_rng(0)
    x = mx.array(rng.standard_normal((BATCH, steps, INPUTS), np.float32))
    y = mx.array(rng.standard_normal((BATCH, steps, outputs), np.float32))
    optimiser = optim.Adam(learning_rate=1e-3)
    optimiser.init(model.trainable_parameters())
    gradient = nn.value_and_grad(model, lambda model, x, y: mx.mean((run(model, x) - y) ** 2))
    state = [model.state, optimiser.state]

    def step(x, y):
        loss, gradients = gradient(model, x, y)
        optimiser.update(model, gradients)
        return loss

    step = mx.compile(step, inputs=state, outputs=state) if compiled else step

    def call() -> float:
        loss = step(x, y)
        mx.eval(loss, state)
        return loss.item()

    return call


def compare(name: str, kind, units, compiled: bool, steps: int, repeats: int) -> dict:
    """One row of the table."""
    rnn = kind(INPUTS, units)
    plain = (PlainCfC if kind is CfC else PlainLTC)(rnn)
    mx.eval(rnn.parameters())
    options = {"outputs": rnn.output_size, "steps": steps, "compiled": compiled}
    contestants = {
        "shoal": train_step(rnn, lambda model, x: model(x)[0], **options),
        "plain": train_step(plain, lambda model, x: model(x), **options),
    }
    losses = {who: [call() for _ in range(3)] for who, call in contestants.items()}
    np.testing.assert_allclose(losses["shoal"], losses["plain"], rtol=1e-4)
    seconds = harness.timed(contestants, repeats=repeats)
    row = {"what": name, "under mx.compile": "yes" if compiled else "no"}
    for who, measured in seconds.items():
        figures = harness.summary(measured)
        row |= {f"{who} min ms": 1e3 * figures["min_s"]}
        row |= {f"{who} median ms": 1e3 * figures["median_s"]}
    ratio = harness.ratio(seconds["plain"], seconds["shoal"])
    return row | {"ratio min": ratio["min"], "ratio median": ratio["median"], "must": MUST}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--time", type=int, default=100)
    parser.add_argument("--json", default=None)
    arguments = parser.parse_args()
    cases = {
        "CfC 32, backbone 128": (CfC, 32),
        "CfC AutoNCP(64, 8)": (CfC, AutoNCP(64, 8)),
        "LTC 32, dense": (LTC, 32),
        "LTC AutoNCP(64, 8)": (LTC, AutoNCP(64, 8)),
    }
    rows = [
        compare(name, kind, units, compiled, arguments.time, arguments.repeats)
        for name, (kind, units) in cases.items()
        for compiled in (False, True)
    ]
    print(harness.table(rows))
    print("written to", harness.save("mlx_neurons", rows, arguments.json))


if __name__ == "__main__":
    main()
