"""The model card: what a run found, and what it cannot know, in Markdown that names cannot break."""

import re
from dataclasses import replace

import pytest
import torch

from hcat_core.data.splits import Split
from hcat_core.layout import Layout, Modality
from hcat_core.report.model_card import model_card
from hcat_core.report.page import render
from hcat_core.report.page_facts import PageFacts


def section(text, name):
    return text.split(f"## {name}\n", 1)[1].split("\n## ", 1)[0]


def test_the_card_has_use_data_figures_limits_and_what_is_not_known(analysed):
    made = analysed()
    text = model_card(made)
    assert "The probability of death within 5 years" in section(text, "Intended use")
    assert "not for decisions about patients until" in section(text, "Intended use")
    assert "160 train, 100 validation and 140 test" in section(text, "Data")
    one = made.summary.metrics["test"]["survival"]
    figures = section(text, "Figures")
    assert f"| {one.auc:.2f} ({one.auc_95[0]:.2f} to {one.auc_95[1]:.2f}) |" in figures
    subjects = PageFacts.of_run(made).subjects()
    assert subjects["survival"] == "Death within 5 years (survival)"
    assert all(f"**{subjects[v.task]}: {v.answer}.**" in figures for v in made.summary.verdicts)
    assert re.search(rf"\| {one.brier:.3f} \(0\.\d\d to 0\.\d\d\) \|", figures)
    assert "nothing but zeros" in section(text, "Limits")
    assert "another hospital" in section(text, "What is not known")


def test_the_card_and_the_page_call_the_cohort_by_the_name_of_the_recipe(inputs):
    made = inputs(
        recipe={"cohort": {"root": "some/folder", "name": "HANCOCK", "modalities": {"a": {"path": "a.h5"}}}}
    )
    nameless = inputs(recipe={"cohort": {"root": "some/folder", "modalities": {"a": {"path": "a.h5"}}}})
    assert "- cohort: HANCOCK, 400 patients" in section(model_card(made), "Model")
    assert "<dt>cohort</dt><dd>HANCOCK, 400 patients</dd>" in render(made)
    assert "- cohort: some/folder, 400 patients" in section(model_card(nameless), "Model")


def test_few_patients_and_no_test_patients_have_no_figures(inputs, few_events, split):
    assert "| survival | 1/" in (figures := section(model_card(inputs(few_events)), "Figures"))
    assert "| – | – | – |" in figures
    everyone = Split(torch.arange(400), split.test[:0], split.test[:0], split.left_out)
    assert "how well the model predicts others was not measured" in model_card(inputs(split=everyone))


@pytest.mark.parametrize("name", ["a|b", "<script>", "*x*", "[a](b)", "a\nb"])
def test_names_are_shown_as_they_are(cohort, inputs, name):
    first, *rest = cohort.layout.modalities
    layout = Layout((Modality(name, first.width), *rest), cohort.layout.tasks)
    text = model_card(inputs(replace(cohort, layout=layout)))
    plain = model_card(
        inputs(replace(cohort, layout=Layout((Modality("x", first.width), *rest), layout.tasks)))
    )
    assert text.count("\n") == plain.count("\n") and name not in text


def test_the_card_has_no_patient_ids(cohort, analysed):
    ids = tuple(f"canary{row}x" for row in range(len(cohort)))
    assert "canary" not in model_card(replace(analysed(), cohort=replace(cohort, patient_ids=ids)))
