"""The progress of ``hcat run``, shown by a plugin on hcat's own hooks."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining
from rich.table import Table

from hcat_core.cli.console import Output
from hcat_core.cli.other_outcome_tables import print_other_baselines, print_other_results
from hcat_core.cli.score_cells import interval, number, print_verdicts, shown, why_left_out
from hcat_core.cli.tables import print_table
from hcat_core.cli.waiting import FIRST, Waiting
from hcat_core.registry.hooks import hookimpl
from hcat_core.text.counted import counted


class RunProgress:
    """A bar with the remaining time on a terminal, and one line per epoch everywhere."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self.bar: Progress | None = None
        self.imputer = ""  # whose bar is shown
        self.began = self.epoch_began = self.told = 0.0
        self.waiting = Waiting(output)
        self.first_epoch: int | None = None

    def say(self, message: str) -> None:
        """Print what is being done from now on, with a clock instead of the bar of what was done before."""
        self.stop()
        self._print(message)

    def warn(self, message: str) -> None:
        """Print a warning, without the clock on its line."""
        self.waiting.stop()
        self.output.warn(message)

    def stop(self) -> None:
        """Remove the bar; safe to call twice."""
        self.imputer = ""
        self.waiting.stop()
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def _print(self, line: str) -> None:
        """Print a line above the bar; without a bar a clock runs from then on."""
        self.waiting.stop()
        self.output.say(line)
        if self.bar is None:
            self.waiting.start(line)

    def _open_bar(self, of: str, total: int) -> None:
        """Replace the bar by a new one; there is none without a terminal."""
        self.stop()
        if self.output.words.is_terminal and not self.output.quiet:
            self.bar = Progress(
                TextColumn(of, markup=False),
                TextColumn("{task.completed:.0f}/{task.total:.0f}"),
                BarColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                Remaining(),
                TextColumn("{task.description}", markup=False),
                console=self.output.words,
                transient=True,
                redirect_stdout=False,  # as in Waiting
                redirect_stderr=False,
            )
            self.bar.start()
            self.bar.add_task("", total=total)

    @hookimpl
    def hcat_imputer_epoch_finished(self, imputer: str, epoch: int, epochs: int, crps: float) -> None:
        """Move the bar of the imputer's network; print one line where there is no terminal."""
        so_far = "" if math.isnan(crps) else f"CRPS {crps:.4f}"
        if not self.output.words.is_terminal:
            self._print(f"{imputer}: epoch {epoch:>3}/{epochs}  {so_far}".rstrip())
            return
        if imputer != self.imputer:
            self._open_bar(f"{imputer}: epoch", epochs)
            self.imputer = imputer
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=epoch, description=so_far)

    @hookimpl
    def hcat_run_started(
        self, run_folder: Path, epochs: int, steps_per_epoch: int, member: int, members: int
    ) -> None:
        """Open the bar; an estimator without epochs has none."""
        if not epochs:
            return
        self.stop()
        self.began = self.epoch_began = self.told = time.monotonic()
        self.first_epoch = None
        which = f"member {member} of {members}: at most " if members > 1 else ""
        self.output.say(f"training in {run_folder}: {which}{epochs} epochs of {steps_per_epoch} steps")
        self._open_bar("epoch", epochs)

    @hookimpl
    def hcat_steps_taken(self, epoch: int, step: int, steps: int, loss: float) -> None:
        """Move the bar within an epoch; print a line now and then where there is no terminal."""
        if self.bar is not None:
            done = epoch - 1 + step / steps
            text = f"step {step}/{steps} loss {loss:.3f}"
            self.bar.update(self.bar.task_ids[0], completed=done, description=text)
        elif time.monotonic() - self.told >= FIRST:
            self.told = time.monotonic()
            self._print(f"epoch {epoch:>3}  step {step}/{steps}  loss {loss:.4f}")

    @hookimpl
    def hcat_epoch_finished(self, record: Mapping[str, Any]) -> None:
        """Print one line, and move the bar one step."""
        epoch, epochs = int(record["epoch"]), int(record["epochs"])
        now = time.monotonic()
        seconds, self.epoch_began = now - self.epoch_began, now
        if self.first_epoch is None:
            self.first_epoch = epoch
        line = f"epoch {epoch:>3}/{epochs}  loss {record['train_loss']:.4f}"
        for task, metrics in record["val"].items():
            line += f"  {task} R2 {number(metrics['r2'])}" if "r2" in metrics else _of_labels(task, metrics)
        if record["best"]:
            line += "  best"
        if self.bar is None and epoch < epochs:
            done = epoch - self.first_epoch + 1
            left = (now - self.began) / done * (epochs - epoch)
            line += f"  ({seconds:.1f} s, at most {_duration(left)} left)"
        self.told = now
        self._print(line)
        if self.bar is not None:
            self.bar.update(
                self.bar.task_ids[0], completed=epoch, description=f"loss {record['train_loss']:.3f}"
            )

    @hookimpl
    def hcat_run_finished(self, run_folder: Path, summary: Mapping[str, object]) -> None:
        """Close the bar."""
        self.stop()


def _of_labels(task: str, metrics: Mapping[str, Any]) -> str:
    return f"  {task} AUC {number(metrics['auc'])} F1 {number(metrics['f1'])}"


def print_results(console: Console, summary: Mapping[str, Any], folder: Path) -> None:
    """Print the metrics of validation and test patients, the files of the run, and the verdicts."""
    run = summary["run"]
    if "estimator" not in run:
        console.print(_how_trained(run), markup=False)
    for task, correction in run.get("correction", {}).items():
        console.print(_what_attention_added(task, correction, run["evidence"]), markup=False)
    table = Table(box=None, pad_edge=False)
    for heading in ("split", "task", "events/n", "AUC", "95 %", "Uno C", "95 %", "slope", "Brier", "F1"):
        table.add_column(heading, no_wrap=True)
    for side in ("validation", "test"):
        for task, scores in summary["metrics"][side].items():
            if not scores["patients"]:
                continue
            m = shown(scores)
            table.add_row(
                side,
                task,
                f"{m['events']}/{m['patients']}",
                number(m["auc"]),
                interval(m["auc_95"]),
                number(m["c_index"]),
                interval(m["c_index_95"]),
                *(number(m[name]) for name in ("calibration_slope", "brier", "f1")),
            )
    if table.row_count:
        print_table(console, table, keys=2)
    print_other_results(console, summary)
    scored = [m for side in ("validation", "test") for m in summary["metrics"][side].values()]
    console.print(" ".join([_how_scored(summary), *why_left_out(scored)]), markup=False)
    analysis = summary["analysis"]
    for line in _how_imputed(analysis):
        console.print(line, markup=False)
    _print_baselines(console, summary)
    print_other_baselines(console, summary)
    console.print(f"{folder}/", markup=False)
    for path in sorted(folder.iterdir()):
        files = sum(1 for inner in path.rglob("*") if inner.is_file())
        console.print(
            f"  {path.name}/  {counted(files, 'file')}" if path.is_dir() else f"  {path.name}", markup=False
        )
    print_verdicts(console, summary["verdicts"])
    console.print(f"open {folder / 'report.html'}", markup=False)


def _how_trained(run: Mapping[str, Any]) -> str:
    """How long the trainings took, and which weights are scored."""
    if "members" in run:
        members = run["members"]
        epochs = [member["best_epoch"].get("average", member["epochs"]) for member in members]
        return (
            f"{counted(len(members), 'member')}, each at the epoch that its held-out patients chose: "
            f"{', '.join(map(str, epochs))}"
        )
    stop = "stopped early" if run["stopped_early"] else "ran to the end"
    best = run["best_epoch"].get("average")
    weights = "the last epoch's weights" if best is None else f"the weights of epoch {best}"
    return f"{run['epochs']} epochs, {stop}; {weights} are scored"


def _what_attention_added(task: str, correction: Mapping[str, Any], evidence: str) -> str:
    """A sentence on the weight of the network's correction, and on what it gained."""
    gain = f"{correction['gain']:+.4f} ± {correction['error']:.4f} nats a patient"
    if correction["weight"] == 0:
        return f"{task}: attention adds nothing to {evidence} (held-out log likelihood {gain})"
    return (
        f"{task}: attention corrects {evidence} with weight {correction['weight']:.2f} "
        f"(held-out log likelihood {gain})"
    )


def _how_imputed(analysis: Mapping[str, Any]) -> list[str]:
    """A sentence on imputation, means over modalities, beside simple imputers on the same blocks."""
    tables = {"model": analysis.get("imputation", {}), **analysis.get("imputation_references", {})}
    means = {
        name: [_mean(q[score] for q in table.values()) for score in ("r2", "crps")]
        for name, table in tables.items()
    }
    r2, crps = means.pop("model")
    if r2 is None or not means:
        return []
    others = ", ".join(f"{name} {number(r)} and {number(c)}" for name, (r, c) in means.items())
    return [
        f"Imputation of hidden blocks of test patients: R2 {number(r2)}, CRPS {number(crps)} ({others})."
    ]


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _print_baselines(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the simple models beside the run's own, on the same test patients."""
    baselines = summary["analysis"].get("baselines", {})
    if not any(baselines.values()):
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("simple model", "task", "AUC", "this model's AUC less it", "95 %"):
        table.add_column(heading)
    for name, tasks in baselines.items():
        for task, scores in tasks.items():
            difference = scores["difference"]
            table.add_row(
                name,
                task,
                number(shown(scores)["auc"]),
                f"{difference[0]:+.3f}" if difference else "-",
                f"{difference[1]:+.3f} to {difference[2]:+.3f}" if difference else "-",
            )
    print_table(console, table, keys=2)


THRESHOLDS = {
    "validation patients": "Thresholds were chosen on validation patients: their figures are optimistic.",
    "inner folds": "Thresholds were chosen in inner folds of all patients except the test patients.",
    "members": "Thresholds were chosen with each patient's prediction by a member not fitted on them.",
    "estimator": "The estimator chose thresholds itself, without the test patients.",
    "nobody": "There are no validation patients: thresholds are 0.5 and nothing is recalibrated.",
}
"""By who chose them, a sentence on thresholds."""


def _how_scored(summary: Mapping[str, Any]) -> str:
    """Sentences on which patients chose the thresholds, and which were only scored."""
    chosen = THRESHOLDS[summary["run"]["held_out"]]
    split = summary["data"]["split"]
    scored = (
        "Test patients were scored once." if split["test"]["patients"] else "There are no test patients."
    )
    events = any(summary["metrics"].values())
    return " ".join([*([chosen] if events else []), scored, *_what_is_estimated(summary)])


def _what_is_estimated(summary: Mapping[str, Any]) -> list[str]:
    """Sentences on censoring and competing events; none where no times are known."""
    sentences = []
    if any(m["unweighted"] for side in summary["metrics"].values() for m in side.values()):
        sentences.append("Scores are weighted for censoring.")
    weighted = summary["run"]["weighted_for_censoring"]
    if weighted:
        sentences.append(f"Training of {', '.join(weighted)} was weighted, too.")
    tasks = (summary["recipe"]["cohort"].get("targets") or {}).get("tasks", {})
    sentences += [
        f"{task}: the probability of the event before that of {table['competing']} (cumulative incidence)."
        for task, table in tasks.items()
        if table.get("competing")
    ]
    return sentences


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
