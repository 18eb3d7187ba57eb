"""The progress of a comparison ends on a terminal, too."""

import threading

import pytest

from hcat_core.cli.comparison_progress import ComparisonProgress
from hcat_core.cli.console import InertConsole, Output
from hcat_core.cli.streams import StandardStream
from hcat_core.experiments.compare_recipes.results import FoldResult


@pytest.mark.parametrize("error", [None, "one outcome is missing"])
def test_a_bar_on_a_terminal_does_not_keep_the_comparison_waiting(capsys, tmp_path, error):
    console = InertConsole(file=StandardStream("stdout"), width=80, force_terminal=True, soft_wrap=True)
    results = [FoldResult("logistic", 0, fold, {}, error) for fold in range(3)]

    def compare():
        with ComparisonProgress(Output(console, False, False), 3, tmp_path) as progress:
            for done, result in enumerate(results, start=1):
                progress.finished(result, done, 3)

    thread = threading.Thread(target=compare, daemon=True)
    thread.start()
    thread.join(timeout=20)
    assert not thread.is_alive()
