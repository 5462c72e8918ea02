"""What the page says of the crowd: weights, diversity and calibration, against known numbers."""

import re
from html import unescape

import numpy as np
import pytest

from shoal.equations.outputs import Categorical
from shoal.equations.prediction import Prediction
from shoal.report import Classification, Evaluation, Results, Weights, render
from shoal.report.classes import calibration_error, metric_rows
from shoal.report.crowd import class_figures, diversity_table
from shoal.report.honesty import before_after
from shoal.report.losses import coupling_terms
from shoal.report.weights import effective_number, stage_losses, weight_figures
from shoal.score import brier, ece, evaluate

RNG = np.random.default_rng(0)


def text(html):
    return unescape(re.sub(r"<[^>]+>", "", html))


def test_the_bins_are_those_of_the_scores():
    """Probabilities of whole tenths belong to the bin that ends there."""
    top = RNG.choice([0.5, 0.6, 0.7, 0.8, 0.9, 1.0], 400)
    p = np.stack([top, 1 - top], 1)
    labels = (RNG.random(400) > top - 0.2).astype(int)
    c = Classification(probabilities=p, labels=labels)
    assert calibration_error(c) == pytest.approx(ece(p, labels), abs=1e-12)
    assert metric_rows(c, None)[0]["brier"] == pytest.approx(brier(p, labels))


def test_bars_say_what_rows_do():
    values = np.array([[0.9, 0.1, 0.9, 0.1], [0.1, 0.9, 0.1, 0.9]])
    (bars,) = weight_figures(Weights(kind="local", values=values))
    assert bars.traces[0]["y"] == [0.5, 0.5]
    assert bars.traces[0]["error_y"]["array"] == [0.4, 0.4]
    assert "differ from row to row" in bars.summary
    assert "more than half the weight in 100 %" in bars.summary
    assert f"{1 / (0.81 + 0.01):.3g} of 2 members" in bars.summary
    assert float(effective_number(np.full(5, 0.2))) == pytest.approx(5)


def test_a_combination_that_is_no_mean_names_its_coefficients():
    w = Weights(kind="stacking", values=[2.0, -0.5], pool="linear", intercept=0.25)
    (bars,) = weight_figures(w)
    assert "sum to 1.5; 0.25 is added. Negative: member 1." in bars.summary
    assert len(bars.traces) == 1  # no line where all are alike


def test_a_time_table_is_steps():
    elapsed = np.array([0.0, 9.9, 10.1, 20.0])
    table = np.array([[0.8, 0.8, 0.1, 0.1], [0.2, 0.2, 0.9, 0.9]])
    parts = {"elapsed": elapsed, "by_elapsed": table, "time_unit": "day"}
    _, steps = weight_figures(Weights(kind="time_table", values=table, **parts))
    assert [trace["y"] for trace in steps.traces] == table.tolist()
    assert "member 0 counts most, long after it member 1" in steps.summary
    with pytest.raises(ValueError, match="2 entries, got 3"):
        Weights(kind="fixed", values=[0.5, 0.5], member_indices=[0, 1, 2])


def test_stages_of_boosting():
    members = [{"index": i, "best_loss": loss} for i, loss in enumerate((1.0, 0.5, 0.4))]
    w = Weights(kind="pooled", values=[1.0, 0.7, 0.3], pool="sum", intercept=[0.1, 0.2])
    r = Results(name="b", members=members, weights=w)
    assert stage_losses(r).traces[0]["y"] == [1.0, 0.5, 0.4]
    page = render(r)
    assert "What each stage adds" in page
    assert "between 0.1 and 0.2 is added" in page
    assert stage_losses(Results(name="b", weights=Weights(kind="u", values=[0.5, 0.5]))) is None


def test_the_decomposition_on_the_page_adds_up():
    y = RNG.normal(size=(60, 1))
    p = Prediction(y + RNG.normal(size=(3, 60, 1)), np.array([0.6, 0.3, 0.1]))
    found = evaluate(p, y)["diversity"]
    said = text(diversity_table(Results(name="r", diversity=found)))
    crowd, members, spread = map(float, re.search(r"(\S+) = (\S+) − ([\d.]+\d)", said).groups())
    assert crowd == pytest.approx(members - spread, abs=0.01)
    assert crowd == pytest.approx(float(((p.mean - y) ** 2).mean()), rel=0.01)
    assert "correlation of errors" in said


def test_diversity_of_classes():
    p = Prediction(Categorical(RNG.normal(size=(4, 80, 3))), np.full(4, 0.25))
    labels = RNG.integers(0, 3, 80)
    c = Classification(probabilities=p.probabilities, labels=labels, members=p.members)
    agreement, size = class_figures(c)
    votes = p.members.argmax(-1)
    assert agreement.traces[0]["z"][0][1] == pytest.approx((votes[0] == votes[1]).mean(), abs=1e-4)
    each = np.mean([brier(m, labels) for m in p.members])
    assert size.traces[1]["y"][0] == pytest.approx(each, rel=1e-4)
    assert size.traces[1]["y"][-1] == pytest.approx(brier(p.probabilities, labels), rel=1e-4)
    table = text(diversity_table(Results(name="r", diversity=evaluate(p, labels)["diversity"])))
    assert all(word in table for word in ("Q statistic", "double fault", "Brier score of the"))


def test_before_and_after():
    rows = [
        {"stage": "as trained", "nll": 5.6, "coverage": 0.4, "width": 1.0, "level": 0.9},
        {"stage": "recalibrated", "nll": 0.8, "coverage": 0.9, "width": 3.0, "level": 0.9},
    ]
    facts = {"kind": "variance", "values": [[4.8]], "rows": 3000, "before": 5.6, "after": 0.8}
    html = before_after(Results(name="r", calibration_stages=rows, recalibration=facts))
    assert "<td>5.6</td><td>40 %</td><td>1</td>" in html
    said = text(html)
    assert "90 % coverage" in said
    assert "factor of the predicted spread 4.8; the members were too sure of themselves" in said
    assert "3,000 values of the validation block, whose NLL went from 5.6 to 0.8" in said


def test_the_raw_curves_are_drawn_beside():
    y = RNG.normal(size=(50, 1))
    e = Evaluation(y=y, mean=0 * y, std=0 * y + 1, levels=[0.5, 0.9], coverage=[0.5, 0.9],
                   raw_coverage=[0.2, 0.4])  # fmt: skip
    assert "members' own" in render(Results(name="r", task="regression", evaluation=e))
    with pytest.raises(ValueError, match="raw_coverage"):
        Evaluation(y=y, mean=y, levels=[0.5], coverage=[0.5], raw_coverage=[0.1, 0.2])
    p = RNG.dirichlet([1, 1], 50)
    c = Classification(probabilities=p, labels=RNG.integers(0, 2, 50), raw=p**3 / 2)
    assert "before recalibration" in render(Results(name="r", evaluation=c))


def test_what_couples_members_is_drawn_with_its_total():
    history = {
        "epoch": [1, 1, 2, 2],
        "member": [0, 1, 0, 1],
        "train_loss": [1.0, 3.0, 1.0, 1.0],
        "diversity": [-0.5, -0.5, -0.25, -0.25],
    }
    own, added, total = coupling_terms(Results(name="r", history=history)).traces
    assert (own["y"], added["y"], total["y"]) == ([2.0, 1.0], [-0.5, -0.25], [1.5, 0.75])
    history["diversity"] = [np.nan] * 4  # of members that train alone
    assert coupling_terms(Results(name="r", history=history)) is None


def test_losses_out_of_bag_have_a_column():
    rows = [{"index": 0, "status": "finished", "best_loss": 0.5, "out_of_bag_loss": 0.625}]
    page = render(Results(name="r", members=rows))
    assert "out-of-bag loss" in page
    assert "0.625" in page
