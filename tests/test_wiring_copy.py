"""Wirings of ncps, taken over as they are."""

import ncps.wirings
import numpy as np
import pytest

from shoal.wiring_copy import copy_wiring, is_wiring
from shoal.wirings import AutoNCP


def test_one_that_was_not_built_is_built_as_ncps_would_and_left_alone():
    theirs, reference = ncps.wirings.AutoNCP(9, 3), ncps.wirings.AutoNCP(9, 3)
    ours = copy_wiring(theirs, 4)
    reference.build(4)
    assert not theirs.is_built()
    np.testing.assert_array_equal(ours.adjacency_matrix, reference.adjacency_matrix)
    np.testing.assert_array_equal(ours.sensory_adjacency_matrix, reference.sensory_adjacency_matrix)
    assert [list(layer) for layer in ours.layers] == [
        reference.get_neurons_of_layer(i) for i in range(3)
    ]


def test_one_built_for_other_inputs_is_refused():
    theirs = ncps.wirings.FullyConnected(4)
    theirs.build(3)
    with pytest.raises(ValueError, match="built for 3 inputs and cannot be built for 5"):
        copy_wiring(theirs, 5)


def test_ours_are_given_back():
    wiring = AutoNCP(9, 3)
    assert copy_wiring(wiring) is wiring
    assert is_wiring(wiring)
    assert is_wiring(ncps.wirings.AutoNCP(9, 3))
    assert not is_wiring(9)
