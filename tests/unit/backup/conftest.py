"""What the tests of the backup engine share."""

from datetime import UTC, datetime

import pytest


@pytest.fixture
def clock_start():
    """An instant for frozen clocks."""
    return datetime(2024, 5, 1, 2, 0, 0, tzinfo=UTC)
