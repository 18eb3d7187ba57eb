"""``model_card.md``: what a fitted model is for, what it was fitted to, how good it is, what is not known.

The headings are those of Mitchell et al. (2019, Model cards for model reporting).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from hcat_core.evaluation.cohort_counts import ClassCounts, OtherCounts
from hcat_core.evaluation.other_outcomes import ClassScores
from hcat_core.evaluation.verdict import observed_over_predicted
from hcat_core.report import data_checks, method, outcomes
from hcat_core.report.formatting import counted, interval, listed, number
from hcat_core.report.inputs import ReportInputs, few
from hcat_core.report.other_tables import significant
from hcat_core.report.page_facts import PageFacts
from hcat_core.report.words import NO_TEST_PATIENTS, purpose, summary_in_words
from hcat_core.storage.checkpoint import write_text
from hcat_core.text.quoting import printable

SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]<>|#~$"})
NOT_KNOWN = (
    "How well it does on patients of another hospital, scanner, laboratory or time: `hcat evaluate` "
    "measures that.",
    "Whether it does as well for women and men, for old and young, or for any other group: `hcat evaluate "
    "--by NAME` measures that where groups are known.",
    "Whether patients fare better when someone acts on its predictions: only a trial can show that.",
    "Who may use it, for what decision, and under which law: the authors have to say so here.",
)


def write_model_card(path: Path, inputs: ReportInputs) -> None:
    """Write the model card of a run atomically; it has no patient ids."""
    write_text(path, model_card(inputs))


def model_card(inputs: ReportInputs) -> str:
    """The model card of a run, as Markdown."""
    sections = {
        "Model": _model(inputs),
        "Intended use": _use(inputs),
        "Data": _data(inputs),
        "Training": _training(inputs),
        "Figures": _figures(inputs),
        "Limits": _limits(inputs),
        "What is not known": (f"- {text}" for text in NOT_KNOWN),
    }
    blocks = [f"# Model card: {_plain(inputs.title)}"]
    for name, lines in sections.items():
        blocks.append(f"## {name}\n\n" + "\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _model(inputs: ReportInputs) -> Iterator[str]:
    facts = PageFacts.of_run(inputs)
    yield from (f"- {name}: {_plain(text)}" for name, text in facts.pairs())
    yield "- files: `recipe.toml` (every setting), `report.html` (figures), `environment.json` (versions)"
    yield "- prediction of other patients: `hcat predict RUN_FOLDER`"


def _use(inputs: ReportInputs) -> Iterator[str]:
    yield _plain(purpose(inputs))
    yield ""
    yield (
        "It is for research on patients like those of the cohort below. It is not for decisions about "
        "patients until it was measured on patients of the place where it is to be used, nor for patients "
        "whose modalities were measured in another way than those it was trained on."
    )


def _data(inputs: ReportInputs) -> Iterator[str]:
    data = inputs.summary.data
    yield _plain(" ".join([method.division(inputs), method.missing_modalities(inputs)]))
    yield ""
    yield from _table(
        ("modality", "features", "patients"),
        [(m.name, str(m.width), str(m.patients)) for m in data.modalities],
    )
    yield ""
    if data.labels:  # none where all outcomes are classes and numbers
        yield from _table(
            ("outcome", "event", "event-free", "unknown"),
            [(t, str(c.event), str(c.event_free), str(c.unknown)) for t, c in data.labels.items()],
        )
        yield ""
    for outcome, counts in data.others.items():
        yield from (f"- {_plain(_spread(outcome, counts, inputs))}", "")
    yield ""
    yield _plain(outcomes.label_rules(inputs))


def _spread(outcome: str, counts: OtherCounts, inputs: ReportInputs) -> str:
    """How many patients are of each class, or how the values of a number are spread."""
    if isinstance(counts, ClassCounts):
        classes = [f"{name} {patients}" for name, patients in counts.classes.items()]
        return f"{outcome}, patients by class: {listed(classes)}; unknown {counts.unknown}."
    (unit,) = (task.unit for task in inputs.cohort.layout.tasks if task.name == outcome)
    values = [significant(one) for one in (counts.mean, counts.sd, counts.lowest, counts.highest)]
    return (
        f"{outcome}{f' in {unit}' if unit else ''}, known of {counted(counts.known, 'patient')}: mean "
        f"{values[0]}, standard deviation {values[1]}, from {values[2]} to {values[3]}; unknown "
        f"{counts.unknown}."
    )


def _training(inputs: ReportInputs) -> Iterator[str]:
    parts = (*method.training_in_words(inputs), method.preparation(inputs), method.recalibration(inputs))
    yield _plain(" ".join(part for part in parts if part))


def _figures(inputs: ReportInputs) -> Iterator[str]:
    if not len(inputs.split.test):
        yield NO_TEST_PATIENTS
        return
    yield "Test patients, who took no part in training. In brackets: 95 % intervals."
    yield from _figures_of_events(inputs)
    yield from _figures_of_others(inputs)
    for verdict in inputs.summary.verdicts:
        yield ""
        yield f"**{_plain(f'{verdict.task}: {verdict.answer}')}.** {_plain(' '.join(verdict.reasons))}"


def _figures_of_events(inputs: ReportInputs) -> Iterator[str]:
    rows = []
    for task, one in inputs.summary.metrics["test"].items():
        ratio = observed_over_predicted(one)
        scores = (
            (one.auc, one.auc_95),
            (one.calibration_slope, one.calibration_slope_95),
            (ratio[0], ratio[1:]) if ratio is not None else (None, None),
        )
        cells = ["–" if few(one) else f"{number(v, 2)} {interval(pair)}".strip() for v, pair in scores]
        rows.append((task, f"{one.events}/{one.patients}", *cells, number(one.brier)))
    if not rows:
        return
    yield ""
    headings = (
        "outcome",
        "events/patients",
        "AUC",
        "calibration slope",
        "observed/predicted",
        "Brier score",
    )
    yield from _table(headings, rows)


def _figures_of_others(inputs: ReportInputs) -> Iterator[str]:
    """A table of outcomes of classes, and one of numbers, each where there are any."""
    test = inputs.summary.others.get("test", {})
    classes, values = [], []
    for outcome, one in test.items():
        if isinstance(one, ClassScores):
            scores = ((one.auc, one.auc_95), (one.accuracy, one.accuracy_95))
            slope = (one.calibration_slope, one.calibration_slope_95)
            cells = [
                "–" if one.few else f"{number(v, 2)} {interval(p)}".strip() for v, p in (*scores, slope)
            ]
            classes.append((outcome, str(one.patients), *cells, number(one.log_loss)))
        else:
            scores = ((one.r2, one.r2_95), (one.coverage_90, one.coverage_90_95))
            cells = ["–" if one.few else f"{number(v, 2)} {interval(p)}".strip() for v, p in scores]
            error = f"{significant(one.mae)}{f' {one.unit}' if one.unit else ''}"
            values.append((outcome, str(one.patients), *cells, error))
    tables = (
        (("outcome", "patients", "macro AUC", "accuracy", "calibration slope", "log loss"), classes),
        (("outcome", "patients", "R²", "share in the 90 % interval", "mean absolute error"), values),
    )
    for headings, rows in tables:
        if rows:
            yield ""
            yield from _table(headings, rows)


def _limits(inputs: ReportInputs) -> Iterator[str]:
    findings = inputs.summary.analysis.findings
    limits = [sentence for sentence in summary_in_words(inputs) if sentence != NO_TEST_PATIENTS]
    limits += [data_checks.leakage(inputs)]
    found = counted(len(findings), "finding")
    limits += [f"The checks of the data left {found}: {listed(list(findings))}."] if findings else []
    yield from (f"- {_plain(text)}" for text in limits)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield f"|{' --- |' * len(headings)}"
    for row in rows:
        yield f"| {' | '.join(map(_plain, row))} |"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is: names may hold any character."""
    return printable(text.replace("\n", " ")).translate(SPECIAL)
