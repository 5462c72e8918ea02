"""What each rule says, and what it refuses."""

import numpy as np
import pytest

import shoal.weighting as weighting
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
    with pytest.raises(ValueError, match="weights of 'fixed' must be finite"):
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


# rules that learn from predictions

RNG = np.random.default_rng(0)
ROWS = 200
TRUTH = RNG.normal(size=(ROWS, 1))
NOISY = TRUTH + RNG.normal(size=(4, ROWS, 1)) * np.array([0.3, 0.6, 0.9, 3.0])[:, None, None]


def seen(predictions=NOISY, y=TRUTH, **more):
    return Evidence(np.ones(len(predictions)), predictions, y, **more)


def loss(weights, predictions=NOISY, y=TRUTH):
    return ((np.tensordot(weights, predictions, 1) - y) ** 2).mean()


def test_learned_weights_start_uniform_and_lower_the_loss():
    held = weighting.Learned(strength=1e6).fit(seen()).weights(4)
    np.testing.assert_allclose(held, 0.25, atol=1e-3)
    found = weighting.Learned(strength=0.0).fit(seen()).weights(4)
    assert loss(found) < loss(np.full(4, 0.25))
    errors = NOISY[..., 0] - TRUTH[:, 0]
    # least squares on the simplex, by brute force over its corners' neighbourhood
    tried = RNG.dirichlet(np.full(4, 0.5), 20000)
    best = (np.einsum("wi,ij,wj->w", tried, errors @ errors.T / ROWS, tried)).min()
    assert loss(found) <= best + 1e-4


def test_stacking_is_least_squares_and_scikit_learn_s():
    from sklearn.linear_model import LinearRegression

    columns = NOISY[..., 0].T
    peer = LinearRegression().fit(columns, TRUTH[:, 0])
    ours = weighting.Stacking("linear", ridge=0.0).fit(seen())
    np.testing.assert_allclose(ours.weights(4), peer.coef_, rtol=1e-6)
    np.testing.assert_allclose(ours.intercept, peer.intercept_, atol=1e-9)
    peer = LinearRegression(positive=True, fit_intercept=False).fit(columns, TRUTH[:, 0])
    ours = weighting.Stacking(ridge=0.0).fit(seen())
    np.testing.assert_allclose(ours.weights(4), peer.coef_, atol=1e-6)


def test_a_strong_ridge_is_averaging():
    found = weighting.Stacking("linear", ridge=1e6).fit(seen())
    np.testing.assert_allclose(found.weights(4), 0.25, atol=1e-4)


def test_stacked_members_cannot_be_taken_apart():
    with pytest.raises(ValueError, match="fit the weighting again"):
        weighting.Stacking().fit(seen()).select([0, 1])


def test_greedy_keeps_the_best_prefix():
    rule = weighting.Greedy(rounds=30).fit(seen())
    alone = [loss(np.eye(4)[i]) for i in range(4)]
    assert loss(rule.weights(4)) <= min(alone)
    assert rule.weights(4)[3] < 0.1  # the worst
    assert weighting.Greedy(rounds=1, bags=3).fit(seen()).weights(4).sum() == pytest.approx(1.0)


def test_pruning_keeps_the_score_with_as_few_as_can_be():
    rule = weighting.Pruned().fit(seen())
    subsets = [np.array(k, bool) for k in np.ndindex(2, 2, 2, 2) if any(k)]
    best = min(loss(k / k.sum()) for k in subsets)
    assert loss(rule.weights(4)) == pytest.approx(best)  # backward elimination finds it here
    fewer = weighting.Pruned(tolerance=10.0).fit(seen())
    assert sum(fewer.kept) == 1


def test_time_tables_learn_who_is_good_after_which_gap():
    timespans = RNG.choice([1.0, 20.0], (ROWS, 1))
    short, far = timespans < 5, timespans >= 5
    predictions = np.stack([TRUTH + 2 * far, TRUTH + 2 * short])
    rule = weighting.TimeTable((5.0,), temperature=0.1)
    rule = rule.fit(seen(predictions, timespans=timespans))
    w = rule.weights(2, timespans=timespans)
    np.testing.assert_allclose(w, np.stack([short[:, 0], far[:, 0]]), atol=1e-6)
    batch = weighting.TimeTable((5.0,), per_batch=True, table=((1, 0), (0, 1)))
    w = batch.weights(2, timespans=np.array([[1.0], [20.0]]))
    np.testing.assert_array_equal(w, [[0, 0], [1, 1]])  # their mean is far


def test_a_pair_switches_hard_or_smoothly():
    timespans = np.array([[0.0], [10.0], [30.0]])
    hard = weighting.Pair(10.0).weights(2, timespans=timespans)
    smooth = weighting.Pair(10.0, width=5.0).weights(2, timespans=timespans)
    np.testing.assert_array_equal(hard[1], [0, 1, 1])
    np.testing.assert_allclose(smooth[1], 1 / (1 + np.exp(-(timespans[:, 0] - 10) / 5)))
    with pytest.raises(ValueError, match="for two members"):
        weighting.Pair().weights(3, timespans=timespans)
    with pytest.raises(ValueError, match="give `timespans`"):
        weighting.Pair().weights(2)


def test_local_competence_selects_who_is_good_nearby():
    x = RNG.uniform(-1, 1, (ROWS, 2))
    right = x[:, :1] > 0
    predictions = np.stack([TRUTH + 2 * ~right, TRUTH + 2 * right])
    rule = weighting.Local(neighbours=5, temperature=0.05).fit(seen(predictions, x=x))
    w = rule.weights(2, np.array([[0.8, 0.0], [-0.8, 0.0]]))
    np.testing.assert_allclose(w, np.eye(2), atol=1e-6)


def test_confidence_is_voting_s():
    from shoal.equations.outputs import Categorical
    from shoal.equations.voting import confidence, soft_vote

    logits = RNG.normal(size=(3, 5, 4))
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    w = weighting.Confidence().weights(3, outputs=Categorical(logits))
    expected = soft_vote(np, p, confidence(np, p))
    np.testing.assert_allclose(np.einsum("mb,mbc->bc", w, p), expected.probabilities)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: weighting.TimeTable(()), "ascending and at least 0"),
        (lambda: weighting.TimeTable((1.0,), table=((1, 0),)), "must have 2 rows"),
        (lambda: weighting.Pair(-1.0), "at least 0, got -1"),
        (lambda: weighting.Stacking("forest"), "must be one of linear, non_negative"),
        (lambda: weighting.Greedy(rounds=0), "at least 1, got 0"),
        (lambda: weighting.Pooled([1, -1]), "at least 0 and not all 0"),
        (lambda: weighting.Pooled([1.0], "mode"), "must be one of mixture"),
        (lambda: weighting.Local(0), "at least 1, got 0"),
        (lambda: weighting.Confidence("loudness"), "must be one of probability"),
        (lambda: weighting.Learned().fit(Evidence(np.ones(2))), "give Evidence"),
        (lambda: weighting.Learned().weights(2), "no validation losses yet"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# weights that depend on elapsed time, and functions that select

ELAPSED = RNG.exponential(5.0, (ROWS, 3))
LAST = ELAPSED[:, -1:]
DRIFTING = np.stack(
    [
        TRUTH + RNG.normal(size=TRUTH.shape) * (0.1 + LAST / 5),
        TRUTH + RNG.normal(size=TRUTH.shape) * (0.1 + 5 / (1 + LAST)),
        TRUTH + RNG.normal(size=TRUTH.shape) * 2.0,
    ]
)


def test_curves_learn_who_is_good_after_which_gap():
    given = seen(DRIFTING, timespans=ELAPSED)
    curve = weighting.TimeCurve().fit(given)
    w = curve.weights(3, timespans=np.array([[9.0, 0.1], [9.0, 30.0]]))
    assert w[0, 0] > 0.7
    assert w[1, 1] > 0.7
    # between what is best without elapsed time, and the weights of least variance at every moment
    spread = [(0.1 + LAST / 5) ** 2, (0.1 + 5 / (1 + LAST)) ** 2, np.full_like(LAST, 4.0)]
    ideal = 1 / np.stack(spread)[..., 0]
    constant = weighting.Learned(strength=0.0).fit(given).weights(3)
    bounds = [ideal / ideal.sum(0), curve.weights(3, timespans=ELAPSED), constant]
    found = [
        ((w[..., None] * DRIFTING if w.ndim > 1 else w[:, None, None] * DRIFTING).sum(0) - TRUTH)
        for w in bounds
    ]
    ideal, ours, constant = (float((error**2).mean()) for error in found)
    assert ours < 1.5 * ideal
    assert ours < 0.6 * constant


def test_curves_without_elapsed_time_in_them_are_learned_weights():
    given = seen(timespans=RNG.exponential(5.0, (ROWS, 3)))
    w = weighting.TimeCurve(strength=0.3).fit(given).weights(4, timespans=given.timespans)
    constant = weighting.Learned(strength=0.3).fit(given).weights(4)
    np.testing.assert_allclose(w.mean(1), constant, atol=0.1)
    strong = weighting.TimeCurve(strength=1e6).fit(given)
    np.testing.assert_allclose(strong.weights(4, timespans=given.timespans), 0.25, atol=1e-3)
    same = given._replace(timespans=np.ones((ROWS, 3)))  # one elapsed time alone: one knot
    found = weighting.TimeCurve().fit(same).weights(4, timespans=np.array([[1.0], [7.0]]))
    np.testing.assert_array_equal(found[:, 0], found[:, 1])


def test_curves_by_the_batch_or_by_the_sample_continue_level():
    curve = weighting.TimeCurve(of="sum").fit(seen(DRIFTING, timespans=ELAPSED))
    w = curve.weights(3, timespans=np.array([[0.0], [1.0], [1e3], [1e6]]))
    assert np.abs(w[:, 0] - w[:, 1]).max() > 0
    np.testing.assert_allclose(w[:, 2], w[:, 3])
    whole = weighting.TimeCurve(**{**curve.__dict__, "per_batch": True})
    asked = np.array([[1.0], [9.0]])
    found = whole.weights(3, timespans=asked)
    np.testing.assert_allclose(found, curve.weights(3, timespans=np.array([[5.0], [5.0]])))


CHOSEN = {
    "one each": (lambda x, t: np.array([2, 0]), [[0, 1], [0, 0], [1, 0]]),
    "two each": (lambda x, t: np.array([[0, 1], [2, 0]]), [[0.5, 0.5], [0.5, 0], [0, 0.5]]),
    "mask": (lambda x, t: t > 1, [[0.5, 0], [0.5, 0], [0, 1]]),
    "mask of all": (lambda x, t: np.array([True, False, True]), [0.5, 0, 0.5]),
    "weights": (lambda x, t: t, [[0.5, 0.25], [0.5, 0.25], [0, 0.5]]),
    "weights of all": (lambda x, t: [1.0, 3.0, 0.0], [0.25, 0.75, 0]),
}
ASKED = np.zeros((2, 3, 1)), np.array([[2.0, 2.0, 0.0], [1.0, 1.0, 2.0]])


@pytest.mark.parametrize("form", CHOSEN)
def test_functions_select_by_numbers_masks_and_weights(form):
    function, expected = CHOSEN[form]
    np.testing.assert_allclose(resolve(function).weights(3, *ASKED), expected)


def test_selected_members_keep_what_a_function_says_of_them():
    numbers = weighting.Selector(lambda x, t: np.array([[0, 1], [2, 1]])).select([2, 1])
    np.testing.assert_allclose(numbers.weights(2, *ASKED), [[0, 0.5], [1, 0.5]])
    whole = weighting.Selector(lambda x, t: t + 1.0).select([1, 2]).select([1])
    np.testing.assert_allclose(whole.weights(1, *ASKED), [[1, 1]])


def test_a_collective_asks_the_function_what_it_was_asked():
    import shoal

    crowd = shoal.Collective.of(
        [lambda x, t: x + 0.0, lambda x, t: x + 1.0], lambda x, timespans: (x[:, 0] > 5).astype(int)
    )
    assert crowd.predict(np.array([[1.0], [9.0]])).mean.tolist() == [[1.0], [10.0]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: weighting.TimeCurve(knots=1), "`knots` must be at least 2, got 1"),
        (lambda: weighting.TimeCurve().fit(seen()), "give `timespans`"),
        (lambda: weighting.TimeCurve(of="first"), "`of` must be one of last"),
        (lambda: weighting.Selector(3), "takes a function"),
        (lambda: resolve("selector"), "use 'local'"),
        (lambda: describe(resolve(lambda x, t: 0)), "cannot be saved; use 'local'"),
        (lambda: resolve(lambda x, t: [0, 3]).weights(3, *ASKED), "names members 0 to 3"),
        (lambda: resolve(lambda x, t: t > 5).weights(3, *ASKED), "nobody is chosen for sample 0"),
        (lambda: resolve(lambda x, t: -t).weights(3, *ASKED), "finite and at least 0"),
        (lambda: resolve(lambda x, t: t).weights(2, *ASKED), "for 3 members, but there are 2"),
    ],
)
def test_what_curves_and_functions_cannot_do_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
