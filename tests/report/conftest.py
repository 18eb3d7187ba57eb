"""A small run of synthetic patients, as a report gets it, and what may be different about it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hcat_core.data.assembly import ModalityReport, ReadReport
from hcat_core.data.data_quality import quality_checks
from hcat_core.data.leakage import leak_check
from hcat_core.data.splits import Split
from hcat_core.evaluation.analysis import analyse_modalities, score_patterns
from hcat_core.evaluation.baselines import BaselineScores
from hcat_core.evaluation.cohort_counts import count_cohort
from hcat_core.evaluation.imputation_quality import ImputationAnalysis, ImputationQuality
from hcat_core.evaluation.scores import ScoringSettings, score_split
from hcat_core.evaluation.summary import Analysis, FitSummary, MemberSummary, RunSummary, TrainingSummary
from hcat_core.interfaces import Prediction
from hcat_core.metrics.recalibration import Recalibration, sigmoid
from hcat_core.report import cohort_figures, performance_figures
from hcat_core.report.inputs import ReportInputs
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import SynthSpec, generate
from hcat_core.training.checkpoints import Epoch

WIDTHS = {"clinical": 6, "semantic": 9, "temporal": 5}
COHORT = to_cohort(generate(SynthSpec(patients=400, widths=WIDTHS, seed=5)))
ROWS = torch.arange(len(COHORT))
SPLIT = Split(ROWS[:160], ROWS[160:260], ROWS[260:], ROWS[:0])
ONE_MEMBER = TrainingSummary(
    [MemberSummary(3, False, {"average": 2}, {"metric": "auc", "average": 0.6})], False, 10
)
RECIPE = {
    "seed": 0,
    "cohort": {"root": "."},
    "split": {"validation": 0.15, "test": 0.3},
    "estimator": {"use": "neural", "members": 1},
    "imputer": {"use": "mean"},
    "heads": {"survival": {"use": "discrete_hazard", "task": "survival"}},
    "losses": [{"use": "hazard", "head": "survival", "weight": 1.0}],
    "evaluation": {"bootstrap": 50, "baselines": ["logistic"]},
}
FACTS = dict.fromkeys(("hcat", "python", "platform", "device", "threads", "data"), "x")
AUC_OF_EPOCH = {"auc": 0.6, "patients": 40, "events": 15}


def make_inputs(cohort=COHORT, split=SPLIT, recipe=None, run=None, allowed=(), **changes):
    """A run that predicts each outcome with some skill, without a closer look at test patients.

    Everything is computed for these patients, this split and this recipe, whose keys of ``recipe`` differ
    from ``RECIPE``; ``run`` are fields of its ``FitSummary`` that differ.
    """
    recipe = RECIPE | (recipe or {})
    rng = np.random.default_rng(0)
    label = cohort.targets.labels.numpy().astype(float)
    p = sigmoid(np.where(label > 0, 0.4, -0.6) + rng.normal(0, 1, label.shape))
    curve = torch.from_numpy(p[:, :, None] * np.linspace(1 / 12, 1, 12))
    predicted = Prediction(torch.from_numpy(p), curve, torch.from_numpy(np.stack([p, p], axis=-1)))
    tasks = len(cohort.layout.tasks)
    line = Recalibration((0.1, 0.2, 0.3)[:tasks], (0.9, 0.8, 0.7)[:tasks])
    fit = FitSummary("neural", [0.5] * tasks, line, "validation patients", ONE_MEMBER)
    n = len(cohort)
    modalities = tuple(
        ModalityReport(m.name, "file", m.width, n, n, 0, None) for m in cohort.layout.modalities
    )
    settings = ScoringSettings(
        [0.5] * tasks, cohort.targets[split.train], recipe["evaluation"]["bootstrap"], 0
    )
    auc = dict.fromkeys(cohort.layout.task_names, AUC_OF_EPOCH)
    summary = RunSummary(
        run=replace(fit, **(run or {})),
        metrics=score_split(cohort, split, predicted, settings),
        data=count_cohort(cohort, ReadReport(modalities, 0), split),
        environment={**FACTS, "plugins": []},
        recipe=recipe,
        history=[Epoch(e, 3, 1e-3, 1 / e, {}, auc, best=True) for e in (1, 2, 3)],
        analysis=Analysis(
            findings=[],
            allowed=list(allowed),
            leaks=leak_check(cohort, split.train, allowed),
            quality=quality_checks(cohort),
        ),
    )
    made = ReportInputs(
        "a run", "seed = 1\n", cohort, split, predicted, summary, "1 December 2026", "estimator"
    )
    return replace(made, **changes)


def with_summary(made, **changes):
    """The same run with other fields of its summary."""
    return replace(made, summary=replace(made.summary, **changes))


def with_analysis(made, **changes):
    """The same run with other parts of the closer look at test patients."""
    return with_summary(made, analysis=replace(made.summary.analysis, **changes))


def make_analysed(*arguments, **changes):
    """The run of ``make_inputs`` with every part of the closer look at test patients."""
    made = make_inputs(*arguments, **changes)
    test, train = made.cohort[made.split.test], made.targets[made.split.train]
    tasks = len(test.layout.tasks)
    settings = ScoringSettings([0.5] * tasks, train, made.resampling.resamples, 0)

    def predict(cohort):
        return np.repeat(sigmoid(cohort.emb[:, :, 0].sum(dim=1).numpy())[:, None], tasks, axis=1)

    scores = made.summary.metrics["test"]
    enough = {t: one.auc_95 is not None for t, one in scores.items()}
    baseline = {
        t: BaselineScores(**vars(scores[t]), difference=[0.1, 0.02, 0.2] if enough[t] else None)
        for t in scores
    }
    resampled = {"r2_95": (0.33, 0.48), "coverage_90_95": (0.86, 0.94)}
    ends = resampled if made.resampling.resamples else {}
    return with_analysis(
        made,
        findings=[f"{made.cohort.layout.names[0]}: nothing but zeros"],
        patterns=score_patterns(test, made.predicted[made.split.test.numpy()], settings),
        modalities=analyse_modalities(predict, test, [0.3] * tasks, settings),
        imputation=ImputationAnalysis(
            {"clinical": ImputationQuality(90, 0.41, 0.3, 0.5, 0.9, **ends)},
            {"mean": {"clinical": ImputationQuality(9, 0.0, 0.6, 0.5, 0.9)}},
            patients=len(test),
        ),
        baselines={"logistic": baseline},
    )


@pytest.fixture
def undrawn(monkeypatch):
    """Figures without their insides, which take seconds, for tests of sentences."""

    def draw(name, paint, *, label, **size):
        return f'<svg role="img" aria-label="{label}"></svg>'

    for module in (cohort_figures, performance_figures):
        monkeypatch.setattr(module, "draw", draw)


@pytest.fixture
def cohort():
    return COHORT


@pytest.fixture
def split():
    return SPLIT


@pytest.fixture
def inputs():
    return make_inputs


@pytest.fixture
def analysed():
    return make_analysed


@pytest.fixture
def changed():
    return with_summary


@pytest.fixture
def looked_at():
    return with_analysis


def with_labels_alone(cohort):
    """The same patients with labels whose times are unknown."""
    targets = cohort.targets
    unknown = torch.full_like(targets.event, -1)
    return replace(
        cohort, targets=replace(targets, event=unknown, time=torch.full_like(targets.time, torch.nan))
    )


@pytest.fixture
def untimed():
    """A run that knows labels, and no times."""
    return with_labels_alone(COHORT)


@pytest.fixture
def competing():
    """Patients of whom some die, at their time of death, before they could have a recurrence."""
    survival, recurrence = COHORT.layout.tasks
    layout = replace(COHORT.layout, tasks=(survival, replace(recurrence, competing="survival")))
    targets = COHORT.targets
    time, event, labels = targets.time.clone(), targets.event.clone(), targets.labels.clone()
    first = (event[:, 0] == 1) & (event[:, 1] == 0)
    time[first, 1], event[first, 1], labels[first, 1] = time[first, 0], 2, 0
    return replace(COHORT, layout=layout, targets=replace(targets, time=time, event=event, labels=labels))


@pytest.fixture
def few_events():
    """Test patients of whom one has an event of survival, and many of recurrence."""
    labels, event = COHORT.targets.labels.clone(), COHORT.targets.event.clone()
    test = SPLIT.test
    events = test[labels[test, 0] == 1][1:]
    labels[events, 0], event[events, 0] = -1, 0
    return replace(COHORT, targets=replace(COHORT.targets, labels=labels, event=event))


@pytest.fixture
def grouped():
    """Four records of each group, on one side of the split."""
    return replace(COHORT, groups=tuple(f"g{row // 4}" for row in range(len(COHORT))))
