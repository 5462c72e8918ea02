"""The same weights give the same answers as in JAX, both ways through the one layout."""

import numpy as np
import pytest
import torch

import shoal
import shoal.torch
from shoal.bundle.arrays import named_leaves
from shoal.wirings import AutoNCP

NEURONS = {
    "CTRNN": {"units": AutoNCP(8, 2), "ode_unfolds": 2},
    "CTGRU": {"units": 4, "n_scales": 3, "mixed_memory": True},
    "LSTM": {"units": 4, "use_timespans": True, "bidirectional": True},
    "GRU": {"units": 4, "use_timespans": True, "num_layers": 2},
}


@pytest.mark.parametrize(("name", "options"), NEURONS.items(), ids=NEURONS)
def test_answers_through_the_layout(name, options):
    theirs = getattr(shoal, name)(3, **options, proj_size=2, key=0)
    ours = getattr(shoal.torch, name)(3, **options, proj_size=2, dtype=torch.float32)
    weights = {key: np.asarray(value) for key, value in named_leaves(theirs).items()}
    ours.load_layout(weights)
    learned = {key for key in weights if not key.endswith("rate.value")}
    assert set(ours.layout()) == learned
    rng = np.random.default_rng(0)
    x, elapsed = rng.normal(size=(2, 5, 3)).astype(np.float32), rng.random((2, 5), np.float32)
    expected, _ = theirs(x, timespans=elapsed)
    found, _ = ours(torch.tensor(x), timespans=torch.tensor(elapsed))
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-5)
    remade = {k: v for k, v in ours.arguments.items() if k not in ("kind", "dropout")}
    assert getattr(shoal, name)(**remade, key=1).output_size == ours.output_size
