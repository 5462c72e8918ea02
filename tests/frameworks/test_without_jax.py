"""A process that cannot import JAX loads JAX's bundles and answers what JAX answered."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import numpy as np

FORBIDDEN = {"jax", "jaxlib", "equinox", "optax", "jaxtyping", "ml_dtypes"}

class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in FORBIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Nowhere())
framework, folder, *names = sys.argv[1:]
module = __import__(f"shoal.{framework}", fromlist=["load"])
for name in names:
    given = np.load(f"{folder}/{name}.npz")
    crowd = module.load(f"{folder}/{name}")
    assert len(crowd) == crowd.n_models == len(crowd.seeds) == len(crowd.members)
    p = crowd.predict(given["x"], given["timespans"], given.get("mask"))
    found = {"mean": p.mean, "std": p.std, "members": p.members, "aleatoric": p.aleatoric}
    if name != "classes":
        found["lower"], found["upper"] = p.interval(0.8)
    for key, value in found.items():
        np.testing.assert_allclose(value, given[key], rtol=2e-5, atol=2e-5, err_msg=name + key)
    assert p.calibrated == (name == "forecast")
assert not FORBIDDEN & {module.partition(".")[0] for module in sys.modules}
print("done", *names)
"""


@pytest.mark.parametrize("framework", ["torch", "mlx"])
def test_bundles_answer_the_same_where_jax_cannot_be_imported(asked, framework):
    names = ["forecast", "groups", "classes", "plain"]
    command = [sys.executable, "-c", PROGRAM, framework, str(asked), *names]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.stdout.split() == ["done", *names], found.stderr
