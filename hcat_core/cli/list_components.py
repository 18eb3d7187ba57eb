"""``hcat list-components``: what can be named in a recipe."""

from __future__ import annotations

import click

from hcat_core.catalog import Catalog
from hcat_core.cli.console import Output, common_options, open_catalog
from hcat_core.component import KINDS


@click.command("list-components")
@click.argument("kind", required=False, type=click.Choice(KINDS))
@common_options
def list_components(kind: str | None, as_json: bool, quiet: bool) -> None:
    """List the components that recipes can name: built-in ones and those of plugins.

    KIND: reader, imputer, fusion, head or loss; all of them when not given.
    """
    output = Output.make(as_json, quiet)
    catalog = open_catalog(output)
    if as_json:
        output.document(_as_json(catalog, kind))
        return
    _print(output, catalog, kind)


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
            for entry in catalog
            if kind in (None, entry.component.kind)
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
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("kind", "name", "what it does", "tags", "from"):
        table.add_column(heading, no_wrap=heading in ("kind", "name"))
    for entry in catalog:
        c = entry.component
        if kind in (None, c.kind):
            table.add_row(c.kind, c.name, c.summary, ", ".join(c.tags), entry.provider.name)
    for broken in catalog.broken:
        table.add_row("broken", broken.provider.name, broken.reason, "", str(broken.provider))
    output.words.print(table)
    output.say("hcat show KIND NAME tells a component's parameters.")
