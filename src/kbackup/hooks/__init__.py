"""The door to Velero's hooks: what is run in Pods, around what is done with them.

`HookRules` decides which commands a Pod gets in a backup, `HookRunner` runs them.
`InitHooks` decides which init containers a Pod gets in a restore. What a plugin
registers is another thing: see `kbackup.plugins.hookspecs`.
"""

from kbackup.hooks._init import (
    INIT_RESTORE_HOOK,
    InitHooks,
    asks_for_command,
    has_init_containers,
    init_oddities,
)
from kbackup.hooks._runner import HookRunner
from kbackup.hooks._specs import HookPhase, HookRules, PodHook, PodHooks

__all__ = [
    "INIT_RESTORE_HOOK",
    "HookPhase",
    "HookRules",
    "HookRunner",
    "InitHooks",
    "PodHook",
    "PodHooks",
    "asks_for_command",
    "has_init_containers",
    "init_oddities",
]
