"""Access control lists: as Linux keeps them in an attribute, and as a tar writes them.

Called by whoever writes and reads tars. Users and groups are numbers in an attribute; in
a tar they may be names, too.
Source: Linux ``include/uapi/linux/posix_acl_xattr.h``; star(5), "SCHILY.acl.access"; the
texts are those of acl(5), "long text form", as restic and GNU tar write them.
"""

from __future__ import annotations

import grp
import pwd
import struct
from collections.abc import Iterator, Mapping
from operator import itemgetter

RECORDS: Mapping[str, str] = {
    "system.posix_acl_access": "SCHILY.acl.access",
    "system.posix_acl_default": "SCHILY.acl.default",
}
"""By the attribute, what a tar calls it."""

_VERSION = struct.pack("<I", 2)
_ENTRY = struct.Struct("<HHI")  # tag, permissions, number
_NOBODY = (1 << 32) - 1  # the number in entries that need none
_RIGHTS = (("r", 4), ("w", 2), ("x", 1))
_PARTS = 3  # of an entry
_USER, _GROUP = "user", "group"
_TAGS = {
    1: (_USER, False),
    2: (_USER, True),
    4: (_GROUP, False),
    8: (_GROUP, True),
    16: ("mask", False),
    32: ("other", False),
}
_NUMBERS = {tag: number for number, tag in _TAGS.items()}
_WORDS = {word[0]: word for word, _ in _TAGS.values()}


def acl_text(value: bytes) -> str:
    """Return the text of an attribute, with numbers of users and groups.

    Raises:
        ValueError: It is none.
    """
    body = value.removeprefix(_VERSION)
    if len(body) == len(value) or len(body) % _ENTRY.size:
        raise ValueError("it is no access control list")
    return "".join(_entry_text(*entry) for entry in _ENTRY.iter_unpack(body))


def _entry_text(tag: int, rights: int, number: int) -> str:
    if tag not in _TAGS:
        raise ValueError(f"an access control list has no entry of the kind {tag}")
    word, has_number = _TAGS[tag]
    shown = "".join(sign if rights & bit else "-" for sign, bit in _RIGHTS)
    return f"{word}:{number if has_number else ''}:{shown}\n"


def acl_value(text: str) -> bytes:
    """Return the attribute of a text; names are those of this system.

    Raises:
        ValueError: It is none, or names somebody whom this system does not know.
    """
    entries = sorted(map(_entry, _lines(text)), key=itemgetter(0, 2))
    return _VERSION + b"".join(_ENTRY.pack(*each) for each in entries)


def _lines(text: str) -> Iterator[str]:
    """Yield the entries; each may end with a comment."""
    for line in text.replace(",", "\n").split("\n"):
        if entry := line.partition("#")[0].strip():
            yield entry


def _entry(text: str) -> tuple[int, int, int]:
    """Read ``user:lisa:r-x``, to which star adds the number of who is named."""
    parts = text.split(":")
    if len(parts) not in {_PARTS, _PARTS + 1}:
        raise ValueError(f"{text!r} is no entry of an access control list")
    word, who, rights, number = [*parts, ""][: _PARTS + 1]
    word = _WORDS.get(word[:1], "") if len(word) == 1 else word
    tag = _NUMBERS.get((word, bool(who)))
    bits = sum(bit for sign, bit in _RIGHTS if sign in rights)
    if tag is None or set(rights) - set("rwx-"):
        raise ValueError(f"{text!r} is no entry of an access control list")
    return tag, bits, _number(word, number or who) if who else _NOBODY


def _number(word: str, who: str) -> int:
    if who.isascii() and who.isdecimal():
        number = int(who)
        if number < _NOBODY:
            return number
    try:
        if word == _USER:
            return pwd.getpwnam(who).pw_uid
        return grp.getgrnam(who).gr_gid
    except (KeyError, ValueError) as exc:
        raise ValueError(f"its access control list names the unknown {who!r}") from exc
