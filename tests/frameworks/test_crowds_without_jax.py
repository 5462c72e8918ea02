"""A process that cannot import JAX makes, trains, weighs and asks crowds of modules."""

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
framework, linear = sys.argv[1:]
module = __import__(f"shoal.{framework}", fromlist=["fit"])
nn = __import__(linear, fromlist=["Linear"])
x = np.linspace(-1, 1, 40, dtype=np.float32)[:, None]
crowd = module.Collective.init(lambda: nn.Linear(1, 1), n_models=3)
options = {"epochs": 60, "learning_rate": 0.1, "regime": "negative_correlation"}
fitted = module.fit(crowd, (x, 2 * x), (x, 2 * x), **options)
weighed = module.Collective(fitted.population).weigh("stacking", (x, 2 * x))
assert abs(weighed.predict(x).mean - 2 * x).max() < 0.1
assert not FORBIDDEN & {module.partition(".")[0] for module in sys.modules}
print("done")
"""


@pytest.mark.parametrize(("framework", "layers"), [("torch", "torch.nn"), ("mlx", "mlx.nn")])
def test_crowds_need_no_jax(framework, layers):
    command = [sys.executable, "-c", PROGRAM, framework, layers]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.stdout.strip() == "done", found.stderr
