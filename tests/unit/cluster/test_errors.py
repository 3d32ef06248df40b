"""Every error of the libraries below is one of ours when it leaves the room."""

import inspect
import json

import kubernetes.client.exceptions
import kubernetes.config.config_exception
import pytest
import urllib3.exceptions
import websocket._exceptions

from kbackup.cluster import causes
from kbackup.cluster._errors import (
    _MESSAGES,
    Subject,
    describe_failure,
    error_from_answer,
    error_from_exception,
)
from kbackup.cluster._exec import read_exit_code
from kbackup.errors import AlreadyExistsError, ClusterUnreachableError, ExecError

SUBJECT = Subject("get", "pods", "x/a")


def _classes():
    modules = (
        urllib3.exceptions,
        kubernetes.client.exceptions,
        kubernetes.config.config_exception,
        websocket._exceptions,
    )
    for module in modules:
        for _, each in inspect.getmembers(module, inspect.isclass):
            if not issubclass(each, Exception) or issubclass(each, Warning):
                continue
            if each.__module__.split(".")[0] in {"urllib3", "kubernetes", "websocket"}:
                yield each


@pytest.mark.parametrize("kind", sorted(set(_classes()), key=str), ids=str)
def test_every_class_is_known(kind):
    """A class of a library, or one of its bases, has words of ours."""
    assert any(each.__name__ in _MESSAGES for each in kind.__mro__)


def test_no_answer():
    """A request without an answer is told with the system's reason, not with data."""
    inner = ConnectionRefusedError(111, "Connection refused")
    error = urllib3.exceptions.ProtocolError("Connection aborted.", inner)
    error.__cause__ = inner

    ours = error_from_exception(SUBJECT, error)

    assert isinstance(ours, ClusterUnreachableError)
    assert "the connection broke (Connection refused)" in str(ours)


@pytest.mark.parametrize(
    "message",
    [
        'admission webhook "w.example.com" denied the request: password hunter2 is weak',
        (
            "secrets \"a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' "
            "denied request: password hunter2 is weak"
        ),
    ],
    ids=["webhook", "policy"],
)
def test_what_admission_says_of_a_secret(message):
    """A webhook or a policy that quotes a Secret's value does not get it into an error."""
    body = json.dumps({"kind": "Status", "reason": "Forbidden", "message": message})

    subject = Subject("create", "secrets", "x/a")
    error = error_from_answer(subject, 403, {}, body.encode())

    assert "denied" in str(error)
    assert "hunter2" not in f"{error!r} {error} {error.body}"


@pytest.mark.parametrize("words", ["denied the request", "denied request"])
def test_a_value_that_reads_like_a_denial(words):
    """A value that a server quotes does not get into an error by the words it holds."""
    message = f'secrets "a" is invalid: x: Invalid value: "hunter2 {words}": too odd'
    body = json.dumps({"kind": "Status", "reason": "Invalid", "message": message})

    subject = Subject("create", "secrets", "x/a")
    error = error_from_answer(subject, 422, {}, body.encode())

    assert "hunter2" not in f"{error!r} {error} {error.body}"


@pytest.mark.parametrize(
    "words",
    [
        "binding: no params found for policy binding with `Deny` parameterNotFoundAction",
        (
            "binding: paramKind kind `example.com/v1, Kind=Limit` not yet synced to use "
            "for admission"
        ),
        "policy: failed to find resource referenced by paramKind",
    ],
    ids=["no parameters", "not synced", "no type"],
)
def test_what_the_server_says_of_a_policy_it_cannot_ask(words):
    """That a policy's parameters are not there is told of a Secret, too; no word more."""
    told = f"ValidatingAdmissionPolicy 'p' denied request: failed to configure {words}"
    message = f'secrets "a" is invalid: : {told}: hunter2'
    body = json.dumps({"kind": "Status", "reason": "Invalid", "message": message})

    error = error_from_answer(
        Subject("create", "secrets", "x/a"), 422, {}, body.encode()
    )

    assert str(error).endswith(told)
    assert "hunter2" not in f"{error!r} {error} {error.body}"


def test_conflict_and_exists():
    """Two meanings of 409 are two errors; causes can be read from either."""
    body = (
        b'{"kind":"Status","reason":"AlreadyExists","message":"m",'
        b'"details":{"name":"a","causes":[{"reason":"R","field":"f"}]}}'
    )

    error = error_from_answer(SUBJECT, 409, {}, body)

    assert isinstance(error, AlreadyExistsError)
    assert causes(error) == ({"reason": "R", "field": "f"},)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b'{"status":"Success"}', 0),
        (
            (
                b'{"status":"Failure","reason":"NonZeroExitCode","details":{"causes":'
                b'[{"reason":"ExitCode","message":"3"}]}}'
            ),
            3,
        ),
    ],
    ids=["success", "three"],
)
def test_exit_code(raw, code):
    """The error channel tells the exit code."""
    assert read_exit_code(SUBJECT, raw) == code


@pytest.mark.parametrize(
    "raw",
    [b'{"status":"Failure","message":"no such container"}', b"no such container"],
    ids=["status", "text"],
)
def test_command_not_run(raw):
    """A command that could not be started is an error with the server's words."""
    with pytest.raises(ExecError, match="no such container"):
        read_exit_code(SUBJECT, raw)


def test_causes_in_a_ring():
    """Two exceptions that name each other as their cause are told of, once."""
    first = urllib3.exceptions.ConnectTimeoutError("a")
    second = urllib3.exceptions.ProxyError("b", first)
    first.__cause__, second.__cause__ = second, first

    assert describe_failure(first) == "no connection in time"
