"""The report's first paragraph: what was found, how sure, against what, and what it does not say."""

from __future__ import annotations

from typing import Any

from hcat_core.report.material import Material


def summary_in_words(material: Material) -> list[str]:
    """Sentences for someone who reads no further."""
    data, metrics = material.summary["data"], material.summary["metrics"]["test"]
    complete = int(material.cohort.present.all(dim=1).sum())
    patients = int(data["patients"])
    sentences = [
        f"The cohort has {patients} patients and {len(data['modalities'])} modalities; {complete} patients "
        f"({complete / max(1, patients):.0%}) have all of them."
    ]
    baselines = material.analysis("baselines") or {}
    for task in material.cohort.layout.tasks:
        found = metrics[task.name]
        sentences.append(_discrimination(task.name, task.output_name, found))
        sentences += _calibration(found)
        sentences += _against(task.name, baselines)
    if material.summary["run"].get("outcome_informed_imputation"):
        sentences.append(
            "The imputer was trained with the prediction's gradient: imputed values are outcome-informed "
            "and must not be used as data in an analysis of the same outcome."
        )
    sentences.append(
        "These are patients of the same cohort. How it does elsewhere only another cohort can tell: "
        "hcat evaluate."
    )
    return sentences


def number(value: object, digits: int = 3) -> str:
    """A figure for a table; a dash where there is none."""
    return f"{value:.{digits}f}" if isinstance(value, (int, float)) else "–"


def interval(pair: Any, digits: int = 2) -> str:
    """An interval in brackets; nothing where there is none."""
    return f"({pair[0]:.{digits}f} to {pair[1]:.{digits}f})" if pair else ""


def _discrimination(task: str, output: str, found: dict[str, Any]) -> str:
    if found["auc"] is None:
        return f"{task}: test patients had one outcome only, so nothing can be said of discrimination."
    text = (
        f"{task} ({output}): of two test patients, one with the event and one without, the model gave the "
        f"first the higher probability in {found['auc']:.0%} of pairs (AUC {found['auc']:.3f}"
    )
    if found["auc_95"]:
        low, high = found["auc_95"]
        text += f", 95 % interval {low:.3f} to {high:.3f}"
        if low <= 0.5:
            text += "; no better than chance is not excluded"
    return text + f"), over {found['patients']} patients with {found['events']} events."


def _calibration(found: dict[str, Any]) -> list[str]:
    slope, pair = found.get("calibration_slope"), found.get("calibration_slope_95")
    if slope is None or not pair:
        return []
    verdict = "which is compatible with well-spread probabilities"
    if pair[1] < 1:
        verdict = "below 1: its probabilities are too far from the middle"
    elif pair[0] > 1:
        verdict = "above 1: its probabilities are too close to the middle"
    return [f"Its calibration slope is {slope:.2f} ({pair[0]:.2f} to {pair[1]:.2f}), {verdict}."]


def _against(task: str, baselines: dict[str, Any]) -> list[str]:
    known = {
        name: tasks[task]
        for name, tasks in baselines.items()
        if tasks.get(task, {}).get("difference") and tasks[task].get("auc") is not None
    }
    if not known:
        return []
    best = max(known, key=lambda name: float(known[name]["auc"]))
    mean, low, high = known[best]["difference"]
    verdict = "there is no detectable difference"
    if low > 0:
        verdict = "the model is better"
    elif high < 0:
        verdict = "the model is worse"
    return [
        f"Against the best simple model ({best}, AUC {known[best]['auc']:.3f}) on the same patients, "
        f"{verdict} ({mean:+.3f}, {low:+.3f} to {high:+.3f})."
    ]
