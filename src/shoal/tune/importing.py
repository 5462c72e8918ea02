"""Functions that a configuration names; see `shoal.run.importing`."""

from shoal.run.importing import imported

__all__ = ["imported"]
