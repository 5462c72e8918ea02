"""Real processes that are stopped, and resumed to the numbers of one that was not."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as parquet

SHOAL = Path(sys.executable).with_name("shoal")
SETS = ("--set", "export.stablehlo=false", "--set", "report.enabled=false", "--plain")


def start(*arguments):
    return subprocess.Popen(
        [SHOAL, "train", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for_epoch(epoch, process, seconds=120.0):
    """Until a checkpoint of that epoch, or a later one, is on the disk."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        found = [int(path.name[6:]) for path in Path("runs").glob("*/checkpoints/epoch-*")]
        if max(found, default=0) >= epoch:
            return
        time.sleep(0.01)
    raise AssertionError(f"no checkpoint of epoch {epoch}: {process.communicate()[0]}")


def results():
    (run,) = Path("runs").iterdir()
    history = parquet.read_table(run / "history.parquet").drop(["seconds"]).to_pydict()
    members = (run / "bundle/members.safetensors").read_bytes()
    exported = Path("exported_models/wave_best_params.safetensors").read_bytes()
    return history, members, exported


def test_sigkill_and_resume_give_the_uninterrupted_result(workspace, monkeypatch):
    epochs = ("--set", "training.epochs=50")
    (workspace / "whole").mkdir()
    monkeypatch.chdir(workspace / "whole")
    whole = start("../c.yaml", *epochs, *SETS)
    monkeypatch.chdir(workspace)
    killed = start("c.yaml", *epochs, *SETS)
    wait_for_epoch(10, killed)
    killed.kill()
    killed.communicate()
    resumed = start("c.yaml", *epochs, *SETS, "--resume")
    output = resumed.communicate(timeout=180)[0]
    assert resumed.returncode == 0, output
    assert "epoch  1/50" not in output
    found = results()
    text = whole.communicate(timeout=180)[0]
    assert whole.returncode == 0, text
    monkeypatch.chdir(workspace / "whole")
    assert found == results()


def test_sigint_finishes_the_epoch_saves_and_says_how_to_go_on(workspace):
    process = start("c.yaml", "--set", "training.epochs=100000", *SETS)
    wait_for_epoch(3, process)
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 130, output
    (run,) = Path("runs").iterdir()
    assert "SIGINT: finishing this epoch" in output
    assert f"shoal train --resume {run}" in output
    (checkpoint,) = (run / "checkpoints").glob("epoch-*")
    assert f"after epoch {int(checkpoint.name[6:])}" in output
    assert not (run / "bundle").exists()
    assert "Traceback" not in output
