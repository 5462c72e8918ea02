"""A neuron in JAX with random parameters, and the same numbers as NumPy arrays."""

import equinox as eqx
import numpy as np
import pytest

from shoal.bundle.arrays import filled, named_leaves
from shoal.neurons.model import neuron
from shoal.unrolled.plans import stack_of


def build(kind, **arguments):
    """(JAX neuron, unrolled stack, its arrays by name), all of them float64."""
    rng = np.random.default_rng(1)

    def make():
        return neuron(kind)(**arguments, dtype="float64", key=0)

    template = eqx.filter_eval_shape(make)
    arrays = {
        name: np.asarray(0.5 * rng.normal(size=leaf.shape), leaf.dtype)
        for name, leaf in named_leaves(template).items()
    }
    if arguments.get("implicit_param_constraints") is False:
        arrays = {name: np.abs(array) + 0.1 for name, array in arrays.items()}
    stack = stack_of(kind, arguments)
    learned = {name: array for name, array in arrays.items() if "dropout" not in name}
    assert {name: array.shape for name, array in learned.items()} == stack.shapes()
    return filled(template, arrays), stack, learned | stack.buffers()


@pytest.fixture
def built(x64):
    """`build`, in double precision."""
    return build
