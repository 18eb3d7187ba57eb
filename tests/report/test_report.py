import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from hcat_core.cohort import Layout, Modality
from hcat_core.data.splits import Split
from hcat_core.evaluation.analysis import by_modality, by_pattern
from hcat_core.evaluation.summary import score_tasks
from hcat_core.interfaces import Prediction
from hcat_core.metrics.recalibration import sigmoid
from hcat_core.report import Material, performance_figures, write_report
from hcat_core.report.page import render
from hcat_core.report.performance_figures import net_benefit
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import SynthSpec, generate

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
    """What a browser would make of it: tags, text, and what each tag points at."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.said, self.targets, self.attributes, self.inside = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.targets += [v for k, v in attrs if k in FETCHING]
        self.attributes += [(tag, k, v or "") for k, v in attrs]

    def handle_data(self, data):
        self.said.append(data)
        self.inside.append((self.tags[-1] if self.tags else "", data))


def material(cohort=COHORT, test=None, **changes):
    n = len(cohort)
    rng = np.random.default_rng(0)
    label = cohort.targets.labels.numpy().astype(float)
    p = sigmoid(np.where(label > 0, 0.4, -0.6) + rng.normal(0, 1, label.shape))
    predicted = Prediction(torch.from_numpy(p), interval=torch.from_numpy(np.stack([p, p], axis=-1)))
    rows = torch.arange(n)
    test = rows[160:] if test is None else test
    split = Split(rows[:120], rows[120:160], test, rows[:0])

    def scored(rows):
        part = predicted[rows.numpy()]
        return score_tasks(cohort[rows], part, [0.5, 0.5], cohort.targets[split.train], 50, 0)

    counts = {t: {"event": 3, "event_free": 4, "unknown": 5} for t in cohort.layout.task_names}
    sizes = {"patients": 40, "labels": counts}
    summary = {
        "run": {"thresholds": [0.5, 0.5], "epochs": 2, "best_epoch": {"average": 1}},
        "metrics": {side: scored(getattr(split, side)) for side in ("train", "validation", "test")},
        "data": {
            "patients": n,
            "patients_without_modality": 0,
            "modalities": {
                m.name: {"width": m.width, "patients": n, "rows": n, "cells_not_measured": 0}
                for m in cohort.layout.modalities
            },
            "labels": counts,
            "competing_first": {},
            "split": {"train": sizes, "validation": sizes, "test": sizes},
        },
        "environment": {
            **dict.fromkeys(("hcat", "python", "platform", "device", "threads", "data"), "x"),
            "plugins": [],
        },
        "history": [
            {"epoch": e, "train_loss": 1 / e, "val": {"survival": {"auc": 0.6}}} for e in (1, 2, 3)
        ],
        "recipe": {"estimator": {"use": "neural"}, "imputer": {"use": "mean"}},
    }  # fmt: skip
    made = Material("a run", "seed = 1\n", cohort, split, predicted, summary)
    return replace(made, **changes)


def analysed(cohort=COHORT, **changes):
    made = material(cohort, **changes)
    test = made.cohort[made.split.test]
    own = made.predicted[made.split.test.numpy()]

    def predict(cohort):
        return np.repeat(sigmoid(cohort.emb[:, :, 0].sum(dim=1).numpy())[:, None], 2, axis=1)

    parts = {
        "patterns": by_pattern(test, own, [0.5, 0.5], made.cohort.targets, 50, 0),
        **by_modality(predict, test, [0.3, 0.3]),
        "imputation": {
            "clinical": {"blocks": 9, "r2": 0.41, "coverage_50": 0.5, "coverage_90": 0.9, "width_90": None}
        },
        "leakage": {"findings": [f"{cohort.layout.names[0]}: nothing but zeros"], "allowed": ["days_to_x"]},
        "baselines": {
            "logistic": {
                t: {
                    "auc": 0.6, "auc_95": [0.5, 0.7], "average_precision": 0.4, "brier": 0.2,
                    "calibration_slope": 1.0, "difference": [0.1, 0.02, 0.2],
                }
                for t in made.cohort.layout.task_names
            }
        },
    }  # fmt: skip
    return replace(made, summary={**made.summary, "analysis": parts})


def test_every_figure_and_section_is_there_and_nothing_is_fetched(tmp_path):
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


def test_no_patient_id_is_in_it():
    ids = tuple(f"canary{row}x" for row in range(len(COHORT)))
    assert "canary" not in render(replace(analysed(), cohort=replace(COHORT, patient_ids=ids)))


def test_names_are_text_whatever_they_hold():
    first, *rest = COHORT.layout.modalities
    layout = Layout((Modality(HOSTILE, first.width), *rest), COHORT.layout.tasks)
    made = material(replace(COHORT, layout=layout), title=HOSTILE, recipe=HOSTILE)
    text = render(made)
    page = Page(text)
    assert "script" not in page.tags
    assert "".join(page.said).count(HOSTILE) >= 3
    assert "$x^2" in "".join(page.said)


def named(names):
    """The analysed run with three names for its modalities, two for its tasks, all of them elsewhere."""
    modalities = [replace(m, name=n) for m, n in zip(COHORT.layout.modalities, names, strict=True)]
    survival, recurrence = COHORT.layout.tasks
    first = replace(survival, name=names[0], outcome=names[0])
    second = replace(recurrence, name=names[1], outcome=names[1], competing=names[0])
    layout = Layout(tuple(modalities), (first, second))
    every = " ".join(names)
    made = analysed(replace(COHORT, layout=layout), title=every, recipe=f"{every}\nseed = 1\n")
    parts = dict(made.summary["analysis"])
    parts["leakage"] = {"findings": [f"{name}: nothing but zeros" for name in names], "allowed": names}
    parts["baselines"] = dict.fromkeys(names, parts["baselines"]["logistic"])
    plugins = [{"entry_point": name, "distribution": name, "version": name} for name in names]
    facts = {**made.summary["environment"], "plugins": plugins, "libraries": dict.fromkeys(names, every)}
    history = [{**record, "val": {names[0]: {"auc": 0.6}}} for record in made.summary["history"]]
    return replace(
        made, summary={**made.summary, "analysis": parts, "environment": facts, "history": history}
    )


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(performance_figures, "RESAMPLES", 3)


def test_a_name_changes_no_tag_and_no_attribute_and_has_nothing_fetched(quick):
    plain = Page(render(named(["xxx", "yyy", "zzz"])))
    for start in range(0, len(NASTY), 3):
        names = NASTY[start : start + 3]
        page = Page(render(named(names)))
        assert page.tags == plain.tags, names
        assert [a[:2] for a in page.attributes] == [a[:2] for a in plain.attributes], names
        text = "".join(page.said)
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


def test_marks_of_direction_and_controls_are_spelled_out(quick):
    text = render(named(["a\u202eb", "c\x1b[31md", "e\x00f"]))
    assert not any(mark in text for mark in ("\u202e", "\x1b", "\x00"))
    said = "".join(Page(text).said)
    assert all(said.count(name) >= 10 for name in (r"a\u202eb", r"c\x1b[31md", r"e\x00f"))


def test_pieces_that_are_missing_are_said_to_be():
    made = material()
    bare = replace(made, summary={**made.summary, "history": []})
    text = render(bare)
    assert "there are no epochs to show" in text and "imputes nothing" in text
    assert "No baseline was fitted" in text
    unknown = torch.full_like(COHORT.targets.event, -1)
    timeless = replace(COHORT, targets=replace(COHORT.targets, event=unknown))
    assert "There are no times of this outcome" in render(material(timeless))
    free = (COHORT.targets.labels[:, 0] == 0).nonzero().squeeze(1)
    one_sided = render(material(test=free))
    assert "one known outcome only" in one_sided
    assert "one outcome only, so nothing can be said" in one_sided


def test_the_words_are_those_of_the_figures():
    made = material()
    p, y, _ = made.test_known(0)
    text = render(made)
    assert f"AUC {roc_auc_score(y, p):.3f}" in text
    assert f"over {len(y)} patients with {y.sum()} events" in text


def test_the_same_run_is_the_same_page():
    assert render(analysed()) == render(analysed())


def test_a_competing_event_is_drawn_with_aalen_johansen():
    survival, recurrence = COHORT.layout.tasks
    layout = replace(COHORT.layout, tasks=(survival, replace(recurrence, competing="survival")))
    text = render(material(replace(COHORT, layout=layout)))
    assert "Aalen-Johansen" in text and "the competing one first (survival)" in text
    assert "Aalen-Johansen" not in render(material())


def test_net_benefit_of_those_who_know_and_those_who_treat_everyone():
    y = np.array([1] * 30 + [0] * 70)
    cuts = np.array([0.1, 0.5, 0.8])
    alike = np.ones(100)
    assert net_benefit(y.astype(float), y, alike, cuts) == pytest.approx([0.3, 0.3, 0.3])
    everyone = net_benefit(np.ones(100), y, alike, cuts)
    assert everyone == pytest.approx(0.3 - 0.7 * cuts / (1 - cuts))
    assert net_benefit(np.zeros(100), y, alike, cuts) == pytest.approx([0, 0, 0])
    # Of a patient with weight 2 there are two.
    twice = np.r_[np.full(30, 2.0), np.ones(70)]
    assert net_benefit(np.ones(100), y, twice, cuts) == pytest.approx(
        0.6 / 1.3 - 0.7 / 1.3 * cuts / (1 - cuts)
    )
