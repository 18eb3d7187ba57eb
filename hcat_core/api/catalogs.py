"""The components of a call in Python: plugins are let in as on the command line."""

from __future__ import annotations

import os
from collections.abc import Iterable

from hcat_core.api.findings import warn_of
from hcat_core.registry.catalog import Catalog, load_catalog
from hcat_core.registry.discovery import NO_PLUGINS, NO_PLUGINS_VARIABLE, Allowed, strictest

YES = ("1", "true", "t", "yes", "y", "on")


def open_catalog(declared: Iterable[Allowed | None] = ()) -> Catalog:
    """The installed components; a plugin that fails to load is warned of.

    What the environment variable ``HCAT_NO_PLUGINS`` or the ``plugins`` of any of the recipes does not let
    in is not imported.

    Args:
        declared: the plugins that each recipe allows.
    """
    asked = os.environ.get(NO_PLUGINS_VARIABLE, "").strip().lower() in YES
    catalog = load_catalog(allowed=NO_PLUGINS if asked else strictest(declared))
    warn_of(broken.message for broken in catalog.broken)
    return catalog
