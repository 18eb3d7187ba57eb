"""Trackers: plugins on hcat's hooks that are used where ``--track`` names them.

They are entry points of the group ``hcat.trackers``; each names a class without arguments that implements
hooks of ``hcat_core.registry.hooks``.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points

from hcat_core.errors import UsageError
from hcat_core.registry.catalog import Catalog
from hcat_core.text.spelling import did_you_mean

GROUP = "hcat.trackers"


def tracker_names() -> list[str]:
    """The names of the installed trackers."""
    return sorted(point.name for point in entry_points(group=GROUP))


def add_trackers(catalog: Catalog, names: Sequence[str]) -> None:
    """Let the trackers of these names be told of what happens.

    Raises:
        UsageError: for a name that no tracker has, or one whose libraries are not installed.
    """
    points = {point.name: point for point in entry_points(group=GROUP)}
    for name in dict.fromkeys(names):
        if name not in points:
            raise UsageError(
                f"--track {name}: there is no such tracker.{did_you_mean(name, list(points))} "
                f"Installed: {', '.join(sorted(points)) or 'none'}."
            )
        try:
            tracker = points[name].load()()
        except ImportError as error:
            raise UsageError(
                f'--track {name}: {error}. Install what it needs: pip install "hcat-core[track]".'
            ) from None
        catalog.plugins.register(tracker, name=name)
