"""What is told of a command's end, and what is not."""

import pytest

from kbackup.hooks._words import last_line, masked

COMMAND = ("mysql", "--password=hunter2", "-e", "FLUSH TABLES; -- hunter3")


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (b"", ""),
        (b"one\ntwo\n\n", "two"),
        (b"  spaced   out \r\n", "spaced out"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"\x1b[31mred", "\\u001b[31mred"),
        (b"x" * 300, "x" * 200 + "..."),
        (b"unknown option --password=hunter2", "unknown option ***"),
        (b'near "FLUSH TABLES; -- hunter3"', 'near "***"'),
        (b"mysql: -e needs a value", "mysql: -e needs a value"),
    ],
    ids=[
        "none",
        "last",
        "blanks",
        "bytes",
        "terminal",
        "long",
        "word",
        "script",
        "plain",
    ],
)
def test_of_what_is_written_the_last_line_is_told(written, told):
    """One short line that a terminal can show, without the command's own secrets."""
    assert last_line(written, COMMAND) == told


def test_a_command_line_as_one_word_is_not_quoted():
    """A container runtime quotes the program that it cannot find."""
    line = "mysqldump -u root -phunter2"

    assert masked(f'exec: "{line}": not found', (line,)) == 'exec: "***": not found'
