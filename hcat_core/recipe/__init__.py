"""From a TOML file to a checked recipe, and from a recipe to objects."""

from typing import TYPE_CHECKING

from hcat_core.registry import old_paths

if not TYPE_CHECKING:  # hidden from type checkers, which would take every misspelt name for one that moved

    def __getattr__(name: str) -> object:
        """A name of the module that this package replaced, with a warning."""
        return old_paths.moved_name(__name__, name)
