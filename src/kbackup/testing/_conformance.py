"""A contract suite outside a test session: does what is installed keep its promises?

``kbackup plugin check`` asks, and a program may as well. pytest runs the suite in this
process, without settings, plugins or output of its own; what comes of it are values.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import attrs
import pytest

from kbackup._kits.words import one_line
from kbackup.errors import KBackupError, PluginError
from kbackup.models import BackupStorageLocation
from kbackup.plugins import PluginKind, PluginManager
from kbackup.testing._conformance_inputs import inputs_of
from kbackup.testing._conformance_place import StorePlaces

# Not imported before pytest runs: it shows what an assertion found only where it has
# rewritten the module on its way in.
_SUITES = Path(__file__).with_name("_conformance_suites.py")
_REWRITTEN = (
    "kbackup.testing._action_contracts",
    "kbackup.testing._store_contract",
    "kbackup.testing._store_contract_capabilities",
    "kbackup.testing._store_contract_lists",
    "kbackup.testing._snapshotter_contract",
)
_LONGEST_FACT = 300  # letters; what was compared may be an object of a megabyte
_PLUGINS_OFF = (8, 4)  # the pytest that learned --disable-plugin-autoload


@attrs.frozen(kw_only=True)
class Promise:
    """One promise of a suite, and what came of it.

    Attributes:
        name: Of the suite's test, such as ``test_list_after``.
        text: The promise, a sentence.
        cases: With how many inputs it was tried.
        faults: By input what was found instead.
        untried: Why it could not be tried from here; empty: it was.
    """

    name: str
    text: str
    cases: int = 0
    faults: Mapping[str, str] = attrs.field(factory=dict)
    untried: str = ""

    @property
    def kept(self) -> bool:
        """Whether it was tried and held for every input."""
        return not self.faults and not self.untried


@attrs.frozen(kw_only=True)
class ConformanceReport:
    """Which promises of its family something keeps.

    Attributes:
        suite: The name of the suite in `kbackup.testing`.
        promises: In the order of the suite; never none.
        capabilities: Those that an object store declares, by name.
        left_behind: Keys, or snapshots, that could not be removed, or why not.
        volumes_made: Volumes that a snapshotter made, which it cannot remove.
        locked: Keys that the suite locked and that the store does not give up before a
            few minutes have passed, as it should.
    """

    suite: str
    promises: tuple[Promise, ...]
    capabilities: tuple[str, ...] = ()
    left_behind: tuple[str, ...] = ()
    volumes_made: tuple[str, ...] = ()
    locked: tuple[str, ...] = ()

    @property
    def conforming(self) -> bool:
        """Whether every promise that was tried is kept, and nothing was left behind."""
        return not self.left_behind and not any(each.faults for each in self.promises)

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON."""
        return {
            "suite": self.suite,
            "conforming": self.conforming,
            "capabilities": list(self.capabilities),
            "promises": [
                {
                    "name": each.name,
                    "promise": each.text,
                    "kept": each.kept,
                    "untried": each.untried,
                    "cases": each.cases,
                    "faults": [
                        {"case": case, "fault": fault}
                        for case, fault in each.faults.items()
                    ],
                }
                for each in self.promises
            ],
            "leftBehind": list(self.left_behind),
            "volumesMade": list(self.volumes_made),
            "locked": list(self.locked),
        }


Heard = Callable[[str], None]
"""Told each promise as it is tried."""


def check_object_store(
    location: BackupStorageLocation,
    plugins: PluginManager,
    *,
    heard: Heard | None = None,
) -> ConformanceReport:
    """Try every promise of an object store on the store of a location.

    What is written lies below ``plugins/kbackup.io/check-<uid>/`` of the location, a
    directory for each promise, and is removed again.

    Raises:
        PluginError: The provider is not installed or not complete.
        InvalidConfigError: The provider refuses the location.
        ReadOnlyLocationError: The location is not to be written.
        StoreError: Not even an empty directory of it can be listed.
    """
    places = StorePlaces(location, plugins)
    capabilities = places.require_use()
    promises = run_suite(PluginKind.OBJECT_STORE, places, heard)
    left_behind, locked = places.remove_everything()
    return ConformanceReport(
        suite=suite_of(PluginKind.OBJECT_STORE),
        promises=promises,
        capabilities=tuple(sorted(capabilities)),
        left_behind=left_behind,
        locked=locked,
    )


def check_item_action(
    kind: PluginKind,
    action: Any,
    items: Sequence[Mapping[str, Any]],
    *,
    heard: Heard | None = None,
) -> ConformanceReport:
    """Try every promise of an item action on those of *items* that it applies to.

    Each is given as it is and with nothing but its metadata; all of them are what the
    action can read of a cluster. Nothing is sent anywhere.

    Raises:
        PluginError: The action applies to none of *items*.
    """
    inputs = inputs_of(kind, action, items)
    if not inputs:
        raise PluginError(
            f"{action.name} applies to none of the {len(items)} objects that it could "
            "be tried on",
            plugin=action.name,
            hint="give objects that it is for",
        )
    given = ActionCase(action=action, inputs=inputs)
    return ConformanceReport(
        suite=suite_of(kind), promises=run_suite(kind, given, heard)
    )


@attrs.frozen(kw_only=True)
class ActionCase:
    """An action, and what makes that which it is tried on, by names for people."""

    action: Any
    inputs: Mapping[str, Callable[[], Any]]


def suite_of(kind: PluginKind) -> str:
    """Return the name of a family's suite in `kbackup.testing`."""
    return f"{kind}Contract"


def run_suite(
    kind: PluginKind, given: object, heard: Heard | None
) -> tuple[Promise, ...]:
    """Let pytest run the suite of a family on what is *given*.

    Raises:
        KBackupError: pytest could not run it.
        KeyboardInterrupt: It was interrupted; what the suite made is removed.
    """
    recorder = _Recorder(given, heard)
    arguments = [
        *("-c", os.devnull, "--rootdir", str(_SUITES.parent)),
        *("--import-mode=importlib", "-p", "no:cacheprovider", "-vv"),
        *(["--disable-plugin-autoload"] * (pytest.version_tuple >= _PLUGINS_OFF)),
        f"{_SUITES}::Test{kind}",
    ]
    with redirect_stdout(io.StringIO()) as said:
        code = pytest.main(arguments, plugins=[recorder])
    if code == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        raise KBackupError(f"pytest could not run the suite: {_last(said.getvalue())}")
    return recorder.promises()


class _Recorder:
    """A plugin of pytest that hands the suite what it is about, and notes what came."""

    def __init__(self, given: object, heard: Heard | None) -> None:
        self._given = given
        self._heard = heard
        self._tests: dict[str, tuple[str, str, str]] = {}  # name, promise, case
        self._ran: dict[str, int] = {}
        self._faults: dict[str, dict[str, str]] = {}
        self._untried: dict[str, str] = {}

    def pytest_configure(self) -> None:
        """Have the suites say what they found."""
        pytest.register_assert_rewrite(*_REWRITTEN)

    @pytest.fixture(name="checked")
    def fixture_checked(self) -> object:
        """What is checked."""
        return self._given

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Give each input of an action a case of its own."""
        if "given" in metafunc.fixturenames and isinstance(self._given, ActionCase):
            metafunc.parametrize("given", list(self._given.inputs), indirect=True)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Learn what each test stands for."""
        for item in items:
            case = getattr(getattr(item, "callspec", None), "id", "")
            name = getattr(item, "originalname", item.name)
            text = (getattr(item, "function", None).__doc__ or name).partition("\n")[0]
            self._tests[item.nodeid] = (name, text, case)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Tell which promise is tried now."""
        name, text, _ = self._tests[nodeid]
        if name not in self._ran and self._heard is not None:
            self._heard(text)
        self._ran[name] = self._ran.get(name, 0) + 1

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what went wrong, the first of it for each case, and what was not tried."""
        name, _, case = self._tests[report.nodeid]
        if report.skipped and isinstance(report.longrepr, tuple):
            self._untried[name] = report.longrepr[2].removeprefix("Skipped: ")
        if report.failed:
            self._faults.setdefault(name, {}).setdefault(case, _fact(report))

    def promises(self) -> tuple[Promise, ...]:
        """Return what came of each promise that was tried."""
        texts = {name: text for name, text, _ in self._tests.values()}
        return tuple(
            Promise(
                name=name,
                text=texts[name],
                cases=count,
                faults=self._faults.get(name, {}),
                untried=self._untried.get(name, ""),
            )
            for name, count in self._ran.items()
        )


def _fact(report: pytest.TestReport) -> str:
    """Say in one line what a failed test found."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else report.longreprtext
    fact = one_line(text.strip().partition("\n")[0][: _LONGEST_FACT + 1])
    return fact if len(fact) <= _LONGEST_FACT else f"{fact[:_LONGEST_FACT]}..."


def _last(output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip()]
    return one_line(lines[-1]) if lines else "it said nothing"
