"""Sections of the report on classes and numbers, each sentence true of what was computed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hcat_core.data.splits import Split
from hcat_core.evaluation.other_baselines import compare_references
from hcat_core.evaluation.other_outcomes import score_others, score_others_split
from hcat_core.evaluation.outcome_selection import prediction_of_columns, with_columns
from hcat_core.evaluation.scores import ScoringSettings, score_split
from hcat_core.interfaces import Prediction
from hcat_core.metrics.recalibration import Recalibration
from hcat_core.report import other_captions, other_figures
from hcat_core.report.method import recalibration
from hcat_core.report.other_outcomes import other_sections
from hcat_core.report.other_tables import brief_table
from hcat_core.report.page import render
from hcat_core.report.page_tables import texts
from hcat_core.report.tripod import tripod_items
from hcat_core.report.words import purpose
from hcat_core.synth.generator import SynthSpec, generate
from hcat_core.synth.other_outcomes import to_other_cohort

WIDTHS = {"clinical": 6, "semantic": 9}
MIXED, TRUTH = to_other_cohort(generate(SynthSpec(patients=200, widths=WIDTHS, seed=5)))
ROWS = torch.arange(len(MIXED))
SPLIT = Split(ROWS[:80], ROWS[:0], ROWS[80:], ROWS[:0])


def predicted():
    n, tasks = len(MIXED), len(MIXED.layout.tasks)
    probability, value = np.full((n, tasks), 0.4), np.full((n, tasks), np.nan)
    probability[:, :2] += np.random.default_rng(0).normal(0, 0.1, (n, 2))
    probability[:, 2:5], probability[:, 5], value[:, 5] = TRUTH.probability, np.nan, TRUTH.expected
    interval = np.stack([value - 9, value + 9], axis=-1)
    return Prediction(
        torch.from_numpy(probability), None, torch.from_numpy(interval), torch.from_numpy(value)
    )


@pytest.fixture
def run(inputs, changed, looked_at, undrawn, monkeypatch):
    """Function that makes a run of some columns of the cohort, with references."""

    def draw(name, paint, *, label, **size):
        return f'<svg role="img" aria-label="{label}"></svg>'

    monkeypatch.setattr(other_figures, "draw", draw)

    def make(columns=range(6), split=SPLIT):
        cohort, own = with_columns(MIXED, list(columns)), prediction_of_columns(predicted(), list(columns))
        tasks = len(cohort.layout.tasks)
        line = Recalibration((0.1,) * tasks, (0.9,) * tasks, cohort.layout.families)
        made = inputs(cohort, split, run={"recalibration": line, "held_out": "members"})
        settings = ScoringSettings([0.5] * tasks, cohort.targets[split.train], 50, 0)
        made = changed(
            replace(made, predicted=own),
            metrics=score_split(cohort, split, own, settings),
            others=score_others_split(cohort, split, own, settings),
        )
        rows = split.test
        return looked_at(
            made, other_baselines=compare_references(cohort[rows], own[rows.numpy()], settings)
        )

    return make


def test_each_outcome_that_is_no_event_has_one_section_with_its_figures(run):
    classes, number = other_sections(run())
    assert classes.title == "subtype: classes" and number.title == "score: a number"
    assert classes.html.count("calibration of") == 3 and "confusion matrix of subtype" in classes.html
    assert "observed against predicted values of score" in number.html and "(points)" in number.html
    assert "class frequencies" in classes.html and "training mean" in number.html
    assert "50 bootstrap samples of patients" in classes.html


def test_the_page_of_all_kinds_has_events_where_they_were(run):
    page = render(run())
    assert "The probability of" in page and "the class of subtype (A, B or C)" in page
    assert "the value of score in points" in page
    for anchor in ("discrimination", "calibration", "outcome2", "outcome3", "importance"):
        assert f'<section id="{anchor}">' in page and f'href="#{anchor}"' in page
    assert "subtype=A" not in page


def test_a_page_without_events_has_no_section_on_events(run):
    page = render(run(columns=(2, 3, 4, 5)))
    for anchor in ("discrimination", "calibration", "decision", "risk", "patterns", "baselines"):
        assert f'id="{anchor}"' not in page and f'href="#{anchor}"' not in page
    assert '<section id="outcome0">' in page and "Uno" not in page


def test_with_few_test_patients_there_are_numbers_of_patients_and_no_figures(run):
    few = Split(ROWS[:150], ROWS[:0], ROWS[150:165], ROWS[:0])
    classes, number = other_sections(run(split=few))
    assert "too few have the rarest one" in classes.html and "confusion" not in classes.html
    assert "too few to measure" in number.html and "<svg" not in number.html
    none = Split(ROWS, ROWS[:0], ROWS[:0], ROWS[:0])
    assert "performance was not measured" in other_sections(run(split=none))[0].html


@pytest.mark.parametrize(
    ("outcome", "needed"), [("score", "20 patients"), ("subtype", "10 patients of each class")]
)
def test_groups_that_are_too_small_have_no_row_and_the_caption_says_so(outcome, needed):
    settings = ScoringSettings([0.5] * 6, MIXED.targets, 50, 0)
    groups = {"small": ROWS[:15], "large": ROWS[15:], "tiny": ROWS[:1]}
    scored = [
        ([name], score_others(MIXED[rows], predicted()[rows.numpy()], settings)[outcome])
        for name, rows in groups.items()
    ]
    table = brief_table(
        texts("group"), scored, other_captions.patterns([one for _, one in scored]), "Scores"
    )
    assert [row[0].text for row in table.cells] == ["large"]
    assert f"Not shown: 2 of 3 groups, without the {needed} that scores take." in table.caption
    none = [one for name, one in scored if name != ["large"]]
    assert other_captions.left_out(none) == f"No scores: none of 2 groups has the {needed} that they take."


def test_sentences_on_the_method_name_each_outcome_once(run):
    made = run()
    text = recalibration(made)
    assert "subtype slope 0.90 and an intercept for each class" in text and "subtype=" not in text
    assert "The 90 % intervals of score were made as wide" in text
    answers = " ".join(item.answer for item in tripod_items(made, ()))
    assert "subtype: A, B or C" in answers and "score: a number in points" in answers
    assert "macro AUC" in answers and "the likeliest is predicted" in answers
    assert purpose(run(columns=(5,))).startswith("The value of score in points, predicted from")
