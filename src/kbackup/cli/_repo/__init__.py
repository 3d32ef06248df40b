"""``kbackup repo``: files in a repository of restic's format, with restic's verbs.

Flags, their meaning and the shapes of JSON are restic's; what asks before it removes
and says what to type next is this command line's. A module for each subject; here they
are put together.
"""

from __future__ import annotations

import click

from kbackup.cli._options import Group
from kbackup.cli._repo import (
    _backup,
    _check,
    _contents,
    _copy,
    _forget,
    _init,
    _key,
    _prune,
    _restore,
    _snapshots,
    _tag,
)
from kbackup.cli._repo._options import repository_options


@click.group(cls=Group)
@repository_options
def repo() -> None:
    """Keep files in an encrypted repository of restic's format."""


for _each in (
    _init.init,
    _backup.backup,
    _restore.restore,
    _restore.dump,
    _snapshots.snapshots,
    _contents.ls,
    _contents.find,
    _contents.diff,
    _contents.stats,
    _tag.tag,
    _forget.forget,
    _prune.prune,
    _check.check,
    _check.repair_index,
    _check.unlock,
    _copy.copy,
    _key.key,
):
    repo.add_command(_each)
