"""What can be looked for, where its value goes, and by how many members. Needs no JAX."""

from __future__ import annotations

from shoal.run.schema import Config

MEMBERS = 5  # of a configuration without an ensemble: one seed says little
PATHS = {
    "learning-rate": "training.learning_rate",
    "batch-size": "training.batch_size",
    "time-scaling": "model.time_scaling",
}


def members_of(config: Config) -> int:
    """How many members are asked: the ensemble's, or several seeds of the one model."""
    return config.n_members if config.ensemble.enabled else MEMBERS
