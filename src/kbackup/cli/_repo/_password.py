"""The password of a repository: by a file, a command, the environment or a question.

It is printed nowhere.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from kbackup.cli._asking import asked_password, somebody_to_ask
from kbackup.cli._repo._place import shown
from kbackup.cli._repo._ways import MEANT, Ways, line_of
from kbackup.cli._repository_choice import RepositoryChoice
from kbackup.errors import InvalidConfigError


def password_of(choice: RepositoryChoice, ways: Ways, place: str) -> str:
    """Return the password of a repository; somebody may be asked.

    Raises:
        InvalidConfigError: None is given, and nobody is there; or see `given_password`.
    """
    given = given_password(choice, ways)
    if given is not None:
        return given
    _require_asking(ways.of_password(), place)
    return asked_password(f"Password of {shown(place)}")


def new_password(choice: RepositoryChoice, place: str) -> str:
    """Return the password of a repository that is to be made; asked for, twice."""
    given = given_password(choice, MEANT)
    if given is not None:
        return given
    _require_asking(MEANT.of_password(), place)
    return asked_password(f"New password of {shown(place)}", twice=True)


def another_password(file: Path | None, place: str) -> str:
    """Return a password that is to open a repository as well, or from now on."""
    if file is not None:
        return _usable(line_of(file), str(file))
    _require_asking("give --new-password-file", place)
    return asked_password(f"New password of {shown(place)}", twice=True)


def given_password(choice: RepositoryChoice, ways: Ways) -> str | None:
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
        return _usable(line_of(choice.password_file), str(choice.password_file))
    if choice.password_command:
        return _usable(_printed_by(choice.password_command), "--password-command")
    if ways.password in os.environ:
        return _usable(os.environ[ways.password], ways.password)
    return None


def _usable(password: str, source: str) -> str:
    if not password:
        raise InvalidConfigError(f"the password from {source} is empty")
    return password


def _require_asking(hint: str, place: str) -> None:
    if not somebody_to_ask():
        raise InvalidConfigError(f"no password for {shown(place)} was given", hint=hint)


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
