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
    data=st.data(),
)
def test_active_members_keep_exactly_one_slot(n, devices, strategy, data):
    active, slots, sizes = np.ones(n, bool), first_slots(n, devices), set()
    sizes.add(slots.shape[1])
    while active.any():
        slots = next_slots(slots, active, strategy)
        sizes.add(slots.shape[1])
        working = slots[is_active(slots, active)]
        assert sorted(working) == np.flatnonzero(active).tolist()
        assert len(set(slots[slots != EMPTY])) == (slots != EMPTY).sum()
        counts = is_active(slots, active).sum(axis=1)
        if strategy == "loop":
            assert counts.max() - counts.min() <= 1
        active[data.draw(st.integers(0, n - 1))] = False
    assert len(sizes) - 1 <= (np.ceil(np.log2(n)) if strategy == "vmap" else 0)


def test_slots_that_need_no_change_are_the_same_object():
    slots = first_slots(8, 2)
    assert next_slots(slots, np.ones(8, bool), "vmap") is slots
    assert next_slots(slots, np.ones(8, bool), "loop") is slots


SHARDED = """
import sys
sys.path.insert(0, {folder!r})
import jax, numpy as np
jax.config.update("jax_num_cpu_devices", {devices})
import equinox as eqx
import shoal
from conftest import Dense, dense_data
from shoal.population import Population
assert jax.device_count() == {devices}
out = {{}}
for strategy in ("vmap", "loop"):
    for n in (5, 8):
        rates = np.full(n, 1e-2); rates[[0, 2]] = 0.0
        fitted = shoal.fit(
            Population.init(Dense, n), dense_data(37), dense_data(20, 1), epochs=8, batch_size=16,
            learning_rate=rates, dropout=0.1, strategy=strategy, patience=3, stopping=None,
        )
        leaves = jax.tree.leaves(eqx.filter(fitted.last, eqx.is_array))
        out |= {{f"{{strategy}}{{n}}/{{i}}": np.asarray(a) for i, a in enumerate(leaves)}}
        out[f"{{strategy}}{{n}}/epochs"] = np.array([s["epochs"] for s in fitted.status])
np.savez(sys.argv[1], **out)
"""


@pytest.fixture(scope="module")
def by_devices(tmp_path_factory):
    """The same trainings on 1 and on 3 devices, each in its own process."""
    found = {}
    for devices in (1, 3):
        script = SHARDED.format(folder=str(Path(__file__).parent), devices=devices)
        path = tmp_path_factory.mktemp("devices") / "out.npz"
        subprocess.run(
            [sys.executable, "-c", script, str(path)],
            check=True,
            env={**os.environ, "JAX_PLATFORMS": "cpu"},
            timeout=300,
        )
        found[devices] = dict(np.load(path))
    return found


@pytest.mark.parametrize("strategy", ["vmap", "loop"])
@pytest.mark.parametrize("n", [5, 8])
def test_members_on_several_devices_are_those_of_one(by_devices, strategy, n):
    one, three = by_devices[1], by_devices[3]
    names = [name for name in one if name.startswith(f"{strategy}{n}/")]
    assert len(names) > 4
    for name in names:
        np.testing.assert_allclose(three[name], one[name], atol=1e-5, err_msg=name)
    assert one[f"{strategy}{n}/epochs"][[0, 2]].tolist() == [4, 4]
