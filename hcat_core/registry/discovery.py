"""Find installed plugins from their metadata, and decide which may be imported.

To import a plugin is to run its code, so nothing is imported here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import EntryPoint, entry_points
from typing import Any

ENTRY_POINT_GROUP = "hcat"
BUILTIN = "builtin"
OWN_DISTRIBUTION = "hcat-core"


@dataclass(frozen=True)
class Provider:
    """The origin of components: entry point, module, distribution and version."""

    name: str
    module: str
    distribution: str = ""
    version: str = ""

    @classmethod
    def of(cls, point: EntryPoint) -> Provider:
        """The provider of an entry point, from its metadata."""
        if point.dist is None:
            return cls(point.name, point.value)
        return cls(point.name, point.value, point.dist.name, point.dist.version)

    @property
    def is_builtin(self) -> bool:
        """Whether it is hcat's own entry point; another package may also name one ``builtin``."""
        return self.name == BUILTIN and self.distribution in ("", OWN_DISTRIBUTION)

    def __str__(self) -> str:
        origin = f"{self.distribution} {self.version}".strip()
        return f"{self.name} ({origin or self.module})"


@dataclass(frozen=True)
class Allowed:
    """The plugins that may be imported: those in every one of ``lists``.

    Attributes:
        lists: names of entry points or distributions; an empty list allows only built-in components.
        source: the option or the recipes that restrict them, for messages.
    """

    lists: tuple[tuple[str, ...], ...]
    source: str

    def permits(self, provider: Provider) -> bool:
        """Whether a plugin may be imported; built-in components always may."""
        names_of_provider = {_canonical(name) for name in (provider.name, provider.distribution) if name}
        return provider.is_builtin or all(
            names_of_provider & set(map(_canonical, names)) for names in self.lists
        )


NO_PLUGINS = Allowed(((),), "--no-plugins")
NO_PLUGINS_VARIABLE = "HCAT_NO_PLUGINS"
"""The environment variable that, set to 1, lets in no plugin of any command or function."""


def strictest(several: Iterable[Allowed | None]) -> Allowed | None:
    """The plugins that all of several lists allow; None allows everything."""
    given = [allowed for allowed in several if allowed is not None]
    if not given:
        return None
    lists = tuple(names for allowed in given for names in allowed.lists)
    return Allowed(lists, " and ".join(dict.fromkeys(allowed.source for allowed in given)))


def installed() -> list[EntryPoint]:
    """The installed entry points of group ``hcat``, in the order in which they are loaded."""
    return in_order(entry_points(group=ENTRY_POINT_GROUP))


def in_order(points: Iterable[EntryPoint]) -> list[EntryPoint]:
    """Built-in components first, so that a name clash is reported for the other plugin; then by name."""
    return sorted(points, key=lambda p: (not Provider.of(p).is_builtin, p.name))


def provenance(point: EntryPoint) -> dict[str, Any]:
    """Identify the code of a plugin: entry point, distribution, version.

    Where the installer recorded them, also the sha256 of its list of file hashes (RECORD), and the place
    that it was installed from.
    """
    provider = Provider.of(point)
    files = [] if point.dist is None else point.dist.files or []
    records = [file for file in files if file.name == "RECORD"]
    origin = None if point.dist is None else point.dist.read_text("direct_url.json")
    return {
        "entry_point": provider.name,
        "module": provider.module,
        "distribution": provider.distribution,
        "version": provider.version,
        "record_sha256": sha256(records[0].read_binary()).hexdigest() if records else None,
        "installed_from": None if origin is None else json.loads(origin),
    }


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
