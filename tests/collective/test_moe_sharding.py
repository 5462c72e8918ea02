"""Experts divided over four host devices compute what one device does."""

import json
import subprocess
import sys

PROGRAM = """
import os
flags = os.environ.get("XLA_FLAGS", "")
os.environ["XLA_FLAGS"] = flags + " --xla_force_host_platform_device_count=4"
import json
import equinox as eqx, jax, jax.numpy as jnp
from shoal.collective import MixtureOfExperts, SwitchFFN

x = jax.random.normal(jax.random.key(0), (2, 12, 6))

def answers(moe, x):
    def loss(parts):
        y, info = parts[0](parts[1], key=jax.random.key(1))
        return jnp.sum(jnp.sin(y)) + info.aux_loss, y
    (_, y), gradients = eqx.filter_value_and_grad(loss, has_aux=True)((moe, x))
    return y, eqx.filter(gradients, eqx.is_array)

answers = eqx.filter_jit(answers)
found = {"devices": jax.device_count()}
meshes = {
    "4": jax.make_mesh((4,), ("experts",)),
    "2x2": jax.make_mesh((2, 2), ("data", "experts")),
}
for router in ("noisy_top_k", "expert_choice"):
    moe = MixtureOfExperts(6, 5, hidden_size=8, router=router, shared_experts=1, key=0)
    wanted = answers(moe, x)
    for name in ("4", "2x2") if router == "noisy_top_k" else ("2x2",):
        mesh = meshes[name]
        spread = moe.over(mesh)
        got = answers(spread, x)
        leaves = zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True)
        found[f"{router} {name}"] = max(float(jnp.abs(a - b).max()) for a, b in leaves)
        held = spread.experts.up_weight.addressable_shards[0].data.shape[0]
        found[f"{router} {name} held"] = held
        grads = got[1][0].experts.up_weight.addressable_shards[0].data.shape[0]
        found[f"{router} {name} gradients held"] = grads
switch = SwitchFFN(6, 8, key=0)
spread = switch.over(meshes["4"])
both = [layer(x, key=2)[0] for layer in (switch, spread)]
found["switch"] = float(jnp.abs(both[0] - both[1]).max())
for n_experts, mesh in ((6, meshes["4"]), (8, jax.make_mesh((4,), ("members",)))):
    try:
        MixtureOfExperts(6, n_experts=n_experts, key=0).over(mesh)
    except ValueError as error:
        found[f"refused {n_experts}"] = str(error)
print(json.dumps(found))
"""


def test_experts_over_devices():
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["devices"] == 4
    for case, share in (("noisy_top_k 4", 2), ("noisy_top_k 2x2", 4), ("expert_choice 2x2", 4)):
        assert found[case] < 1e-5
        assert found[f"{case} held"] == share
        assert found[f"{case} gradients held"] == share
    assert found["switch"] < 1e-5
    assert "whose size divides the 6 experts" in found["refused 6"]
    assert "got {'members': 4}" in found["refused 8"]
