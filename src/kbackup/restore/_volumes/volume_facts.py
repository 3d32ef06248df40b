"""What the verdicts about claims depend on, read once for a plan.

The target's volumes, classes and nodes, as far as they may be read, and what the backup
says it holds of each claim's data. Called by the planner when it meets a claim.
"""

from collections.abc import Set as AbstractSet

from kbackup.errors import ClusterError
from kbackup.models import ResourceIdentifier, well_known
from kbackup.restore._notices.notices import NoticeBook
from kbackup.restore._owners.owners import Key
from kbackup.restore._plan.claims import VolumeFacts
from kbackup.restore._request.request import RestoreRequest
from kbackup.restore._target.reads import bears_on_everything

_CLASS = ("storage.k8s.io", "StorageClass")


def learn_volumes(
    request: RestoreRequest, book: NoticeBook, present: AbstractSet[Key]
) -> VolumeFacts:
    """Read the facts.

    Args:
        request: The restore.
        book: Is told what may not be read.
        present: What the target will have: its own classes and those of the backup.
    """
    reader, options = request.reader, request.options
    reattach = options.released_volumes == "reattach"
    reuse = options.retained_volumes == "reuse"
    try:
        volumes = {
            x["metadata"]["name"]: x for x in reader.list(well_known.PERSISTENT_VOLUMES)
        }
    except ClusterError as exc:
        if bears_on_everything(exc):
            raise
        book.say(f"the target's volumes are not readable: {exc}")
        volumes, reattach, reuse = {}, False, False
    classes = reader.names(well_known.STORAGE_CLASSES)
    if classes is not None:
        classes |= {name for kind, _, name in present if kind == _CLASS}
    wanted = request.spec.restore_pvs is not False
    takes = _takes_volumes(request)
    records = request.volumes or ()
    return VolumeFacts(
        volumes=volumes,
        storage_classes=classes,
        nodes=reader.names(well_known.NODES) if reattach or reuse else None,
        reattach=reattach and wanted,
        reuse=reuse and wanted and takes,
        takes_volumes=takes,
        refused=not wanted,
        same_cluster=request.same_cluster,
        data={x.claim: x.data for x in records if x.claim},
        volume_data={x.volume: x.data for x in records if x.volume},
        data_unknown=request.volumes is None,
    )


def _takes_volumes(request: RestoreRequest) -> bool:
    """Whether the selection leaves PersistentVolumes of the backup in."""
    filters = request.filters
    any_volume = ResourceIdentifier(well_known.PERSISTENT_VOLUMES, "", "")
    allowed = filters.wants_type(well_known.PERSISTENT_VOLUMES)
    return allowed and filters.wants_scope(any_volume, additional=True)
