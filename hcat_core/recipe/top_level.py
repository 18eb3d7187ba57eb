"""The keys of a recipe outside tables: seed, outdir and plugins."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

from hcat_core.errors import Problem
from hcat_core.recipe.toml_text import Tree
from hcat_core.text.quoting import shown

LARGEST_SEED = 2**31 - 1  # accepted by every library


def check_top_level(tree: Tree) -> list[Problem]:
    """Check the keys outside tables: seed, outdir and plugins."""
    problems = []
    seed, plugins = tree.get("seed", 0), tree.get("plugins")
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed <= LARGEST_SEED:
        message = f"expected a whole number in [0, {LARGEST_SEED}], got {shown(seed)}"
        problems.append(Problem("seed", message))
    problems += _check_outdir(tree.get("outdir"))
    if plugins is not None and not (isinstance(plugins, list) and all(isinstance(p, str) for p in plugins)):
        problems.append(Problem("plugins", f"expected a list of plugins' names, got {shown(plugins)}"))
    return problems


def _check_outdir(outdir: object) -> list[Problem]:
    """Refuse an ``outdir`` outside the current folder, which only ``--outdir`` may name."""
    if outdir is None:
        return []
    if not isinstance(outdir, str) or not outdir:
        return [Problem("outdir", f"expected a path, got {shown(outdir)}")]
    parts = {*PurePosixPath(outdir).parts, *PureWindowsPath(outdir).parts}
    if ".." in parts or PurePosixPath(outdir).is_absolute() or PureWindowsPath(outdir).anchor:
        message = f"{shown(outdir)} is outside the folder that hcat runs in: name it with --outdir"
        return [Problem("outdir", message)]
    return []
