"""What each rule says, and what it refuses."""

import numpy as np
import pytest

from shoal.weighting import Evidence, Fixed, InverseLoss, SoftmaxLoss, Uniform, describe, resolve


def losses(*values):
    return Evidence(losses=np.array(values))


def test_inverse_loss_is_bates_and_granger():
    np.testing.assert_allclose(InverseLoss().fit(losses(1.0, 4.0)).weights(2), [0.8, 0.2])
    np.testing.assert_allclose(InverseLoss(2.0).fit(losses(1.0, 2.0)).weights(2), [0.8, 0.2])


def test_softmax_takes_negative_losses_of_any_size():
    w = SoftmaxLoss(2.0).fit(losses(-1e6, -1e6 + 2)).weights(2)
    np.testing.assert_allclose(w, np.array([1, np.exp(-1)]) / (1 + np.exp(-1)))


@pytest.mark.parametrize("rule", [InverseLoss(), SoftmaxLoss()])
def test_diverged_members_count_nothing(rule):
    w = rule.fit(losses(1.0, np.nan, np.inf)).weights(3)
    np.testing.assert_array_equal(w, [1, 0, 0])
    with pytest.raises(ValueError, match="at least one of them finite"):
        rule.fit(losses(np.nan, np.inf))
    with pytest.raises(ValueError, match="no validation losses yet"):
        rule.weights(3)


@pytest.mark.parametrize("values", [[], [0, 0], [-1, 2], [float("nan"), 1]])
def test_impossible_weights_are_refused(values):
    with pytest.raises(ValueError, match="Fixed"):
        Fixed(values)


def test_a_wrong_count_is_refused():
    with pytest.raises(ValueError, match="3 weights, but there are 2 members"):
        Fixed([1, 2, 3]).weights(2)


def test_losses_must_be_positive_for_their_inverse():
    with pytest.raises(ValueError, match="softmax_loss"):
        InverseLoss().fit(losses(-1.0, 1.0))


def test_unknown_kinds_name_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'uniform'"):
        resolve("unifrom")
    with pytest.raises(ValueError, match="lacks 'weights'"):
        resolve({"kind": "fixed"})


def test_rules_outside_the_registry_are_not_saved():
    class Own(Uniform):
        pass

    with pytest.raises(ValueError, match="Own is no registered weighting"):
        describe(Own())
