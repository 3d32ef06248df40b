"""A location in Azure whose only credential is a shared access signature."""

from __future__ import annotations

import io
import traceback
from contextlib import closing
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest
from azure.storage.blob import generate_container_sas

from azurite import ACCOUNT, KEY
from kbackup.errors import (
    StoreAccessError,
    StoreUnavailableError,
    UnsupportedCapabilityError,
)
from kbackup_plugins_azure import open_blob_store

VARIABLE = "BACKUP_SAS"


@pytest.fixture
def signed(container, monkeypatch):
    """A function that puts a signature for a container into the environment."""

    def sign(permission, ends=timedelta(hours=1)):
        now = datetime.now(UTC)
        token = generate_container_sas(
            ACCOUNT,
            container,
            account_key=KEY,
            permission=permission,
            start=now - timedelta(days=1),
            expiry=now + ends,
        )
        monkeypatch.setenv(VARIABLE, f"?{token}")
        return parse_qs(token)["sig"][0]

    return sign


@pytest.fixture
def config(azurite, container):
    """What the store is opened with: no key and no identity."""
    config = azurite.config(container, storageAccountSASTokenEnvVar=VARIABLE)
    del config["storageAccountKeyEnvVar"]
    config["storageAccountBlobEndpoint"] = config.pop("storageAccountURI")
    return config


def test_a_signature_is_enough(config, signed, tmp_path):
    """It reads, writes, lists and deletes, small objects and large ones."""
    signed("rwdl")
    large = tmp_path / "large"
    large.write_bytes(bytes(range(256)) * (10 << 12))
    with closing(open_blob_store({**config, "blockSizeInBytes": "4194304"})) as store:
        store.put("backups/b/small", b"x", create=True)
        store.put("backups/b/large", large)
        store.get("backups/b/large", target := io.BytesIO())
        assert target.getvalue() == large.read_bytes()
        assert list(store.list_prefixes("backups/")) == ["backups/b/"]
        store.delete("backups/b/large")
        assert [info.key for info in store.list("")] == ["backups/b/small"]


def test_who_has_a_signature_cannot_sign(config, signed):
    """Signed addresses are neither offered nor made."""
    signed("rl")
    with (
        closing(open_blob_store(config)) as store,
        pytest.raises(UnsupportedCapabilityError),
    ):
        store.signed_url("backups/b/x", timedelta(minutes=1))


@pytest.mark.parametrize(
    ("permission", "ends"),
    [("rl", timedelta(hours=1)), ("rwdl", timedelta(hours=-1))],
    ids=["may not write", "has ended"],
)
def test_a_signature_that_does_not_do(config, signed, permission, ends):
    """What it does not allow is refused, once it has ended that is all."""
    signed(permission, ends)
    with (
        closing(open_blob_store(config)) as store,
        pytest.raises(StoreAccessError, match="backups/b/x"),
    ):
        store.put("backups/b/x", b"x")


def test_a_signature_shows_nowhere(config, signed, all_logs):
    """Neither logs nor errors hold it, though it is in each address that is asked."""
    secret = signed("rwdl")
    with closing(open_blob_store(config)) as store:
        store.put("backups/b/x", b"x")
        store.get("backups/b/x", io.BytesIO())
        list(store.list(""))
    away = {
        **config,
        "storageAccountBlobEndpoint": f"http://127.0.0.1:1/{ACCOUNT}",
        "requestTimeout": "1s",
    }
    with (
        closing(open_blob_store(away)) as store,
        pytest.raises(StoreUnavailableError) as caught,
    ):
        store.stat("backups/b/x")

    told = "".join(traceback.format_exception(caught.value))
    told += f"{caught.value!r} {caught.value.hint} {all_logs()}"
    assert "sig=***" in told  # it would have been there
    for each in (secret, secret.replace("/", "%2F").replace("+", "%2B").rstrip("=")):
        assert each not in told


def test_a_signature_in_escapes_of_another_form(config, monkeypatch):
    """It is in no error either where its letters are not those that go to the server."""
    monkeypatch.setenv(VARIABLE, "sv=1&sp=r&sig=ab%2bcd%2fSECRET%3d")
    away = {
        **config,
        "storageAccountBlobEndpoint": f"http://127.0.0.1:1/{ACCOUNT}",
        "requestTimeout": "1s",
    }
    with (
        closing(open_blob_store(away)) as store,
        pytest.raises(StoreUnavailableError) as caught,
    ):
        store.stat("backups/b/x")

    told, waiting = [], [caught.value]
    while waiting:
        exc = waiting.pop()
        told += [str(exc), repr(exc)]
        inner = getattr(exc, "inner_exception", None)
        waiting += [each for each in (exc.__cause__, exc.__context__, inner) if each]
    assert "sig=***" in "".join(told)
    assert "SECRET" not in "".join(told)
