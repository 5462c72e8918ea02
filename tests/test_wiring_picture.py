"""A wiring's graph and picture."""

import xml.etree.ElementTree as ElementTree

import matplotlib
import matplotlib.colors
import matplotlib.figure
import ncps.wirings
import networkx
import numpy as np
import pytest
from matplotlib.patches import Ellipse, FancyArrowPatch

from shoal.wiring_picture import COLOURS, EXCITATORY, INHIBITORY, graph, places, write
from shoal.wirings import AutoNCP, FullyConnected

matplotlib.use("Agg")
WIRING = AutoNCP(12, 2).build(3)


def test_the_graph_is_that_of_ncps():
    theirs = ncps.wirings.AutoNCP(12, 2)
    theirs.build(3)
    ours = WIRING.to_networkx()
    assert isinstance(ours, networkx.DiGraph)
    assert dict(ours.nodes(data=True)) == dict(theirs.get_graph().nodes(data=True))
    edges = {(a, b): sign for a, b, sign in ours.edges(data="polarity")}
    assert edges == {(a, b): sign for a, b, sign in theirs.get_graph().edges(data="polarity")}
    assert WIRING.to_networkx(include_sensory=False).number_of_edges() == WIRING.synapse_count


def test_layers_stand_in_the_order_of_a_signal():
    drawn = graph(WIRING)
    found = places(drawn)
    column = {
        kind: {found[n][0] for n, k in drawn.nodes(data="neuron_type") if k == kind}
        for kind in COLOURS
    }
    assert [column[kind] for kind in COLOURS] == [{0.0}, {1.0}, {2.0}, {3.0}]
    assert len(set(found.values())) == len(found)


def draw(wiring):
    return wiring.draw(matplotlib.figure.Figure().subplots())


def test_every_neuron_has_the_colour_of_its_layer():
    hues = [matplotlib.colors.to_rgb(COLOURS[kind]) for kind in COLOURS]
    blue, green, orange, red = hues
    assert blue[2] == max(blue)
    assert green[1] == max(green)
    assert red[0] == max(red)
    assert orange[0] > orange[1] > orange[2]
    drawn = draw(WIRING).collections
    counts = [3, 6, 4, 2]  # sensory, inter, command, motor
    for marks, count, colour in zip(drawn, counts, hues, strict=True):
        assert len(marks.get_offsets()) == count
        np.testing.assert_allclose(marks.get_facecolor()[0][:3], colour)


def test_signs_are_told_apart_with_and_without_colour():
    lines = [p for p in draw(WIRING).patches if isinstance(p, (FancyArrowPatch, Ellipse))]
    colours = [matplotlib.colors.to_hex(line.get_edgecolor()) for line in lines]
    solid = [line.get_linestyle() in ("-", "solid") for line in lines]
    matrices = WIRING.adjacency_matrix, WIRING.sensory_adjacency_matrix
    assert colours.count(EXCITATORY) == sum((m > 0).sum() for m in matrices)
    assert colours.count(INHIBITORY) == sum((m < 0).sum() for m in matrices)
    assert solid == [colour == EXCITATORY for colour in colours]


def test_a_neuron_that_speaks_to_itself_has_a_loop():
    loops = [p for p in draw(FullyConnected(4).build(1)).patches if isinstance(p, Ellipse)]
    assert len(loops) == 4


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_writes(tmp_path, suffix):
    path = write(WIRING, tmp_path / f"wiring.{suffix}")
    start = path.read_bytes()
    if suffix == "svg":
        assert ElementTree.fromstring(start).tag.endswith("svg")
    else:
        assert start.startswith({"png": b"\x89PNG", "pdf": b"%PDF"}[suffix])


def test_refuses(tmp_path):
    with pytest.raises(ValueError, match=r"`path` must end in one of \.svg, \.png"):
        write(WIRING, tmp_path / "wiring.docx")
    with pytest.raises(ValueError, match="no inputs yet"):
        write(AutoNCP(12, 2), tmp_path / "wiring.svg")
