"""What another process is asked: a job as plain data in, its results as plain data out.

Nothing here imports JAX before it is prepared, in a process that was started for this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def carry_out(job: Mapping[str, Any], devices: int = 1, cache: bool = True) -> list[dict[str, Any]]:
    """The fields of a `Job` → the fields of its `Result`s, in the process that calls this."""
    from dataclasses import asdict

    from shoal.run.devices import prepare_jax

    prepare_jax(devices, cache)
    from shoal.tune.jobs import Job, run_job

    return [asdict(result) for result in run_job(Job(**job))]
