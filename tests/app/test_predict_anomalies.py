"""`shoal predict --anomalies`: what stands out, by the calibration of the bundle."""

import io

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from shoal.app.main import app
from shoal.run.source import find_source


def shoal(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def frame_of(done):
    assert done.exit_code == 0, done.output
    return pd.read_csv(io.StringIO(done.stdout))


@pytest.fixture
def struck(at_home):
    """The data of `wave`, one value of `a` far off and some missing."""
    table = pd.read_csv("in/wave.csv")
    table.loc[60, "a"] = 9.0
    table.loc[70:74, "a"] = np.nan
    table.to_csv("in/struck.csv", index=False)
    return table


LEVEL = ("--level", "0.9")


def test_the_far_off_value_is_the_strangest(struck):
    done = shoal("predict", "wave", "--data", "in/struck.csv", "--anomalies", *LEVEL)
    frame = frame_of(done)
    assert list(frame.columns[-7:]) == [
        "mean", "std", "lower", "upper", "observed", "anomaly_score", "anomaly",
    ]  # fmt: skip
    strangest = frame.loc[frame["anomaly_score"].idxmax()]
    assert strangest["observed"] == 9.0
    assert bool(strangest["anomaly"])
    known = frame.dropna(subset="observed")
    outside = (known["observed"] < known["lower"]) | (known["observed"] > known["upper"])
    assert (outside == known["anomaly"].astype(bool)).all()
    score = abs(known["observed"] - known["mean"]) / known["std"]
    np.testing.assert_allclose(score, known["anomaly_score"])
    assert f"{outside.sum()} of {len(known)} observations are anomalies" in done.stderr


def test_a_missing_observation_has_no_score(struck):
    frame = frame_of(shoal("predict", "wave", "--data", "in/struck.csv", "--anomalies", *LEVEL))
    unknown = frame[frame["observed"].isna()]
    assert len(unknown) >= 2  # one step before the gap, and one after it has begun
    assert unknown["anomaly_score"].isna().all()
    assert unknown["anomaly"].isna().all()


def test_parquet_holds_flags(struck):
    done = shoal("predict", "wave", "--anomalies", *LEVEL, "-o", "flags.parquet")
    assert "wrote" in done.stderr
    assert pd.read_parquet("flags.parquet")["anomaly"].dtype == "boolean"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("steps", "--anomalies"), "tells classes; anomalies are of forecast numbers"),
        (("wave", "--anomalies"), "a threshold of level 0.99 needs 99"),
        (("wave", "--anomalies", "--level", "1.5"), "must lie between 0 and 1, found 1.5"),
        (
            ("wave", "--anomalies", *LEVEL, "--data", "in/bare.csv"),
            "`targets` names 'a', which is no column",
        ),
    ],
)
def test_refusals(struck, arguments, message):
    struck.drop(columns="a").to_csv("in/bare.csv", index=False)
    done = shoal("predict", *arguments)
    assert done.exit_code == 2, done.output
    assert message in " ".join(done.output.split())


def test_a_crowd_without_a_calibration_is_refused(struck, tmp_path):
    from dataclasses import replace

    import shoal as library

    crowd = replace(library.load(find_source("wave").bundle), calibration=None)
    library.save(crowd, tmp_path / "plain")
    done = shoal("predict", tmp_path / "plain", "--data", "in/wave.csv", "--anomalies")
    assert "has no calibration, from which the threshold comes" in " ".join(done.output.split())
