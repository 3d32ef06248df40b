"""The error tree in the code, in its docstring and in the documentation is one."""

import inspect
import re
import traceback
from pathlib import Path

import pytest

from kbackup import errors

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "errors.md"
CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, errors.KBackupError)
}
DRAWN = re.compile(
    r"(?P<inner>│   └)?(?P<branch>── )?(?P<name>\b\w+Error\b)(?P<marks>\*?( \([\w, ]+\))*)"
)
EXIT_CODE = re.compile(r"\((\d+)\)")


def drawn(text):
    """Return what a drawing of the tree says: name to (parent, marks of the name).

    A branch is drawn for each error below the root; those below it stand beside it, or
    have a branch of its own for what is below them.
    """
    root, outer, branch, found = None, None, None, {}
    for match in DRAWN.finditer(text[text.index("KBackupError ") :]):
        name, parent = match["name"], branch
        if match["branch"]:
            parent = outer if match["inner"] else root
            outer, branch = (outer if match["inner"] else name), name
        found[name] = (parent, match["marks"])
        root = root or name
    return found


TREE = drawn(errors.__doc__)


def test_every_class_is_drawn():
    """The docstring draws every error class, each below its base class."""
    expected = {name: cls.__base__.__name__ for name, cls in CLASSES.items()}
    expected["KBackupError"] = None

    assert {name: parent for name, (parent, _) in TREE.items()} == expected


def test_documentation_has_the_same_tree():
    """The reference page draws the tree of the code."""
    assert drawn(PAGE.read_text().split("```")[1]) == TREE


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_class_says_when(name):
    """Every error class says when it is raised."""
    assert inspect.getdoc(CLASSES[name])


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_drawing_says_what_is_retryable(name):
    """The drawing marks exactly the errors that may pass by themselves."""
    assert ("*" in TREE[name][1]) == CLASSES[name].retryable


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_drawing_says_what_it_ends_with(name):
    """The drawing gives the exit code of exactly the errors that have one of their own."""
    own = vars(CLASSES[name]).get("exit_code") if name != "KBackupError" else None

    assert EXIT_CODE.findall(TREE[name][1]) == ([] if own is None else [str(own)])


def test_cluster_error_names_verb_thing_and_reason():
    """A message of the API server's errors says what was tried on what, and why not."""
    error = errors.ForbiddenError(
        "list", "secrets", "shop", "not allowed", status=403, hint="ask"
    )

    assert str(error) == "cannot list secrets shop: forbidden: not allowed"
    assert (error.status, error.hint, error.retryable) == (403, "ask", False)


@pytest.mark.parametrize(
    ("hint", "told"),
    [
        ("", "plan again, and look at the new plan"),
        ("install it", "install it, or plan again, and look at the new plan"),
    ],
)
def test_an_outdated_plan_is_answered_by_a_new_one(hint, told):
    """Whatever else helps, the way out is told each time."""
    assert errors.PlanOutdatedError("the archive is another", hint=hint).hint == told


def test_traceback_shows_the_hint():
    """Whoever sees only a traceback, as in a notebook, reads what to do as well."""
    error = errors.InvalidSpecError(
        ["no namespace webshpo"], hint="the nearest is webshop"
    )
    error.add_note("from elsewhere")

    error.hint = "it has webshop"

    shown = "".join(traceback.format_exception(error))
    assert "no namespace webshpo\n" in shown
    assert "it has webshop\n" in shown
    assert "from elsewhere\n" in shown
    assert "the nearest" not in shown
    assert not hasattr(errors.InvalidSpecError(["x"]), "__notes__")


def test_violations_are_kept_apart():
    """An invalid specification keeps each broken rule for itself."""
    error = errors.InvalidSpecError(["one", "two"])

    assert error.violations == ("one", "two")
    assert error.exit_code == 2


def test_errors_of_stores_name_the_location():
    """The location stands behind the key, once; who knows it reads the rest."""
    error = errors.StoreAccessError("backups/b/x", "no", hint="ask")

    bare = str(error)
    error.at("s3://bucket", "http://minio:9000").at("s3://other")

    assert bare == error.without_location == "backups/b/x: access refused: no"
    assert str(error) == (
        "backups/b/x in s3://bucket at http://minio:9000: access refused: no"
    )
    assert str(errors.StoreError("").at("file:///a")) == "file:///a: the store failed"
    assert errors.ConfigError("no").without_location == "no"
