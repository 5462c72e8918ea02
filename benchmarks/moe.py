"""A mixture of experts against a dense layer of equal work, and against Hugging Face's Mixtral.

    python benchmarks/moe.py [--repeats 15] [--json PATH]

4096 tokens, width 256, experts of width 1024, two per token, none dropped; SwiGLU throughout, so
the dense layer is 2048 wide. "Both" is forward, and backward by the weights and the input. Our
time includes routing, losses and statistics. PyTorch runs with the number of threads that suits
it, and in whichever of its implementations is fastest; without transformers its row is left out.
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
DENSE = {"forward": 1.25, "both": 1.25}
FASTER = {"forward": 2.0, "both": 2.0}


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


def dense_calls() -> dict:
    layer = GatedFFN(WIDTH, CHOSEN * HIDDEN, WIDTH, key=0)
    return calls(layer, lambda layer, x: (layer(x), 0.0))


def block_calls(block, implementation: str, threads: int) -> dict:
    """The peer's, in one of its implementations."""
    import torch

    x = torch.from_numpy(inputs()).requires_grad_()

    def ready():
        torch.set_num_threads(threads)
        block.experts.config._experts_implementation = implementation

    def forward():
        ready()
        with torch.no_grad():
            return block(x)

    def both():
        ready()
        block.zero_grad(set_to_none=True)
        x.grad = None
        (block(x) ** 2).sum().backward()

    return {"forward": forward, "both": both}


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


def fastest(block, what: str) -> tuple[str, object]:
    """The peer's best implementation and number of threads, found beforehand."""
    made = {}
    for implementation in ("eager", "grouped_mm"):
        for threads in range(1, (os.cpu_count() or 1) + 1):
            call = block_calls(block, implementation, threads)[what]
            made[f"{implementation}, {threads} threads"] = call
    seconds = harness.timed(made, repeats=2)
    best = min(seconds, key=lambda name: min(seconds[name]))
    return best, made[best]


def row(what: str, peer: str, ours, theirs, repeats: int, **target: float) -> dict:
    """One row of the table; `ratio` is the peer's time over ours."""
    seconds = harness.timed({"shoal": ours, "peer": theirs}, repeats=repeats, warmup=2)
    ratio = harness.ratio(seconds["peer"], seconds["shoal"])
    figures = {who: harness.summary(found) for who, found in seconds.items()}
    line: dict = {"what": what, "peer": peer}
    for who in ("shoal", "peer"):
        line[f"{who} min ms"] = 1e3 * figures[who]["min_s"]
        line[f"{who} median ms"] = 1e3 * figures[who]["median_s"]
    inverse = {name: 1 / value for name, value in ratio.items()}
    line |= {"times faster, min": ratio["min"], "times faster, median": ratio["median"]}
    line |= {"share of its time, min": inverse["min"]}
    return line | {"must": next(iter(target.values())), "of": next(iter(target))}


def against_dense(repeats: int) -> list[dict]:
    moe = mixture_calls(MixtureOfExperts(WIDTH, hidden_size=HIDDEN, top_k=CHOSEN, key=0))
    dense = dense_calls()
    names = {"forward": "8 experts, forward", "both": "8 experts, forward and backward"}
    return [
        row(names[what], "dense", moe[what], dense[what], repeats, **{"share at most": most})
        for what, most in DENSE.items()
    ]


def against_mixtral(repeats: int) -> list[dict]:
    block = mixtral(64)
    if block is None:
        print("transformers is not installed: its Mixtral block is not measured")
        return []
    ours = from_mixtral(block.state_dict(), CHOSEN)
    moe = mixture_calls(ours)
    rows = []
    for what, least in FASTER.items():
        name, theirs = fastest(block, what)
        label = "64 experts, " + ("forward" if what == "forward" else "forward and backward")
        peer = f"Mixtral block, {name}"
        rows.append(row(label, peer, moe[what], theirs, repeats, **{"times at least": least}))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", default=None)
    arguments = parser.parse_args()
    rows = against_dense(arguments.repeats) + against_mixtral(max(arguments.repeats // 3, 3))
    print(harness.table(rows))
    print("written to", harness.save("moe", rows, arguments.json))


if __name__ == "__main__":
    main()
