"""Items whose writing needs a conversion webhook: of another version than is stored.

The API server takes a custom resource in any served version and stores it in one. Where
the definition leaves the conversion to a webhook, that one must answer for the write, and
on a new cluster it often is part of the very restore. Asked once for each type.
"""

from collections.abc import Mapping
from typing import Any

from kbackup._kits.crds import conversion_webhook, storage_version
from kbackup._kits.kinds import is_built_in
from kbackup.archive import ArchiveContents
from kbackup.cluster import Discovery
from kbackup.errors import ClusterError
from kbackup.models import Item, ResourceIdentifier, well_known
from kbackup.plugins import ClusterReader


def needed_conversion(
    item: Item,
    contents: ArchiveContents,
    discovery: Discovery,
    reader: ClusterReader,
    *,
    is_brought: bool,
) -> str:
    """Return what a webhook has to do for items like this one; empty: nothing.

    The target's definition counts. The one in the backup counts where the target has
    none, or has it from this restore (*is_brought*).
    """
    resource = item.identifier.group_resource
    if is_built_in(resource.group):
        return ""
    version = item.api_version.rpartition("/")[2]
    ref = ResourceIdentifier(well_known.CRDS, "", str(resource))
    stored = contents.get(ref)
    definition: Mapping[str, Any] = stored.content if stored is not None else {}
    if not is_brought:
        served = {
            each.version
            for each in discovery.all_versions
            if each.group_resource == resource
        }
        if served == {version} and storage_version(definition) in ("", version):
            return ""  # the only version, as far as that is known: nobody is asked
        try:
            definition = reader.get(ref) or definition
        except ClusterError:
            return ""  # not for the caller to read; a refusal will name the webhook
    webhook, target = conversion_webhook(definition), storage_version(definition)
    if not webhook or version == target:
        return ""
    return (
        f"written at {version}, stored at {target} through the conversion webhook "
        f"{webhook} of CRD {resource}"
    )
