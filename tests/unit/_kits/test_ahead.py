"""Pages are read one ahead of whoever looks at them."""

import threading

import pytest

from kbackup._kits.ahead import read_ahead


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
def test_every_page_comes_once_and_in_order(count):
    """All pages come, however many there are."""
    assert list(read_ahead(iter(range(count)))) == list(range(count))


def test_the_next_page_is_read_meanwhile():
    """While the third page is looked at, the fourth is asked for; a fifth is not."""
    asked, fourth = [], threading.Event()

    def pages():
        """Note what is asked for."""
        for number in range(1, 7):
            asked.append(number)
            if number == 4:
                fourth.set()
            yield number

    found = read_ahead(pages())
    assert [next(found) for _ in range(3)] == [1, 2, 3]
    assert fourth.wait(30)
    assert asked == [1, 2, 3, 4]
    assert list(found) == [4, 5, 6]


def test_an_error_is_raised_after_what_came_before_it():
    """A page that cannot be read ends the pages where it would have been."""

    def pages():
        """Fail at the fourth page."""
        yield from (1, 2, 3)
        raise ValueError("gone")

    found = read_ahead(pages())
    assert [next(found) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(ValueError, match="gone"):
        next(found)


def test_short_lists_need_no_thread():
    """Up to two pages are read by the caller's own thread."""
    threads = []

    def pages():
        """Note the thread of each page."""
        for number in range(2):
            threads.append(threading.current_thread())
            yield number

    assert list(read_ahead(pages())) == [0, 1]
    assert set(threads) == {threading.current_thread()}
