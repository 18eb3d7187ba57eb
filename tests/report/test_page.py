"""The report as a page: its sections, sentences and figures, and names with markup in them."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from hcat_core.cohort import Layout, Modality
from hcat_core.data.assembly import ModalityReport
from hcat_core.data.splits import Split
from hcat_core.evaluation.analysis import analyse_modalities, score_patterns
from hcat_core.evaluation.baselines import BaselineScores
from hcat_core.evaluation.cohort_counts import CohortCounts, OutcomeCounts, SideCounts
from hcat_core.evaluation.imputation_quality import ImputationAnalysis, ImputationQuality
from hcat_core.evaluation.scores import ScoringSettings, score_split
from hcat_core.evaluation.summary import Analysis, FitSummary, MemberSummary, RunSummary, TrainingSummary
from hcat_core.interfaces import Prediction
from hcat_core.metrics.recalibration import Recalibration, sigmoid
from hcat_core.report import ReportInputs, performance_figures, write_report
from hcat_core.report.page import render
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import SynthSpec, generate
from hcat_core.training.checkpoints import Epoch

WIDTHS = {"clinical": 6, "semantic": 9, "temporal": 5}
COHORT = to_cohort(generate(SynthSpec(patients=240, widths=WIDTHS, seed=5)))
HOSTILE = '<script>alert("x")</script>$x^2_{&"'
NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "]]></svg><script>alert(1)</script>",
    "</style><style>@import url(//x.example/a)",
    "</pre><iframe src=//x.example>",
    "<!-- --!><a href=javascript:alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    r"$\frac{1}{0}$ $x_{$ \$",
    "&lt;b&gt; &#60;b&#62;",
    "url(https://x.example/a)",
    "<svg/onload=alert(1)>",
]
FETCHING = {"src", "href", "xlink:href", "data", "srcset", "action", "formaction", "poster", "background"}


class Page(HTMLParser):
    """The page as a browser parses it: tags, texts, attributes and the targets of links."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.targets, self.attributes, self.inside = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.targets += [v for k, v in attrs if k in FETCHING]
        self.attributes += [(tag, k, v or "") for k, v in attrs]

    def handle_data(self, data):
        self.texts.append(data)
        self.inside.append((self.tags[-1] if self.tags else "", data))


SIDES = ("train", "validation", "test")
TRAINED = TrainingSummary(
    [MemberSummary(2, False, {"average": 1}, {"metric": "auc", "average": 0.6})], False, 10
)


def inputs(cohort=COHORT, test=None, **changes):
    """A run that predicts each outcome with some skill, without a closer look at test patients."""
    n = len(cohort)
    rng = np.random.default_rng(0)
    label = cohort.targets.labels.numpy().astype(float)
    p = sigmoid(np.where(label > 0, 0.4, -0.6) + rng.normal(0, 1, label.shape))
    predicted = Prediction(torch.from_numpy(p), interval=torch.from_numpy(np.stack([p, p], axis=-1)))
    rows = torch.arange(n)
    test = rows[160:] if test is None else test
    split = Split(rows[:120], rows[120:160], test, rows[:0])
    settings = ScoringSettings([0.5, 0.5], cohort.targets[split.train], 50, 0)
    counts = {t: OutcomeCounts(3, 4, 5) for t in cohort.layout.task_names}
    facts = dict.fromkeys(("hcat", "python", "platform", "device", "threads", "data"), "x")
    summary = RunSummary(
        run=FitSummary("neural", [0.5, 0.5], Recalibration.none(2), TRAINED),
        metrics=score_split(cohort, split, predicted, settings),
        data=CohortCounts(
            patients=n,
            patients_without_modality=0,
            modalities=[
                ModalityReport(m.name, "file", m.width, n, n, 0, None) for m in cohort.layout.modalities
            ],
            labels=counts,
            competing_first={},
            split=dict.fromkeys(SIDES, SideCounts(40, counts)),
        ),
        environment={**facts, "plugins": []},
        recipe={"estimator": {"use": "neural"}, "imputer": {"use": "mean"}},
        history=[Epoch(e, 3, 1e-3, 1 / e, {}, {"survival": {"auc": 0.6}}, best=True) for e in (1, 2, 3)],
        analysis=Analysis(findings=[], allowed=[]),
    )
    return replace(ReportInputs("a run", "seed = 1\n", cohort, split, predicted, summary), **changes)


def changed(made, **changes):
    """The same inputs with some fields of the summary replaced."""
    return replace(made, summary=replace(made.summary, **changes))


def analysed(cohort=COHORT, **changes):
    """The run of ``inputs`` with every part of the closer look at test patients."""
    made = inputs(cohort, **changes)
    test = made.cohort[made.split.test]
    settings = ScoringSettings([0.5, 0.5], made.cohort.targets, 50, 0)

    def predict(cohort):
        return np.repeat(sigmoid(cohort.emb[:, :, 0].sum(dim=1).numpy())[:, None], 2, axis=1)

    scores = made.summary.metrics["test"]
    baseline = {t: BaselineScores(**vars(scores[t]), difference=[0.1, 0.02, 0.2]) for t in scores}
    analysis = Analysis(
        findings=[f"{cohort.layout.names[0]}: nothing but zeros"],
        allowed=["days_to_x"],
        patterns=score_patterns(test, made.predicted[made.split.test.numpy()], settings),
        modalities=analyse_modalities(predict, test, [0.3, 0.3], settings),
        imputation=ImputationAnalysis(
            {"clinical": ImputationQuality(9, 0.41, 0.3, 0.5, 0.9)},
            {"mean": {"clinical": ImputationQuality(9, 0.0, 0.6, 0.5, 0.9)}},
        ),
        baselines={"logistic": baseline},
    )
    return changed(made, analysis=analysis)


def test_the_report_has_every_figure_and_section_and_loads_nothing(tmp_path):
    write_report(tmp_path / "report.html", analysed())
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    # presence, patterns, loss, validation; by task ROC, PR, calibration, decision, risk; two of importance.
    assert page.tags.count("svg") == 4 + 2 * 5 + 2
    assert "script" not in page.tags and "link" not in page.tags and "img" not in page.tags
    assert all(target.startswith("#") for target in page.targets)
    assert "url(http" not in text and "@import" not in text and "@font-face" not in text
    assert len(text.encode()) < 5e6
    ids = re.findall(r'\bid="([^"]+)"', text)
    used = re.findall(r'(?:url\(#|href="#)([^)"]+)', text)
    assert set(used) <= set(ids)
    for words in ("the model is better", "days_to_x", "nothing but zeros", "0.410", "TRIPOD+AI"):
        assert words in text
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_the_report_has_no_patient_ids():
    ids = tuple(f"canary{row}x" for row in range(len(COHORT)))
    assert "canary" not in render(replace(analysed(), cohort=replace(COHORT, patient_ids=ids)))


def test_names_with_markup_appear_as_text():
    first, *rest = COHORT.layout.modalities
    layout = Layout((Modality(HOSTILE, first.width), *rest), COHORT.layout.tasks)
    made = inputs(replace(COHORT, layout=layout), title=HOSTILE, recipe=HOSTILE)
    text = render(made)
    page = Page(text)
    assert "script" not in page.tags
    assert "".join(page.texts).count(HOSTILE) >= 3
    assert "$x^2" in "".join(page.texts)


def named(names):
    """The analysed run with three names for its modalities, two of them for its tasks, all elsewhere."""
    modalities = [replace(m, name=n) for m, n in zip(COHORT.layout.modalities, names, strict=True)]
    survival, recurrence = COHORT.layout.tasks
    first = replace(survival, name=names[0], outcome=names[0])
    second = replace(recurrence, name=names[1], outcome=names[1], competing=names[0])
    layout = Layout(tuple(modalities), (first, second))
    every = " ".join(names)
    made = analysed(replace(COHORT, layout=layout), title=every, recipe=f"{every}\nseed = 1\n")
    findings = [f"{name}: nothing but zeros" for name in names]
    baseline = made.summary.analysis.baselines["logistic"]
    plugins = [{"entry_point": name, "distribution": name, "version": name} for name in names]
    return changed(
        made,
        analysis=replace(
            made.summary.analysis,
            findings=findings,
            allowed=names,
            baselines=dict.fromkeys(names, baseline),
        ),
        environment={
            **made.summary.environment,
            "plugins": plugins,
            "libraries": dict.fromkeys(names, every),
        },
        history=[replace(epoch, val={names[0]: {"auc": 0.6}}) for epoch in made.summary.history],
    )


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(performance_figures, "RESAMPLES", 3)


def test_hostile_names_change_no_tag_and_no_attribute_and_load_nothing(quick):
    plain = Page(render(named(["xxx", "yyy", "zzz"])))
    for start in range(0, len(NASTY), 3):
        names = NASTY[start : start + 3]
        page = Page(render(named(names)))
        assert page.tags == plain.tags, names
        assert [a[:2] for a in page.attributes] == [a[:2] for a in plain.attributes], names
        text = "".join(page.texts)
        # title and heading, recipe, cohort, outcomes, findings, allowed features, baselines, environment
        assert all(text.count(name) >= 10 for name in names)
        assert all(target.startswith("#") for target in page.targets)
        for tag, key, value in page.attributes:
            if key not in ("aria-label", "xmlns", "xmlns:xlink"):
                assert "//" not in value, (tag, key, value)
                assert all(rest.startswith("#") for rest in value.split("url(")[1:]), (tag, key, value)
        styles = [text for tag, text in page.inside if tag == "style"]
        assert styles and not any("url(" in style or "@import" in style for style in styles)
        assert ("meta", "content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes


def test_marks_of_direction_and_control_characters_are_spelled_out(quick):
    text = render(named(["a\u202eb", "c\x1b[31md", "e\x00f"]))
    assert not any(mark in text for mark in ("\u202e", "\x1b", "\x00"))
    shown = "".join(Page(text).texts)
    assert all(shown.count(name) >= 10 for name in (r"a\u202eb", r"c\x1b[31md", r"e\x00f"))


def test_a_part_that_is_missing_is_replaced_by_a_sentence():
    made = inputs()
    text = render(changed(made, history=[]))
    assert "not trained in epochs" in text and "imputes nothing" in text
    assert "No simple model was fitted" in text
    unknown = torch.full_like(COHORT.targets.event, -1)
    timeless = replace(COHORT, targets=replace(COHORT.targets, event=unknown))
    assert "event times are unknown" in render(inputs(timeless))
    free = (COHORT.targets.labels[:, 0] == 0).nonzero().squeeze(1)
    one_sided = render(inputs(test=free))
    assert "All test patients have the same known outcome" in one_sided
    assert "discrimination cannot be measured" in one_sided


def test_the_summary_gives_the_auc_and_counts_of_the_test_patients():
    made = inputs()
    p, y, weights = made.known_test_outcomes(0)
    text = render(made)
    assert f"AUC {roc_auc_score(y, p, sample_weight=weights):.3f}" in text
    assert f"over {len(y)} patients with {y.sum()} events" in text


def test_the_same_run_gives_the_same_page():
    assert render(analysed()) == render(analysed())


def test_a_competing_event_is_drawn_with_aalen_johansen():
    survival, recurrence = COHORT.layout.tasks
    layout = replace(COHORT.layout, tasks=(survival, replace(recurrence, competing="survival")))
    text = render(inputs(replace(COHORT, layout=layout)))
    assert "Aalen-Johansen" in text and "had the competing event first (survival)" in text
    assert "Aalen-Johansen" not in render(inputs())
