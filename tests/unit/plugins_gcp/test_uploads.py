"""What an upload sends, and how much of it is held."""

import io
import tracemalloc

import pytest

from kbackup.errors import StoreError
from kbackup_plugins_gcp._requests import Answer, Body
from kbackup_plugins_gcp._uploads import Upload, multipart

LARGE = 48 << 20


class Server:
    """Takes pieces, block by block, and keeps their sizes."""

    def __init__(self):
        self.pieces = []

    def upload(self, **options):
        """Begin an upload."""
        del options
        return Answer(200, {"location": "http://server/session"}, b"")

    def send(self, method, path, *, data, **options):
        """Take a piece."""
        del method, path, options
        self.pieces.append(sum(len(block) for block in data))
        return Answer(200, {}, b"")


@pytest.fixture
def source(tmp_path):
    """A large file, which takes no place."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(LARGE)
    return path


def test_a_body_is_made_anew_each_time():
    """A request that is sent again has the same body, of the announced size."""
    data = bytes(range(251)) * 9000

    headers, body = multipart("x", {"name": "x"}, io.BytesIO(data), len(data))
    first, second = (b"".join(bytes(block) for block in body) for _ in range(2))

    mark = headers["Content-Type"].partition("boundary=")[2].encode()
    assert first == second
    assert len(first) == body.size
    assert first.endswith(data + b"\r\n--" + mark + b"--\r\n")


def test_little_of_a_large_object_is_held(source):
    """A piece is read while it is sent: in memory is a block of it, not the piece."""
    server = Server()
    with source.open("rb") as file:
        upload = Upload(server, "x", file, LARGE)
        upload.begin({}, {})
        tracemalloc.start()
        try:
            upload.send_next()
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert server.pieces == [LARGE]
    assert upload.is_complete
    assert most < 4 << 20


def sent(file, size):
    """Send the parts of a file to nowhere."""
    _, body = multipart("x", {}, file, size)
    assert isinstance(body, Body)
    return sum(len(block) for block in body)


def test_a_source_that_became_shorter(source):
    """A source that ends before its size is no object."""
    with (
        source.open("rb") as file,
        pytest.raises(StoreError, match="shorter") as caught,
    ):
        sent(file, LARGE + 1)

    assert not caught.value.retryable


def test_an_upload_that_was_given_up_sends_no_more(source):
    """A request that goes on after its caller left finds the source closed."""
    with source.open("rb") as file:
        _, body = multipart("x", {}, file, LARGE)
        blocks = iter(body)
        assert [len(next(blocks)) for _ in range(3)][1:] == [1 << 20, 1 << 20]

    with pytest.raises(StoreError, match="closed"):
        next(blocks)
