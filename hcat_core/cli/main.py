"""``hcat``: the commands by name, each imported when it is called; errors become exit codes."""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
import traceback
from collections.abc import Sequence

import click

from hcat_core.cli import moved_imports
from hcat_core.cli.failures import explained
from hcat_core.cli.interruption import exit_code, orderly_signals
from hcat_core.cli.streams import StandardStream
from hcat_core.cli.versions import print_versions
from hcat_core.cli.wrapping import wrapped
from hcat_core.errors import StorageError, UsageError
from hcat_core.text.quoting import printable, shown
from hcat_core.text.spelling import did_you_mean
from hcat_core.training import launch

COMMANDS = {
    "init": "hcat_core.cli.init:init",
    "run": "hcat_core.cli.run:run",
    "inspect": "hcat_core.cli.inspect:inspect",
    "recipes": "hcat_core.cli.recipes:recipes",
    "convert": "hcat_core.cli.convert:convert",
    "list-components": "hcat_core.cli.list_components:list_components",
    "show": "hcat_core.cli.show:show",
    "schema": "hcat_core.cli.schema:schema",
    "predict": "hcat_core.cli.predict:predict",
    "impute": "hcat_core.cli.impute:impute",
    "embed": "hcat_core.cli.embed:embed",
    "export": "hcat_core.cli.export:export",
    "evaluate": "hcat_core.cli.evaluate:evaluate",
    "compare": "hcat_core.cli.compare:compare",
    "compare-imputers": "hcat_core.cli.compare_imputers:compare_imputers",
    "tune": "hcat_core.cli.tune:tune",
    "check": "hcat_core.cli.check:check",
    "new-plugin": "hcat_core.cli.new_plugin:new_plugin",
    "synth": "hcat_core.cli.synth:synth",
}

LONGEST = 1_000  # characters of a command's first sentence, more than any has


class LazyGroup(click.Group):
    """Imports a command's module when the command is asked for, so that ``--help`` stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands' names, in the order of the work."""
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names; of a similar name where there is none."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"no command is named {shown(args[0])}.{did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each command with the whole first sentence of its help, which click would cut off."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, command.get_short_help_str(LONGEST)) for name, command in commands if command]
            )


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_versions,
    help="Show the versions of hcat, of Python, of the libraries and of plugins, and exit.",
)
@click.pass_context
def hcat(context: click.Context) -> None:
    """Predict patient outcomes from incomplete multimodal cohorts.

    A recipe (a TOML file) names the data and the model. Try: hcat run enhanced.toml. For your own data:
    hcat init writes a first recipe; then hcat inspect RECIPE, and hcat run RECIPE.
    """
    command = context.invoked_subcommand
    if command != "run" and launch.size() > 1:
        raise UsageError(
            f"hcat {command} cannot run under torchrun, which shares one training among processes; "
            "start it directly. Comparisons and searches share their work by --jobs or --backend dask."
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns its exit code.

    0: done; 2: usage or recipe; 3: data; 4: training failed, disk full or not writable, memory ran out;
    130: Ctrl-C; 143: SIGTERM; 129: the terminal was closed.
    """
    with orderly_signals(), moved_imports.shown_once():
        return _main(sys.argv[1:] if arguments is None else list(arguments))


def _main(arguments: list[str]) -> int:
    try:
        code = hcat.main(arguments, prog_name="hcat", standalone_mode=False)
        StandardStream("stdout").flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        _complain(_of_click(error))
        return 2
    except (KeyboardInterrupt, click.Abort) as stop:
        _complain("interrupted")
        return exit_code(stop)
    except Exception as error:
        if "--debug" in arguments:
            traceback.print_exc()
        known = explained(error)
        if known is not None:
            _complain(printable(f"hcat: {known}"))
            return known.exit_code
        _complain(
            printable(f"hcat: internal error: {type(error).__name__}: {error}")
            + "\nThis is an error in hcat or in a plugin; --debug shows where."
        )
        return 1


def _of_click(error: click.ClickException) -> str:
    """What click prints on a wrong command line."""
    text = io.StringIO()
    error.show(text)
    return text.getvalue().rstrip("\n")


def _complain(text: str) -> None:
    """Print to stderr, which may be closed, or full: the exit code then says it alone."""
    if _prints_errors():
        with contextlib.suppress(StorageError):
            stderr = StandardStream("stderr")
            stderr.write((wrapped(text, stderr.columns) if stderr.isatty() else text) + "\n")
            stderr.flush()


def _prints_errors() -> bool:
    """True for the one of several processes that prints errors."""
    if launch.size() == 1:
        return True
    from hcat_core.training.distributed import reports_error

    return reports_error()


if __name__ == "__main__":
    sys.exit(main())
