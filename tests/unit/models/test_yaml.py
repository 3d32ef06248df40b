"""The one YAML loader and the one dumper."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kbackup.errors import CodecError
from kbackup.models import (
    Backup,
    dump_yaml,
    load_all_yaml,
    load_objects,
    load_yaml,
)

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(deadline=None)
@given(ANYTHING)
@example({"a": "yes", "on": "1e3", "n": "012", "t": "2024-05-01", "z": "22:22"})
@example(["", "null", "~", "-", "=", "<<", ".5", "0o7", "1_0", " x", "x ", "\n x\n\n"])
@example(
    ["# no", "a: b", "- a", "\ufeff", "\x85", "\u2028", "\x7f", "\U0001f600", "\t"]
)
@example({"": {"~": [[], {}]}})
def test_what_was_dumped_loads_equal(value):
    """Whatever JSON can hold comes back from YAML as it was."""
    assert load_yaml(dump_yaml(value)) == value


@pytest.mark.parametrize(
    "word", ["1e3", "12e4567", "yes", "No", "on", "y", "0x1f", "07"]
)
def test_what_another_reader_takes_for_something_else_is_quoted(word):
    """Unless it is quoted, kubectl reads 12e4567 as a number and yes as true."""
    assert dump_yaml({"value": word}) in {f'value: "{word}"\n', f"value: '{word}'\n"}


def test_lines_of_text_stay_lines():
    """A certificate or a script can be read in what is shown."""
    assert dump_yaml({"run": "set -e\necho\n"}) == "run: |\n  set -e\n  echo\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("Off", "Off"),
        ("true", True),
        ("FALSE", False),
        ("2024-05-01", "2024-05-01"),
        ("2024-05-01T02:00:00Z", "2024-05-01T02:00:00Z"),
        ("22:22", "22:22"),
        ("0644", 420),
        ("0o17", 15),
        ("-0x10", -16),
        ("1_000", 1000),
        ("+7", 7),
        ("089", "089"),
        ("1.50", 1.5),
        ("1.5e3", 1500.0),
        ("1e3", "1e3"),
        (".nan", ".nan"),
        ("~", None),
        ("Null", None),
        ("", None),
        ("!!str 5", "5"),
        ("!!int '5'", 5),
        ("!!float '5'", 5.0),
        ("!!bool 'true'", True),
        ("!!null ''", None),
        ("{1: a, true: b}", {"1": "a", "true": "b"}),
        ("{a: &x {b: 1, c: 2}, d: {<<: *x, c: 3}}", None),
        ('{"a": ["b", {"c": null}]}', {"a": ["b", {"c": None}]}),
    ],
)
def test_a_scalar_is_what_json_would_say(text, value):
    """Times, words of YAML 1.1 and numbers to the base of 60 are text."""
    loaded = load_yaml(text)

    if "<<" in text:
        value = {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}
    assert loaded == value
    assert type(loaded) is type(value)


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", 'line 3, column 1: expected each key once, got "a" twice'),
        ("x: {true: 1, 'true': 2}", 'expected each key once, got "true" twice'),
        ("[" * 200, "line 1, column 100: expected at most 100 levels, got more"),
        ("- " * 300 + "a", "expected at most 100 levels, got more"),
        (LAUGHS, "expected at most 1,000,000 values, got more"),
        ("a: &a [*a]", "expected an alias of what ended before, got none"),
        ("a: *b", "expected an alias of what ended before, got none"),
        ("!!binary aGk=", "expected no tag beyond JSON's"),
        ("!!python/object:os.system x", "expected no tag beyond JSON's"),
        ("!!timestamp 2024-05-01", "expected no tag beyond JSON's"),
        ("!!set {a}", "expected no tag beyond JSON's"),
        ("!!int x", 'expected an integer, got "x"'),
        ("!!float x", 'expected a number, got "x"'),
        ("!!bool yes", 'expected true or false, got "yes"'),
        ("!!null x", 'expected null, got "x"'),
        ("!!map x", "expected an object, got something else"),
        ("{[a]: b}", "expected a text as key, got something else"),
        ("{~: b}", "expected a text as key, got something else"),
        ("{<<: {[a]: b}}", "expected a text as key, got something else"),
        ("a: b: c", "line 1, column 5: expected YAML, got none: mapping values"),
        ("a: \x00", "expected YAML, got none"),
        ("a: 1\n---\nb: 2", "expected one YAML document, got 2"),
    ],
)
def test_what_json_could_not_say_is_refused(text, message):
    """Doubled keys, foreign tags, loops and explosions end in an error with a place."""
    with pytest.raises(CodecError) as caught:
        load_yaml(text)

    assert message in str(caught.value)


def test_no_document_is_none():
    """An empty file says nothing."""
    assert load_yaml("") is None
    assert load_objects("---\n---\n", Backup) == []
    assert load_all_yaml("---\n---\n") == []


def test_documents_of_a_stream_come_in_order():
    """Several documents are read from one text, empty ones left out."""
    assert load_all_yaml("a: 1\n---\n---\n- b\n---\nc") == [{"a": 1}, ["b"], "c"]


def test_objects_come_from_streams_and_from_lists():
    """What kubectl prints for several objects, and files with several, are read alike."""
    one = "{kind: Backup, apiVersion: velero.io/v1, metadata: {name: %s}}"
    stream = "\n---\n".join(one % name for name in ("a", "b"))
    listed = f"{{kind: List, apiVersion: v1, items: [{one % 'a'}, {one % 'b'}]}}"

    for text in (stream, listed, listed.replace("List", "BackupList")):
        assert [backup.name for backup in load_objects(text, Backup)] == ["a", "b"]


def test_a_list_without_items_is_refused():
    """A list object has a list."""
    with pytest.raises(CodecError, match="items: expected a list, got null"):
        load_objects("{kind: List}", Backup)


def test_shared_parts_are_written_out():
    """No reader has to know anchors to read what was dumped."""
    shared = {"b": 1}

    assert dump_yaml({"v": shared, "w": shared}) == "v:\n  b: 1\nw:\n  b: 1\n"


def test_what_is_nested_too_deeply_is_refused():
    """It is an error with a sentence, not a stack that ran out."""
    value = {}
    for _ in range(2000):
        value = {"a": value}

    with pytest.raises(CodecError, match="nested too deeply"):
        dump_yaml(value)
