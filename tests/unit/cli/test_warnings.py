"""What a library warns of is told once."""

import warnings
from threading import Thread

import pytest
from urllib3.exceptions import InsecureRequestWarning

from kbackup.cli._warnings import telling_unverified_once

TEXT = "Unverified HTTPS request is being made to host '{}'. Adding certificate ..."


@pytest.fixture(autouse=True)
def filters():
    """The filters as urllib3 sets them: its warning is shown each time."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", InsecureRequestWarning)
        yield


def warn(host):
    """Warn as urllib3 does."""
    warnings.warn(TEXT.format(host), InsecureRequestWarning, stacklevel=1)


def test_a_server_that_is_not_verified(capsys):
    """Ninety requests to a server that is not verified are one line, in any thread."""
    with telling_unverified_once():
        for host in ("10.0.0.1", "10.0.0.1", "minio", "10.0.0.1"):
            thread = Thread(target=warn, args=[host])
            thread.start()
            thread.join()

    first, second = capsys.readouterr().err.splitlines()
    assert first == (
        "warning: the TLS certificate of 10.0.0.1 is not verified, as its settings say "
        "(insecure-skip-tls-verify)"
    )
    assert second.startswith("warning: the TLS certificate of minio is not verified")


def test_a_program_is_warned_as_before(capsys):
    """After a command, and for other warnings, Python's own way is left as it was."""
    usual = warnings.showwarning

    with pytest.warns(UserWarning, match="other"), telling_unverified_once():
        warnings.warn("other", UserWarning, stacklevel=1)

    assert warnings.showwarning is usual
    assert capsys.readouterr().err == ""
