"""A run's log is gzip text, one record a line."""

import gzip
import logging

import pytest

from kbackup._kits.log_capture import LogCapture


@pytest.fixture(name="log")
def fixture_log(tmp_path):
    """A function that logs with one capture and returns the lines written."""

    def write(*messages, **extra):
        path = tmp_path / "log.gz"
        capture = LogCapture(path, {"backup": "velero/shop"})
        logger = logging.getLogger("kbackup.tests.log_capture")
        logger.addHandler(capture)
        logger.propagate = False
        for message in messages:
            logger.warning(message, extra={"fields": extra})
        capture.close()
        logger.warning("too late")
        return gzip.decompress(path.read_bytes()).decode().splitlines()

    return write


def test_line(log):
    """A line has time, level, message, then the fields by name."""
    (line,) = log("it went\nwrong", resource="pods", name="a b")

    assert line.startswith('time="')
    assert ' level=warning msg="it went\\nwrong" backup=velero/shop ' in line
    assert 'name="a b" resource=pods' in line


def test_records_after_close_are_dropped(log):
    """A thread that logs after the end breaks nothing."""
    assert len(log("one", "two")) == 2
