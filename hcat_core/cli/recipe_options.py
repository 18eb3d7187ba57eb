"""The options of every command that takes a recipe: ``--set``, ``--input``, the five named inputs."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from hcat_core.cli.console import Output
from hcat_core.cli.experiment_options import sets_option
from hcat_core.errors import UsageError
from hcat_core.recipe.options import INPUTS, OPTIONS
from hcat_core.recipe.shipped import find_recipe, shipped_recipes
from hcat_core.registry.catalog import Catalog

if TYPE_CHECKING:
    from hcat_core.recipe.recipe import Recipe


class RecipePath(click.Path):
    """A recipe file, or the name of a recipe that ships with hcat."""

    name = "recipe"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The file.

        Raises:
            RecipeError: when there is no such file and no such shipped recipe.
        """
        return find_recipe(Path(os.fsdecode(super().convert(value, param, ctx))))

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Files, and the names of shipped recipes that begin so."""
        shipped = [CompletionItem(name) for name in shipped_recipes() if name.startswith(incomplete)]
        return [*super().shell_complete(ctx, param, incomplete), *shipped]


class TwoSpellings(click.Option):
    """An option that may be written with underscores or with hyphens; the help shows it with hyphens."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The option and its help, in one spelling, so that the line fits a terminal."""
        one = copy.copy(self)
        one.opts = [name for name in self.opts if "_" not in name]
        one.secondary_opts = [name for name in self.secondary_opts if "_" not in name]
        return super(TwoSpellings, one).get_help_record(ctx)


def recipe_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name the data and change the recipe."""
    for name in reversed(INPUTS):
        command = click.option(
            f"--{name}", type=click.Path(path_type=Path), help=f"File of the {name} modality."
        )(command)
    command = click.option(
        "--input",
        "input_pairs",
        metavar="NAME=FILE",
        multiple=True,
        help="File of any modality; repeatable. Modalities that are not named are then absent.",
    )(command)
    return sets_option("Change a key of the recipe, such as training.lr=1e-4; repeatable.")(command)


def document_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of ``OPTIONS``, spelled with underscores and with hyphens."""
    for option in reversed(OPTIONS):
        spellings = list(dict.fromkeys([f"--{option.name}", f"--{option.name.replace('_', '-')}"]))
        text = f"{option.help} [{option.key}]"
        if option.type is bool:
            no = option.name.removeprefix("use_")
            flag = f"--{option.name}/--no_{no}"
            command = click.option(
                flag, flag.replace("_", "-"), option.name, cls=TwoSpellings, default=None, help=text
            )(command)
        else:
            command = click.option(*spellings, option.name, cls=TwoSpellings, type=option.type, help=text)(
                command
            )
    return command


def recipe_from_command_line(
    path: Path, catalog: Catalog, output: Output, arguments: Mapping[str, Any]
) -> Recipe:
    """Load a recipe with the changes that the command line's options make."""
    from hcat_core.recipe.recipe import load_recipe

    recipe, warnings = load_recipe(
        path,
        catalog,
        sets=arguments["sets"],
        options={option.name: arguments.get(option.name) for option in OPTIONS},
        inputs=given_inputs(arguments),
    )
    for warning in warnings:
        output.warn(warning)
    return recipe


def recipe_of(run: Path) -> Path:
    """The recipe of a run folder.

    Raises:
        UsageError: when it holds no run.
    """
    recipe = run / "recipe.toml"
    if not recipe.is_file():
        raise UsageError(f"{run} is not a run folder: it has no recipe.toml.")
    return recipe


def given_inputs(arguments: Mapping[str, Any]) -> dict[str, Path]:
    """Files by modality, from the named options and ``--input``."""
    inputs = {name: arguments[name] for name in INPUTS if arguments.get(name) is not None}
    for pair in arguments["input_pairs"]:
        name, equals, file = pair.partition("=")
        if not (name and equals and file):
            raise UsageError(f'--input: expected NAME=FILE, got "{pair}"')
        if name in inputs:
            raise UsageError(f"--input: {name} is given twice")
        inputs[name] = Path(file)
    return inputs


def by_name(pairs: Sequence[str]) -> Mapping[str, str]:
    """Values by the name before ``=``, or by "" where there is none."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        found[name if equals else ""] = value if equals else pair
    return found
