"""Particles divided over host devices find what one device finds."""

import json
import subprocess
import sys

PROGRAM = """
import os
os.environ["XLA_FLAGS"] += " --xla_force_host_platform_device_count=4"
import json
import jax, jax.numpy as jnp
from shoal.swarm import HybridSwarm, ParticleSwarm

def rastrigin(x):
    return 10 * x.size + jnp.sum(x ** 2 - 10 * jnp.cos(2 * jnp.pi * x))

found = {"devices": jax.device_count()}
swarms = {
    "six": ParticleSwarm(6, (-5.0, 5.0), neighbourhood="ring", axes="coordinates"),
    "hybrid": HybridSwarm(8, (-5.0, 5.0), neighbourhood="random", random="split"),
}
for name, swarm in swarms.items():
    one = swarm.minimise(rastrigin, jnp.zeros(5), iterations=25, evaluate="map")
    many = swarm.minimise(rastrigin, jnp.zeros(5), iterations=25, evaluate="map", devices=4)
    found[name] = [one.value, many.value, len(many.state.best_value.sharding.device_set)]
    found[name] += [float(jnp.abs(one.state.position - jax.device_get(many.state.position)).max())]
print(json.dumps(found))
"""


def test_particles_over_devices():
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found.pop("devices") == 4
    for name, (one, many, used, apart) in found.items():
        assert used == (3 if name == "six" else 4), name
        assert many == one, name
        assert apart == 0, name
