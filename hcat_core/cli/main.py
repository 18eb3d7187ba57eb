"""``hcat``: commands by name, each imported only when it is called; errors become exit codes."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Sequence

import click

from hcat_core import __version__
from hcat_core.errors import HcatError
from hcat_core.printable import printable_lines

COMMANDS = {
    "run": "hcat_core.cli.run:run",
    "inspect": "hcat_core.cli.inspect:inspect",
    "convert": "hcat_core.cli.convert:convert",
    "list-components": "hcat_core.cli.list_components:list_components",
    "show": "hcat_core.cli.show:show",
    "predict": "hcat_core.cli.predict:predict",
    "impute": "hcat_core.cli.impute:impute",
    "evaluate": "hcat_core.cli.evaluate:evaluate",
    "compare": "hcat_core.cli.compare:compare",
    "compare-imputers": "hcat_core.cli.compare_imputers:compare_imputers",
    "check": "hcat_core.cli.check:check",
    "synth": "hcat_core.cli.synth:synth",
}
INTERRUPTED = 130


class LazyGroup(click.Group):
    """Imports a command's module when the command is asked for, so that ``--help`` stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hcat")
def hcat() -> None:
    """Outcome prediction on incomplete multimodal cohorts.

    Write a recipe, then: hcat inspect RECIPE, hcat run RECIPE.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; returns its exit code: 0 done, 2 usage, 3 data, 4 training, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    debug = "--debug" in arguments
    try:
        code = hcat.main(arguments, prog_name="hcat", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (KeyboardInterrupt, click.Abort):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader went away (hcat ... | head): nothing left to say
        return 0
    except HcatError as error:
        if debug:
            traceback.print_exc()
        print(f"hcat: {printable_lines(str(error))}", file=sys.stderr)
        return error.exit_code
    except Exception as error:
        if debug:
            traceback.print_exc()
        print(
            f"hcat: internal error: {type(error).__name__}: {error}\n"
            "This is a fault of hcat or of a plugin. --debug shows where it happened.",
            file=sys.stderr,
        )
        return 1


if __name__ == "__main__":
    sys.exit(main())
