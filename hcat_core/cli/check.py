"""``hcat check KIND NAME``: test a component against its contract."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from hcat_core.cli.console import Output, common_options, open_catalog
from hcat_core.cli.experiment_options import sets_option
from hcat_core.registry.component import KINDS, Kind

if TYPE_CHECKING:
    from hcat_core.testing.checks import Result


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("name")
@sets_option("Set a parameter of the component; repeatable.")
@common_options
def check(kind: Kind, name: str, sets: tuple[str, ...], as_json: bool, quiet: bool) -> int:
    """Test whether a component, built-in or of a plugin, keeps the contract of its kind.

    Exit code 0: every check passed, or failed as the component's author announced; 1: a check failed.
    """
    output = Output.make(as_json, quiet)
    catalog = open_catalog(output)

    from hcat_core.errors import RecipeError
    from hcat_core.recipe.loading import apply_sets
    from hcat_core.testing.checks import run_checks

    parameters, problems = apply_sets({}, sets)
    if problems:
        raise RecipeError("--set", problems)

    def show(result: Result) -> None:
        mark = {"passed": "ok  ", "expected": "meant", "failed": "FAIL", "surprise": "FAIL"}
        text = f"{mark[result.status]:<5}  {result.check}"
        text = f"{text}: {result.message}" if result.message else text
        if quiet and not result.good:
            output.warn(text)
        output.say(text)

    results = run_checks(catalog, kind, name, parameters, done=show)
    bad = [result for result in results if not result.good]
    meant = sum(result.status == "expected" for result in results)
    output.say(
        f"{kind} {name}: {len(results) - len(bad) - meant} of {len(results)} checks passed"
        + (f", {meant} failed as announced" if meant else "")
        + (f", {len(bad)} failed" if bad else "")
    )
    output.document({"kind": kind, "name": name, "results": [asdict(result) for result in results]})
    return 1 if bad else 0
