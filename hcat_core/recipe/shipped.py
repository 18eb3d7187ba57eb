"""The recipes that ship with hcat, found by their names from any folder."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterable
from pathlib import Path

import hcat_core
from hcat_core.errors import Problem, RecipeError

NEAR = 0.7  # how alike two names are before one is suggested for the other
LIST = "`hcat recipes` lists the recipes that ship with hcat."


def shipped_folder() -> Path:
    """The folder of the shipped recipes: within the installed package, or ``recipes`` of a checkout."""
    package = Path(hcat_core.__file__).parent
    installed = package / "shipped_recipes"
    return installed if installed.is_dir() else package.parent / "recipes"


def shipped_recipes() -> dict[str, Path]:
    """The shipped recipes by relative name, such as ``baselines/coxnet.toml``; in alphabetical order."""
    folder = shipped_folder()
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*.toml"))}


def shipped_recipe(name: str) -> Path | None:
    """The shipped recipe of a relative name, with or without ``.toml``; None where there is none."""
    shipped = shipped_recipes()
    return shipped.get(name) or shipped.get(f"{name}.toml")


def find_recipe(path: Path) -> Path:
    """The recipe file that a command line names.

    A file at ``path`` wins; otherwise ``path`` is the name of a shipped recipe, with or without ``.toml``.

    Raises:
        RecipeError: when there is neither.
    """
    if path.is_file():
        return path
    shipped = shipped_recipe(path.as_posix())
    if shipped is not None:
        return shipped
    if path.exists():  # a folder, say: reading it explains what is wrong
        return path
    raise RecipeError(
        str(path), [Problem("file", f"there is no recipe at {path}{did_you_mean_recipe(path)}")]
    )


def first_sentence(recipe: Path) -> str:
    """The first sentence of the comment at the top of a recipe, without its example command."""
    lines = recipe.read_text(encoding="utf-8").splitlines()
    comment = itertools.takewhile(lambda line: line.startswith("#"), lines)
    texts = [line.lstrip("# ").rstrip() for line in comment]
    prose = " ".join(text for text in texts if text and not text.startswith("hcat "))
    return re.split(r"(?<=[.?])\s+(?=[A-Z])", prose, maxsplit=1)[0]


def did_you_mean_recipe(path: Path) -> str:
    """The end of a message about a recipe that is not there: a similar name, and where all are listed."""
    suggestion = _near_file(path) or _near_shipped(path, shipped_recipes())
    return f"{suggestion or '.'} {LIST}"


def _near_file(path: Path) -> str:
    try:
        names = [p.name for p in path.parent.iterdir() if p.suffix == ".toml" and p.is_file()]
    except (OSError, ValueError):
        return ""
    near = difflib.get_close_matches(f"{path.stem}.toml", sorted(names), n=1, cutoff=0.8)
    return f'. Did you mean "{path.with_name(near[0])}"?' if near else ""


def _near_shipped(path: Path, shipped: Iterable[str]) -> str:
    by_file_name = {Path(name).name: name for name in shipped}
    near = difflib.get_close_matches(f"{path.stem}.toml", by_file_name, n=1, cutoff=NEAR)
    return f'. Did you mean "{by_file_name[near[0]]}"?' if near else ""
