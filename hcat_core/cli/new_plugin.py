"""``hcat new-plugin NAME``: start a plugin, as an installable package with tests."""

from __future__ import annotations

from pathlib import Path

import click

from hcat_core.cli.console import Output, common_options
from hcat_core.registry.component import KINDS, Kind


@click.command("new-plugin")
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), required=True, help="Kind of its first component.")
@click.option("--component", metavar="NAME", help="Name of the component.  [default: that of the example]")
@click.option(
    "--outdir", type=click.Path(path_type=Path), help="Folder of the package.  [default: hcat-NAME]"
)
@common_options
def new_plugin(
    name: str, kind: Kind, component: str | None, outdir: Path | None, as_json: bool, quiet: bool
) -> None:
    """Write an installable package with one component and tests, to start a plugin NAME from.

    The component is a small, complete example of its kind that passes hcat check: change it.
    """
    output = Output.make(as_json, quiet)

    from hcat_core.testing.new_plugin import write_plugin

    folder = outdir or Path(f"hcat-{name}")
    written = write_plugin(folder, name, kind, component)
    for path in written:
        output.say(str(path))
    output.say(f'next: pip install -e "{folder}[test]", then see {folder / "README.md"}')
    output.document({"folder": str(folder), "files": [str(path) for path in written]})
