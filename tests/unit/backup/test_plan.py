"""What a plan says."""

from kbackup.backup import BackupPlan
from kbackup.backup._plan import planned_types
from kbackup.catalog import NotCovered
from kbackup.models import GroupResource, ResultEntry, Results

PODS, NODES = GroupResource("", "pods"), GroupResource("", "nodes")


def _plan():
    """Return a plan with two types, a gap and a warning."""
    counts = {(PODS, "shop"): 3, (NODES, ""): 1, (PODS, "bank"): 2}
    return BackupPlan(
        items=planned_types(counts),
        not_covered=[NotCovered(resource="secrets", reason="forbidden")],
        results=Results(warnings=[ResultEntry(message="look out")]),
    )


def test_a_plan_counts_by_type_and_namespace():
    """The total is the sum; the order is by type, then by namespace."""
    plan = _plan()

    assert plan.total == 6
    assert [(str(each.resource), each.namespace) for each in plan.items] == [
        ("nodes", ""),
        ("pods", "bank"),
        ("pods", "shop"),
    ]


def test_a_printed_plan_names_the_gaps():
    """People read types, namespaces, counts, gaps and warnings."""
    text = str(_plan())

    assert "pods   shop            3" in text
    assert "6 objects would be stored" in text
    assert "not covered: secrets: forbidden" in text
    assert "warning: look out" in text


def test_a_plan_in_a_notebook():
    """A notebook shows the total, the gaps and the table of types."""
    html = _plan()._repr_html_()

    assert "<p><strong>6 objects would be stored</strong></p>\n<pre>" in html
    assert "not covered: secrets: forbidden\nwarning: look out</pre>" in html
    assert html.count("<tr>") == 4


def test_a_plan_as_json():
    """The document states its version and kind."""
    document = _plan().to_json()

    assert document["apiVersion"] == "kbackup.io/v1"
    assert document["kind"] == "BackupPlan"
    assert document["total"] == 6
    assert document["items"][2] == {"resource": "pods", "namespace": "shop", "count": 3}
    assert document["notCovered"] == ["secrets: forbidden"]
