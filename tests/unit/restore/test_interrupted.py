"""Ctrl-C in a notebook, where nobody cancels a token: no write begins after it."""

import signal
import threading
import time

import pytest

from kbackup.models import RestoreSpec
from kbackup.plugins import ItemRestored, RunEnded
from kbackup.restore import RestoreEngine

COPY = RestoreSpec(backup_name="shop-1", namespace_mapping={"shop": "copy"})
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
MAPS = [
    {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"map-{number:03}", "namespace": "shop"},
    }
    for number in range(120)
]


def test_stopping_the_cell(make_shop):
    """What was sent is waited for and told; nothing is written once the cell has ended."""
    shop = make_shop([NAMESPACE, *MAPS])
    events = []

    def observe(event):
        """Press Ctrl-C at the first ConfigMap that is written."""
        events.append(event)
        is_map = isinstance(event, ItemRestored) and event.identifier.name in {
            each["metadata"]["name"] for each in MAPS
        }
        if is_map and not pressed:
            pressed.append(event)
            main = threading.main_thread().ident
            signal.pthread_kill(main, signal.SIGINT)

    pressed = []
    engine = RestoreEngine(shop.cluster, shop.store, observer=observe)
    plan = engine.plan("try-1", COPY)
    shop.simulated.faults.delay(0.05, verb="create", resource="configmaps")

    with pytest.raises(KeyboardInterrupt) as stopped:
        engine.apply(plan)
    written = shop.names("configmaps", "copy")
    time.sleep(0.3)

    assert shop.names("configmaps", "copy") == written
    assert 0 < len(written) < len(MAPS)
    told = stopped.value.result
    created = {
        outcome.identifier.name
        for outcome in told.outcomes
        if outcome.action == "created" and outcome.identifier.namespace == "copy"
    }
    assert created == {*written} - {"kube-root-ca.crt"}
    assert told.cancelled
    assert told.results.errors == ()
    assert any("run again, completes it" in note for note in stopped.value.__notes__)
    assert events[-1] == RunEnded(phase="Cancelled")
    assert engine.run("try-1", COPY).results.errors == ()
    assert {*shop.names("configmaps", "copy")} >= {x["metadata"]["name"] for x in MAPS}
