"""What a run knows of hooks that an earlier run of the same restore began."""

import pytest

from kbackup.hooks import HookNote
from kbackup.plugins import Run
from kbackup.restore._commands.hook_journal import Earlier, HookJournal

KEY = "shop/db main"


class Kept:
    """A journal that a next run reads."""

    def __init__(self):
        self.entries = []

    def append(self, entry):
        """Keep an entry."""
        self.entries.append(entry["restoreHooks"])


def journal(entries, kept=None, **more):
    """The journal as a run reads it."""
    return HookJournal(Run(uid="u", kind="restore", name="r"), kept, entries, **more)


def after(*notes):
    """What a run knows after one that noted this."""
    kept = Kept()
    first = journal([], kept)
    for note in (HookNote(), *notes):
        first.note(note)
    return journal(kept.entries)


BEGUN = HookNote(begun=(KEY, "shop/web main"))


@pytest.mark.parametrize(
    ("notes", "earlier"),
    [
        ([], Earlier.NOTHING),
        ([BEGUN], Earlier.BEGUN),
        ([BEGUN, HookNote(left=(KEY,))], Earlier.NOTHING),
        ([BEGUN, HookNote(left=(KEY,)), BEGUN], Earlier.BEGUN),
        ([BEGUN, HookNote(ended=((KEY, 0),))], Earlier.ENDED),
    ],
    ids=["nothing", "begun", "left", "begun again", "ended"],
)
def test_what_an_earlier_run_did(notes, earlier):
    """Begun counts until it is taken back or has ended."""
    assert after(*notes).earlier(KEY) is earlier


def test_without_a_journal_nothing_is_known():
    """Not even that nothing was begun; a record says that all is settled."""
    assert journal([]).earlier(KEY) is Earlier.UNKNOWN
    assert journal([], recorded=True).earlier(KEY) is Earlier.RECORDED


def test_what_failed_is_summed():
    """A command that failed, and those that it kept from being run, are told apart."""
    assert after(BEGUN, HookNote(ended=((KEY, 1), (KEY, 2)))).failed(KEY) == 3


def test_odd_entries():
    """What another version wrote, or somebody else, is passed over."""
    odd = [{}, {"begun": "x", "ended": [1], "left": 3}, {"ended": {KEY: "many"}}]

    assert journal(odd).earlier(KEY) is Earlier.ENDED
    assert journal(odd).failed(KEY) == 0
