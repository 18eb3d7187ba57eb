"""Tell plugins what happens, so that a plugin that fails does not end the work."""

from __future__ import annotations

from collections.abc import Callable

import pluggy

from hcat_core.errors import HcatError


def notify(
    plugins: pluggy.PluginManager, hook: str, say: Callable[[str], None], /, **facts: object
) -> None:
    """Call a hook of ``hcat_core.registry.hooks`` in every plugin that implements it.

    A plugin whose hook raises is named once, and is not called again.

    Args:
        plugins: of the catalog.
        hook: the name of the hook.
        say: receives one line for a plugin that fails.
        facts: the hook's arguments.
    """
    for implementation in reversed(getattr(plugins.hook, hook).get_hookimpls()):
        try:
            implementation.function(*[facts[name] for name in implementation.argnames])
        except HcatError:  # of hcat's own progress: stdout takes no more
            raise
        except Exception as error:  # code of third parties may raise anything
            plugins.unregister(implementation.plugin)
            say(
                f"the plugin {implementation.plugin_name} failed in its hook {hook} and is not called "
                f"again: {type(error).__name__}: {error}"
            )
