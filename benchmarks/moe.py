"""A mixture of experts against a dense layer of equal work, and against Hugging Face's Mixtral.

    python benchmarks/moe.py [--repeats 15] [--json PATH]

4096 tokens, width 256, experts of width 1024, two per token, none dropped; SwiGLU throughout, so
the dense layer is 2048 wide. "Both" is forward, and backward by the weights and the input. Our
time includes routing and its losses. The peer is the fastest there is: the dense layer in JAX or
PyTorch, the block in any of its implementations, PyTorch with one thread or two; without
transformers the block's rows are left out.
"""

from __future__ import annotations

import argparse
import os

import equinox as eqx
import harness
import jax
import jax.numpy as jnp
import numpy as np

from shoal.collective.moe import GatedFFN, MixtureOfExperts, from_mixtral

TOKENS, WIDTH, HIDDEN, CHOSEN = 4096, 256, 1024, 2
WHAT = {"forward": "forward", "both": "forward and backward"}
DENSE = {"forward": 1 / 1.25, "both": 1 / 1.25}  # at most 1.25 times its time
FASTER = {"forward": 2.0, "both": 2.0}
THREADS = range(1, (os.cpu_count() or 1) + 1)


def inputs() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((1, TOKENS, WIDTH), np.float32)


def calls(layer, answer) -> dict:
    """Compiled forward, and forward with backward; `answer(layer, x)`."""
    x = jnp.asarray(inputs())
    arrays, static = eqx.partition(layer, eqx.is_inexact_array)

    @jax.jit
    def forward(arrays, x):
        return answer(eqx.combine(arrays, static), x)

    @jax.jit
    def both(arrays, x):
        def loss(parts):
            y, aux = answer(eqx.combine(parts[0], static), parts[1])
            return jnp.sum(y**2) + aux

        return jax.value_and_grad(loss)((arrays, x))

    return {
        "forward": lambda: jax.block_until_ready(forward(arrays, x)),
        "both": lambda: jax.block_until_ready(both(arrays, x)),
    }


def mixture_calls(moe) -> dict:
    def answer(moe, x):
        y, info = moe(x)
        return y, info.aux_loss

    return calls(moe, answer)


def dense_calls(what: str) -> dict:
    """The dense layer in JAX, and in PyTorch with as many threads as there may be."""
    import torch

    layer = GatedFFN(WIDTH, CHOSEN * HIDDEN, WIDTH, key=0)
    found = {"dense, JAX": calls(layer, lambda layer, x: (layer(x), 0.0))[what]}
    arrays = (layer.gate_weight, layer.up_weight, layer.down_weight)
    gate, up, down = (torch.tensor(np.array(a)).requires_grad_() for a in arrays)
    gate, up = (w.T.contiguous().detach().requires_grad_() for w in (gate, up))

    def block(x):
        linear = torch.nn.functional.linear
        return linear(torch.nn.functional.silu(linear(x, gate)) * linear(x, up), down)

    for threads in THREADS:
        call = torch_calls(block, (gate, up, down), lambda n=threads: torch.set_num_threads(n))
        found[f"dense, PyTorch, {threads} threads"] = call[what]
    return found


def torch_calls(block, parameters, ready) -> dict:
    """Forward, and forward with backward, of a function in PyTorch; `ready()` goes before."""
    import torch

    x = torch.from_numpy(inputs()).requires_grad_()

    def forward():
        ready()
        with torch.no_grad():
            return block(x)

    def both():
        ready()
        for parameter in (*parameters, x):
            parameter.grad = None
        (block(x) ** 2).sum().backward()

    return {"forward": forward, "both": both}


def block_calls(block, what: str) -> dict:
    """The peer's block in each of its implementations, by name."""
    import torch

    found = {}
    for implementation in ("eager", "grouped_mm"):
        for threads in THREADS:

            def ready(implementation=implementation, threads=threads):
                torch.set_num_threads(threads)
                block.experts.config._experts_implementation = implementation

            call = torch_calls(block, tuple(block.parameters()), ready)[what]
            found[f"Mixtral block, {implementation}, {threads} threads"] = call
    return found


def mixtral(n_experts: int):
    """The block with drawn weights, or None where transformers is missing."""
    try:
        import torch
        from transformers import MixtralConfig
        from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock
    except ImportError:
        return None
    torch.manual_seed(0)
    config = MixtralConfig(
        hidden_size=WIDTH,
        intermediate_size=HIDDEN,
        num_local_experts=n_experts,
        num_experts_per_tok=CHOSEN,
    )
    block = MixtralSparseMoeBlock(config)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=WIDTH**-0.5)
    return block


def fastest(peers: dict) -> tuple[str, object]:
    """The peer that is fastest, found beforehand."""
    seconds = harness.timed(peers, repeats=2)
    best = min(seconds, key=lambda name: min(seconds[name]))
    return best, peers[best]


def row(what: str, peer: str, ours, theirs, repeats: int, must: float) -> dict:
    """One row of the table."""
    seconds = harness.timed({"shoal": ours, "peer": theirs}, repeats=repeats, warmup=2)
    ratio = harness.ratio(seconds["peer"], seconds["shoal"])
    figures = {who: harness.summary(found) for who, found in seconds.items()}
    line: dict = {"what": what, "peer": peer}
    for who in ("shoal", "peer"):
        line[f"{who} min ms"] = 1e3 * figures[who]["min_s"]
        line[f"{who} median ms"] = 1e3 * figures[who]["median_s"]
    line |= {"times faster, min": ratio["min"], "times faster, median": ratio["median"]}
    return line | {"must be at least": must}


def against_dense(repeats: int) -> list[dict]:
    moe = mixture_calls(MixtureOfExperts(WIDTH, hidden_size=HIDDEN, top_k=CHOSEN, key=0))
    rows = []
    for what, most in DENSE.items():
        peer, dense = fastest(dense_calls(what))
        rows.append(row(f"8 experts, {WHAT[what]}", peer, moe[what], dense, repeats, most))
    return rows


def against_mixtral(repeats: int) -> list[dict]:
    block = mixtral(64)
    if block is None:
        print("transformers is not installed: its Mixtral block is not measured")
        return []
    moe = mixture_calls(from_mixtral(block.state_dict(), CHOSEN))
    rows = []
    for what, least in FASTER.items():
        peer, theirs = fastest(block_calls(block, what))
        rows.append(row(f"64 experts, {WHAT[what]}", peer, moe[what], theirs, repeats, least))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", default=None)
    arguments = parser.parse_args()
    rows = against_dense(arguments.repeats) + against_mixtral(arguments.repeats)
    print(harness.table(rows))
    print("written to", harness.save("moe", rows, arguments.json))


if __name__ == "__main__":
    main()
