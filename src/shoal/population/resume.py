"""A training's record: what makes it up on disk, and what it must share to go on.

The fingerprint names everything that the numbers depend on, so that going on gives what an
uninterrupted training would have given, or is refused by name.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from shoal._version import __version__
from shoal.population import checkpoint as files
from shoal.population.checkpoint import Checkpoint, Saver, flatten, unflatten
from shoal.population.history import History
from shoal.population.stopping import Ledger
from shoal.population.training_group import TrainingGroup

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # of a function, another in every process
_LEDGER = ("code", "strikes", "best_loss", "best_epoch", "last_loss", "end_epoch", "own_loss")


def fingerprint(
    program: dict[str, Any], settings: dict[str, np.ndarray], groups: list[TrainingGroup]
) -> dict[str, Any]:
    """Everything that the numbers depend on: what the caller knows, members, machine, versions."""
    return {
        **program,
        **{name: values.tolist() for name, values in settings.items()},
        "members": structure_hash(groups),
        "frozen": frozen_hash(groups),
        "device_count": jax.device_count(),
        "platform": jax.default_backend(),
        "shoal": __version__,
        **{name: version(name) for name in ("jax", "jaxlib", "equinox", "optax")},
    }


def structure_hash(groups: list[TrainingGroup]) -> str:
    """Identifies the members' structure, shapes and types, and their settings that are no array."""
    digest = hashlib.sha256()
    for group in groups:
        arrays, settings = eqx.partition(group.group.members, eqx.is_array)
        leaves, tree = jax.tree_util.tree_flatten_with_path(arrays)
        told = f"{group.group.indices}{tree}{jax.tree.leaves(settings)}"
        digest.update(_ADDRESS.sub("", told).encode())
        for path, leaf in leaves:
            name = jax.tree_util.keystr(path)
            digest.update(f"{name}{leaf.shape}{leaf.dtype}".encode())
    return digest.hexdigest()


def frozen_hash(groups: list[TrainingGroup]) -> str:
    """Identifies the values that members have and do not train: dropout rates, scalers."""
    digest = hashlib.sha256()
    for group in groups:
        for leaf in jax.tree.leaves(group.given.rest):
            digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()


@dataclass
class Record:
    """Saves a training, and finds what was saved."""

    saver: Saver
    fingerprint: dict[str, Any]
    found: Path | None
    starts: list[int] = field(default_factory=list)  # of a regime's stages, in epochs

    @classmethod
    def open(cls, checkpoint: Checkpoint, facts: dict[str, Any]) -> Record:
        """Refuses a folder whose checkpoint may not be touched."""
        found = files.newest(checkpoint.path)
        if found is not None and not checkpoint.resume:
            raise ValueError(
                f"{checkpoint.path} holds the checkpoint {found.name}; go on from it with "
                "Checkpoint(path, resume=True), or choose another folder"
            )
        return cls(Saver(checkpoint), facts, found)

    def is_due(self, epoch: int) -> bool:
        return self.saver.is_due(epoch)

    def save(self, groups: list[TrainingGroup], ledger: Ledger, history: History) -> None:
        """Everything a training is, after `history.epochs` epochs."""
        arrays = {f"ledger/{name}": getattr(ledger, name) for name in _LEDGER}
        arrays |= {f"history/{name}": a for name, a in history.to_arrays().items()}
        for number, group in enumerate(groups):
            arrays |= flatten(f"group{number}/", group.state())
        facts = {
            "fingerprint": self.fingerprint,
            "slots": [group.slots.tolist() for group in groups],
            "reasons": ledger.reasons,
            "starts": self.starts,
        }
        self.saver.save(history.epochs, arrays, facts)

    def restore(
        self, groups: list[TrainingGroup], ledger: Ledger, history: History
    ) -> tuple[Ledger, History]:
        """Groups, ledger and history as they were saved; as they are, where nothing was."""
        if self.found is None:
            return ledger, history
        arrays, facts = files.read(self.found)
        if not self.saver.settings.force:
            files.check_fingerprint(facts["fingerprint"], self.fingerprint, self.found)
        for number, group in enumerate(groups):
            state = unflatten(f"group{number}/", arrays, group.kept)
            group.restore(state, group.fitting_slots(facts["slots"][number]))
        saved = {name: np.array(arrays[f"ledger/{name}"]) for name in _LEDGER}
        told = {
            k.removeprefix("history/"): a for k, a in arrays.items() if k.startswith("history/")
        }
        self.saver.last_epoch = facts["epoch"]
        self.starts = facts.get("starts", [])
        return Ledger(**saved, reasons=facts["reasons"]), History.from_arrays(history.seeds, told)
