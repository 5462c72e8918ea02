"""YAML with places, and what a file may not hold."""

import pytest

from shoal.run.errors import Refused
from shoal.run.reading import parse, read, scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("010", 10),
        ("1e-3", 0.001),
        (".5", 0.5),
        ("-2.", -2.0),
        ("yes", "yes"),
        ("off", "off"),
        ("True", True),
        ("~", None),
        ("2001-01-02", "2001-01-02"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
    ],
)
def test_plain_scalars_follow_yaml_1_2(text, value):
    found = scalar(text)
    assert found == value
    assert type(found) is type(value)


def test_quoted_scalars_stay_text():
    assert parse("a: '3'\nb: \"true\"").data == {"a": "3", "b": "true"}


def test_places_reach_into_lists_and_flow_mappings():
    document = parse("a:\n  b: [1,\n     2]\nc: {d: 3}\n", "f.yaml")
    assert document.place(("a", "b", 1)) == "f.yaml:3"
    assert document.place(("c", "d")) == "f.yaml:4"
    assert document.place(("c", "missing")) == "f.yaml:4"
    assert document.place(("nothing",)) == "f.yaml"


REFUSED = {
    "empty": ("", "is empty"),
    "comments only": ("# nothing\n", "is empty"),
    "list": ("- a\n- b\n", "must be a mapping"),
    "scalar": ("hello\n", "must be a mapping"),
    "duplicate": ("a: 1\nb: 2\na: 3\n", "f.yaml:3: a: stands here a second time (first at line 1)"),
    "nested duplicate": ("s:\n  a: 1\n  a: 2\n", "f.yaml:3: s.a: stands here a second time"),
    "tab": ("a:\n\tb: 1\n", "f.yaml:2: a tab"),
    "bracket": ("a: [1, 2\nb: 3\n", "f.yaml:2: is no YAML"),
    "quote": ("a: 'x\n", "is no YAML"),
    "python tag": ("a: !!python/object/apply:os.system [ls]\n", "f.yaml:1: a: the tag"),
    "own tag": ("a: !thing 3\n", "the tag !thing is not allowed"),
    "alias": ("a: &x 1\nb: *x\n", "f.yaml:2: b: an alias"),
    "merge key": ("a: {<<: {b: 1}}\n", "must be a plain word"),
    "two documents": ("a: 1\n---\nb: 2\n", "f.yaml:2: a second document"),
    "list as key": ("[a, b]: 1\n", "must be a plain word"),
    "control character": ("a: \x00\n", "is no YAML"),
    "deep": ("a: " + "[" * 5000, "nested too deeply"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_line_and_remedy(name):
    text, message = REFUSED[name]
    with pytest.raises(Refused) as caught:
        parse(text, "f.yaml")
    assert message in str(caught.value)


def test_a_table_in_place_of_a_configuration_is_not_repeated_whole():
    with pytest.raises(Refused, match="must be a mapping of sections") as caught:
        parse("t,x\n" + "1,2\n" * 10_000, "a.csv")
    assert len(str(caught.value)) < 250


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 1\n")
    with pytest.raises(Refused, match=r"there is no such file; did you mean `.*config\.yaml`"):
        read(tmp_path / "confg.yaml")
    with pytest.raises(Refused, match="is a folder"):
        read(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\xe8\n")
    with pytest.raises(Refused, match="save it as UTF-8"):
        read(tmp_path / "latin.yaml")
