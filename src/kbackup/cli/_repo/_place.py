"""Where a repository is: a directory, or a bucket as anywhere on the command line.

What a person may take for restic's address is answered with ours.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kbackup.cli._repo._ways import MEANT, Ways, line_of
from kbackup.cli._repository_choice import RepositoryChoice
from kbackup.errors import InvalidConfigError, RepositoryNotFoundError

if TYPE_CHECKING:
    from kbackup._kits.workers import CancelToken
    from kbackup.cli._session import Session
    from kbackup.repository import Backend

_RESTICS = re.compile(r"(azure|b2|gs|local|rclone|rest|s3|sftp|swift):(?!//)(.*)")
_HOST = re.compile(r"(?:(https?)://)?([^/]+)/([^?#]+)")
_AWS = re.compile(r"s3([.-][a-z0-9-]+)*\.amazonaws\.com(\.cn)?")


def place_of(choice: RepositoryChoice, ways: Ways = MEANT) -> str:
    """Return the directory or the address of a repository.

    Raises:
        InvalidConfigError: None is given, two are, or it is one of restic's.
    """
    if choice.place and choice.place_file:
        raise InvalidConfigError(
            "--repo and --repository-file both say where the repository is"
        )
    place = choice.place
    if choice.place_file:
        place = line_of(choice.place_file)
    place = place or os.environ.get(ways.place, "")
    if not place:
        raise InvalidConfigError(
            f"it is not said which repository {ways.purpose}",
            hint=ways.of_place(),
        )
    if restics := _RESTICS.match(place):
        raise InvalidConfigError(
            f"an address that begins with '{restics[1]}:' is one of restic's",
            hint=_our_spelling(restics[1], restics[2]),
        )
    return place


@contextmanager
def backend_at(
    session: Session, place: str, *, cancel: CancelToken | None = None
) -> Iterator[Backend]:
    """Open what keeps the files: a directory, or a store as anywhere in the CLI."""
    from kbackup.repository import (  # noqa: PLC0415 - on demand
        LocalBackend,
        ObjectStoreBackend,
    )

    if "://" not in place:
        yield LocalBackend(Path(place).expanduser())
        return
    from kbackup.stores import location_from, open_object_store  # noqa: PLC0415 - as above

    if place.startswith("memory://"):
        raise InvalidConfigError(f"{place} lives in memory and ends with this command")
    location = location_from(place, session.plugins)
    with (
        closing(open_object_store(location, session.plugins)) as store,
        ObjectStoreBackend(store, location=shown(place), cancel=cancel) as backend,
    ):
        yield backend


def shown(place: str) -> str:
    """Return what messages call a place: an address without user and settings."""
    if "://" not in place:
        return place
    parts = urlsplit(place)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def require_directory(place: str) -> None:
    """Refuse a directory without a repository before anybody is asked for a password."""
    if "://" not in place and not (Path(place).expanduser() / "config").exists():
        raise RepositoryNotFoundError(place)


def _our_spelling(scheme: str, rest: str) -> str:
    """Return how we write an address of restic's; a password in it is not repeated."""
    if scheme == "local":
        return "a directory is written as it is, without local:"
    if scheme == "sftp":
        return "a server is written sftp://user@host/path"
    if scheme not in {"s3", "gs", "azure"}:
        return "there are directories, and buckets such as s3://bucket/prefix"
    found = _HOST.fullmatch(rest.strip("/"))
    if scheme != "s3" or found is None or "@" in rest:
        return f"a bucket is written {scheme}://bucket/prefix"
    protocol, host, path = found.groups()
    if _AWS.fullmatch(host):
        return f"it is written s3://{path}"
    url = f"{protocol or 'https'}://{host}"
    return f"it is written s3://{path}?s3Url={url}&s3ForcePathStyle=true"
