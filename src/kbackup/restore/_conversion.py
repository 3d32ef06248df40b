"""Items whose writing needs a conversion webhook: of another version than is stored.

The API server takes a custom resource in any served version and stores it in one. Where
the definition leaves the conversion to a webhook, that one must answer for the write, and
on a new cluster it often is part of the very restore. Asked once for each type.
"""

from kbackup._kits.crds import conversion_webhook, storage_version
from kbackup.archive import ArchiveContents
from kbackup.cluster import Discovery
from kbackup.errors import ClusterError
from kbackup.models import Item, ResourceIdentifier, well_known
from kbackup.plugins import ClusterReader


def needed_conversion(
    item: Item, contents: ArchiveContents, discovery: Discovery, reader: ClusterReader
) -> str:
    """Return what a webhook has to do for items like this one; empty: nothing.

    The target's definition counts, or, where it has none, the one in the backup.
    """
    resource = item.identifier.group_resource
    if "." not in resource.group:  # served by the API server itself
        return ""
    served = [x for x in discovery.all_versions if x.group_resource == resource]
    if len(served) == 1:
        return ""
    ref = ResourceIdentifier(well_known.CRDS, "", str(resource))
    try:
        definition = reader.get(ref) if served else None
    except ClusterError:
        return ""  # not for the caller to read; a refusal will name the webhook
    if definition is None:
        stored = contents.get(ref)
        definition = stored.content if stored is not None else {}
    webhook, target = conversion_webhook(definition), storage_version(definition)
    version = item.api_version.rpartition("/")[2]
    if not webhook or version == target:
        return ""
    return (
        f"written at {version}, stored at {target} through the conversion webhook "
        f"{webhook} of CRD {resource}"
    )
