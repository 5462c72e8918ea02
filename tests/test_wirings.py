"""Wirings: equal to ncps's, immutable, hashable, exact about wrong arguments."""

import copy
import itertools
import json
import pickle
import warnings

import jax
import ncps.wirings
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.wirings import NCP, AutoNCP, FullyConnected, Random, Wiring

POLICIES = [(10, 10, 8, 6, 6, 4, 6), (3, 2, 1, 0, 0, 0, 0), (5, 7, 3, 2, 1, 9, 1)]
SAME_ARGUMENTS = [
    *(("FullyConnected", a) for a in itertools.product([1, 5, 32], [None, 1], [1111, 7], [0, 1])),
    *(("Random", a) for a in itertools.product([1, 5, 32], [None, 1], [0.0, 0.3, 0.99], [1111, 7])),
    *(("AutoNCP", a) for a in itertools.product([8, 19, 64], [1, 4], [0.1, 0.5, 1.0], [22222, 3])),
    *(("NCP", (*a, seed)) for a, seed in itertools.product(POLICIES, [22222, 0])),
]
ONE_OF_EACH = [
    Wiring([[0, 1, -1], [1, 0, 0], [0, 0, 1]], output_dim=2),
    Wiring([[0, 0], [1, 0]], [[0, 1], [0, -1], [0, 1]], 1, ["motor", "inter"]),
    FullyConnected(5, 2),
    FullyConnected(5, self_connections=False),
    Random(6, 3, sparsity_level=0.4),
    NCP(5, 4, 3, 2, 2, 3, 2),
    AutoNCP(9, 3, sparsity_level=0.7, seed=5),
]


@pytest.mark.parametrize("inputs", [1, 7])
@pytest.mark.parametrize(("kind", "arguments"), SAME_ARGUMENTS)
def test_equals_ncps(kind, arguments, inputs):
    theirs = getattr(ncps.wirings, kind)(*arguments)
    theirs.build(inputs)
    ours = globals()[kind](*arguments).build(inputs)
    np.testing.assert_array_equal(ours.adjacency_matrix, theirs.adjacency_matrix)
    np.testing.assert_array_equal(ours.sensory_adjacency_matrix, theirs.sensory_adjacency_matrix)
    assert ours.output_dim == theirs.output_dim
    assert ours.synapse_count == theirs.synapse_count
    assert ours.sensory_synapse_count == theirs.sensory_synapse_count
    their_layers = [theirs.get_neurons_of_layer(i) for i in range(theirs.num_layers)]
    assert [list(layer) for layer in ours.layers] == their_layers
    assert list(ours.roles) == [theirs.get_type_of_neuron(i) for i in range(theirs.units)]


def test_golden_rows():
    rows = AutoNCP(8, 2).build(3).sensory_adjacency_matrix.tolist()
    assert rows == [
        [0, 0, 0, 0, -1, 0, 0, -1],
        [0, 0, 0, 0, 0, 1, 1, 0],
        [0, 0, 0, 0, 0, -1, -1, 0],
    ]


@pytest.mark.parametrize("wiring", ONE_OF_EACH, ids=repr)
def test_survives_every_way_of_writing(wiring):
    for one in (wiring, wiring.build(3)):
        again = Wiring.from_dict(json.loads(json.dumps(one.to_dict())))
        for other in (again, pickle.loads(pickle.dumps(one)), copy.deepcopy(one)):
            assert type(other) is type(one)
            assert other == one
            assert hash(other) == hash(one)
            assert other.to_dict() == one.to_dict()
            if one.is_built():
                np.testing.assert_array_equal(other.adjacency_matrix, one.adjacency_matrix)
                np.testing.assert_array_equal(
                    other.sensory_adjacency_matrix, one.sensory_adjacency_matrix
                )


@pytest.mark.parametrize("wiring", ONE_OF_EACH, ids=repr)
def test_never_changes(wiring):
    before = wiring.to_dict()
    built = wiring.build(3)
    assert wiring.to_dict() == before
    assert built.build(3) is built
    with pytest.raises(ValueError, match="built for 3 inputs"):
        built.build(4)
    with pytest.raises(AttributeError, match="never changes"):
        built.units = 3
    with pytest.raises(AttributeError, match="never changes"):
        del built.units
    for matrix in (built.adjacency_matrix, built.sensory_adjacency_matrix):
        with pytest.raises(ValueError, match="read-only"):
            matrix[0, 0] = 1


def test_a_users_matrix_is_copied():
    mine = np.zeros((2, 2), int)
    wiring = Wiring(mine)
    mine[0, 1] = 1
    assert wiring.synapse_count == 0


def test_equality_is_by_content():
    assert AutoNCP(9, 3) == AutoNCP(9, 3)
    assert AutoNCP(9, 3) != AutoNCP(9, 3, seed=1)
    assert AutoNCP(9, 3) != AutoNCP(9, 3).build(2)
    assert Wiring([[0, 1], [0, 0]]) != Wiring([[0, 0], [1, 0]])
    assert len({wiring.build(3) for wiring in ONE_OF_EACH * 2}) == len(ONE_OF_EACH)


def test_is_a_static_argument_of_one_compilation():
    traces = []

    def count(wiring, x):
        traces.append(1)
        return x @ wiring.adjacency_matrix

    compiled = jax.jit(count, static_argnums=0)
    for _ in range(2):
        compiled(AutoNCP(9, 3).build(2), np.ones(9))
    assert len(traces) == 1


def test_every_output_a_motor_neuron_gives_a_fully_connected_wiring():
    with pytest.warns(UserWarning, match=r"AutoNCP\(6, 6\) leaves no inter neurons"):
        wiring = AutoNCP(6, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wiring = wiring.build(2)
    assert wiring.synapse_count == 36
    assert wiring.sensory_synapse_count == 12
    assert wiring.output_dim == 6


def test_an_unbuilt_policy_has_no_synapses_to_show():
    with pytest.raises(ValueError, match=r"call build\(number of inputs\) first"):
        _ = AutoNCP(9, 3).adjacency_matrix


WRONG = [
    (lambda: FullyConnected(0), "`units` must be an integer of at least 1, got 0"),
    (lambda: FullyConnected(2.5), "`units` must be an integer of at least 1, got 2.5"),
    (lambda: FullyConnected(3, 4), r"`output_dim` must be an integer from 1 to 3.*got 4"),
    (lambda: Random(3, sparsity_level=1.0), r"`sparsity_level` must be in \[0, 1\), got 1.0"),
    (lambda: Random(3, sparsity_level=-0.1), r"`sparsity_level` must be in \[0, 1\), got -0.1"),
    (lambda: Random(3, sparsity_level=float("nan")), "got nan"),
    (lambda: NCP(2, 3, 1, 3, 1, 1, 1), r"`sensory_fanout` .* 2 \(inter_neurons\), got 3"),
    (lambda: NCP(2, 3, 1, 1, 4, 1, 1), r"`inter_fanout` .* 3 \(command_neurons\), got 4"),
    (lambda: NCP(2, 3, 1, 1, 1, 1, 4), r"`motor_fanin` .* 3 \(command_neurons\), got 4"),
    (lambda: NCP(2, 0, 1, 1, 1, 1, 1), "`command_neurons` .* got 0"),
    (lambda: AutoNCP(8, 7), "`output_size` must be less than units - 2 = 6, got 7"),
    (lambda: AutoNCP(8, 6), "`output_size` must be less than units - 2 = 6, got 6"),
    (lambda: AutoNCP(8, 9), "`output_size` must be an integer from 1 to 8"),
    (lambda: AutoNCP(8, 2, 0.05), r"`sparsity_level` must be in \[0.1, 1\], got 0.05"),
    (lambda: Wiring([[0, 1]]), "`adjacency_matrix` must be square"),
    (lambda: Wiring([[0, 2], [0, 0]]), "−1, 0 and \\+1 only, got 2"),
    (lambda: Wiring([[0]], [[1, 1]]), r"\(inputs, units\) with units = 1, got \(1, 2\)"),
    (lambda: Wiring([[0]], roles=["sensory"]), "`roles` must be among"),
    (lambda: Wiring(np.eye(2), output_dim=1, roles=["inter", "motor"]), "first output_dim = 1"),
    (lambda: FullyConnected(3).build(0), "`inputs` must be an integer of at least 1, got 0"),
    (lambda: FullyConnected(3).with_synapse(0, 3, 1), r"`target` .* from 0 to 2"),
    (lambda: Wiring.from_dict({"kind": "Autoncp2"}), "`kind` must be one of"),
    (lambda: Wiring.from_dict({"kind": "random", "unit": 3}), "unexpected keyword argument 'unit'"),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_synapses_are_dropped_and_added_in_a_new_wiring():
    wiring = AutoNCP(9, 3).build(2)
    source, target = np.argwhere(wiring.adjacency_matrix)[0]
    fewer = wiring.with_synapse(source, target, 0)
    assert fewer.synapse_count == wiring.synapse_count - 1
    assert fewer.layers == wiring.layers
    assert fewer.with_synapse(source, target, -1).adjacency_matrix[source, target] == -1


@settings(max_examples=25, deadline=None)
@given(
    outputs=st.integers(1, 5),
    extra=st.integers(3, 20),
    sparsity=st.floats(0.1, 1.0),
    inputs=st.integers(1, 6),
)
def test_a_policy_only_goes_forward_and_reaches_everyone(outputs, extra, sparsity, inputs):
    wiring = AutoNCP(outputs + extra, outputs, sparsity).build(inputs)
    inter, command, motor = (list(layer) for layer in wiring.layers)
    inner, sensory = wiring.adjacency_matrix != 0, wiring.sensory_adjacency_matrix != 0
    assert not sensory[:, command + motor].any()
    assert sensory[:, inter].any(axis=0).all()
    assert inner[np.ix_(inter, command)].any(axis=0).all()
    assert inner[np.ix_(command, motor)].any(axis=1).all()
    assert not inner[motor].any()
    assert not inner[:, inter].any()
    assert not inner[np.ix_(inter, motor)].any()


@pytest.mark.parametrize("kind", [lambda: AutoNCP(9, 3), lambda: FullyConnected(4, 2)])
def test_what_was_built_is_remembered_and_counted(kind):
    wiring = kind()
    built = wiring.build(3)
    assert wiring.build(3) is built
    assert not wiring.is_built()
    assert wiring.synapse_count == built.synapse_count
    assert wiring.sensory_synapse_count == built.sensory_synapse_count


def test_counts_of_a_wiring_that_was_built_for_several_sizes_have_no_answer():
    wiring = AutoNCP(9, 3)
    with pytest.raises(ValueError, match=r"call build"):
        _ = wiring.synapse_count
    wiring.build(3)
    wiring.build(4)
    with pytest.raises(ValueError, match=r"call build"):
        _ = wiring.sensory_synapse_count


def test_what_is_remembered_is_no_part_of_the_value():
    fresh, used = AutoNCP(9, 3), AutoNCP(9, 3)
    used.build(3)
    assert fresh == used
    assert hash(fresh) == hash(used)
    assert used.to_dict() == fresh.to_dict()
    again = pickle.loads(pickle.dumps(used))
    with pytest.raises(ValueError, match=r"call build"):
        _ = again.synapse_count
