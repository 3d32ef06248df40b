"""The door to Velero's hooks: what is run in Pods, around what is done with them.

`HookRules` decides which commands a Pod gets in a backup, `HookRunner` runs them.
`InitHooks` and `ExecHooks` decide which init containers and commands a Pod gets in a
restore, `HookWaiter` runs those commands. What a plugin registers is another thing: see
`kbackup.plugins.hookspecs`.
"""

from kbackup.hooks._exec import (
    NO_COMMANDS,
    ExecHooks,
    PodCommands,
    RestoreCommand,
    exec_oddities,
)
from kbackup.hooks._init import (
    INIT_RESTORE_HOOK,
    InitHooks,
    has_init_containers,
    init_oddities,
)
from kbackup.hooks._runner import HookRunner
from kbackup.hooks._specs import HookPhase, HookRules, PodHook, PodHooks
from kbackup.hooks._waiting import HookNote, HookWaiter, note_key

__all__ = [
    "INIT_RESTORE_HOOK",
    "NO_COMMANDS",
    "ExecHooks",
    "HookNote",
    "HookPhase",
    "HookRules",
    "HookRunner",
    "HookWaiter",
    "InitHooks",
    "PodCommands",
    "PodHook",
    "PodHooks",
    "RestoreCommand",
    "exec_oddities",
    "has_init_containers",
    "init_oddities",
    "note_key",
]
