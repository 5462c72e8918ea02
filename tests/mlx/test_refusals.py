"""What does not fit is refused, with the rule, what was found, and what to do."""

import numpy as np
import pytest

from shoal.wirings import AutoNCP

mx = pytest.importorskip("mlx.core")
ours = pytest.importorskip("shoal.mlx")

X = np.zeros((2, 5, 3), np.float32)


def call(*args, units=4, kind="CfC", **options):
    return getattr(ours, kind)(3, units)(*args, **options)


CASES = {
    "features elsewhere": (lambda: call(X.swapaxes(1, 2)), "move the features to the last axis"),
    "too many axes": (lambda: call(X[None]), r"must be \(batch, time, 3\)"),
    "timespans turned": (lambda: call(X, timespans=np.ones((5, 2))), "transpose it"),
    "negative time": (lambda: call(X, timespans=-1.0, kind="LTC"), "at least 0.*sort"),
    "a state of another batch": (
        lambda: call(X, mx.zeros((3, 4))),
        r"shape \(2, 4\), got \(3, 4\)",
    ),
    "a state of another structure": (
        lambda: call(X, mx.zeros((2, 4)), kind="LSTM"),
        r"structure \(array, array\), got array",
    ),
    "a pair for one array": (lambda: call(X, (mx.zeros((2, 4)),) * 2), "one array, got"),
    "another wiring": (lambda: ours.CfC(3, AutoNCP(8, 2).build(4)), "built for 4 inputs"),
    "backbone of a wiring": (
        lambda: ours.CfC(3, AutoNCP(8, 2), backbone_units=4),
        "backbone_units",
    ),
    "no units": (lambda: ours.LTC(3, 0), "`units` must be a whole number"),
    "an unknown mode": (lambda: ours.CfC(3, 4, mode="fast"), "`mode` must be one of"),
    "an unknown initializer": (lambda: ours.CfC(3, 4, initializer="best"), "`initializer` must be"),
    "no type": (lambda: ours.CfC(3, 4, dtype="int32"), "`dtype` must be floating-point"),
    "all dropped": (lambda: ours.GRU(3, 4, dropout=1.0), "`dropout` must be at least 0"),
    "adaptive steps": (lambda: ours.LTC(3, 4, solver="adaptive"), "JAX only"),
    "a head for another neuron": (
        lambda: ours.SequenceModel(ours.GRU(3, 4), ours.Head(5, (1,))),
        r"output_size = 4.*in_size = 5.*Head\(4, \.\.\.\)",
    ),
    "an unknown kind": (
        lambda: ours.SequenceModel.from_description({"kind": "rnn", "output_shape": [1]}),
        "`kind` must be one of cfc",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_refusals(name):
    wrong, message = CASES[name]
    with pytest.raises(ValueError, match=message):
        wrong()


def test_a_layout_that_does_not_fit_changes_nothing():
    rnn = ours.GRU(3, 4)
    before, path = rnn.layout(), "stack.layers.0.forward.params.recurrent_weight"
    found = {name: array + 1 for name, array in before.items()}
    for wrong, message in [
        (found | {path: mx.zeros((15, 5))}, rf"{path} is \(15, 5\).*needs \(12, 4\)"),
        (found | {"stack.more": mx.zeros(1)}, "has stack.more, for which"),
        ({k: v for k, v in found.items() if k != path}, rf"lacks {path}, which must be \(12, 4\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            rnn.load_layout(wrong)
    assert all(mx.array_equal(array, before[name]) for name, array in rnn.layout().items())
    rnn.load_layout(found)
    assert mx.array_equal(rnn.layout()[path], found[path])
