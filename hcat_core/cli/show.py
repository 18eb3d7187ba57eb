"""``hcat show KIND NAME`` and ``hcat show TABLE``: the keys that a table of a recipe may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hcat_core.cli.console import Output, common_options, open_catalog
from hcat_core.cli.tables import print_table
from hcat_core.cli.wrapping import unbroken
from hcat_core.errors import UsageError
from hcat_core.registry.catalog import load_catalog
from hcat_core.registry.component import KINDS
from hcat_core.text.quoting import shown
from hcat_core.text.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hcat_core.recipe.documentation import KeyRow

TABLES = ("cohort", "targets", "task", "event_values", "demo", "split", "training", "evaluation", "tune",
          "range")  # fmt: skip
"""The names of ``DOCUMENTED_TABLES``, whose import takes long."""


class KindOrTable(click.Choice):  # type: ignore[type-arg]  # click 8.1 has no Choice[str]
    """A kind of components, or a table of recipes; the most similar one is named for what is neither."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The kind or the table."""
        if value not in self.choices:
            raise UsageError(
                f"no kind of components and no table is named {shown(value)}."
                f"{did_you_mean(value, self.choices)}"
            )
        return str(super().convert(value, param, ctx))


def _names_of_kind(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Components of the kind that was given which begin so, for the shell's completion."""
    kind = ctx.params.get("kind")
    if kind not in KINDS:
        return []
    entries = load_catalog().registries[kind].entries
    return sorted(name for name in entries if name.startswith(incomplete))


@click.command()
@click.argument("kind", type=KindOrTable([*KINDS, *TABLES]), metavar="KIND_OR_TABLE")
@click.argument("name", required=False, shell_complete=_names_of_kind)
@common_options
def show(kind: str, name: str | None, as_json: bool, quiet: bool) -> None:
    """Show the keys that a table of a recipe may have.

    KIND NAME is a component: reader, imputer, fusion, head, loss or estimator, and one of hcat
    list-components. TABLE is one that every recipe may have: cohort, targets, task, event_values, demo,
    split, training, evaluation, tune, range (in tune.space).
    """
    output = Output.make(as_json, quiet)
    if kind in TABLES:
        if name is not None:
            raise UsageError(f"hcat show {kind} shows the table [{kind}], and takes no name.")
        _show_table(output, kind)
    elif name is None:
        raise UsageError(f"name the {kind}, such as one of hcat list-components --kind {kind}.")
    else:
        _show_component(output, kind, name)


def _show_table(output: Output, name: str) -> None:
    from dataclasses import asdict

    from hcat_core.recipe.documentation import document_table
    from hcat_core.recipe.schema import DOCUMENTED_TABLES

    documentation = document_table(DOCUMENTED_TABLES[name])
    if output.as_json:
        rows = [asdict(row) for row in documentation.parameters]
        output.document({"table": name, "documentation": documentation.text, "keys": rows})
        return
    output.say(f"{_plain(documentation.text)}\n")
    _print_keys(output, "key", documentation.parameters)


def _show_component(output: Output, kind: str, name: str) -> None:
    catalog = open_catalog(output)
    component = catalog.find(kind, name)  # type: ignore[arg-type]
    provider = catalog.registries[component.kind].entries[name].provider

    from dataclasses import asdict

    from hcat_core.recipe.documentation import document_component

    documentation = document_component(component)
    if output.as_json:
        output.document(
            {
                "kind": kind,
                "name": name,
                "summary": component.summary,
                "tags": list(component.tags),
                "target": component.target,
                "provider": str(provider),
                "documentation": documentation.text,
                "parameters": [asdict(row) for row in documentation.parameters],
            }
        )
        return
    output.say(f"{kind} {name}: {component.summary}")
    output.say(f"from {provider}, {component.target}")
    if component.tags:
        output.say(f"tags: {', '.join(component.tags)}")
    output.say(f"\n{_plain(documentation.text)}\n")
    if documentation.parameters:
        _print_keys(output, "parameter", documentation.parameters)
    else:
        output.say("It has no parameters.")


def _plain(documentation: str) -> str:
    """A docstring for a terminal: without marks of code, each paragraph to be wrapped anew."""
    return unbroken(documentation.replace("``", ""))


def _print_keys(output: Output, heading: str, rows: Sequence[KeyRow]) -> None:
    from rich.table import Table

    described = any(row.meaning for row in rows)  # a component describes its parameters in its text
    table = Table(heading, "type", "default", *(["meaning"] if described else []), box=None, pad_edge=False)
    for row in rows:
        default = "" if row.default is None else str(row.default)
        table.add_row(row.name, row.type, default, *([row.meaning] if described else []))
    print_table(output.words, table)
