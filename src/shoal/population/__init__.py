"""Many members as one pytree: create, train, stop, checkpoint."""

from shoal.population.checkpoint import Checkpoint
from shoal.population.fit import fit
from shoal.population.fitted import EpochInfo, Fitted
from shoal.population.history import History
from shoal.population.members import Group, Population
from shoal.population.stopping import Stopping

__all__ = ["Checkpoint", "EpochInfo", "Fitted", "Group", "History", "Population", "Stopping", "fit"]
