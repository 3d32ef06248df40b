"""The door to Velero's hooks: commands in Pods, around what is done with them.

`HookRules` decides which commands a Pod gets, `HookRunner` runs them. What a plugin
registers is another thing: see `kbackup.plugins.hookspecs`.
"""

from kbackup.hooks._runner import HookRunner
from kbackup.hooks._specs import HookPhase, HookRules, PodHook, PodHooks

__all__ = ["HookPhase", "HookRules", "HookRunner", "PodHook", "PodHooks"]
