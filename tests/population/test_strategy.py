"""Slots: every active member has exactly one, and devices are loaded evenly."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.population.strategy import EMPTY, first_slots, is_active, next_slots


@given(
    n=st.integers(1, 40),
    devices=st.integers(1, 8),
    strategy=st.sampled_from(["vmap", "loop"]),
    seed=st.integers(0, 1000),
)
def test_active_members_keep_exactly_one_slot(n, devices, strategy, seed):
    active, slots = np.ones(n, bool), first_slots(n, devices)
    sizes = {slots.shape[1]}
    for leaving in np.random.default_rng(seed).permutation(n):
        slots = next_slots(slots, active, strategy)
        sizes.add(slots.shape[1])
        working = slots[is_active(slots, active)]
        assert sorted(working) == np.flatnonzero(active).tolist()
        assert len(set(slots[slots != EMPTY])) == (slots != EMPTY).sum()
        counts = is_active(slots, active).sum(axis=1)
        if strategy == "loop":
            assert counts.max() - counts.min() <= 1
        active[leaving] = False
    assert len(sizes) - 1 <= (np.ceil(np.log2(n)) if strategy == "vmap" else 0)


def test_slots_that_need_no_change_are_the_same_object():
    slots = first_slots(8, 2)
    assert next_slots(slots, np.ones(8, bool), "vmap") is slots
    assert next_slots(slots, np.ones(8, bool), "loop") is slots


SHARDED = """
import sys
sys.path.insert(0, {folder!r})
import jax
jax.config.update("jax_num_cpu_devices", 3)
import numpy as np
from conftest import Dense, train_sharded
for case in {cases!r}:
    assert jax.device_count() == 3
    np.savez(f"{{sys.argv[1]}}/{{'-'.join(map(str, case))}}.npz", **train_sharded(*case))
"""
CASES = [("vmap", 5, "independent"), ("loop", 8, "independent"), ("vmap", 5, "joint")]


@pytest.fixture(scope="module")
def on_three_devices(tmp_path_factory):
    """The trainings on 3 devices, in a process of their own."""
    script = SHARDED.format(folder=str(Path(__file__).parent), cases=CASES)
    folder = tmp_path_factory.mktemp("devices")
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", script, str(folder)]
    subprocess.run(command, check=True, env=environment, timeout=300)
    return {case: dict(np.load(folder / f"{'-'.join(map(str, case))}.npz")) for case in CASES}


@pytest.mark.parametrize("case", CASES)
def test_members_on_several_devices_are_those_of_one(on_three_devices, sharded, case):
    one, three = sharded(*case), on_three_devices[case]
    assert len(one) > 4
    for name in one:
        np.testing.assert_allclose(three[name], one[name], atol=1e-5, err_msg=name)
    if case[-1] == "independent":
        assert one["epochs"][[0, 2]].tolist() == [4, 4]
