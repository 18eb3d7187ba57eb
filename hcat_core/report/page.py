"""Material -> one HTML page: sections in the order of the data."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from hcat_core import __version__
from hcat_core.data.splits import SPLITS
from hcat_core.metrics.survival import aalen_johansen, causes, kaplan_meier
from hcat_core.report import cohort_figures, performance_figures
from hcat_core.report.material import Material
from hcat_core.report.words import interval, number, summary_in_words
from hcat_core.storage.checkpoint import write_text
from hcat_core.text.quoting import printable

SUBSETS_SHOWN = 31
FEWEST_IN_GROUP = 5
YEARS = 365.25


def write_report(path: Path, material: Material) -> None:
    """Render the page and write it whole or not at all; no patient id, no script, no outside part."""
    write_text(path, render(material))


def render(material: Material) -> str:
    """The page as text."""
    environment = Environment(
        loader=PackageLoader("hcat_core.report", "."), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, finalize=_seen,
    )  # fmt: skip
    environment.filters["number"] = number
    environment.filters["interval"] = interval
    cohort, summary = material.cohort, material.summary
    return environment.get_template("page.html.j2").render(
        title=material.title,
        version=__version__,
        recipe=material.recipe,
        sentences=summary_in_words(material),
        layout=cohort.layout,
        data=summary["data"],
        run=summary["run"],
        metrics=summary["metrics"],
        sides=[side for side in SPLITS if any(m["patients"] for m in summary["metrics"][side].values())],
        environment=_facts(summary["environment"]),
        presence=cohort_figures.presence_figure(cohort),
        patterns=cohort_figures.patterns_figure(cohort),
        learning=cohort_figures.learning_figures(summary["history"]),
        tasks=[_task(material, column) for column in range(len(cohort.layout.tasks))],
        imputation=material.analysis("imputation"),
        by_pattern=material.analysis("patterns"),
        subsets=(material.analysis("subsets") or [])[:SUBSETS_SHOWN],
        importance=_importance(material),
        baselines=material.analysis("baselines"),
        leakage=summary.get("analysis", {}).get("leakage"),
        tripod=_tripod(material),
    )


def _seen(value: object) -> object:
    """Names with everything in them to be seen: a mark of direction would turn the words around it."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _task(material: Material, column: int) -> dict[str, Any]:
    """Figures of one task's test patients; none where they had one outcome."""
    task = material.cohort.layout.tasks[column]
    p, y, weights = material.test_known(column)
    name = f"task{column}"
    result: dict[str, Any] = {"task": task, "roc": None, "calibration": None, "decision": None}
    if 0 < y.sum() < len(y):
        result["roc"] = performance_figures.roc_figure(name, task.name, p, y)
        result["pr"] = performance_figures.pr_figure(name, task.name, p, y)
        result["calibration"] = performance_figures.calibration_figure(name, task.name, p, y, weights)
        result["decision"] = performance_figures.decision_figure(name, task.name, p, y, weights)
    result["risk"] = _risk_groups(material, column)
    return result


def _risk_groups(material: Material, column: int) -> dict[str, Any] | None:
    """Test patients by thirds of what training patients were predicted; None without times."""
    cohort, layout = material.cohort, material.cohort.layout
    assert cohort.targets is not None
    task = layout.tasks[column]
    competing = None if task.competing is None else layout.task_names.index(task.competing)
    test = cohort.targets[material.split.test]
    known, time, cause = causes(test, column, competing)
    train = material.predicted.probability[material.split.train.numpy(), column]
    if not known.any() or not len(train):
        return None
    low, high = np.quantile(train, [1 / 3, 2 / 3])
    p = material.predicted.probability[material.split.test.numpy(), column][known.numpy()]
    member = np.digitize(p, [low, high])
    if min(np.bincount(member, minlength=3)) < FEWEST_IN_GROUP:
        return None
    last = min(float(time.max()), 1.5 * task.horizon_days)
    days = np.linspace(0, last, 200)
    curves, rows = [], []
    marks = np.linspace(0, task.horizon_days, 6)
    for group in range(3):
        t, c = time[member == group], cause[member == group]
        if competing is None:
            share = 1 - kaplan_meier(t, c, days)
        else:
            share = aalen_johansen(t, c, days)
        curves.append((days, share))
        rows.append([int((t >= mark).sum()) for mark in marks])
    counts = {
        name: int((cause == code).sum()) for code, name in enumerate(("censored", "event", "competing"))
    }
    return {
        "figure": cohort_figures.risk_group_figure(
            f"task{column}", task.name, task.horizon_days, curves, competing is not None
        ),
        "groups": list(zip(cohort_figures.GROUPS, rows, strict=True)),
        "marks": [f"{mark / YEARS:.1f}" for mark in marks],
        "competing": task.competing,
        "counts": counts,
        "cuts": [float(low), float(high)],
    }


def _importance(material: Material) -> list[str]:
    found = material.analysis("importance")
    if not found:
        return []
    figures = []
    if any(found["shapley"].values()):
        title = "What a modality moved (mean |Shapley|)"
        figures.append(
            cohort_figures.bars_figure("shapley", title, found["shapley"], "change of the probability")
        )
    if any(found["leave_one_out"].values()):
        title = "What hiding it cost"
        figures.append(
            cohort_figures.bars_figure("leave-one-out", title, found["leave_one_out"], "fall of the AUC")
        )
    return figures


def _facts(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [(key, environment[key]) for key in ("hcat", "python", "platform", "device", "threads", "data")]
    rows += list(environment.get("libraries", {}).items())
    plugins = [f"{p['entry_point']} ({p['distribution']} {p['version']})" for p in environment["plugins"]]
    rows.append(("plugins", ", ".join(plugins)))
    return [(key, str(value)) for key, value in rows]


def _tripod(material: Material) -> list[dict[str, Any]]:
    """TRIPOD+AI's items, with what the run knows filled in."""
    text = (resources.files("hcat_core.report") / "tripod_ai.toml").read_text(encoding="utf-8")
    filled = _known_to_the_run(material)
    items: list[dict[str, Any]] = tomllib.loads(text)["item"]
    return [{**item, "filled": filled.get(item.get("from", ""), "")} for item in items]


def _known_to_the_run(material: Material) -> dict[str, str]:
    summary, cohort = material.summary, material.cohort
    data, split = summary["data"], summary["data"]["split"]
    sizes = ", ".join(f"{split[side]['patients']} {side}" for side in SPLITS)
    outcomes = "; ".join(
        f"{task.name}: event within {task.horizon_days:g} days (output {task.output_name})"
        for task in cohort.layout.tasks
    )
    events = "; ".join(
        f"{task}: {c['event']} events, {c['event_free']} event-free, {c['unknown']} unknown"
        for task, c in data["labels"].items()
    )
    has = ", ".join(f"{name} {m['patients']}" for name, m in data["modalities"].items())
    test = "; ".join(
        f"{task}: AUC {number(m['auc'])} {interval(m['auc_95'], 3)}, slope "
        f"{number(m.get('calibration_slope'), 2)}"
        for task, m in summary["metrics"]["test"].items()
    )
    recipe = summary.get("recipe", {})
    use = recipe.get("estimator", {}).get("use", "neural")
    imputer = recipe.get("imputer", {}).get("use")
    thresholds = ", ".join(number(value) for value in summary["run"].get("thresholds", []))
    return {
        "outcomes": outcomes,
        "predictors": f"Patients with each modality: {has}. Standardised by training patients.",
        "sample_size": f"{data['patients']} patients ({sizes}). {events}.",
        "missing": (
            f"{int(cohort.present.all(dim=1).sum())} patients have every modality. "
            + (f"Missing ones are imputed by {imputer}." if imputer else "See the estimator's recipe.")
        ),
        "model": f"Estimator {use}; the recipe is below, in full. Recalibrated on patients held out.",
        "performance_measures": "AUC, average precision, Brier score, calibration slope and intercept, net "
        "benefit, and Uno's C where times are known; bootstrap 95 % intervals over patients.",
        "output": f"Probabilities; classes above thresholds of {thresholds}, chosen on patients held out.",
        "split": f"Patients were divided into {sizes}, stratified by outcome; groups stay together.",
        "participants": f"{data['patients']} patients; {data['patients_without_modality']} without any "
        f"modality. {events}.",
        "performance": f"Test patients: {test}.",
        "code": f"hcat {__version__}; the recipe and the environment are below.",
        "subgroups": "Results by missingness pattern are in this report; by sex, age, site: hcat evaluate.",
    }
