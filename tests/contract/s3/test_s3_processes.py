"""An S3 store among threads, in a running event loop and after a fork."""

from __future__ import annotations

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor

import pytest

from forked import in_child
from kbackup.errors import StoreError
from kbackup.stores import FsspecObjectStore, open_filesystem


def refusal(act):
    """Return a function that tells how *act* was refused."""

    def told():
        with pytest.raises(StoreError) as caught:
            act()
        return caught.value.reason

    return told


@pytest.mark.parametrize("used", [False, True], ids=["new", "used"])
def test_after_a_fork_a_store_refuses(store, used):
    """A child is told at once instead of hanging; the parent goes on."""
    if used:
        store.put("a", b"x")

    for act in (
        lambda: store.stat("a"),
        lambda: store.put("a", b"y"),
        lambda: list(store.list("")),
        lambda: store.get("a", io.BytesIO()),
    ):
        assert "before this process was forked" in in_child(refusal(act))

    store.put("b", b"x")
    assert store.stat("b").size == 1


def test_a_store_of_a_synchronous_filesystem_refuses_too():
    """What has no thread of its own is refused alike: whose bytes are they?"""
    store = FsspecObjectStore(open_filesystem("memory"), "/forked")

    said = in_child(refusal(lambda: store.stat("a")))

    assert "before this process was forked" in said


def test_sixteen_threads(store):
    """Sixteen threads write, read and list one store at once, each its own bytes."""

    def work(number):
        key, content = f"backups/b{number:02}/x", b"%d" % number * 100
        store.put(key, content, create=True)
        store.get(key, target := io.BytesIO())
        assert [info.key for info in store.list(f"backups/b{number:02}/")] == [key]
        return target.getvalue() == content

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(work, range(64)))

    assert len(list(store.list("backups/"))) == 64


def test_in_a_running_event_loop(store):
    """A cell of a notebook calls a store as any other code does."""

    async def cell():
        """Write and read, as a cell does."""
        store.put("a", b"from a notebook")
        store.get("a", target := io.BytesIO())
        return target.getvalue()

    assert asyncio.run(cell()) == b"from a notebook"
