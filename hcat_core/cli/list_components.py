"""``hcat list-components``: the components that a recipe can name."""

from __future__ import annotations

import click

from hcat_core.cli.console import Output, common_options, open_catalog
from hcat_core.cli.tables import print_grouped, print_table
from hcat_core.errors import UsageError
from hcat_core.registry.catalog import Catalog, Entry
from hcat_core.registry.component import KINDS, NOT_IN_RECIPES
from hcat_core.registry.discovery import Provider, installed


@click.command("list-components")
@click.argument("kind", required=False, type=click.Choice(KINDS))
@click.option(
    "--plugins", is_flag=True, help="List the installed plugins instead, and import none of them."
)
@common_options
def list_components(kind: str | None, plugins: bool, as_json: bool, quiet: bool) -> None:
    """List the components that a recipe can name, built-in ones and those of plugins.

    Give a kind of component to list those alone.
    """
    output = Output.make(as_json, quiet)
    if plugins:
        if kind is not None:
            raise UsageError("--plugins lists plugins, which have no KIND: give one of the two.")
        _list_plugins(output)
        return
    catalog = open_catalog(output)
    if as_json:
        output.document(_as_json(catalog, kind))
        return
    _print(output, catalog, kind)


def _list_plugins(output: Output) -> None:
    """Print the installed plugins from package metadata; no plugin is imported."""
    from dataclasses import asdict

    from rich.table import Table

    providers = [Provider.of(point) for point in installed()]
    if output.as_json:
        output.document({"plugins": [asdict(provider) for provider in providers]})
        return
    table = Table("plugin", "module", "distribution", "version", box=None, pad_edge=False)
    for provider in providers:
        table.add_row(provider.name, provider.module, provider.distribution, provider.version)
    print_table(output.words, table)
    output.say('A recipe can allow some of them alone: plugins = ["NAME"]; --no-plugins allows none.')


def _of_recipes(catalog: Catalog, kind: str | None) -> list[Entry]:
    """The components that a recipe can name: those that are made in Python alone are left out."""
    return [
        one
        for one in catalog
        if kind in (None, one.component.kind) and NOT_IN_RECIPES not in one.component.tags
    ]


def _as_json(catalog: Catalog, kind: str | None) -> dict[str, object]:
    return {
        "components": [
            {
                "kind": entry.component.kind,
                "name": entry.component.name,
                "summary": entry.component.summary,
                "tags": list(entry.component.tags),
                "target": entry.component.target,
                "provider": entry.provider.name,
                "distribution": entry.provider.distribution,
                "version": entry.provider.version,
            }
            for entry in _of_recipes(catalog, kind)
        ],
        "broken": [
            {
                "provider": broken.provider.name,
                "distribution": broken.provider.distribution,
                "version": broken.provider.version,
                "reason": broken.reason,
            }
            for broken in catalog.broken
        ],
    }


def _print(output: Output, catalog: Catalog, kind: str | None) -> None:
    rows = [
        [
            one.component.kind,
            one.component.name,
            ", ".join(one.component.tags),
            one.provider.name,
            one.component.summary,
        ]
        for one in _of_recipes(catalog, kind)
    ]
    rows += [["broken", one.provider.name, "", str(one.provider), one.reason] for one in catalog.broken]
    print_grouped(output.words, "", ("kind", "name", "tags", "from", "what it does"), rows)
    output.say("hcat show KIND NAME lists a component's parameters.")
