"""Of two restores of one name at once the second writes nothing; the record's copies."""

import json
import subprocess
import sys
import threading

import attrs
import pytest

from kbackup.catalog import BackupStore, RestoreClaim
from kbackup.errors import (
    ClusterError,
    RestoreExistsError,
    RestoreInProgressError,
    StoreUnavailableError,
)
from kbackup.models import RestoreSpec
from kbackup.plugins import RunEnded, RunStarted
from kbackup.restore import RestoreEngine
from kbackup_plugins_local import open_local_store

SPEC = RestoreSpec(backup_name="shop-1")
OTHER = RestoreSpec(backup_name="shop-1", excluded_resources=("secrets",))


def claims_in(tmp_path):
    """The claims on names of restores that lie in the store."""
    below = (tmp_path / "store-0/plugins/kbackup.io/restore-claims").rglob("*.json")
    return [path.name for path in below]


@pytest.mark.parametrize("second", [SPEC, OTHER], ids=["the same", "another"])
def test_second_of_two_at_once_writes_nothing(make_shop, tmp_path, second):
    """While a restore runs one of its name is refused before its first write."""
    seen = []

    def meanwhile(event):
        """Run a second one when the first has begun to write."""
        if isinstance(event, RunStarted) and event.kind == "restore":
            plans.append(engine.plan("try-1", second))
        if seen or not plans or shop.writes() == 0:
            return
        seen.append(claims_in(tmp_path))
        before = shop.writes()
        told = []
        rival = RestoreEngine(shop.cluster, shop.store, observer=told.append)
        for act in (
            lambda: rival.apply(plans[0]),
            lambda: rival.run("try-1", second),
        ):
            with pytest.raises(RestoreInProgressError, match=r"try-1: .* \(process"):
                act()
        seen.append(shop.writes() - before)
        assert told[-1] == RunEnded(phase="Failed")

    plans = []
    shop = make_shop(observer=meanwhile)
    engine = RestoreEngine(shop.cluster, shop.store)

    result = shop.engine.run("try-1", SPEC)

    assert seen[0] == ["try-1.json"]
    assert result.exit_code == 0
    assert claims_in(tmp_path) == []
    assert [each.name for each in shop.store.list_restores()] == ["try-1"]


def test_refused_one_may_run_under_another_name(shop, tmp_path):
    """The refusal says what to do, and carries the result of a run that failed."""
    with shop.store.claim_restore("try-1", run_uid="other"):
        with pytest.raises(RestoreInProgressError) as caught:
            shop.engine.run("try-1", SPEC)
        assert shop.writes() == 0
        assert "another name" in caught.value.hint
        assert str(caught.value.result.restore.status.phase) == "Failed"
        assert shop.engine.run("try-2", SPEC).exit_code == 0
    assert claims_in(tmp_path) == []


def test_two_names_side_by_side(shop):
    """Restores under other names run at once, and each is on record with its own."""
    start = threading.Barrier(2)
    results = {}

    def run(name):
        mapping = {"shop": f"copy-{name}"}
        spec = RestoreSpec(backup_name="shop-1", namespace_mapping=mapping)
        plan = shop.engine.plan(name, spec)
        start.wait(30)
        results[name] = shop.engine.apply(plan)

    threads = [threading.Thread(target=run, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert {x.name for x in shop.store.list_restores()} == {"a", "b"}
    for name in ("a", "b"):
        assert results[name].results.errors == ()
        assert shop.names("deployments.apps", f"copy-{name}") == ["web"]
        log = "\n".join(shop.store.restore_logs(name))
        assert f"restore=velero/{name}" in log
        others = "ba"["ab".index(name)]
        assert f"restore=velero/{others}" not in log


def test_name_that_was_used_between_plan_and_apply(shop):
    """A plan whose name another restore has used in the meantime is refused."""
    plan = shop.engine.plan("try-1", OTHER)
    shop.engine.run("try-1", SPEC)
    before = shop.writes()

    with pytest.raises(RestoreExistsError):
        shop.engine.apply(plan)

    assert shop.writes() == before


def test_name_of_a_killed_restore_of_another_backup(shop, tmp_path):
    """What a killed restore made is not taken for that of a restore of another backup."""
    plan = shop.engine.plan("try-1", SPEC)
    claim = tmp_path / "store-0/plugins/kbackup.io/restore-claims/try-1.json"
    with shop.store.claim_restore("try-1", run_uid="dead", from_backup="shop-0"):
        held = json.loads(claim.read_text())
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    claim.parent.mkdir(exist_ok=True)  # it went with the claim
    claim.write_text(json.dumps(held | {"pid": child.pid}))

    for act in (
        lambda: shop.engine.plan("try-1", SPEC),
        lambda: shop.engine.apply(plan),
    ):
        with pytest.raises(RestoreExistsError, match=r"shop-0 .* of backup shop-1"):
            act()

    assert shop.writes() == 0
    assert claims_in(tmp_path) == ["try-1.json"]


def test_with_a_closed_cluster(shop, tmp_path):
    """A restore into a cluster that was closed fails before it writes anything."""
    plan = shop.engine.plan("try-1", SPEC)
    shop.cluster.close()

    for act in (
        lambda: shop.engine.plan("try-1", SPEC),
        lambda: shop.engine.apply(plan),
        lambda: shop.engine.compare("shop-1"),
    ):
        with pytest.raises(ClusterError, match="this Cluster was closed"):
            act()

    assert shop.writes() == 0
    assert claims_in(tmp_path) == []


def test_restore_that_fails_gives_the_name_back(shop, tmp_path, monkeypatch):
    """A run that ends early leaves no claim."""

    def fail(*_):
        raise StoreUnavailableError("backups/shop-1/shop-1.tar.gz")

    plan = shop.engine.plan("try-1", SPEC)
    with monkeypatch.context() as broken:
        broken.setattr(BackupStore, "get", fail)
        with pytest.raises(StoreUnavailableError):
            shop.engine.apply(plan)

    assert claims_in(tmp_path) == []
    assert shop.engine.run("try-1", SPEC).exit_code == 0


def test_claim_that_cannot_be_given_back(shop, monkeypatch):
    """A store that fails at the very end changes nothing about the restore."""
    release = RestoreClaim.release

    def fail(claim):
        release(claim)  # or it would be renewed for as long as the tests run
        raise StoreUnavailableError("plugins/kbackup.io/restore-claims/try-1.json")

    with monkeypatch.context() as broken:
        broken.setattr(RestoreClaim, "release", fail)
        result = shop.engine.run("try-1", SPEC)

    assert result.exit_code == 0
    assert result.results.errors == ()
    assert str(shop.store.get_restore("try-1").status.phase) == "Completed"


def test_claim_that_was_lost(shop):
    """A restore that lost its name meanwhile says that it is not on record."""
    claim_restore = shop.store.claim_restore

    def claimed(name, **how):
        """Claim, and lose it at once to whoever finds it silent."""
        claim = claim_restore(name, **how)
        shop.store._store.delete("plugins/kbackup.io/restore-claims/try-1.json")
        return claim

    shop.store.claim_restore = claimed

    result = shop.engine.run("try-1", SPEC)

    (told,) = result.results.errors
    assert "this restore has no record" in told.message
    assert "this run has lost its claim on the name" in told.message
    assert result.exit_code != 0
    assert shop.store.list_restores() == []


def test_location_that_cannot_be_written(shop, tmp_path):
    """From a read-only location a restore works beside another, and claims nothing."""
    with (
        BackupStore.open(f"file://{tmp_path}/store-0", read_only=True) as store,
        shop.store.claim_restore("try-1", run_uid="other"),
    ):
        result = RestoreEngine(shop.cluster, store).run("try-1", SPEC)

        assert claims_in(tmp_path) == ["try-1.json"]
    assert result.exit_code == 0
    (warning,) = [
        each.message for each in result.results.warnings if "stored" in each.message
    ]
    assert "could not be stored" in warning


# --- mirrored directories -------------------------------------------------------------


@pytest.fixture(name="roots")
def fixture_roots(tmp_path):
    """The two directories."""
    return tmp_path / "a", tmp_path / "b"


@pytest.fixture(name="mirrored")
def fixture_mirrored(make_shop, roots, tmp_path):
    """The shop, its backup in two directories."""
    shop = make_shop()
    objects = open_local_store({"path": "#".join(map(str, roots))})
    objects.initialise()
    for info in shop.store._store.list("backups/"):
        objects.put(info.key, (tmp_path / "store-0" / info.key).read_bytes())
    store = BackupStore(objects)
    return attrs.evolve(shop, store=store, engine=RestoreEngine(shop.cluster, store))


def _copies(result):
    """The warnings of a result about directories."""
    return [w.message for w in result.results.warnings if "whole copy" in w.message]


def test_no_warning_with_all_directories_there(mirrored):
    """Where every directory gets its copy of the record there is nothing to warn of."""
    result = mirrored.engine.run("try-1", SPEC)

    assert _copies(result) == []
    stored = mirrored.store.restore_results("try-1").warnings
    assert len(stored) == len(result.results.warnings)


def test_record_that_misses_in_a_directory(mirrored, roots):
    """A directory that is away is a warning by name that tells how to make good."""
    roots[1].rename(roots[1].with_suffix(".disk"))

    result = mirrored.engine.run("try-1", SPEC)

    (told,) = _copies(result)
    assert told.startswith(f"{roots[1]} is away")
    assert "kbackup location repair" in told
    stored = [w.message for w in mirrored.store.restore_results("try-1").warnings]
    assert told in stored
    assert mirrored.store.get_restore("try-1").status.warnings == len(stored)
    roots[1].with_suffix(".disk").rename(roots[1])
    assert mirrored.store.repair(mirrored.store.plan_repair()).ok
    assert (roots[1] / "restores/try-1/kbackup-restore.json").exists()


def test_directory_that_goes_away_at_the_end(mirrored, roots, monkeypatch):
    """A directory that misses nothing but the record is told to whoever ran it."""
    put = mirrored.store.put_restore

    def unmount(*args):
        roots[1].rename(roots[1].with_suffix(".disk"))
        put(*args)

    monkeypatch.setattr(mirrored.store, "put_restore", unmount)

    result = mirrored.engine.run("try-1", SPEC)

    (told,) = _copies(result)
    assert told.startswith(f"{roots[1]} is away")
