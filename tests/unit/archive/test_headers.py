"""Headers from the template are those of `tarfile`, byte by byte."""

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbackup.archive._headers import PADDING, HeaderTemplate

MTIME = 1_700_000_000
ASCII = st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/")
PARTS = st.lists(st.text(ASCII, min_size=1, max_size=120), min_size=1, max_size=6)
PATHS = st.text(min_size=1, max_size=300).filter(
    lambda text: "\0" not in text and not text.endswith("/")  # no directories
)
SIZES = st.integers(0, 8**11 - 1)


def expected(path, size, tar_format):
    """Return what `tarfile` makes of an entry of Velero's."""
    info = tarfile.TarInfo(path)
    info.size, info.mtime, info.mode = size, MTIME, 0o755
    return info.tobuf(tar_format, encoding="utf-8")


@given(PARTS.map("/".join), SIZES)
def test_header_is_tarfiles(path, size):
    """What fits USTAR is tarfile's USTAR header; what does not is its PAX header."""
    try:
        wanted = expected(path, size, tarfile.USTAR_FORMAT)
    except ValueError:
        wanted = expected(path, size, tarfile.PAX_FORMAT)

    assert HeaderTemplate(MTIME).header(path, size) == wanted


@given(PATHS, SIZES)
def test_any_path_reads_back(path, size):
    """Tarfile reads path and size of every header back as they were."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return

    header = HeaderTemplate(MTIME).header(path, 0)

    member = tarfile.TarFile(fileobj=io.BytesIO(header + bytes(1024))).next()
    assert member is not None
    assert member.name == path
    assert (member.mode, member.mtime, member.type) == (0o755, MTIME, b"0")


def test_immense_file_gets_a_size_that_reads_back():
    """A size that eleven octal digits cannot hold is written with PAX."""
    header = HeaderTemplate(MTIME).header("a", 8**11)

    assert len(header) > 512
    assert header == expected("a", 8**11, tarfile.PAX_FORMAT)


@pytest.mark.parametrize("length", [99, 100, 101, 154, 155, 156, 255, 256, 257])
def test_lengths_around_the_limits(length):
    """Around each limit of the format the path reads back whole."""
    path = "d" * (length // 2) + "/" + "f" * (length - length // 2 - 1)

    header = HeaderTemplate(MTIME).header(path, 0)

    member = tarfile.TarFile(fileobj=io.BytesIO(header + bytes(1024))).next()
    assert member.name == path


def test_padding_fills_blocks():
    """Body and padding end on a block."""
    assert all((size + len(PADDING[size])) % 512 == 0 for size in range(512))
