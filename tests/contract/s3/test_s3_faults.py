"""What goes wrong on the way to S3: told in words that help, or lived through."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime, timedelta

import pytest

from kbackup.errors import (
    StoreAccessError,
    StoreError,
    StoreUnavailableError,
)
from kbackup.stores import RetryPolicy
from kbackup_plugins_aws import open_s3_store
from moto_s3 import running_s3
from odd_s3 import Answer, refuses

AT_ONCE = RetryPolicy(sleep=lambda _: None)


@pytest.fixture
def large(tmp_path):
    """A file that goes up in three parts."""
    file = tmp_path / "large"
    file.write_bytes(bytes(range(256)) * (17 << 12))
    return file


@pytest.fixture
def open_refusing(odd, open_odd):
    """Open a store of a server that has a rule."""

    def open_store(rule):
        odd.rules.append(rule)
        return open_odd()

    return open_store


def answers(answer, times=None):
    """Return a rule that gives an answer, so often or always."""
    left = [times]

    def rule(environ):
        if left[0] is not None:
            if left[0] == 0:
                return None
            left[0] -= 1
        return answer

    return rule


# --- credentials and rights -----------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("InvalidAccessKeyId", "does not know the access key"),
        ("SignatureDoesNotMatch", "secret key of the credentials is wrong"),
        ("ExpiredToken", "expired: renew them"),
        ("InvalidToken", "session token"),
        ("RequestTimeTooSkewed", "clock of this machine"),
    ],
)
def test_credentials_that_are_refused(odd, open_odd, code, words):
    """Wrong and expired credentials, and a wrong clock, are told with what to do."""
    odd.rules.append(answers(Answer("403 Forbidden", code)))
    store = open_odd()

    with pytest.raises(StoreAccessError) as caught:
        store.put("a", b"x")

    assert words in caught.value.hint
    assert code in caught.value.reason
    assert len(odd.seen) == 1  # it would not pass


def test_no_credentials_are_told_with_where_to_give_them(odd, open_odd, monkeypatch):
    """Without credentials nothing is sent, and the places to give them are named."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    with pytest.raises(StoreAccessError) as caught:
        open_odd().put("a", b"x")

    assert "credentialsFile" in caught.value.hint
    assert odd.seen == []


@pytest.mark.parametrize(
    ("rule", "act", "missing"),
    [
        (refuses("PUT"), lambda store, _: store.put("a", b"x"), "s3:PutObject"),
        (
            refuses("PUT", query="partNumber"),
            lambda store, large: store.put("a", large),
            "s3:PutObject",
        ),
        (refuses("HEAD"), lambda store, _: store.stat("a"), "s3:GetObject"),
        (
            refuses("GET"),
            lambda store, _: store.get("a", io.BytesIO()),
            "s3:GetObject",
        ),
        (
            refuses("GET", query="list-type"),
            lambda store, _: list(store.list("")),
            "s3:ListBucket",
        ),
        (refuses("DELETE"), lambda store, _: store.delete("a"), "s3:DeleteObject"),
    ],
    ids=["put", "part", "stat", "get", "list", "delete"],
)
def test_a_permission_that_is_missing(open_refusing, large, rule, act, missing):
    """Who lacks one permission is told its name as a policy writes it."""
    store = open_refusing(rule)

    with pytest.raises(StoreAccessError, match=f"{missing} is not allowed"):
        act(store, large)


def test_credentials_that_end_are_renewed_by_themselves(odd, open_odd, tmp_path):
    """A token that ends in the middle of a run is replaced before it is sent."""
    count, program = tmp_path / "count", tmp_path / "program.py"
    ends = [datetime.now(UTC) + timedelta(seconds=1)]
    ends += [datetime.now(UTC) + timedelta(hours=9)]
    times = [f"{each:%Y-%m-%dT%H:%M:%SZ}" for each in ends]
    program.write_text(
        "import json, pathlib\n"
        f"file = pathlib.Path({str(count)!r})\n"
        "number = len(file.read_text()) if file.exists() else 0\n"
        "file.write_text('x' * (number + 1))\n"
        f"end = {times!r}[min(number, 1)]\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': 'a', 'SecretAccessKey': 'b',"
        " 'SessionToken': f'token-{number}', 'Expiration': end}))\n"
    )
    file = tmp_path / "credentials"
    file.write_text(f"[default]\ncredential_process = {sys.executable} {program}\n")
    store = open_odd(credentialsFile=str(file))

    store.put("a", b"x")
    store.put("b", b"x")

    tokens = [environ["HTTP_X_AMZ_SECURITY_TOKEN"] for *_, environ in odd.seen]
    assert tokens == ["token-1", "token-1"]
    assert len(count.read_text()) == 2


# --- where the bucket is --------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        Answer(
            "400 Bad Request",
            "AuthorizationHeaderMalformed",
            more="<Region>eu-west-3</Region>",
        ),
        Answer(
            "301 Moved Permanently",
            "PermanentRedirect",
            headers=(("x-amz-bucket-region", "eu-west-3"),),
        ),
    ],
    ids=["malformed", "redirect"],
)
def test_a_wrong_region(odd, open_odd, answer):
    """A bucket of another region is told with the region to set."""
    odd.rules.append(answers(answer))

    with pytest.raises(StoreAccessError) as caught:
        open_odd().put("a", b"x")

    assert "the bucket is in eu-west-3: set region" in caught.value.hint


# --- TLS ------------------------------------------------------------------------------


@pytest.fixture
def authority(certificate):
    """The files of a certificate that no public authority knows, and of its key."""
    return certificate / "cert.pem", certificate / "key.pem"


@pytest.fixture
def tls_config(authority, bucket_maker):
    """The config of a bucket behind that certificate."""
    with running_s3(ssl_context=tuple(map(str, authority))) as server:
        yield server.config(bucket_maker())


def test_a_private_authority(tls_config, authority):
    """A private certificate is refused with a hint, and taken as caCert or unchecked."""
    trusted = {"caCert": authority[0].read_text()}
    unchecked = {"insecureSkipTLSVerify": "true"}

    store = open_s3_store(tls_config)
    with pytest.raises(StoreAccessError) as caught:
        store.put("a", b"x")
    store.close()
    for more in (trusted, unchecked):
        store = open_s3_store({**tls_config, **more})
        store.put("a", b"x")
        assert store.stat("a").size == 1
        store.close()

    assert "caCert" in caught.value.hint


def test_tls_to_a_server_without(odd, open_odd, odd_running):
    """An address https:// of a plain server is an error that soon ends."""
    store = open_odd(
        s3Url=odd_running[0].url.replace("http:", "https:"), requestTimeout="2s"
    )

    with pytest.raises(StoreError):
        store.stat("a")

    assert odd.seen == []


# --- servers in trouble ---------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        Answer("503 Slow Down", "SlowDown"),
        Answer("429 Too Many Requests", "TooManyRequests"),
        Answer("429 Too Many Requests"),
        Answer("500 Internal Server Error", "InternalError"),
        Answer("502 Bad Gateway"),
    ],
    ids=lambda answer: f"{answer.status} {answer.code}",
)
def test_trouble_that_passes(odd, open_odd, large, answer):
    """A busy server is tried again, and what was asked for happens once."""
    store = open_odd()
    store._retry = AT_ONCE

    for act in (
        lambda: store.put("small", b"x", create=True),
        lambda: store.put("large", large),
        lambda: store.get("small", io.BytesIO()),
        lambda: list(store.list("")),
        lambda: store.delete("small"),
    ):
        odd.rules[:] = [answers(answer, times=2)]
        act()

    assert [info.key for info in store.list("")] == ["large"]
    assert store.stat("large").size == large.stat().st_size


def test_trouble_that_stays(odd, open_odd):
    """A server that stays busy ends the call as one that does not answer."""
    odd.rules.append(answers(Answer("503 Slow Down", "SlowDown")))
    store = open_odd()
    store._retry = AT_ONCE

    with pytest.raises(StoreUnavailableError, match="SlowDown") as caught:
        store.put("a", b"x")

    assert caught.value.retryable
    assert len(odd.seen) == AT_ONCE.attempts
