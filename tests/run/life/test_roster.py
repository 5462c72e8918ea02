"""Who is asked for, in the members' own numbers."""

import numpy as np
import pytest

from shoal.run.errors import Refused
from shoal.run.life.roster import Roster, roster_of


def test_numbers_become_places():
    assert roster_of([0, 2, 5], replace="5", retrain="0,2") == Roster(3, 0, (2,), (0, 1))
    assert roster_of([0, 2, 5], add=2, retrain=True) == Roster(3, 2, (), (0, 1, 2))
    assert roster_of([0, 2, 5], replace=[0], retrain="all") == Roster(3, 0, (0,), (1, 2))
    assert not roster_of([0]).trains


def test_the_worst_is_the_one_of_the_largest_loss_and_does_not_train_on():
    roster = roster_of([0, 1, 2], replace="worst", retrain="all")
    assert roster.newcomers == 1
    assert roster.settled(np.array([1.0, 3.0, 2.0])) == Roster(3, 0, (1,), (0, 2))
    assert roster.settled(np.array([1.0, 3.0, np.nan])).replaced == (2,)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"add": 0}, "add: must be a whole number from 1, found 0"),
        ({"add": 1.5}, "add: must be a whole number from 1, found 1.5"),
        ({"replace": "7"}, "replace: there is no member '7'; name worst, or of 0, 2"),
        ({"replace": "wurst"}, "replace: there is no member 'wurst'"),
        ({"retrain": [1]}, "retrain: there is no member '1'; name all, or of 0, 2"),
        ({"retrain": "-1"}, "retrain: there is no member '-1'"),
        ({"replace": "2,2"}, "replace: member 2 is named twice"),
        ({"replace": "2", "retrain": "2"}, "retrain: member 2 is to be replaced"),
    ],
)
def test_what_cannot_be_is_refused(asked, message):
    with pytest.raises(Refused, match=message):
        roster_of([0, 2], **asked)
