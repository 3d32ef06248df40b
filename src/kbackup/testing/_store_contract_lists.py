"""The part of `ObjectStoreContract` that is about lists of keys."""

from __future__ import annotations

from typing import Any

from kbackup.plugins import ObjectStore


def keys_of(store: ObjectStore, prefix: str, **options: Any) -> list[str]:
    """Return the keys that a store lists."""
    return [info.key for info in store.list(prefix, **options)]


class ListsContract:
    """What `ObjectStore.list` and `ObjectStore.list_prefixes` promise."""

    def test_list_is_in_key_order(self, store: ObjectStore) -> None:
        """Objects are listed by their whole keys, ascending, whatever a tree says."""
        keys = ["a-b", "a/b", "a/b-c", "a/b/.x/y", "a.b", "a0", "B", "é/x", "a/c/d"]
        keys.remove("a/b")  # a name is an object or a directory of others, not both
        for number, key in enumerate(keys):
            store.put(key, b"x" * number)

        infos = list(store.list(""))

        assert [info.key for info in infos] == sorted(keys)
        assert {info.key: info.size for info in infos} == {
            key: number for number, key in enumerate(keys)
        }

    def test_list_prefix(self, store: ObjectStore) -> None:
        """A prefix is a beginning of keys; it needs not end at a slash."""
        for key in ("backups/day/x", "backups/day-2/x", "backups/e", "restores/r/x"):
            store.put(key, b"")

        assert keys_of(store, "backups/day/") == ["backups/day/x"]
        assert keys_of(store, "backups/day") == ["backups/day-2/x", "backups/day/x"]
        assert keys_of(store, "backups/day/x") == ["backups/day/x"]
        assert keys_of(store, "rest") == ["restores/r/x"]
        assert keys_of(store, "none/") == []

    def test_list_after(self, store: ObjectStore) -> None:
        """A list goes on behind a key, also one that is not there."""
        keys = [f"backups/{letter}/{n}" for letter in "abc" for n in range(3)]
        for key in keys:
            store.put(key, b"")

        assert keys_of(store, "backups/", after="backups/b/1") == keys[5:]
        assert keys_of(store, "backups/", after="backups/a/5") == keys[3:]
        assert keys_of(store, "backups/", after="backups/c/2") == []
        assert keys_of(store, "backups/b/", after="a") == keys[3:6]

    def test_list_streams(self, store: ObjectStore) -> None:
        """The first objects of a list can be taken without the rest."""
        for number in range(20):
            store.put(f"backups/b{number:02d}/file", b"")

        listing = store.list("backups/")

        assert [next(listing).key for _ in range(2)] == [
            "backups/b00/file",
            "backups/b01/file",
        ]

    def test_list_while_others_write(self, store: ObjectStore) -> None:
        """Objects deleted or added during a list disturb none of the others."""
        for number in range(30):
            store.put(f"backups/b{number:02d}/file", b"")

        found = []
        for info in store.list("backups/"):
            found.append(info.key)
            if len(found) == 1:
                store.delete("backups/b20/file")
                store.put("backups/b99/file", b"")

        expected = {f"backups/b{n:02d}/file" for n in range(30)} - {"backups/b20/file"}
        assert expected <= set(found)

    def test_list_prefixes(self, store: ObjectStore) -> None:
        """Directories are listed once, ascending, with prefix and slash; objects not."""
        for key in ("backups/b/x", "backups/b/y/z", "backups/a/x", "backups/file"):
            store.put(key, b"")
        store.put("restores/r/x", b"")

        assert list(store.list_prefixes("backups/")) == ["backups/a/", "backups/b/"]
        assert list(store.list_prefixes("")) == ["backups/", "restores/"]
        assert list(store.list_prefixes("backups/b/")) == ["backups/b/y/"]
        assert list(store.list_prefixes("back")) == ["backups/"]
        assert list(store.list_prefixes("none/")) == []

    def test_list_prefixes_of_another_delimiter(self, store: ObjectStore) -> None:
        """Keys are cut at any delimiter."""
        for key in ("backups/a-1", "backups/a-2", "backups/b", "backups/c-d/e"):
            store.put(key, b"")

        found = list(store.list_prefixes("backups/", "-"))

        assert found == ["backups/a-", "backups/c-"]

    def test_an_emptied_directory_is_gone(self, store: ObjectStore) -> None:
        """When its last object is deleted, a directory is not listed any more."""
        store.put("backups/a/deep/er/x", b"")
        store.put("backups/b/x", b"")

        store.delete("backups/a/deep/er/x")

        assert list(store.list_prefixes("backups/")) == ["backups/b/"]
