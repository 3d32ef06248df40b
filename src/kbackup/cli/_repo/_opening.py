"""Opening a repository: where it is, its password, and the signals that end a verb.

A password comes from a file, a command, the environment or a question, and is printed
nowhere. What a person may take for restic's address is answered with ours.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import attrs

from kbackup._kits.workers import Cancelled
from kbackup.cli._asking import asked_password, somebody_to_ask
from kbackup.cli._repository_choice import RepositoryChoice
from kbackup.cli._signals import cancel_on_signal
from kbackup.errors import (
    InvalidConfigError,
    RepositoryNotFoundError,
    RunCancelledError,
)

if TYPE_CHECKING:
    from kbackup._kits.workers import CancelToken
    from kbackup.cli._session import Session
    from kbackup.repository import Backend, Compression, Repository

_PLACE = "KBACKUP_REPOSITORY"
_PASSWORD = "KBACKUP_REPO_PASSWORD"  # noqa: S105 - the variable's name
_VARIABLES = (_PLACE, _PASSWORD)
FROM = ("KBACKUP_FROM_REPOSITORY", "KBACKUP_FROM_REPO_PASSWORD")
"""The variables of the other repository, from which something is copied."""
_WHICH = {_PLACE: "is meant", FROM[0]: "is copied from"}
_RESTICS = re.compile(r"(azure|b2|gs|local|rclone|rest|s3|sftp|swift):(?!//)(.*)")
_HOST = re.compile(r"(?:(https?)://)?([^/]+)/([^?#]+)")
_AWS = re.compile(r"s3([.-][a-z0-9-]+)*\.amazonaws\.com(\.cn)?")
_MOST = 1 << 20  # bytes of a file that is to hold one line


@attrs.frozen
class Meant:
    """A repository and what opens it.

    Attributes:
        place: A directory or an address.
        lock_patience: How long to wait while others hold a lock that excludes.
    """

    place: str
    password: str = attrs.field(repr=False)
    lock_patience: timedelta


def meant(
    session: Session, choice: RepositoryChoice, variables: tuple[str, str] = _VARIABLES
) -> Meant:
    """Find out which repository is meant, and its password; somebody may be asked.

    Args:
        session: Says how it is to be printed.
        choice: What the options say.
        variables: Of the environment: where it is, and its password.

    Raises:
        InvalidConfigError: It is not said where it is, or what its password is.
        RepositoryNotFoundError: The directory has none.
    """
    refuse_yaml(session)
    place = place_of(choice, variables[0])
    _require_directory(place)
    password = _password(choice, variables[1], place)
    return Meant(place, password, choice.lock_patience)


@contextmanager
def opened(
    session: Session,
    which: Meant | None = None,
    *,
    compression: Compression | None = None,
) -> Iterator[Repository]:
    """Open the repository of this call; the first signal meanwhile cancels.

    Args:
        session: Knows what the options say, and the plugins.
        which: What that comes to, where it had to be found out before.
        compression: For what is written.

    Raises:
        InvalidConfigError: As `meant`.
        RepositoryError: See `Repository.open`.
        RunCancelledError: A signal came.
    """
    which = which or meant(session, session.repository)
    with (
        cancel_on_signal() as token,
        opened_as(session, which, token, compression=compression) as repository,
    ):
        yield repository


@contextmanager
def opened_as(
    session: Session,
    which: Meant,
    cancel: CancelToken,
    *,
    compression: Compression | None = None,
) -> Iterator[Repository]:
    """Open what is meant, under the token of whoever handles the signals."""
    from kbackup.repository import Compression, Repository  # noqa: PLC0415 - on demand

    with (
        _translated(),
        backend_at(session, which.place, cancel=cancel) as backend,
        Repository.open(
            backend,
            which.password,
            compression=compression or Compression.AUTO,
            lock_patience=which.lock_patience,
            cancel=cancel,
        ) as repository,
    ):
        yield repository


def refuse_yaml(session: Session) -> None:
    """Refuse a format that the verbs of a repository do not have."""
    if session.output == "yaml":
        raise InvalidConfigError("kbackup repo prints tables and JSON, no YAML")


@contextmanager
def _translated() -> Iterator[None]:
    """Raise our error for a cancel that came outside a lock."""
    try:
        yield
    except Cancelled as exc:
        raise RunCancelledError(exc.reason) from exc


# --- where it is ------------------------------------------------------------------------


def place_of(choice: RepositoryChoice, variable: str = _PLACE) -> str:
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
        place = _line_of(choice.place_file)
    place = place or os.environ.get(variable, "")
    if not place:
        raise InvalidConfigError(
            f"it is not said which repository {_WHICH[variable]}",
            hint=f"give {_options(variable)[0]}, or set {variable}{_unread(variable)}",
        )
    if restics := _RESTICS.match(place):
        raise InvalidConfigError(
            f"an address that begins with '{restics[1]}:' is one of restic's",
            hint=_our_spelling(restics[1], restics[2]),
        )
    return place


def _our_spelling(scheme: str, rest: str) -> str:
    """Return how we write an address of restic's; a password in it is not repeated."""
    if scheme == "local":
        return "a directory is written as it is, without local:"
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


def _options(variable: str) -> tuple[str, str]:
    """Return the options that say the same: of a place, and of its password."""
    of = "from-" if variable in FROM else ""
    return (
        f"--{of}repo DIRECTORY|URL or --{of}repository-file",
        f"--{of}password-file or --{of}password-command",
    )


def _unread(variable: str) -> str:
    """Tell that a variable of restic's is set, and not read."""
    restics = variable.replace("KBACKUP_", "RESTIC_").replace("_REPO_", "_")
    return f"; {restics} is not read" if restics in os.environ else ""


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


def _require_directory(place: str) -> None:
    """Refuse a directory without a repository before anybody is asked for a password."""
    if "://" not in place and not (Path(place).expanduser() / "config").exists():
        raise RepositoryNotFoundError(place)


# --- its password -----------------------------------------------------------------------


def _password(choice: RepositoryChoice, variable: str, place: str) -> str:
    given = given_password(choice, variable)
    if given is not None:
        return given
    _require_asking(_ways(variable), place)
    return asked_password(f"Password of {shown(place)}")


def _ways(variable: str) -> str:
    return f"give {_options(variable)[1]}, or set {variable}{_unread(variable)}"


def new_password(choice: RepositoryChoice, place: str) -> str:
    """Return the password of a repository that is to be made; asked for, twice."""
    given = given_password(choice, _PASSWORD)
    if given is not None:
        return given
    _require_asking(_ways(_PASSWORD), place)
    return asked_password(f"New password of {shown(place)}", twice=True)


def another_password(file: Path | None, place: str) -> str:
    """Return a password that is to open a repository as well, or from now on."""
    if file is not None:
        return _usable(_line_of(file), str(file))
    _require_asking("give --new-password-file", place)
    return asked_password(f"New password of {shown(place)}", twice=True)


def given_password(choice: RepositoryChoice, variable: str) -> str | None:
    """Return the password by a file, a command or the environment; None: by none.

    What stands around it in a file or an output, a line end above all, is not part of it.

    Raises:
        InvalidConfigError: Two are given, one cannot be read, or it is empty.
    """
    if choice.password_file and choice.password_command:
        raise InvalidConfigError(
            "--password-file and --password-command both say the password"
        )
    if choice.password_file:
        return _usable(_line_of(choice.password_file), str(choice.password_file))
    if choice.password_command:
        return _usable(_printed_by(choice.password_command), "--password-command")
    if variable in os.environ:
        return _usable(os.environ[variable], variable)
    return None


def _usable(password: str, source: str) -> str:
    if not password:
        raise InvalidConfigError(f"the password by {source} is empty")
    return password


def _require_asking(hint: str, place: str) -> None:
    if not somebody_to_ask():
        raise InvalidConfigError(f"no password for {shown(place)} was given", hint=hint)


def _line_of(file: Path) -> str:
    """Return what a small file holds; what is wrong is said without a word of it."""
    try:
        with file.open("rb") as opened_file:
            return opened_file.read(_MOST).decode("utf-8-sig").strip()
    except OSError as exc:
        raise InvalidConfigError(f"{file}: {exc.strerror or exc}") from exc
    except UnicodeDecodeError as exc:
        raise InvalidConfigError(f"{file}: it is no text in UTF-8") from exc


def _printed_by(command: str) -> str:
    """Run a command, its messages going where ours go, and return what it prints."""
    try:
        words = shlex.split(command)
        done = subprocess.run(words, stdout=subprocess.PIPE, check=True)  # noqa: S603 - the user's
        return done.stdout.decode().strip()
    except subprocess.CalledProcessError as exc:
        reason = f"it ended with {exc.returncode}"
    except OSError as exc:
        reason = exc.strerror or "it cannot be started"
    except UnicodeDecodeError:
        reason = "what it prints is no text in UTF-8"
    except (ValueError, IndexError):
        reason = "it is no command"
    # The command itself is not repeated, and no cause: either may hold the password.
    raise InvalidConfigError(f"--password-command failed: {reason}")
