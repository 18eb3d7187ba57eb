"""Who is installed, from metadata alone, and who is let in. A plugin is code: to import it is to run it."""

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
    """Where components come from: the entry point, its module, and the distribution's version."""

    name: str
    module: str
    distribution: str = ""
    version: str = ""

    @classmethod
    def of(cls, point: EntryPoint) -> Provider:
        """What the metadata say; nothing is imported."""
        if point.dist is None:
            return cls(point.name, point.value)
        return cls(point.name, point.value, point.dist.name, point.dist.version)

    @property
    def is_builtin(self) -> bool:
        """hcat's own: a stranger may call an entry point ``builtin``, too."""
        return self.name == BUILTIN and self.distribution in ("", OWN_DISTRIBUTION)

    def __str__(self) -> str:
        origin = f"{self.distribution} {self.version}".strip()
        return f"{self.name} ({origin or self.module})"


@dataclass(frozen=True)
class Allowed:
    """The plugins that may be imported: those in every one of ``lists``, and who says so.

    A list has names of entry points or distributions; an empty one lets in hcat's own components alone.
    """

    lists: tuple[tuple[str, ...], ...]
    said_by: str

    def lets_in(self, provider: Provider) -> bool:
        """May it be imported? hcat's own components always may."""
        own = {_canonical(name) for name in (provider.name, provider.distribution) if name}
        return provider.is_builtin or all(own & set(map(_canonical, names)) for names in self.lists)


NO_PLUGINS = Allowed(((),), "--no-plugins")


def strictest(found: Iterable[Allowed | None]) -> Allowed | None:
    """What all of them allow: no recipe's list is overruled by another's. None allows everything."""
    given = [allowed for allowed in found if allowed is not None]
    if not given:
        return None
    lists = tuple(names for allowed in given for names in allowed.lists)
    return Allowed(lists, " and ".join(dict.fromkeys(allowed.said_by for allowed in given)))


def installed() -> list[EntryPoint]:
    """Entry points of group ``hcat``, in order."""
    return in_order(entry_points(group=ENTRY_POINT_GROUP))


def in_order(points: Iterable[EntryPoint]) -> list[EntryPoint]:
    """hcat's own first, so that a clash is blamed on the newcomer; then by name, not by disk order."""
    return sorted(points, key=lambda p: (not Provider.of(p).is_builtin, p.name))


def provenance(point: EntryPoint) -> dict[str, Any]:
    """Which code this was: entry point, distribution, version.

    Where the installer wrote them down, also the hash of its list of files (which has theirs), and where it
    was installed from.
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
