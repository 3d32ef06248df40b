"""A writer on a thread of its own."""

import io

import pytest

from kbackup._kits.background import BackgroundWriter


def test_blocks_arrive_in_their_order():
    """What was handed over has been passed on when close returns."""
    out = io.BytesIO()
    writer = BackgroundWriter(out)
    blocks = [bytes([number]) * number for number in range(100)]

    for block in blocks:
        writer.write(block)
    writer.close()
    writer.close()

    assert out.getvalue() == b"".join(blocks)


def test_an_error_is_raised_where_it_is_heard():
    """A failing output ends the run of its caller, and nobody waits for ever."""

    class Full:
        """A file on a full disk."""

        def write(self, data):
            """Fail."""
            raise OSError(28, "No space left on device")

    writer = BackgroundWriter(Full())

    def write_much():
        for _ in range(100):
            writer.write(b"x")

    with pytest.raises(OSError, match="No space"):
        write_much()
    with pytest.raises(OSError, match="No space"):
        writer.close()
