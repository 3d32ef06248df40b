"""From an item of the backup to the item as it would be written.

Reset, item actions, claims and volumes, place in the target, init containers of hooks,
transforms, resource modifiers, labels: in this order, without any effect. A status that
is wanted stays as the backup has it. The planner calls it to predict, the writer calls
it again to write: both get the same bytes, which the digest in the plan holds them to.
"""

import hashlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import repeat
from types import MappingProxyType
from typing import Any, cast

import attrs
import msgspec

from kbackup._kits.controlled import Role, ownership
from kbackup.errors import ActionError
from kbackup.hooks import NO_COMMANDS, ExecHooks, InitHooks, PodCommands
from kbackup.models import (
    Backup,
    GroupResource,
    Item,
    ItemPredicate,
    ResourceIdentifier,
    Restore,
    RestoreOptions,
    label_value,
    labels,
    qualified_name,
    well_known,
)
from kbackup.plugins import (
    ClusterReader,
    RestoreInput,
    RestoreItemAction,
    RestoreOutput,
    Run,
)
from kbackup.plugins.engine import (
    ActionIndex,
    execute_action,
    execute_own_action,
    fact_of,
)
from kbackup.restore._making.readiness import Awaited
from kbackup.restore._making.reset import label, reset, reset_again, settle
from kbackup.restore._making.type_facts import KnownAction, TypeFacts
from kbackup.restore._making.unmet import Mappings
from kbackup.restore._making.untying import reset_claim, reset_volume
from kbackup.restore._making.user_changes import (
    UNCHANGED,
    UserChanges,
    copied,
    fingerprint,
)
from kbackup.restore._owners.owners import Reference, references_of
from kbackup.restore._plan.claims import ClaimLine
from kbackup.restore._request.filters import Filters
from kbackup.restore._request.modifiers import Modifiers
from kbackup.restore._request.redaction import Redaction
from kbackup.restore._request.statuses import StatusRules

_TIED = (well_known.PERSISTENT_VOLUME_CLAIMS, well_known.PERSISTENT_VOLUMES)
_encode = msgspec.json.Encoder().encode


class Desired(msgspec.Struct, frozen=True, kw_only=True):
    """An item as it would be written; a msgspec value as `PlanEntry`.

    Attributes:
        content: The object.
        body: The same as JSON.
        target: Its identity in the target.
        additional: What actions asked to be restored before it, each with the action.
        skip: Why it shall not be restored; empty: it shall.
        begins: The actions that act when it is written.
        awaits: What actions wait for before it is written.
        owners: Its owner references, still without UIDs; not part of the content.
        status: That of the backup, where it is to have it again; not part of the
            content. None: it is not.
        changed_by: Which actions of others, or with settings of the user, hooks, transforms
            and resource modifiers changed it.
        init_containers: The names of those that hooks added.
        commands: What is run in it once it is there, if it is a Pod; part of no digest:
            the plan names them.
        rules: The resource modifiers that are for it, by number.
        errors: Why some of them were not applied; it is restored without.
    """

    content: Mapping[str, Any]
    body: bytes
    target: ResourceIdentifier
    additional: tuple[tuple[ResourceIdentifier, str], ...] = ()
    skip: str = ""
    begins: tuple[RestoreItemAction, ...] = ()
    awaits: tuple[Awaited, ...] = ()
    owners: tuple[Reference, ...] = ()
    changed_by: tuple[str, ...] = ()
    init_containers: tuple[str, ...] = ()
    commands: PodCommands = NO_COMMANDS
    status: Any = None
    rules: tuple[int, ...] = ()
    errors: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of the body and the status after it, in hexadecimal."""
        if self.status is None:
            return digest_of(self.body)
        return digest_of(self.body + _encode(self.status))

    def __repr__(self) -> str:  # never the body: it may be a Secret
        return f"Desired({self.target})"


def digest_of(body: bytes) -> str:
    """The digest of an item of which nothing but the body is written."""
    return hashlib.sha256(body).hexdigest()


class StoredContent(Mapping[str, Any]):
    """The parsed body of an item, parsed when somebody looks: few actions do."""

    def __init__(self, item: Item) -> None:
        self._item = item

    @cached_property
    def _content(self) -> dict[str, Any]:
        return self._item.content

    def __getitem__(self, key: str) -> Any:
        return self._content[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)


class DesiredMaker:
    """Makes desired items for one restore; may be called from any thread."""

    def __init__(
        self,
        *,
        restore: Restore,
        backup: Backup,
        options: RestoreOptions,
        filters: Filters,
        actions: ActionIndex[RestoreItemAction],
        cluster: ClusterReader,
        run: Run,
        redaction: Redaction = Redaction(),  # noqa: B008 - frozen
        statuses: StatusRules = StatusRules(),  # noqa: B008 - frozen
        modifiers: Modifiers | None = None,
        hooks: InitHooks | None = None,
        mappings: Mappings | None = None,
        commands: ExecHooks | None = None,
    ) -> None:
        self._commands = commands
        self._restore = restore
        self._backup = backup
        self._options = options
        self._filters = filters
        self._actions = actions
        self._cluster = cluster
        self._run = run
        self._redaction = redaction
        self._statuses = statuses
        watched = mappings or options
        self._user = UserChanges(watched.transforms, modifiers, redaction, hooks)
        settings = mappings.settings if mappings else options.action_settings
        self._settings = {  # which an action cannot change for the next item
            action: MappingProxyType(given) for action, given in settings.items()
        }
        self._marks: Mapping[str, str] = {
            labels.BACKUP_NAME: label_value(backup.name),
            labels.RESTORE_NAME: label_value(restore.name),
        }
        self._last = TypeFacts()

    def make(
        self,
        item: Item,
        content: dict[str, Any],
        line: ClaimLine | None = None,
        target: ResourceIdentifier | None = None,
        *,
        hooked: bool = True,
    ) -> Desired:
        """Make the desired item.

        Args:
            item: Of the backup.
            content: Its parsed body, given away: it is changed.
            line: What the plan says about it, where it is a claim.
            target: Where it goes, if the caller has asked the filters already.
            hooked: A Pod gets the init containers of hooks.

        Raises:
            PluginError: An action, a hook or a transform failed on it or did not return.
        """
        kind = self._kind_of(item.identifier.group_resource)
        owners, status = self._owners_of(content), content.get("status")
        reset(content)
        outcome, changed = _NOTHING_DONE, UNCHANGED
        if asked := kind.asked(content):
            outcome = self._execute(item, content, asked)
            content = outcome.content
        self._untie(content, kind, line)
        target = target or self._filters.target(item.identifier)
        settle(content, target)
        if kind.is_changed and not outcome.skip:
            changed = self._user.apply(content, item.identifier, target, hooked=hooked)
            content, target = changed.content, changed.target
        label(content, kind.marks)
        return Desired(
            content=content,
            body=_encode(content),
            target=target,
            additional=outcome.additional,
            skip=outcome.skip or changed.skip,
            begins=outcome.begins,
            awaits=outcome.awaits,
            owners=owners,
            changed_by=outcome.changed_by + changed.changed_by,
            init_containers=changed.init_containers,
            commands=self._commands_in(content, target) if kind.is_pod else NO_COMMANDS,
            status=status if status and self._wants(item, content) else None,
            rules=changed.rules,
            errors=changed.errors,
        )

    def make_untouched(
        self, item: Item, content: dict[str, Any], target: ResourceIdentifier
    ) -> bytes | None:
        """Make the body that `make` would make of an item in which nobody has a say.

        The item has no owners; *content* is changed. None, and it is as it was: actions
        or the user may have a say.
        """
        kind = self._kind_of(item.identifier.group_resource)
        if kind.is_changed or kind.is_tied:
            return None
        if kind.asked(content):
            return None
        if content.get("status") and self._wants(item, content):
            return None
        reset(content)
        settle(content, target)
        label(content, kind.marks)
        return _encode(content)

    def _commands_in(
        self, content: Mapping[str, Any], pod: ResourceIdentifier
    ) -> PodCommands:
        """What is run in a Pod once it is there."""
        return (
            NO_COMMANDS if self._commands is None else self._commands.of(pod, content)
        )

    def _wants(self, item: Item, content: Mapping[str, Any]) -> bool:
        """Whether an item is to have again the status that it had."""
        return self._statuses.wants(item.identifier.group_resource, content)

    def _untie(
        self, content: dict[str, Any], kind: TypeFacts, line: ClaimLine | None
    ) -> None:
        """Untie a claim or a volume from what it was bound to in the old cluster."""
        if kind.is_claim:
            reset_claim(content, line)
        elif kind.is_tied:
            reset_volume(content, self._filters.mapping)

    def _owners_of(self, content: Mapping[str, Any]) -> tuple[Reference, ...]:
        """The owners that an item of the backup is to have again."""
        if not content["metadata"].get("ownerReferences"):
            return ()
        if not self._options.relink_owners or ownership(content).role is not Role.OWNED:
            return ()
        return references_of(content)

    def _kind_of(self, resource: GroupResource) -> TypeFacts:
        """What holds for all items of a type; the last answer is kept.

        Items come type by type and share their type's identity: comparing that is all
        that most of a hundred thousand items need.
        """
        known = self._last
        if known.resource is not resource:
            known = self._last = TypeFacts(
                resource=resource,
                actions=tuple(map(KnownAction.of, self._actions.for_type(resource))),
                is_claim=resource == well_known.PERSISTENT_VOLUME_CLAIMS,
                is_tied=resource in _TIED,
                marks={} if resource == well_known.NAMESPACES else self._marks,
                is_pod=resource == well_known.PODS,
                is_changed=bool(self._user) or resource == well_known.PODS,
            )
        return known

    def has_actions(self, identifier: ResourceIdentifier) -> bool:
        """Whether any action is asked about items of this type."""
        return bool(self._actions.for_type(identifier.group_resource))

    def make_blank_namespace(self, target: ResourceIdentifier) -> Desired:
        """Make a Namespace that the backup does not have."""
        content = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": target.name},
        }
        return Desired(content=content, body=_encode(content), target=target)

    def given(
        self,
        item: Item,
        desired: Mapping[str, Any],
        action: str,
        stored: Mapping[str, Any] | None = None,
    ) -> RestoreInput:
        """What an action of this name is given about an item."""
        return RestoreInput(
            item=desired,
            item_from_backup=StoredContent(item) if stored is None else stored,
            identifier=item.identifier,
            restore=self._restore,
            backup=self._backup,
            options=self._options,
            cluster=self._cluster,
            logger=self._run.logger,
            run=self._run,
            settings=self._settings_of(action),
        )

    def _settings_of(self, action: str) -> Mapping[str, str]:
        return self._settings.get(action, _NO_SETTINGS)

    def _execute(
        self,
        item: Item,
        content: dict[str, Any],
        actions: tuple[KnownAction, ...],
    ) -> "_Outcome":
        """Ask the actions, one after the other; each sees what the last one made.

        The first of them may want the item.
        """
        namespace, labels = item.identifier.namespace, content["metadata"].get("labels")
        outcome = _Outcome(content)
        given, changed, asked = None, "", ""
        for known in actions:
            if not known.wants(namespace, labels):
                continue
            if known is not actions[0] and not known.looks_at(outcome.content):
                continue
            action, name = known.action, known.action.name
            if given is None:
                given = self.given(item, outcome.content, name)
            else:  # of the same backup item, which is then parsed once at most
                given = self.given(item, outcome.content, name, given.item_from_backup)
            if not known.is_own:
                asked = name
            answer = self._ask(known, given, outcome)
            if answer.item is not given.item:
                changed = asked
                outcome.content = cast("dict[str, Any]", answer.item)
            outcome.additional += tuple(
                zip(answer.additional_items, repeat(name), strict=False)
            )
            if answer.wants_begin:
                outcome.begins += (action,)
            outcome.awaits += _awaited(action, answer)
            if answer.skip:
                outcome.skip = answer.skip
                break
        if changed:  # what others return may share parts with what they keep
            outcome.content = copied(outcome.content, changed, item.identifier)
        self._look_over(outcome.content, given, asked)
        return outcome

    def _look_over(
        self, content: dict[str, Any], given: RestoreInput | None, action: str
    ) -> None:
        """Take back what actions of others may have put into an item, and must not.

        Where it goes the filters and the user say.
        """
        if given is None or not action:
            return
        stored, ref = given.item_from_backup["metadata"], given.identifier
        reset_again(content, stored.get("ownerReferences") or ())
        metadata, target = content["metadata"], self._filters.target(ref)
        name, namespace = metadata["name"], metadata.get("namespace", "")
        names, namespaces = (ref.name, target.name), (ref.namespace, target.namespace)
        if name not in names or namespace not in namespaces:
            fact = "it changed name or namespace, which only a transform can"
            raise ActionError(action, str(ref), fact)
        if content.get("apiVersion") != given.item_from_backup.get("apiVersion"):
            raise ActionError(action, str(ref), "it changed apiVersion")

    def _ask(
        self, known: KnownAction, given: RestoreInput, outcome: "_Outcome"
    ) -> RestoreOutput:
        """Ask one action, and note it where it changed the item as no documentation says.

        Our own actions do that by settings only. They are trusted to come back: most
        items meet no other.
        """
        action, kind = known.action, str(given.item.get("kind"))
        hide = self._redaction.hides(given.identifier.group_resource, kind)
        if known.is_own:
            answer = execute_own_action(self._run, action, given, hide=hide)
            if given.settings and answer.item is not given.item:
                outcome.changed_by += (action.name,)
            return answer
        before = fingerprint(given.item)
        answer = execute_action(self._run, action, given, hide=hide)
        if fingerprint(answer.item) != before:
            outcome.changed_by += (action.name,)
        return answer


@attrs.define
class _Outcome:
    """What the actions made of one item so far."""

    content: dict[str, Any]
    additional: tuple[tuple[ResourceIdentifier, str], ...] = ()
    skip: str = ""
    begins: tuple[RestoreItemAction, ...] = ()
    awaits: tuple[Awaited, ...] = ()
    changed_by: tuple[str, ...] = ()


_NOTHING_DONE = _Outcome({})
_NO_SETTINGS: Mapping[str, str] = MappingProxyType({})


def _awaited(action: RestoreItemAction, answer: RestoreOutput) -> tuple[Awaited, ...]:
    """What an action waits for; mostly nothing."""
    if not answer.wait_for_additional_items or not answer.additional_items:
        return ()
    items, timeout = answer.additional_items, answer.additional_items_ready_timeout
    return (Awaited(action, tuple(items), timeout),)


def is_wanted(
    where: ItemPredicate, item: Item, content: Mapping[str, Any], *, hide: bool
) -> bool:
    """Ask the user's function about an item; what it raises is its fault there."""
    try:
        return where(content)
    except (Exception, SystemExit) as exc:
        name, fact = qualified_name(where), fact_of(exc, hide=hide)
        raise ActionError(name, str(item.identifier), fact) from exc
