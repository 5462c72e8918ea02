"""Made-up results that look like real ones, and a Chromium to open pages in."""

import json
import os
import shutil
import subprocess
import tempfile
from base64 import b64decode
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from shoal.report import Classification, Evaluation, Results


def co2_like(windows=140, horizon=26, members=8, name="Mauna Loa CO2", diverged=3, targets=1):
    """Weekly CO2 with a trend and seasons; `members` forecasters of unequal skill."""
    rng = np.random.default_rng(7)
    weeks = np.arange("1988-01-02", "2001-12-29", 7, dtype="M8[D]").astype("M8[ns]")
    t = np.arange(len(weeks)) / 52.18
    value = 350 + 1.5 * t + 2.9 * np.sin(2 * np.pi * t) + 0.8 * np.sin(4 * np.pi * t + 1)
    value = value[:, None] * np.linspace(1, 0.02, targets) + rng.normal(0, 0.28, (len(t), targets))
    first = len(t) - windows - horizon
    at = first + np.arange(windows)[:, None] + np.arange(horizon)
    y, step = value[at], np.sqrt(np.arange(1, horizon + 1) / horizon)[:, None]
    slow = np.cumsum(rng.normal(0, 0.12, (members + 1, windows, 1, targets)), 1)
    slow -= slow.mean(1, keepdims=True)
    guess = y + 0.22 * rng.normal(size=y.shape) + step * (0.6 * slow[0] + 0.08)
    each = guess + step * (0.5 * slow[1:] + rng.normal(0, 0.15, (members, *y.shape)))
    alive = [i for i in range(members) if i != diverged]
    aleatoric = 0.27 + 0.32 * step + 0 * y
    epistemic = each[alive].std(0)
    std, mean = np.sqrt(aleatoric**2 + epistemic**2), each[alive].mean(0)
    past = first + np.arange(windows)[:, None] - 52 + np.arange(52)
    last_year = value[at - 52] + value[at[:, :1] - 1] - value[at[:, :1] - 53]
    evaluation = Evaluation(
        y=y,
        mean=mean,
        std=std,
        aleatoric=aleatoric,
        epistemic=epistemic,
        members=each[alive],
        member_indices=alive,
        lower=mean - 1.02 * std,
        upper=mean + 1.02 * std,
        target_names=["co2", "ch4", "a very long name of a sensor, in the third hall"][:targets],
        target_units=["ppm"] * targets,
        time_unit="week",
        origins=weeks[at[:, 0] - 1],
        times=weeks[at],
        past_times=weeks[past],
        past_values=value[past],
        baselines={
            "seasonal naive with drift": last_year,
            "last value": np.repeat(value[at[:, :1] - 1], horizon, 1),
        },
    )
    epochs = 60
    e = np.tile(np.arange(1, epochs + 1), members)
    m = np.repeat(np.arange(members), epochs)
    skill = rng.uniform(0.9, 1.3, members)
    train = skill[m] * (0.05 + 0.9 * np.exp(-e / 9)) * np.exp(rng.normal(0, 0.04, len(e)))
    valid = train * 1.15 + 0.0009 * np.maximum(e - 40, 0)
    gone = (m == diverged) & (e > 14)
    valid[(m == diverged) & (e > 8)] *= 4
    train[gone] = valid[gone] = np.nan
    table = [
        {
            "index": i,
            "seed": 42 + i,
            "status": "early" if i % 3 else "finished",
            "best_epoch": int(np.nanargmin(valid[m == i])) + 1,
            "best_loss": float(np.nanmin(valid[m == i])),
            "final_loss": float(valid[m == i][-1]),
            "reason": "no better for 10 epochs" if i % 3 else "",
        }
        for i in range(members)
    ]
    if diverged is not None and diverged < members:
        why = "the training loss was NaN at epoch 15"
        table[diverged] |= {"status": "diverged", "best_loss": None, "reason": why}
    losses = [r["best_loss"] for r in table]
    finite = [v for v in losses if v is not None]
    return Results(
        name=name,
        created="2026-03-04T10:20:00",
        config={
            "data": {"path": "co2.csv", "time": "date", "targets": ["co2"], "window": 52},
            "model": {"kind": "cfc", "units": 32, "wiring": {"kind": "auto_ncp", "units": 24}},
            "training": {"epochs": 60, "batch_size": 64, "learning_rate": 1e-3},
            "ensemble": {"enabled": True, "n_models": members, "base_seed": 42},
        },
        metadata={
            "n_models": members,
            "base_seed": 42,
            "seeds": [42 + i for i in range(members)],
            "validation_losses": losses,
            "mean_loss": float(np.mean(finite)),
            "std_loss": float(np.std(finite)),
            "best_model_index": losses.index(min(finite)),
            "git": {"commit": "61940eec0a", "dirty": False},
            "data_hash": "sha256:9f2c1e77a0b3",
            "versions": {"python": "3.11.7", "jax": "0.10.2", "equinox": "0.13.8"},
        },
        history={"epoch": e, "member": m, "train_loss": train, "valid_loss": valid},
        members=table,
        best_index=losses.index(min(finite)),
        loss_name="mean squared error (scaled)",
        data={"rows": 2225, "windows": {"training": 1400, "validation": 200, "test": windows}},
        evaluation=evaluation,
        wiring=little_wiring(),
        time_constants={"rnn": rng.lognormal(1.5, 0.9, (members, 24))},
        time_unit="week",
        calibration_note="Intervals rest on split conformal calibration, which promises coverage "
        "for exchangeable data only; a series with a trend is not quite that.",
    )


def little_wiring(inter=12, command=8, motor=4, inputs=3):
    """An NCP-like wiring as plain arrays."""
    rng = np.random.default_rng(3)
    types = ["motor"] * motor + ["command"] * command + ["inter"] * inter
    n = len(types)
    signed = lambda shape, p: rng.choice([-1, 0, 1], shape, p=[p / 2, 1 - p, p / 2])  # noqa: E731
    inner = np.zeros((n, n), int)
    inner[motor + command :, motor : motor + command] = signed((inter, command), 0.5)
    inner[motor : motor + command, motor : motor + command] = signed((command, command), 0.3)
    inner[motor : motor + command, :motor] = signed((command, motor), 0.6)
    sensory = np.zeros((inputs, n), int)
    sensory[:, motor + command :] = signed((inputs, inter), 0.6)
    return {"adjacency": inner, "sensory_adjacency": sensory, "types": types}


def classified(rows=600, classes=4, members=5):
    """A classification in which the third class is hard."""
    rng = np.random.default_rng(5)
    labels = rng.integers(0, classes, rows)
    logits = rng.normal(0, 1.0, (members, rows, classes)) + rng.normal(0, 0.8, (rows, classes))
    logits[:, np.arange(rows), labels] += np.where(labels == 2, 1.6, 3.6)
    p = np.exp(1.4 * logits)
    p /= p.sum(-1, keepdims=True)
    return Results(
        name="Gestures",
        task="classification",
        members=[
            {"index": i, "seed": i, "status": "finished", "best_loss": 0.3} for i in range(members)
        ],
        best_index=1,
        evaluation=Classification(
            probabilities=p.mean(0),
            labels=labels,
            class_names=["rest", "wave", "<script>alert(1)</script>", "point"][:classes],
            members=p,
        ),
    )


@pytest.fixture(scope="session")
def examples():
    """The makers above."""
    return SimpleNamespace(co2_like=co2_like, classified=classified, little_wiring=little_wiring)


class Chromium:
    """Headless Chromium over its debugging pipe: JSON messages ending in a zero byte."""

    def __init__(self, program: str, home: str):
        to_read, self.to = os.pipe()
        self.back, to_write = os.pipe()
        # The browser reads at 3 and writes at 4; bash moves the two ends there.
        flags = "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run"
        flags += f" --user-data-dir={home} --remote-debugging-pipe about:blank"
        shell = f"exec {program} {flags} 3<&{to_read} 4>&{to_write} 2>/dev/null"
        ends = (to_read, to_write)
        self.process = subprocess.Popen(["bash", "-c", shell], pass_fds=ends, close_fds=True)
        for end in ends:
            os.close(end)
        self.number, self.rest, self.events, self.session = 0, b"", [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        to = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = to["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def _next(self):
        while b"\0" not in self.rest:
            more = os.read(self.back, 1 << 20)
            if not more:
                raise RuntimeError("Chromium has gone")
            self.rest += more
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def evaluate(self, script):
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def open(self, path, width=1280, height=900):
        """Show a file; returns when its figures are drawn (or it says that they are not)."""
        self.events.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.call("Page.navigate", url=Path(path).as_uri())
        self.evaluate(
            """new Promise((done, fail) => {
              const look = () => document.readyState === "complete" &&
                (!document.getElementById("plotly") && document.body.dataset.ready !== undefined ||
                 document.body.classList.contains("undrawn") ||
                 !document.querySelector(".plot")) ? done() : setTimeout(look, 50);
              look(); setTimeout(() => fail(new Error("not drawn in 60 s")), 60000); })"""
        )

    def complaints(self):
        """Console errors, exceptions and log entries since `open`."""
        bad = ("Runtime.exceptionThrown", "Log.entryAdded")
        wrong = [e["params"] for e in self.events if e.get("method") in bad]
        calls = [e["params"] for e in self.events if e.get("method") == "Runtime.consoleAPICalled"]
        return wrong + [c for c in calls if c["type"] in ("error", "warning", "assert")]

    def requests(self):
        """Addresses asked for since `open`, the file itself and data URLs aside."""
        sent = [e["params"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]
        urls = [s["request"]["url"] for s in sent if s.get("type") != "Document"]
        return [u for u in urls if not u.startswith(("data:", "blob:"))]

    def picture(self, path, full=True):
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=full, **self._whole(full))
        Path(path).write_bytes(b64decode(shot["data"]))

    def _whole(self, full):
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {**size, "scale": 1}} if full else {}

    def pdf(self, path):
        made = self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
        Path(path).write_bytes(b64decode(made["data"]))

    def close(self):
        os.close(self.to)
        os.close(self.back)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="session")
def chromium():
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("Chromium is not installed")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        browser = Chromium(program, home)
        yield browser
        browser.close()
