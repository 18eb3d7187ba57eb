"""One recipe of four outcomes of every kind: an event with times, a label, classes, a number."""

import json
import re
from pathlib import Path

import pytest
from rich.console import Console

import hcat_core as hcat_python
from hcat_builtin.tracking.numbers import numbers_in, scores_of
from hcat_core.cli.run_progress import print_results
from hcat_core.runs.folder import RunFolder

EVENTS, OTHERS = ["death", "msi"], ["subtype", "age"]


@pytest.fixture(scope="module")
def summary(four_outcomes_run):
    return RunFolder(four_outcomes_run).read_summary()


def shown(print_on, **arguments):
    console = Console(width=80, force_terminal=False, record=True)
    print_on(console, **arguments)
    return console.export_text()


def test_the_summary_keeps_events_where_they_were_and_has_each_other_outcome_once(summary):
    assert list(summary["metrics"]["test"]) == EVENTS
    assert list(summary["other_outcomes"]["test"]) == OTHERS
    assert [verdict["task"] for verdict in summary["verdicts"]] == [*EVENTS, *OTHERS]
    assert summary["other_outcomes"]["test"]["subtype"]["auc"] > 0.7
    assert summary["other_outcomes"]["test"]["age"]["r2"] > 0.3
    assert list(summary["analysis"]["other_baselines"]) == ["class frequencies", "training mean"]
    counts = summary["data"]["other_outcomes"]["subtype"]
    assert sum(counts["classes"].values()) + counts["unknown"] == summary["data"]["patients"]


def test_the_terminal_shows_every_outcome_with_its_verdict(summary, four_outcomes_run):
    text = shown(print_results, summary=summary, folder=four_outcomes_run)
    assert "macro AUC (95 %)" in text and "in 90 % interval" in text and "years" in text
    for outcome in (*EVENTS, *OTHERS):
        (verdict,) = (one for one in summary["verdicts"] if one["task"] == outcome)
        assert f"{outcome}: {verdict['word']}" in text
    assert "class frequencies" in text and "training mean" in text


def test_the_report_has_one_section_for_each_other_outcome(four_outcomes_run):
    page = (four_outcomes_run / "report.html").read_text(encoding="utf-8")
    assert page.count('<section id="outcome') == 2
    assert "subtype: classes" in page and "age: a number" in page
    assert "confusion matrix of subtype" in page and "observed against predicted values of age" in page
    assert "&lt;b&gt;other" in page and "<b>other" not in page
    assert "subtype=" not in page  # no class is a task of its own


def test_trackers_get_the_scores_of_every_outcome_and_no_names_of_classes(summary):
    found = numbers_in(scores_of(summary))
    assert found["test/age/r2"] == summary["other_outcomes"]["test"]["age"]["r2"]
    assert {"test/death/auc", "test/subtype/auc", "train/age/mae"} <= set(found)
    assert not any("LUAD" in name for name in found)


def test_another_cohort_is_evaluated_on_every_outcome(hcat, four_outcomes, four_outcomes_run):
    inputs = [f"--input={name}={four_outcomes / name}.csv" for name in ("rna", "blood")]
    targets = f"--targets={four_outcomes / 'outcomes.csv'}"
    code, out, err = hcat("evaluate", four_outcomes_run, *inputs, targets, "--by=sex", "--json")
    assert code == 0, err
    document = json.loads(out)
    assert list(document["metrics"]) == EVENTS and list(document["other_outcomes"]) == OTHERS
    assert set(document["other_groups"]["sex"]) == {"f", "m"}
    assert [one["task"] for one in document["verdicts"]] == [*EVENTS, *OTHERS]
    assert {one["word"] for one in document["verdicts"]} == {"not known"}  # these are training patients
    code, out, _ = hcat("evaluate", four_outcomes_run, *inputs, targets, "--by=sex", "--outdir=e")
    assert code == 0 and out.count("macro AUC (95 %)") == 3 and "by missingness pattern" in out
    page = Path("e/evaluation.html").read_text(encoding="utf-8")
    assert page.count('<section id="outcome') == 2 and "subtype=" not in page
    for words in (
        "subtype: classes",
        "age: a number",
        "Age in years: not known",
        "mean absolute error",
    ):
        assert words in page, words
    assert "Scores of subtype by sex. In brackets: 95 % intervals." in page


def test_the_model_card_has_counts_scores_and_a_verdict_of_every_outcome(four_outcomes_run):
    card = (four_outcomes_run / "model_card.md").read_text(encoding="utf-8")
    assert "subtype, patients by class:" in card and "age in years, known of" in card
    assert "| macro AUC |" in card and "| R² |" in card and "| AUC |" in card
    for outcome in (*EVENTS, *OTHERS):
        assert re.search(rf"\*\*{outcome}\b[^*]*: (not )?(usable|known)", card, re.IGNORECASE), outcome


def test_an_evaluation_where_only_numbers_are_known_is_one(
    hcat, four_outcomes, four_outcomes_run, tmp_path
):
    import pandas as pd

    frame = pd.read_csv(four_outcomes / "outcomes.csv")
    frame[["days", "dead", "msi", "type"]] = None
    frame.to_csv(tmp_path / "numbers.csv", index=False)
    inputs = [f"--input={name}={four_outcomes / name}.csv" for name in ("rna", "blood")]
    code, out, err = hcat("evaluate", four_outcomes_run, *inputs, "--targets=numbers.csv", "--json")
    assert code == 0, err
    assert json.loads(out)["other_outcomes"]["age"]["patients"] > 100


@pytest.mark.filterwarnings("ignore::hcat_core.FindingWarning")
def test_in_python_every_outcome_has_its_row(four_outcomes, four_outcomes_run):
    run = hcat_python.load(four_outcomes_run)
    assert list(run.metrics.index) == [*EVENTS, *OTHERS]
    assert run.metrics.loc["subtype", "auc"] > 0.7 and run.metrics.loc["age", "r2"] > 0.3
    assert set(run.verdicts) == {*EVENTS, *OTHERS}
    cohort = hcat_python.Cohort.from_files(four_outcomes / "recipe.toml")
    evaluation = run.evaluate(cohort, groups=("sex",))
    assert any("this is the cohort that the run was trained on" in one for one in evaluation.findings)
    assert list(evaluation.metrics.index) == [*EVENTS, *OTHERS]
    assert ("f", "age") in evaluation.groups["sex"].index
    assert "subtype macro AUC" in repr(evaluation) and "age R2" in repr(evaluation)
    for made in (run, evaluation, cohort):
        assert "subtype" in made._repr_html_()
