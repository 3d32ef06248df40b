"""The config: which version a repository is written in, its ID, the secret of its cuts.

Source: restic ``doc/design.rst``, "Repository Format".
"""

from __future__ import annotations

import secrets

import attrs
import msgspec

from kbackup.errors import IntegrityError, UnsupportedFormatError
from kbackup.repository._documents import Documents
from kbackup.repository._ids import ID_SIZE, parse_id
from kbackup.repository._polynomials import is_irreducible, random_irreducible

OLDEST_VERSION, NEWEST_VERSION = 1, 2
_THING = "config"


@attrs.frozen(kw_only=True)
class Config:
    """What holds for the whole life of a repository.

    Attributes:
        version: 1, or 2, which compresses.
        id: 32 random bytes; the repository's own wherever it is copied to.
        polynomial: The secret that its cuts depend on.
    """

    version: int
    id: bytes
    polynomial: int = attrs.field(repr=False)


class _Written(msgspec.Struct):
    version: int
    id: str
    chunker_polynomial: str


def new_config(version: int, polynomial: int | None = None) -> Config:
    """Return the config of a new repository.

    Args:
        version: Of the format.
        polynomial: The secret of another one, so that both cut alike; None: a new one.

    Raises:
        UnsupportedFormatError: There is no such version.
    """
    _require_known(version)
    return Config(
        version=version,
        id=secrets.token_bytes(ID_SIZE),
        polynomial=random_irreducible() if polynomial is None else polynomial,
    )


def save_config(documents: Documents, config: Config) -> None:
    """Write it; from then on there is a repository. Raises where there is one."""
    written = _Written(config.version, config.id.hex(), f"{config.polynomial:x}")
    documents.save_config(msgspec.json.encode(written))


def load_config(documents: Documents) -> Config:
    """Read it.

    Raises:
        ObjectNotFoundError: There is none.
        IntegrityError: It is not what was written.
        UnsupportedFormatError: Its version is not known here.
    """
    try:
        written = msgspec.json.decode(documents.load_config(), type=_Written)
        polynomial = int(written.chunker_polynomial, 16)
        config_id = parse_id(written.id)
    except (ValueError, RecursionError, msgspec.MsgspecError) as exc:
        raise IntegrityError(_THING, "it is no config") from exc
    _require_known(written.version)
    if not is_irreducible(polynomial):
        raise IntegrityError(_THING, "its polynomial is none that cuts")
    return Config(version=written.version, id=config_id, polynomial=polynomial)


def _require_known(version: int) -> None:
    if not OLDEST_VERSION <= version <= NEWEST_VERSION:
        raise UnsupportedFormatError(
            _THING,
            f"repository version {version}",
            hint=f"versions {OLDEST_VERSION} to {NEWEST_VERSION} are known here",
        )
