"""Bundles that JAX saved, what they are asked, and what JAX answers."""

import numpy as np
import pytest

import shoal
from shoal.collective import Collective
from shoal.data.scaling import fit_scaling
from shoal.data.sequences import Sequences
from shoal.neurons.model import build_model
from shoal.population import Population
from shoal.weighting import Evidence, InverseLoss
from shoal.wirings import AutoNCP, FullyConnected

WIRED = AutoNCP(9, 2).to_dict()
SMALL = {"kind": "cfc", "units": 4, "backbone_units": 5}
MEMBERS = {
    "forecast": [
        {"kind": "cfc", "wiring": WIRED, "likelihood": "normal", "time_scaling": {"kind": "log"}},
    ],
    "groups": [
        {"kind": "ltc", "wiring": WIRED, "mixed_memory": True, "ode_unfolds": 2},
        {"kind": "gru", "units": 4, "use_timespans": True, "dropout": 0.2},
        {**SMALL, "time_scaling": {"kind": "zscore"}, "feature_mask": [1, 0, 1, 1, 1, 0]},
        {**SMALL, "time_scaling": {"kind": "bounded"}, "feature_mask": [1, 1, 0, 1, 0, 1]},
    ],
    "classes": [
        {"kind": "ctgru", "units": 4, "likelihood": "categorical"},
        {"kind": "ctrnn", "units": 4, "likelihood": "categorical", "mixed_memory": True},
    ],
    "plain": [
        {"kind": "lstm", "units": 3, "num_layers": 2, "bidirectional": True, "proj_size": 2},
        {
            "kind": "ltc",
            "wiring": FullyConnected(5, 2).to_dict(),
            "solver": "rk4",
            "feature_mask": [0, 1],
        },
    ],
}
SHAPES = {"forecast": [2, 1], "groups": [2, 1], "classes": [3], "plain": [1]}


def _sequences(name):
    rng = np.random.default_rng(3)
    x = 20 + 5 * rng.normal(size=(33, 7, 2))
    if name != "plain":
        x[rng.random(x.shape) < 0.3] = np.nan
        x[:, 0] = 20.0
    y = 20 + rng.normal(size=(33, 2, 1)) if SHAPES[name] == [2, 1] else None
    mask = np.arange(7) < rng.integers(3, 8, 33)[:, None]
    timespans = rng.uniform(0, 2, (33, 7))
    return Sequences(x, timespans, mask if name in ("groups", "classes") else None, y)


def _crowd(name, sequences):
    scaling = None
    if name != "plain":
        changes = [1] if name == "forecast" else None
        scaling = fit_scaling(sequences, ["a", "b"], change_of=changes)
    size = 2 if scaling is None else scaling.encoded_size
    configs = [{"input_size": size, "output_shape": SHAPES[name], **one} for one in MEMBERS[name]]
    makes = [lambda key, config=config: build_model(config, key) for config in configs]
    population = Population.init(makes, n_models=max(3, len(makes)))
    weighting = "uniform"
    if name == "groups":
        weighting = InverseLoss().fit(Evidence(np.array([1.0, 2.0, np.nan, 4.0])))
    crowd = Collective(population, weighting, scaling=scaling)
    return crowd.calibrate(sequences[8:]) if name == "forecast" else crowd


@pytest.fixture(scope="session")
def asked(tmp_path_factory):
    """A folder with a bundle NAME for each of `MEMBERS`, and NAME.npz: inputs and JAX's answers."""
    folder = tmp_path_factory.mktemp("bundles")
    for name in MEMBERS:
        sequences = _sequences(name)
        crowd = _crowd(name, sequences)
        shoal.save(crowd, folder / name)
        p = crowd.predict(sequences)
        figures = {"mean": p.mean, "std": p.std, "members": p.members, "aleatoric": p.aleatoric}
        if name != "classes":
            figures["lower"], figures["upper"] = p.interval(0.8)
        mask = {} if sequences.mask is None else {"mask": sequences.mask}
        inputs = {"x": sequences.x, "timespans": sequences.timespans, **mask}
        np.savez(folder / f"{name}.npz", **inputs, **figures)
    return folder
