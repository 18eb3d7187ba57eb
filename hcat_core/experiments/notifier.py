"""Tell plugins of a comparison: its start, each result, its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pluggy

from hcat_core.experiments.jobs import Result
from hcat_core.registry.notifying import notify


class ComparisonNotifier:
    """Calls the hooks of a comparison in the process that started it.

    Args:
        plugins: of the catalog.
        folder: of the comparison.
        warn: receives one line for a plugin whose hook fails.
    """

    def __init__(self, plugins: pluggy.PluginManager, folder: Path, warn: Callable[[str], None]) -> None:
        self.plugins = plugins
        self.folder = folder
        self.warn = warn

    def started(self, names: Sequence[str], jobs: int) -> None:
        """Before the first job of ``names``, recipes or imputers."""
        self._notify("hcat_comparison_started", names=list(names), jobs=jobs)

    def each(self, show: Callable[[Any, int, int], None]) -> Callable[[Any, int, int], None]:
        """A function for ``run_jobs`` that shows a result, and then tells plugins."""

        def finished(result: Result, done: int, jobs: int) -> None:
            show(result, done, jobs)
            self._notify("hcat_job_finished", job=result.label, result=result.as_json())

        return finished

    def finished(self, document: Mapping[str, object]) -> None:
        """After the last job, before tables are written."""
        self._notify("hcat_comparison_finished", document=document)

    def _notify(self, hook: str, **facts: object) -> None:
        notify(self.plugins, hook, self.warn, folder=self.folder, **facts)
