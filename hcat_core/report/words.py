"""The summary at the top of the report, in sentences."""

from __future__ import annotations

import numpy as np

from hcat_core.report.formatting import counted, listed
from hcat_core.report.inputs import KnownOutcomes, ReportInputs
from hcat_core.report.outcomes import competing_in_short
from hcat_core.report.page_facts import event_in_words, outcome_in_words

NO_TEST_PATIENTS = "There are no test patients: how well the model predicts others was not measured."


def purpose(inputs: ReportInputs) -> str:
    """What the model predicts, of whom, and from what."""
    layout = inputs.cohort.layout
    parts = []
    events = [layout.tasks[column] for column in layout.event_columns]
    if events:
        parts.append(f"the probability of {listed([event_in_words(task) for task in events])}")
    parts += [
        f"the {'class' if outcome.kind == 'class' else 'value'} of {outcome_in_words(layout, outcome)}"
        for outcome in layout.outcomes
        if outcome.kind != "event"
    ]
    text = listed(parts)
    modalities = layout.names
    source = modalities[0] if len(modalities) == 1 else f"any of {listed(modalities, 'or')}"
    return f"{text[:1].upper()}{text[1:]}, predicted from {source}."


def summary_in_words(inputs: ReportInputs) -> list[str]:
    """What a reader of the verdicts has to know beside them."""
    sentences = [_cohort(inputs)]
    if not len(inputs.split.test):
        sentences.append(NO_TEST_PATIENTS)
    sentences += competing_in_short(inputs)
    training = inputs.summary.run.training
    if training is not None and training.outcome_informed_imputation:
        sentences.append(
            "The imputation is outcome-informed: the imputer was trained with the prediction's gradient. "
            "Imputed values must not be used as data in an analysis of the same outcome."
        )
    return sentences + _where_tested(inputs)


def too_few(task: str, known: KnownOutcomes, who: str = "test patient") -> str:
    """The sentence that takes the place of whatever needs ten patients of either outcome."""
    n, grouped = len(known.label), known.groups is not None
    if not n:
        return f"{task}: no {who} has a known outcome; performance was not measured."
    units = known.groups if known.groups is not None else np.arange(n)
    events, free = (len(np.unique(units[known.label == outcome])) for outcome in (1, 0))
    outcome, name = (1, "event") if events <= free else (0, "event-free patient")
    rarer = counted(int((known.label == outcome).sum()), name)
    if grouped:
        rarer += f", in {counted(min(events, free), 'group')},"
    needed = "groups with either outcome" if grouped else "of either outcome"
    return (
        f"{task}: {rarer} among {counted(n, who)} with a known outcome: too few to measure "
        f"discrimination or calibration (ten {needed} are needed)."
    )


def _cohort(inputs: ReportInputs) -> str:
    """How many patients there are, and how many lack nothing."""
    patients, modalities = len(inputs.cohort), inputs.cohort.layout.names
    complete = int(inputs.cohort.present.all(dim=1).sum())
    share = f"{complete} ({complete / max(1, patients):.0%})"
    if len(modalities) == 1:
        return (
            f"The cohort has {counted(patients, 'patient')} and one modality, which {share} of them have."
        )
    has = "has" if complete == 1 else "have"
    return (
        f"The cohort has {counted(patients, 'patient')} and {len(modalities)} modalities; {share} of them "
        f"{has} all modalities."
    )


def _where_tested(inputs: ReportInputs) -> list[str]:
    """Who the test patients are."""
    if not len(inputs.split.test):
        return []
    column = inputs.summary.recipe["split"].get("column")
    who = "The test patients come from the same cohort as the training patients."
    if column is not None:
        who = f"The test patients are those of the column {column}."
    return [who]
