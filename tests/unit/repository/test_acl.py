"""Access control lists are read and written as Linux and tars have them."""

import struct

import pytest

from kbackup.repository._acl import acl_text, acl_value

# What `setfacl -m u:1001:rw,g:7:x` makes of a file with mode 0640.
VALUE = bytes.fromhex(
    "02000000"
    "01000600ffffffff"
    "02000600e9030000"
    "04000400ffffffff"
    "0800010007000000"
    "10000700ffffffff"
    "20000000ffffffff"
)
TEXT = "user::rw-\nuser:1001:rw-\ngroup::r--\ngroup:7:--x\nmask::rwx\nother::---\n"


def test_the_text_of_an_attribute():
    """As restic writes it."""
    assert acl_text(VALUE) == TEXT


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.replace("\n", ",").rstrip(","),
        "u::rw,u:1001:rw,g::r,g:7:x,m::rwx,o::",
        "other::---,mask::rwx,group:7:--x,group::r--,user:1001:rw-,user::rw-",
        TEXT.replace("user:1001:rw-", "user:nosuchuser:rw-:1001"),
        TEXT.replace("user:1001:rw-", "user:1001:rw-\t#effective:r--\n"),
    ],
)
def test_the_attribute_of_a_text(text):
    """Long or short, in any order, with numbers and comments beside the names."""
    assert acl_value(text) == VALUE


def test_names_of_this_system():
    """They become its numbers."""
    assert acl_value("user:root:r--") == acl_value("user:0:r--")
    assert acl_value("group:root:r--") == acl_value("group:0:r--")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user:nosuchuser:r--", "names the unknown 'nosuchuser'"),
        ("group:nosuchgroup:r--", "names the unknown 'nosuchgroup'"),
        ("user:4294967295:r--", "names the unknown '4294967295'"),
        ("whose::r--", "is no entry"),
        ("mask:7:r--", "is no entry"),
        ("user::rwz", "is no entry"),
        ("user", "is no entry"),
        ("user::rwx:1:2", "is no entry"),
    ],
)
def test_a_text_that_is_none(text, message):
    """It is refused, and whoever is unknown is named."""
    with pytest.raises(ValueError, match=message):
        acl_value(text)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x02\0\0",
        b"\x01\0\0\0",
        VALUE[:-1],
        VALUE[:4] + struct.pack("<HHI", 3, 0, 0),
    ],
)
def test_an_attribute_that_is_none(value):
    """It is refused."""
    with pytest.raises(ValueError, match="access control list"):
        acl_text(value)
