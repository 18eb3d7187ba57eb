"""``Catalog``: all installed components by kind and name.

A plugin that cannot be loaded does not affect the others; two plugins that offer one name are an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint

import pluggy

from hcat_core.errors import UsageError
from hcat_core.registry import hooks
from hcat_core.registry.component import KINDS, NOT_IN_RECIPES, Component, Kind, with_article
from hcat_core.registry.discovery import Allowed, Provider, in_order, installed
from hcat_core.text.quoting import name_in_quotes
from hcat_core.text.spelling import did_you_mean


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that could not be loaded, and why; an error only for recipes that use it."""

    provider: Provider
    reason: str

    @property
    def message(self) -> str:
        """One line for users."""
        return f"plugin {self.provider} failed to load: {self.reason}"


@dataclass(frozen=True)
class Entry:
    """A component and who provides it."""

    component: Component
    provider: Provider


@dataclass(frozen=True)
class Registry:
    """The components of one kind, by name."""

    kind: Kind
    entries: Mapping[str, Entry]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries.values())

    def find(self, name: str) -> Component | None:
        """The component of that name, or None."""
        entry = self.entries.get(name)
        return entry.component if entry else None

    @property
    def offered(self) -> tuple[str, ...]:
        """The names that a recipe may use."""
        return tuple(n for n, e in self.entries.items() if NOT_IN_RECIPES not in e.component.tags)

    def unknown(self, name: str) -> str:
        """The message for a name that is not in this registry."""
        return f"no {self.kind} is named {name_in_quotes(name)}.{did_you_mean(name, self.offered)}"


@dataclass(frozen=True)
class Catalog:
    """The registries of all kinds, and the plugins behind them.

    Attributes:
        registries: by kind.
        broken: plugins that could not be loaded.
        plugins: the plugin manager, which calls the hooks.
        points: the entry points that were imported.
        allowed: the plugins that may be imported; None for all.
        left_out: installed plugins that ``allowed`` excludes; nothing of them was imported.
    """

    registries: Mapping[Kind, Registry]
    broken: tuple[BrokenPlugin, ...]
    plugins: pluggy.PluginManager = field(repr=False)
    points: tuple[EntryPoint, ...] = ()
    allowed: Allowed | None = None
    left_out: tuple[Provider, ...] = ()

    def __iter__(self) -> Iterator[Entry]:
        for kind in KINDS:
            yield from self.registries[kind]

    def find(self, kind: Kind, name: str) -> Component:
        """The component of that kind and name.

        Raises:
            UsageError: with the most similar name, and broken plugins that may have offered it.
        """
        component = self.registries[kind].find(name)
        if component is None:
            raise UsageError(self.explain_unknown(kind, name))
        return component

    def explain_unknown(self, kind: Kind, name: str) -> str:
        """Why a name is not available: misspelt, of another kind, or of a plugin that is not loaded."""
        others = [other for other in KINDS if self.registries[other].find(name) is not None]
        if others:
            return f"no {kind} is named {name_in_quotes(name)}: it is {with_article(others[0])}."
        vendor = name.partition("/")[0] if "/" in name else None
        for provider in self.left_out:
            if self.allowed is not None and vendor in (provider.name, provider.module):
                source = self.allowed.source
                return f"{name_in_quotes(name)} is of the plugin {provider}, which {source} does not allow"
        message = self.registries[kind].unknown(name)
        if vendor is not None and vendor not in [Provider.of(point).name for point in self.points]:
            message = f"no {kind} is named {name_in_quotes(name)}: is its plugin installed?"
        for broken in self.broken:
            if vendor is not None and vendor in (broken.provider.name, broken.provider.module):
                message += f" Plugin {broken.provider} failed to load: {broken.reason}"
        return message

    def restricted(self, allowed: Allowed) -> Catalog:
        """The catalog without the components of plugins that ``allowed`` excludes."""
        out = {p for p in map(Provider.of, self.points) if not allowed.permits(p)}
        if not out:
            return self
        registries = {
            kind: Registry(kind, {name: e for name, e in registry.entries.items() if e.provider not in out})
            for kind, registry in self.registries.items()
        }
        left_out = (*self.left_out, *sorted(out, key=str))
        return replace(self, registries=registries, allowed=allowed, left_out=left_out)


def load_catalog(points: Iterable[EntryPoint] | None = None, *, allowed: Allowed | None = None) -> Catalog:
    """Load the components of every entry point of group ``hcat``.

    Args:
        points: entry points to load instead of the installed ones (tests).
        allowed: the plugins that may be imported; None for all.

    Raises:
        UsageError: when two plugins offer the same kind and name; both are named.
    """
    manager = pluggy.PluginManager("hcat")
    manager.add_hookspecs(hooks)
    entries: dict[Kind, dict[str, Entry]] = {kind: {} for kind in KINDS}
    broken: list[BrokenPlugin] = []
    left_out: list[Provider] = []
    loaded: list[EntryPoint] = []
    for point in installed() if points is None else in_order(points):
        provider = Provider.of(point)
        if allowed is not None and not allowed.permits(provider):
            left_out.append(provider)
            continue
        loaded.append(point)
        try:
            components = _components(point, manager)
        except Exception as error:  # code of third parties may raise anything
            broken.append(BrokenPlugin(provider, f"{type(error).__name__}: {error}"))
            continue
        for component in components:
            clash = entries[component.kind].get(component.name)
            if clash is not None:
                raise UsageError(
                    f'{component.kind} "{component.name}" is offered twice: by {clash.provider} '
                    f"and by {provider}. Uninstall one of them, or ask its author for another name."
                )
        bare = [c.name for c in components if "/" not in c.name and not provider.is_builtin]
        if bare:
            reason = f'bare names are for built-ins; call "{bare[0]}" "{point.name}/{bare[0]}"'
            broken.append(BrokenPlugin(provider, reason))
            manager.unregister(name=point.name)
            continue
        for component in components:
            entries[component.kind][component.name] = Entry(component, provider)
    registries = {kind: Registry(kind, dict(sorted(entries[kind].items()))) for kind in KINDS}
    return Catalog(registries, tuple(broken), manager, tuple(loaded), allowed, tuple(left_out))


def _components(point: EntryPoint, manager: pluggy.PluginManager) -> list[Component]:
    """Load one plugin and call its hook; its registration is undone after an error."""
    plugin = point.load()
    manager.register(plugin, name=point.name)
    try:
        others = [p for p in manager.get_plugins() if p is not plugin]
        results = manager.subset_hook_caller("hcat_components", others)()
        components = [component for result in results for component in result]
        for component in components:
            if not isinstance(component, Component) or component.kind not in KINDS:
                raise TypeError(f"hcat_components() must return Component records, got {component!r}")
    except Exception:
        manager.unregister(plugin)
        raise
    return components
