"""Half a surrogate pair in what a caller gives is told by its place, and never raised."""

import gzip
import logging

import pytest

from kbackup._kits.log_capture import LogCapture
from kbackup._kits.texts import text_violations
from kbackup.models import (
    BackupHooks,
    BackupOptions,
    BackupResourceHook,
    BackupResourceHookSpec,
    BackupSpec,
    ExecHook,
    RestoreOptions,
    RestoreSpec,
    validate_backup_options,
    validate_backup_spec,
    validate_restore_spec,
)

HALF = "\ud800"
HOOK = BackupResourceHookSpec(
    name="a", pre=[BackupResourceHook(exec=ExecHook(command=["echo", HALF]))]
)


@pytest.mark.parametrize(
    ("broken", "place"),
    [
        (
            validate_backup_spec(
                BackupSpec(ordered_resources={"pods": f"shop/{HALF}"})
            ),
            "ordered_resources['pods']",
        ),
        (
            validate_backup_spec(BackupSpec(ordered_resources={HALF: "shop/a"})),
            "ordered_resources",
        ),
        (
            validate_backup_spec(BackupSpec(hooks=BackupHooks(resources=[HOOK]))),
            "hooks.resources.pre.exec.command",
        ),
        (validate_backup_spec(BackupSpec(storage_location=HALF)), "storage_location"),
        (
            validate_backup_options(BackupOptions(annotations={"a": HALF})),
            "annotations['a']",
        ),
        (
            validate_restore_spec(
                RestoreSpec(backup_name="b", included_resources=[HALF])
            ),
            "included_resources",
        ),
        (text_violations(RestoreOptions(expect_cluster=HALF)), "expect_cluster"),
    ],
)
def test_the_place_is_named(broken, place):
    """The rule that is broken names the field and shows what it holds."""
    (told,) = broken
    assert told.startswith(f"{place}: ")
    assert "ud800" in told
    assert "half a surrogate pair" in told
    told.encode()


def test_what_breaks_a_rule_of_its_own_is_told_once():
    """A namespace that could be none is not named for its encoding as well."""
    (told,) = validate_backup_spec(BackupSpec(included_namespaces=[HALF]))

    assert "not a namespace's name" in told


def test_whole_pairs_and_functions_are_left_alone():
    """Every text of Unicode is one; what is no text is not looked into."""
    options = BackupOptions(annotations={"a": "🗄 é"}, where=lambda item: True)

    assert text_violations(options) == []


def test_a_log_shows_it(tmp_path):
    """A line of a log with half a pair is written, and shows which half."""
    capture = LogCapture(tmp_path / "log.gz", {"backup": HALF})
    record = logging.LogRecord("k", logging.INFO, "m.py", 1, f"odd {HALF}", (), None)

    capture.handle(record)
    capture.close()

    line = gzip.decompress((tmp_path / "log.gz").read_bytes()).decode()
    assert r'msg="odd \ud800"' in line
    assert r'backup="\ud800"' in line
