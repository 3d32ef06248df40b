"""What errors carry is typed: a handler reads it without a cast."""

from collections.abc import Mapping
from typing import Any, assert_type

from kbackup import KBackupError
from kbackup.errors import (
    ActionError,
    ActionTimeoutError,
    ArchiveError,
    BackupError,
    ClusterError,
    ConfigError,
    InvalidSpecError,
    OperationTimeoutError,
    PluginError,
    RestoreError,
    RunCancelledError,
    StoreError,
)


def what_any_error_carries(error: KBackupError) -> None:
    """Every error knows its exit code, whether to try again, and advice."""
    assert_type(error.exit_code, int)
    assert_type(error.retryable, bool)
    assert_type(error.hint, str)


def what_kinds_of_errors_carry(error: KBackupError) -> None:
    """The parts of a message are attributes of their own types."""
    match error:
        case InvalidSpecError():
            assert_type(error.violations, tuple[str, ...])
        case ClusterError():
            assert_type(error.verb, str)
            assert_type(error.resource, str)
            assert_type(error.item, str)
            assert_type(error.status, int | None)
            assert_type(error.body, Mapping[str, Any] | None)
            assert_type(error.retry_after, float | None)
        case StoreError():
            assert_type(error.key, str)
            assert_type(error.reason, str)
        case BackupError() | RestoreError():
            assert_type(error.name, str)
        case ArchiveError():
            assert_type(error.entry, str)
        case ActionError() | ActionTimeoutError():
            assert_type(error.plugin, str)
            assert_type(error.item, str)
        case OperationTimeoutError():
            assert_type(error.what, str)
            assert_type(error.seconds, float)
        case _:
            pass


def where_errors_stand_in_the_tree(
    config: InvalidSpecError, action: ActionError, cancelled: RunCancelledError
) -> None:
    """Whoever catches a branch of the tree catches what is below it."""
    branch: ConfigError = config
    plugin: PluginError = action
    root: tuple[KBackupError, ...] = (branch, plugin, cancelled)
    assert_type(root[0], KBackupError)
