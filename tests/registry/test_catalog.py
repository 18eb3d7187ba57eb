import sys
import types
from importlib.metadata import EntryPoint

import pytest

from hcat_core.errors import UsageError
from hcat_core.registry.catalog import load_catalog
from hcat_core.registry.component import Component
from hcat_core.registry.hooks import hookimpl


def plugin(monkeypatch, name: str, *components: Component) -> EntryPoint:
    """An entry point whose module offers these components."""
    module = types.ModuleType(f"plugin_{name}")

    @hookimpl
    def hcat_components():
        return list(components)

    module.hcat_components = hcat_components
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return EntryPoint(name, module.__name__, "hcat")


def imputer(name: str) -> Component:
    return Component("imputer", name, "nowhere:Nothing", "one")


BUILTIN = EntryPoint("builtin", "hcat_builtin", "hcat")


def test_built_ins_have_bare_names_and_strangers_are_listed_beside_them(monkeypatch):
    catalog = load_catalog([plugin(monkeypatch, "acme", imputer("acme/mean")), BUILTIN])
    names = list(catalog.registries["imputer"].entries)
    assert {"acme/mean", "mean", "none"} <= set(names)
    assert catalog.registries["imputer"].entries["acme/mean"].provider.name == "acme"


def test_a_duplicate_names_both_providers(monkeypatch):
    points = [
        plugin(monkeypatch, "one", imputer("acme/mean")),
        plugin(monkeypatch, "two", imputer("acme/mean")),
    ]
    with pytest.raises(UsageError, match=r'"acme/mean" is offered twice: by one .* and by two'):
        load_catalog(points)


def test_a_plugin_that_cannot_be_imported_breaks_alone(monkeypatch):
    catalog = load_catalog([EntryPoint("ill", "no_such_module_at_all", "hcat"), BUILTIN])
    assert [b.provider.name for b in catalog.broken] == ["ill"]
    assert "ModuleNotFoundError" in catalog.broken[0].reason
    assert catalog.find("imputer", "mean").name == "mean"


def test_a_broken_plugin_is_named_when_a_recipe_asks_for_its_component(monkeypatch):
    catalog = load_catalog([EntryPoint("ill", "no_such_module_at_all", "hcat"), BUILTIN])
    with pytest.raises(UsageError, match="ill .* failed to load: ModuleNotFoundError"):
        catalog.find("imputer", "ill/fancy")


def test_a_stranger_may_not_take_a_bare_name(monkeypatch):
    catalog = load_catalog([plugin(monkeypatch, "acme", imputer("gan")), BUILTIN])
    assert 'call "gan" "acme/gan"' in catalog.broken[0].reason
    assert catalog.registries["imputer"].find("gan") is None


def test_a_plugin_that_offers_something_else_is_broken(monkeypatch):
    catalog = load_catalog([plugin(monkeypatch, "acme", "not a component"), BUILTIN])
    assert "Component records" in catalog.broken[0].reason


def test_without_the_builtin_entry_point_the_core_still_works():
    catalog = load_catalog([])
    assert list(catalog) == []
    with pytest.raises(UsageError, match='no imputer is named "mean"'):
        catalog.find("imputer", "mean")


def test_an_unknown_name_comes_with_the_nearest():
    with pytest.raises(UsageError, match='Did you mean "mean"'):
        load_catalog([BUILTIN]).find("imputer", "meen")
