"""Exports run where Shoal is not, at sizes they were not exported with, in raw units."""

import contextlib
import json
import os
import pickle
import platform
import subprocess
import sys
import threading

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from shoal.bundle import ensemble_metadata, files
from shoal.bundle import export as exporting
from shoal.bundle.export import export
from shoal.bundle.manifest import BundleError
from shoal.bundle.stablehlo import exported_member
from shoal.collective import Collective
from shoal.data.sequences import Sequences

RUN = """
import sys
sys.modules["shoal"] = None
import jax, numpy as np
from safetensors.numpy import load_file
folder, name = sys.argv[1:]
exported = jax.export.deserialize(open(f"{folder}/{name}_best.stablehlo", "rb").read())
assert exported.mlir_module() == open(f"{folder}/{name}_best.mlir").read()
params = load_file(f"{folder}/{name}_best_params.safetensors")
given = np.load(f"{folder}/given.npz")
answer = exported.call(params, given["x"].astype("float32"), given["timespans"].astype("float32"))
answer = answer if isinstance(answer, dict) else {"points": answer}
np.savez(f"{folder}/answer.npz", **answer)
"""
LOSSES = [3.0, 0.5, 2.0, float("nan"), 4.0]


def metadata(n=5, losses=LOSSES, **more):
    return ensemble_metadata(
        seeds=range(42, 42 + n), validation_losses=losses[:n], training_config={}, **more
    )


def longer_data():
    rng = np.random.default_rng(5)
    x = 300 + 5 * rng.normal(size=(3, 17, 2))
    x[rng.random(x.shape) < 0.4] = np.nan
    x[:, 0] = 300.0
    return Sequences(x, rng.uniform(0, 9, (3, 17)))


def names(folder):
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.parametrize("answer", ["point", "normal", "categorical"])
def test_a_fresh_process_without_shoal_predicts_the_same(tmp_path, crowd_of, answer):
    crowd, given = crowd_of(answer), longer_data()
    export(crowd, tmp_path, "co2", metadata=metadata())
    np.savez(tmp_path / "given.npz", x=given.x, timespans=given.timespans)
    subprocess.run([sys.executable, "-c", RUN, str(tmp_path), "co2"], check=True)
    found, p = np.load(tmp_path / "answer.npz"), crowd.predict(given)
    key = {"point": "points", "normal": "mean", "categorical": "probabilities"}[answer]
    np.testing.assert_allclose(
        found[key], p.members[1], rtol=2e-6 if answer != "categorical" else 1e-4
    )
    if answer == "normal":
        np.testing.assert_allclose(found["std"], p.outputs.std[1], rtol=1e-4)


def test_the_module_takes_what_is_promised_on_every_platform(tmp_path, crowd_of):
    crowd = crowd_of()
    exported = exported_member(crowd.population.member(1), crowd.scaling, 2)
    main = next(line for line in exported.mlir_module().splitlines() if "func public @main" in line)
    arguments = main[: main.index("->")]
    assert arguments.count("%arg") == 3 + 2  # three parameters, x, timespans: no platform index
    assert "tensor<?x?x2xf32>" in arguments  # batch and time symbolic
    jax.jit(exported.call).trace(*_example(exported)).lower(lowering_platforms=("cuda",))


def _example(exported):
    shapes = [
        jnp.zeros(tuple(d if isinstance(d, int) else 3 for d in a.shape), a.dtype)
        for a in exported.in_avals
    ]
    arguments, _ = jax.tree.unflatten(exported.in_tree, shapes)
    return arguments


def test_metadata_and_files(tmp_path, crowd_of):
    crowd = crowd_of()
    paths = export(
        crowd,
        tmp_path,
        "co2",
        metadata=metadata(statuses=["finished"] * 5),
        every=True,
        pickle=True,
    )
    every = [f"co2_ensemble_{i}{end}" for i in range(5) for end in (".mlir", "_params.safetensors")]
    best = [
        "co2_best.mlir",
        "co2_best.stablehlo",
        "co2_best_params.pkl",
        "co2_best_params.safetensors",
    ]
    assert names(tmp_path) == sorted([*every, *best, "ensemble_metadata.json"])
    assert sorted(p.name for p in paths) == names(tmp_path)
    found = json.loads((tmp_path / "ensemble_metadata.json").read_text())
    assert found["best_model_index"] == 1
    assert found["best_model_seed"] == 43
    assert found["validation_losses"] == [3.0, 0.5, 2.0, None, 4.0]
    assert found["mean_loss"] == pytest.approx(2.375)
    assert found["variance_loss"] == pytest.approx(np.var([3.0, 0.5, 2.0, 4.0]))
    assert found["std_loss"] == pytest.approx(np.std([3.0, 0.5, 2.0, 4.0]))
    params = load_file(tmp_path / "co2_best_params.safetensors")
    again = pickle.loads((tmp_path / "co2_best_params.pkl").read_bytes())
    for key, value in load_file(tmp_path / "co2_ensemble_1_params.safetensors").items():
        np.testing.assert_array_equal(value, params[key])
        np.testing.assert_array_equal(value, again[key])
        assert key.startswith("params.")


def test_a_new_set_replaces_the_old_one_and_no_other(tmp_path, crowd_of):
    crowd = crowd_of()
    (tmp_path / "co2_best_notes.txt").write_text("mine")
    export(crowd, tmp_path, "co2", metadata=metadata(), every=True, pickle=True)
    export(crowd, tmp_path, "co2_b", metadata=metadata(), stablehlo=False)
    before = {n for n in names(tmp_path) if n.startswith("co2_b_")}
    export(crowd.select([0, 1]), tmp_path, "co2", metadata=metadata(2), every=True)
    assert (
        {n for n in names(tmp_path) if n.startswith("co2_b_")}
        == before
        == {"co2_b_best_params.safetensors"}
    )
    assert [n for n in names(tmp_path) if "ensemble_2" in n or n.endswith("pkl")] == []
    assert (tmp_path / "co2_best_notes.txt").exists()
    assert (tmp_path / "co2_ensemble_1.mlir").exists()


class Killed(BaseException):
    """As a kill: nothing catches it."""


def test_killed_at_any_step_leaves_one_whole_set(tmp_path, crowd_of, monkeypatch):
    """Every write and every move is the last one in turn; the set is the old or the new one."""
    old, new = crowd_of().select([0, 1]), crowd_of().select([2, 3, 4])
    real_write, real_replace = files.write, exporting.Path.replace
    left = {"steps": 0}

    def step(real):
        def run(*args):
            if left["steps"] == 0:
                raise Killed
            left["steps"] -= 1
            return real(*args)

        return run

    def save(crowd, n):
        kwargs = {"every": True, "stablehlo": False}
        export(crowd, tmp_path, "n", metadata=metadata(n, [1.0, 2.0, 3.0]), **kwargs)

    def whole():
        listed = json.loads((tmp_path / "ensemble_metadata.json").read_text())["files"]
        assert {n for n in names(tmp_path) if not n.startswith((".", "ensemble"))} == set(listed)
        sizes = {n: (tmp_path / n).stat().st_size for n in listed}
        assert sizes == {n: e["size"] for n, e in listed.items()}
        return len(listed)

    seen = set()
    for steps in range(12):
        left["steps"] = 10**6
        save(old, 2)
        monkeypatch.setattr(files, "write", step(real_write))
        monkeypatch.setattr(exporting.Path, "replace", step(real_replace))
        left["steps"] = steps
        with contextlib.suppress(Killed):
            save(new, 3)
        left["steps"] = 10**6
        exporting.finish(tmp_path, "n")
        seen.add(whole())
        monkeypatch.undo()
    assert seen == {3, 4}  # best and two members, best and three


def test_two_processes_take_turns(tmp_path, crowd_of):
    crowd = crowd_of().select([0, 1])
    options = {"metadata": metadata(2, [1.0, 2.0]), "stablehlo": False}
    other = threading.Thread(target=lambda: export(crowd, tmp_path, "n", **options))
    with files.alone(tmp_path):
        other.start()
        other.join(2.0)
        assert not (tmp_path / "ensemble_metadata.json").exists()
    other.join()
    assert (tmp_path / "n_best_params.safetensors").exists()


def test_members_keep_the_numbers_they_were_trained_under(tmp_path, crowd_of):
    crowd = crowd_of()
    losses = [float("nan"), 3.0, 2.0, 1.0, 4.0]  # member 0 diverged, 3 is the best
    some = crowd.select([1, 2, 3, 4])
    facts = metadata(5, losses)
    export(some, tmp_path, "n", metadata=facts, numbers=[1, 2, 3, 4], every=True, stablehlo=False)
    assert not (tmp_path / "n_ensemble_0_params.safetensors").exists()
    for file in ("n_best", "n_ensemble_3"):
        params = load_file(tmp_path / f"{file}_params.safetensors")
        want = crowd.population.member(3).params["out"]
        np.testing.assert_array_equal(params["params.out"], want)
    with pytest.raises(BundleError, match="must be of them"):
        export(some, tmp_path, "n", metadata=facts, best=0, numbers=[1, 2, 3, 4])


def test_what_cannot_be_exported_is_named(tmp_path, crowd_of):
    class Checked(eqx.Module):
        w: jax.Array

        def __call__(self, x, timespans=None, *, mask=None, key=None):
            return eqx.error_if(x @ self.w, jnp.any(x > 1e9), "too large")

    crowd = Collective.of([Checked(jnp.ones((2, 1)))])
    export(crowd_of(), tmp_path, "n", metadata=metadata())
    before = names(tmp_path)
    with pytest.raises(BundleError, match=r"Checked cannot be exported.*error_if"):
        export(crowd, tmp_path, "n", metadata=metadata(1), features=2)
    with pytest.raises(BundleError, match="`features`"):
        export(crowd, tmp_path, "n", metadata=metadata(1))
    assert names(tmp_path) == before
    export(crowd, tmp_path, "n", metadata=metadata(1), stablehlo=False)
    assert not (tmp_path / "n_best.mlir").exists()


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "-x", "a b"])
def test_unfit_names_are_refused(tmp_path, crowd_of, name):
    with pytest.raises(BundleError, match="`name` must be"):
        export(crowd_of(), tmp_path / "out", name, metadata=metadata())
    assert not (tmp_path / "out").exists()


def test_no_finite_loss_no_best():
    with pytest.raises(ValueError, match="no member has a finite"):
        metadata(2, [None, float("inf")])
    with pytest.raises(ValueError, match="one validation loss per member"):
        metadata(3, [1.0])


def test_drafts_are_cleared_when_old_or_when_their_process_is_gone(tmp_path, crowd_of):
    command = [sys.executable, "-c", "import os; print(os.getpid())"]
    gone = subprocess.run(command, capture_output=True, text=True, check=True)
    here, alive = platform.node(), os.getppid()
    old, young = ".n.draft-elsewhere-1", ".n.draft-elsewhere-2"
    dead, living = f".n.draft-{here}-{gone.stdout.strip()}", f".n.draft-{here}-{alive}"
    other = ".other.draft-elsewhere-1"
    for name in (old, young, dead, living, other):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part").write_text("x")
    for name in (old, other):
        os.utime(tmp_path / name, (0, 0))
    export(crowd_of(), tmp_path, "n", metadata=metadata(), stablehlo=False)
    assert {n for n in names(tmp_path) if "draft" in n} == {young, living, other}
