"""Archives with large items have many gzip members; all are read, whatever happens."""

import io
import os
import tracemalloc
import zlib

import pytest

from kbackup._kits.streams import inflater
from kbackup.archive import ArchiveReader
from kbackup.archive._members import Members
from kbackup.errors import ArchiveCorruptError

LARGE = 1 << 16
BEGINS = b"\x1f\x8b\x08\0"


@pytest.fixture
def items(body):
    """Return four large items of random text, each between small ones."""
    sizes = [100, LARGE, 100, LARGE, 3 * LARGE, 100, LARGE, 100]
    return [
        ("secrets", "a", name, body(name, "a", x=os.urandom(size // 2).hex()))
        for name, size in zip("abcdefgh", sizes, strict=True)
    ]


@pytest.fixture
def content(write, items):
    """Return an archive of the items, of many members."""
    found = write(items)
    assert found.count(BEGINS) > 8
    return found


def salvage(content):
    """Return the names of the items that can be read, and what is damaged."""
    reader = ArchiveReader(io.BytesIO(content), salvage=True)
    found = [item.identifier.name for item in reader]
    return "".join(dict.fromkeys(found)), reader.damage


def member(content, number):
    """Return where a member begins and ends."""
    start = 0
    for _ in range(number):
        start += len(content[start:]) - len(_rest(content[start:]))
    return start, len(content) - len(_rest(content[start:]))


def _rest(content):
    inflater = zlib.decompressobj(wbits=31)
    inflater.decompress(content)
    return inflater.unused_data


def flipped(content, at):
    """Return *content* with one byte changed."""
    changed = bytearray(content)
    changed[at] ^= 0xFF
    return bytes(changed)


def test_sound_archive_with_large_items_is_not_damaged(content, items):
    """Salvage of a sound archive used to end at its first item of 64 KiB or more."""
    found, damage = salvage(content)

    assert found == "abcdefgh"
    assert damage == ()
    reader = ArchiveReader(io.BytesIO(content), salvage=True)
    assert [bytes(item.raw) for item in reader] == [each[3] for each in items]
    assert reader.check() == ArchiveReader(io.BytesIO(content)).check()
    assert reader.damage == ()


def test_flipped_byte_inside_a_large_member(content):
    """One wrong byte in a large item costs that copy, and not what stands behind."""
    start, end = member(content, 1)  # the first copy of the first large item

    found, damage = salvage(flipped(content, (start + end) // 2))

    assert sorted(found) == list("abcdefgh")  # the other copy of it is whole
    assert any("damaged" in line for line in damage)


def test_flipped_byte_behind_a_large_member(content):
    """One wrong byte between large items costs no large one, and is named."""
    start, end = member(content, 4)  # the small items between the first large ones

    found, damage = salvage(flipped(content, (start + end) // 2))

    assert set("abdefgh") <= set(found)
    assert damage


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 8, 9, -1])
def test_every_damage_is_named(content, number):
    """A wrong byte in any member, its check sums included, is told by salvage."""
    members = _count(content)
    start, end = member(content, number % members)

    for at in (start, start + 3, (start + end) // 2, end - 8, end - 1):
        changed = flipped(content, at)
        assert salvage(changed)[1], at
        with pytest.raises(ArchiveCorruptError):
            ArchiveReader(io.BytesIO(changed)).check()


def _count(content):
    count = 0
    while content:
        content = _rest(content)
        count += 1
    return count


@pytest.mark.parametrize("garbage", [b"garbage", b"\x1f", b"\0\0x"])
def test_garbage_behind_the_last_member(content, garbage):
    """What follows the archive is told and costs nothing."""
    found, damage = salvage(content + garbage)

    assert found == "abcdefgh"
    assert len(damage) == 1


def test_padding_behind_the_last_member(content):
    """Zeros behind a gzip are padding, as gzip itself has it."""
    assert salvage(content + bytes(600_000)) == ("abcdefgh", ())


@pytest.mark.parametrize("cut", [1, 7, 12, 40])
def test_last_member_cut_off(content, cut):
    """An archive whose last member is cut off is damaged; all before it is read."""
    found, damage = salvage(content[:-cut])

    assert found.startswith("abcdefg")
    assert any("ends" in line for line in damage)


def test_last_member_missing(content):
    """A file that ends where a member does is cut off all the same."""
    start, _ = member(content, _count(content) - 1)

    found, damage = salvage(content[:start])

    assert found == "abcdefg"
    assert damage


@pytest.mark.parametrize("shift", range(9))
def test_member_begins_at_the_edge_of_a_read(write, shift):
    """Where the file's blocks are cut makes no difference to what is found again."""
    content = write([("secrets", "a", "x")])
    plain = zlib.decompress(content, wbits=31)
    first = flipped(zlib.compress(plain[:512], wbits=31), 20)
    filler = b"\xff" * ((1 << 18) - shift - len(first))

    found, damage = salvage(first + filler + zlib.compress(plain[512:], wbits=31))

    assert found == "x"
    assert damage


def test_broken_headers_in_a_long_archive(write, body):
    """Reading went astray at a broken header that lay across two inflated pieces."""
    names = [f"p{n:03}" for n in range(300)]
    items = [
        ("pods", "a", name, body(name, "a", x=os.urandom(1500 + 7 * n).hex()))
        for n, name in enumerate(names)
    ]
    plain = bytearray(zlib.decompress(write(items), wbits=31))
    broken = names[5::10]
    for name in broken:
        at = -1
        while (at := plain.find(f"/{name}.json".encode(), at + 1)) >= 0:
            plain[at + 1] ^= 1
    deflater = zlib.compressobj(wbits=31)
    content = deflater.compress(bytes(plain)) + deflater.flush()

    reader = ArchiveReader(io.BytesIO(content), salvage=True)
    found = [item.identifier.name for item in reader]

    assert found == [name for name in names if name not in broken]


# --- the same member once more --------------------------------------------------------


@pytest.fixture
def inflated(monkeypatch):
    """Count the compressed bytes that are inflated."""
    counts = []

    class Counting:
        def __init__(self):
            self._inflater = inflater()

        def decompress(self, data, most):
            plain = self._inflater.decompress(data, most)
            rest = self._inflater.unconsumed_tail or self._inflater.unused_data
            counts.append(len(data) - len(rest))
            return plain

        def __getattr__(self, name):
            return getattr(self._inflater, name)

    monkeypatch.setattr("kbackup.archive._members.inflater", Counting)
    return counts


def test_second_copy_of_a_large_item_is_not_inflated(write, body, inflated):
    """Both copies of a large item cost the inflating of one."""
    large = body("a", "x", x=os.urandom(LARGE).hex())
    content = write([("secrets", "x", "a", large)])

    with ArchiveReader(io.BytesIO(content)) as reader:
        assert [bytes(item.raw) for item in reader] == [large]

    first, last = member(content, 1)
    assert sum(inflated) == len(content) - (last - first)


def plain_of(content):
    """Return the plain bytes of a gzip, as an archive's reader takes them."""
    members = Members(io.BytesIO(content))
    return b"".join(iter(members.read, b""))


def test_large_member_that_begins_as_another_one():
    """A large member that is nearly the one before it is read for what it is."""
    start, rest = os.urandom(3 * LARGE), os.urandom(LARGE)
    parts = [start + rest, start, start + rest[:-1] + b"x", start + rest, start]

    content = b"".join(zlib.compress(part, level=0, wbits=31) for part in parts)

    assert plain_of(content) == b"".join(parts)


def empty_blocks(size):
    """Return a member of *size* bytes and a few, which inflates to nothing."""
    deflate = zlib.compressobj(wbits=31)
    start = deflate.flush(zlib.Z_FULL_FLUSH)
    return start + b"\0\0\0\xff\xff" * (size // 5) + deflate.flush()


def test_member_that_holds_nothing_is_not_kept():
    """A member of any length that inflates to nothing takes no memory."""
    members = Members(io.BytesIO(empty_blocks(25 << 20)))
    tracemalloc.start()

    assert members.read() == b""
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def test_member_that_holds_nothing_twice():
    """A large member without a byte in it, and the same once more, end nothing."""
    empty, some = empty_blocks(LARGE * 2), zlib.compress(b"abc", wbits=31)

    assert plain_of(empty + empty + some + empty + some + bytes(9)) == b"abcabc"


def test_members_behind_one_that_differs():
    """What was fetched to be compared, and is not the same, is read for what it is."""
    large = os.urandom(5 * LARGE)
    many = [bytes([number]) * 9 for number in range(250)]
    parts = [large, large[:-1] + b"x", *many, large, *many, large]

    content = b"".join(zlib.compress(part, level=0, wbits=31) for part in parts)

    assert plain_of(content) == b"".join(parts)


def test_second_copy_cut_off():
    """Of a member that comes again and ends too early nothing is made up."""
    whole = zlib.compress(os.urandom(3 * LARGE), wbits=31)

    for missing in (1, 8, LARGE, len(whole) - 5):
        with pytest.raises(EOFError):
            plain_of(whole + whole[:-missing])


@pytest.mark.parametrize("size", [0, 1, 1 << 18, (1 << 18) + 1, 3 << 18, 5 << 20])
@pytest.mark.parametrize("level", [0, 9])
def test_sizes_of_members(size, level):
    """Any sizes of members come out whole, where a block ends with one, too."""
    parts = [os.urandom(size // 2) + bytes(size - size // 2), b"", bytes(size)]

    packed = [zlib.compress(part, level=level, wbits=31) for part in parts]

    assert plain_of(b"".join(packed + packed) + bytes(9)) == b"".join(parts + parts)
