"""``hcat --version``: the versions that a report of an error needs. Nothing is imported for it."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import click

from hcat_core import __version__
from hcat_core.cli.streams import StandardStream
from hcat_core.registry.discovery import Provider, installed

LIBRARIES = ("torch", "numpy", "scikit-learn", "h5py")


def version_lines() -> list[str]:
    """hcat, Python, the libraries that results depend on, and the installed plugins."""
    plugins = [provider for provider in map(Provider.of, installed()) if not provider.is_builtin]
    return [
        f"hcat, version {__version__}",
        f"python {platform.python_version()} ({platform.system()} {platform.machine()})",
        *(f"{name} {_version(name)}" for name in LIBRARIES),
        *(f"plugin {one}" for one in plugins),
    ]


def print_versions(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Print them, and end the program."""
    if value and not context.resilient_parsing:
        StandardStream("stdout").write("\n".join(version_lines()) + "\n")
        context.exit()


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"
