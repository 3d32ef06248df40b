"""Item actions of a test, offered by a plugin as those of an installed one are."""

from kbackup.plugins import PluginManager, hookimpl


def plugins_offering(*installed, backup=(), item_blocks=(), restore=(), delete=()):
    """Return plugins: these *installed* ones, and one that offers the actions."""

    class Plugin:
        """A plugin."""

        __name__ = "test_plugin"

        @staticmethod
        @hookimpl
        def kbackup_register_backup_item_actions():
            return _by_name(backup)

        @staticmethod
        @hookimpl
        def kbackup_register_item_block_actions():
            return _by_name(item_blocks)

        @staticmethod
        @hookimpl
        def kbackup_register_restore_item_actions():
            return _by_name(restore)

        @staticmethod
        @hookimpl
        def kbackup_register_delete_item_actions():
            return _by_name(delete)

    return PluginManager(plugins=[*installed, Plugin])


def _by_name(actions):
    return {action.name: action for action in actions}
