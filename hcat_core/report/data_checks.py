"""What the checks of the data looked at, what they could not look at, and what they found, in sentences."""

from __future__ import annotations

from hcat_core.data.data_quality import DISTINCT
from hcat_core.data.leakage import FEWEST, MOST_AUC, MOST_CORRELATED
from hcat_core.report.formatting import counted, listed
from hcat_core.report.inputs import ReportInputs


def leakage(inputs: ReportInputs) -> str:
    """Which features were checked for giving an outcome away: a run in which one does has stopped."""
    analysis, leaks = inputs.summary.analysis, inputs.summary.analysis.leaks
    alone, gaps = _by_outcome(inputs)
    tasks = list(alone)
    of_numbers = (
        f", or a number with a rank correlation above {MOST_CORRELATED}"
        if inputs.cohort.layout.numbers
        else ""
    )
    if leaks.named:
        total = counted(leaks.features, "feature")
        text = f"Of {total}, {leaks.named} have names, none that of a follow-up column."
    else:
        text = f"None of {counted(leaks.features, 'feature')} has a name that could be checked."
    checked = [task for task in tasks if alone[task]]
    if checked:
        numbers = listed([f"{alone[task]} for {task}" for task in checked])
        text += (
            f" Checked alone, in training patients: {numbers}; none predicts the outcome with an AUC above "
            f"{MOST_AUC}{of_numbers}."
        )
        if any(alone[task] < leaks.features - leaks.allowed for task in checked):
            text += f" Others were skipped: fewer than {FEWEST} patients with either outcome have a value."
    skipped = [task for task in tasks if not alone[task]]
    if skipped:
        text += (
            f" No feature was checked alone for {listed(skipped)}: none has values of {FEWEST} training "
            "patients with either outcome."
        )
    if gaps:
        text += f" Nor does being measured or not predict {listed(gaps, 'or')} with such an AUC."
    if leaks.allowed:
        allowed = f"{counted(leaks.allowed, 'feature')} that the recipe allows"
        text += f" Not checked: {allowed} ({', '.join(analysis.allowed)})."
    return text


def _by_outcome(inputs: ReportInputs) -> tuple[dict[str, int], list[str]]:
    """By outcome, how many features were checked alone; and outcomes that were checked by gaps.

    Of classes it is the fewest that were checked against any of them.
    """
    layout, leaks = inputs.cohort.layout, inputs.summary.analysis.leaks
    tasks = {
        outcome.name: [layout.tasks[column].name for column in outcome.columns]
        for outcome in layout.outcomes
    }
    alone = {outcome: min(leaks.alone[task] for task in names) for outcome, names in tasks.items()}
    return alone, [outcome for outcome, names in tasks.items() if set(names) & set(leaks.gaps)]


def quality(inputs: ReportInputs) -> str:
    """Which checks found nothing; a sentence for what could not be checked."""
    checks, layout = inputs.summary.analysis.quality, inputs.cohort.layout
    others = [name for name in layout.names if name not in checks.duplicates]
    looked = []
    if checks.duplicates:
        looked.append(f"equal embeddings of different patients ({listed(checks.duplicates)})")
    if checks.zeros:
        looked.append(f"embeddings of nothing but zeros ({listed(checks.zeros)})")
    looked.append("ids that differ only in a short ending")
    text = f"Looked for: {listed(looked)}."
    if others:
        text += (
            f" Not compared between patients: {listed(others)} (fewer than two patients have {DISTINCT} "
            "distinct values, and patients with fewer may be equal by chance)."
        )
    return text
