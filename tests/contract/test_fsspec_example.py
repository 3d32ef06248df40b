"""The provider that the documentation shows works as it stands there."""

import re
from pathlib import Path
from types import ModuleType

import pytest

from kbackup.catalog import BackupStore
from kbackup.plugins import PluginManager
from kbackup.testing import ObjectStoreContract

PAGE = Path(__file__).parents[2] / "docs/plugins/object-stores.md"


def example():
    """The page's provider, as the module that it would be."""
    [source] = re.findall(
        r'```python\n("""kbackup_example.*?)```', PAGE.read_text(), re.DOTALL
    )
    module = ModuleType("kbackup_example")
    exec(compile(source, str(PAGE), "exec"), vars(module))  # noqa: S102 - our own page
    return module


class TestExample(ObjectStoreContract):
    """The store of the page keeps every promise of `ObjectStore`."""

    @pytest.fixture
    def store(self, request):
        """A bucket of the test's own."""
        return example().open_store({"bucket": str(abs(hash(request.node.nodeid)))})


def test_the_example_is_a_location():
    """A host that registers the plugin opens its addresses."""
    manager = PluginManager([example()])

    with BackupStore.open("example://page/prod", plugins=manager) as store:
        assert store.url == "example://page/prod"
        assert store.validate() == ()
        assert store.list() == []
