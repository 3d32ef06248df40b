"""What plugins and their actions do wrong."""

from __future__ import annotations

from kbackup.errors._base import KBackupError


class PluginError(KBackupError):
    """A plugin is missing, broken or failed."""

    def __init__(self, message: str, *, plugin: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.plugin = plugin


class PluginNotFoundError(PluginError):
    """No installed plugin offers what was selected."""


class PluginConflictError(PluginError):
    """Two plugins offer the same name."""


class PluginLoadError(PluginError):
    """A selected plugin is installed but cannot be used."""


class ActionError(PluginError):
    """An item action raised; anything a plugin raises arrives as this."""

    def __init__(self, plugin: str, item: str, message: str, *, hint: str = "") -> None:
        told = f"{plugin} failed on {item}: {message}"
        super().__init__(told, plugin=plugin, hint=hint)
        self.item = item


class ActionTimeoutError(PluginError):
    """An item action did not come back; it is not called again in this run."""

    def __init__(self, plugin: str, item: str, seconds: float) -> None:
        told = f"{plugin} did not come back from {item} within {seconds:g} s"
        super().__init__(told, plugin=plugin)
        self.item, self.seconds = item, seconds
