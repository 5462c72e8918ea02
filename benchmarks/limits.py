"""What this machine can do at most: matrix products and hyperbolic tangents, in JAX on its CPU.

    python benchmarks/limits.py [--repeats 20] [--json PATH]

A large float32 product gives operations a second; tanh of an array that stays in the cache gives
values a second. `docs/speed.md` sets the other figures in relation to these two.
"""

from __future__ import annotations

import argparse

import harness


def main() -> None:
    import jax
    import jax.numpy as jnp

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--json", default=None, help="default: benchmarks/results/")
    arguments = parser.parse_args()
    size, values, times = 2048, 65536, 200
    matrix = jax.random.normal(jax.random.key(0), (size, size))
    vector = jax.random.normal(jax.random.key(1), (values,))
    product = jax.jit(jnp.matmul)
    tangents = jax.jit(lambda v: jax.lax.fori_loop(0, times, lambda _, a: jnp.tanh(a) + 1e-3, v))
    seconds = harness.timed(
        {
            "product": lambda: product(matrix, matrix).block_until_ready(),
            "tanh": lambda: tangents(vector).block_until_ready(),
        },
        repeats=arguments.repeats,
        warmup=2,
    )
    rows = [
        {
            "what": f"float32 product {size}³, GFLOP/s",
            "most": 2e-9 * size**3 / min(seconds["product"]),
            "repeats": arguments.repeats,
        },
        {
            "what": f"tanh of {values} floats, million/s",
            "most": 1e-6 * values * times / min(seconds["tanh"]),
            "repeats": arguments.repeats,
        },
    ]
    print(harness.table(rows))
    print("written to", harness.save("limits", rows, arguments.json))


if __name__ == "__main__":
    main()
