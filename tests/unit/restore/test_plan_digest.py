"""A document that was changed since it was saved is no plan any more."""

import json

import pytest
from plan_samples import entry_of, full_plan, plan_of

from kbackup.errors import InvalidPlanError
from kbackup.restore import PlanAction, RestorePlan


def _saved(**changes):
    """The document as a file has it."""
    return json.loads(json.dumps(full_plan(**changes).to_json()))


def _leaves(value, path=()):
    """Where each value of a document stands that is no object and no list."""
    if isinstance(value, dict | list):
        keys = value if isinstance(value, dict) else range(len(value))
        for key in keys:
            yield from _leaves(value[key], (*path, key))
    else:
        yield path


def _parent(document, path):
    """The object or list that holds what *path* leads to."""
    for key in path[:-1]:
        document = document[key]
    return document


def _lists(value, path=()):
    """Where each list of a document stands that holds something."""
    if isinstance(value, list) and value:
        yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from _lists(value[key], (*path, key))


PATHS = {".".join(map(str, path)): path for path in _leaves(_saved())}
LISTS = {".".join(map(str, path)): path for path in _lists(_saved())}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_every_value_counts(path):
    """Whatever is taken out of a saved plan, it is no longer the plan that was made."""
    document = _saved()
    del _parent(document, path)[path[-1]]

    with pytest.raises(InvalidPlanError):
        RestorePlan.from_json(document)


@pytest.mark.parametrize("path", LISTS.values(), ids=LISTS)
def test_every_line_counts(path):
    """A plan that lost a line, or has one twice, is refused: it looks whole but is not."""
    shorter, longer = _saved(), _saved()
    _parent(shorter, path)[path[-1]].pop()
    lines = _parent(longer, path)[path[-1]]
    lines.append(lines[-1])

    for document in (shorter, longer):
        with pytest.raises(InvalidPlanError, match="changed after it was saved") as got:
            RestorePlan.from_json(document)

        assert "plan again" in got.value.hint
        assert "--include-resources" in got.value.hint


def test_the_order_of_lines_counts():
    """Lines that changed places are another plan: they are written in their order."""
    document = _saved()
    document["entries"].reverse()

    with pytest.raises(InvalidPlanError, match="changed after it was saved"):
        RestorePlan.from_json(document)


def test_what_is_added_counts():
    """A key that was put in is a change, also where this version would ignore it."""
    document = {**_saved(), "entries_wanted": ["secrets/shop/tls"]}

    with pytest.raises(InvalidPlanError, match="changed after it was saved"):
        RestorePlan.from_json(document)


def test_layout_does_not_count():
    """A file that a tool laid out anew, its keys in another order, is the same plan."""
    for text in (
        json.dumps(_saved(), sort_keys=True, indent=4),
        json.dumps(_saved(), ensure_ascii=False, separators=(",", ":")).encode(),
    ):
        assert RestorePlan.from_json(text) == full_plan()


@pytest.mark.parametrize("digest", [None, 7, "", "sha256:12", "ab" * 32])
def test_a_plan_needs_its_digest(digest):
    """Without a digest nobody can tell whether a plan is the one that was saved."""
    document = {**_saved(), "digest": digest}
    if digest is None:
        del document["digest"]

    with pytest.raises(InvalidPlanError, match="digest"):
        RestorePlan.from_json(document)


def test_equal_plans_have_one_digest():
    """The digest depends on nothing but what the plan says."""
    assert _saved()["digest"] == _saved()["digest"]
    assert _saved()["digest"] != _saved(notices=())["digest"]


@pytest.mark.parametrize("value", [{1: 2}, {"a": ...}, [...]], ids=str)
def test_a_parsed_document_of_other_values_is_no_plan(value):
    """What JSON cannot say is refused by the one error, not by a TypeError."""
    document = {**_saved(), "later": value}

    with pytest.raises(InvalidPlanError, match="it is no JSON"):
        RestorePlan.from_json(document)


def test_a_document_without_an_end_is_no_plan():
    """Values that are nested for ever are refused, whoever made them."""
    endless = {}
    endless["more"] = endless
    document = {**_saved(), "later": endless}

    with pytest.raises(InvalidPlanError, match="it is no JSON"):
        RestorePlan.from_json(document)


def test_an_odd_text_does_not_keep_a_plan_from_being_printed():
    """A plugin's reason that is no Unicode is in the document as it is."""
    odd = entry_of(
        PlanAction.CREATE,
        digest="ab" * 32,
        api_version="v1",
        kind="Secret",
        reason="\ud800",
    )

    document = plan_of(odd).to_json()

    assert document["entries"][0]["reason"] == "\ud800"
    assert json.loads(json.dumps(document)) == document
