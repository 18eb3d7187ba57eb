from dataclasses import replace

import pytest
import torch
from sklearn.metrics import roc_auc_score

from hcat_builtin.readers.tables.reader import TableReader
from hcat_core.layout import Layout, Modality
from hcat_core.data.assembly import assemble_cohort
from hcat_core.data.leakage import FEWEST, _single_feature_aucs, find_leaks, leak_check, refuse_leaks
from hcat_core.data.schema import TargetsTable
from hcat_core.errors import DataError
from hcat_core.synth.generator import SynthSpec, generate
from hcat_core.synth.other_outcomes import to_other_cohort
from hcat_core.testing.cohorts import random_cohort

EVERYONE = torch.arange(200)
TARGETS = TargetsTable.model_validate(
    {"path": "c.h5", "tasks": {"survival": {"label": "surv_5yr_label", "horizon_days": 1826}}}
)


def cohort_with(*names, patients=200):
    cohort = random_cohort(patients, {"clinical": len(names), "blood": 3})
    # The kit's outcomes follow the first cell: noise instead, so that nothing leaks by itself.
    noise = torch.randn(cohort.emb.shape, generator=torch.Generator().manual_seed(1))
    layout = Layout((Modality("clinical", len(names), names), Modality("blood", 3)), cohort.layout.tasks)
    return replace(cohort, layout=layout, emb=noise * cohort.measured)


@pytest.mark.parametrize(
    "name",
    [
        "days_to_last_information",
        "days_to_death_or_last_info",
        "Follow-up time",
        "survival_status",
        "survival_status_with_cause",
        "vital status",
        "recurrence",
        "recurrence_1",
        "rfs_event",
        "OS",
        "time_to_progression",
        "surv_5yr_label",
        "progress_1",
        "progress",
        "progression_free",
        "metastasis_1",
        "metastasis_1_locations",
        "disease_free_months",
        "Recurrence-free years",
        "Disease Free (Months)",
        "survived",
        "days_survived",
        "recur_status",
        "tte",
        "time_to_event",
        "futime",
        "fustat",
        "FU days",
        "alive",
        "is_alive",
        "censored",
        "vital_status=dead",
        "surv_5yr_label=1.0",
    ],
)
def test_a_follow_up_column_is_found_by_its_name(name):
    cohort = cohort_with("age", name, "stage")
    assert [leak.feature for leak in find_leaks(cohort, EVERYONE, TARGETS)] == [name]
    assert find_leaks(cohort, EVERYONE, TARGETS, allow=[name]) == []


@pytest.mark.parametrize(
    "name",
    ["smoking_status_1", "resection_status", "age_at_initial_diagnosis", "Hemoglobin [Mass/volume]",
     "hospital_days", "pT_stage", "primarily_metastasis", "osmolality", "deathwatch_beetle",
     "lymphnodes_positive", "pM_stage", "pM_stage=M1", "perineural_invasion_Pn", "primarily_metastasis_1",
     "metastasis at diagnosis", "progesterone_receptor", "ms_type=primary progressive", "psa_free",
     "PSA, free", "tte_ejection_fraction"],
)  # fmt: skip
def test_what_is_known_before_the_outcome_passes(name):
    refuse_leaks(cohort_with("age", name), EVERYONE, TARGETS)


def test_a_one_hot_column_of_follow_up_is_found_behind_the_table_reader(tmp_path):
    path = tmp_path / "clinical.csv"
    path.write_text("patient_id,age,stage,vital_status,label\na,61,II,alive,yes\nb,70,III,dead,no\n")
    reader = TableReader(path=path, one_hot=["stage", "vital_status", "label"])
    cohort, _ = assemble_cohort({"clinical": reader})
    table = {"path": "c.h5", "tasks": {"survival": {"label": "label", "horizon_days": 1826}}}
    found = find_leaks(cohort, torch.arange(2), TargetsTable.model_validate(table))
    assert [(leak.feature, leak.reason.split()[0]) for leak in found] == [
        ("vital_status=alive", "has"),
        ("vital_status=dead", "has"),
        ("label=no", "is"),
        ("label=yes", "is"),
    ]
    assert find_leaks(cohort, torch.arange(2), None, allow=[leak.feature for leak in found]) == []


def test_a_feature_without_a_telling_name_is_found_by_its_auc_in_either_direction():
    cohort = cohort_with("age", "x17", "x18")
    emb = cohort.emb.clone()
    known = cohort.targets.labels[:, 1].float()
    emb[:, 0, 1] = -(known + 0.1 * emb[:, 0, 1])
    emb = emb * cohort.measured
    (leak,) = find_leaks(replace(cohort, emb=emb), EVERYONE, TARGETS)
    assert leak.feature == "x17" and leak.auc > 0.95 and "recurrence" in leak.reason
    with pytest.raises(
        DataError, match=r'(?s)x17 alone predicts recurrence .*cohort\.allow = \["x17"\]'
    ) as error:
        refuse_leaks(replace(cohort, emb=emb), EVERYONE, TARGETS)
    assert error.value.exit_code == 3


def test_only_training_patients_are_looked_at():
    cohort = cohort_with("age", "x17")
    emb = cohort.emb.clone()
    emb[100:, 0, 1] = cohort.targets.labels[100:, 0].float() * cohort.measured[100:, 0, 1]
    assert find_leaks(replace(cohort, emb=emb), torch.arange(100), TARGETS) == []
    assert find_leaks(replace(cohort, emb=emb), torch.arange(100, 200), TARGETS) != []


def test_the_aucs_are_scikit_learns_gaps_left_out(monkeypatch):
    from hcat_core.data import leakage

    monkeypatch.setattr(leakage, "MOST_AUC", 0.0)
    cohort = cohort_with("a", "b")
    cohort = replace(cohort, emb=(cohort.emb * 3).round() / 3)  # ties
    found = _single_feature_aucs(cohort, 0)
    for place in range(2):
        expected = []
        for task in range(2):
            y = cohort.targets.labels[:, task].numpy()
            rows = (y >= 0) & cohort.measured[:, 0, place].numpy()
            auc = roc_auc_score(y[rows], cohort.emb[rows, 0, place])
            expected.append(max(auc, 1 - auc))
        assert found[place][0] == pytest.approx(max(expected))


def test_few_patients_prove_nothing():
    cohort = cohort_with("x", patients=12)
    emb = cohort.emb.clone()
    emb[:, 0, 0] = cohort.targets.labels[:, 0].float()
    assert find_leaks(replace(cohort, emb=emb), torch.arange(12), TARGETS) == []


@pytest.mark.parametrize(
    ("places", "name"),
    [([1], "x17"), ([0, 1, 2], "clinical")],  # a cell of those who died; the whole modality of them
)
def test_what_is_measured_of_one_outcome_only_is_found_though_its_values_predict_nothing(places, name):
    cohort = cohort_with("age", "x17", "x18")
    measured = cohort.measured.clone()
    measured[:, 0, :3] = True
    measured[:, 0, places] = (cohort.targets.labels[:, 0] == 1).unsqueeze(1)
    present = measured.any(dim=2)
    leaking = replace(cohort, measured=measured, present=present, emb=cohort.emb * measured)
    (leak,) = find_leaks(leaking, EVERYONE, TARGETS)
    assert leak.feature == name and leak.auc == 1.0 and "being measured" in leak.reason
    assert find_leaks(leaking, EVERYONE, TARGETS, allow=[name]) == []


def test_what_the_check_could_not_look_at_is_counted():
    cohort = cohort_with("age", "smoker")
    targets = cohort.targets
    labels, measured = targets.labels.clone(), cohort.measured.clone()
    events = (labels[:, 0] == 1).nonzero().squeeze(1)
    measured[events[FEWEST - 1 :], 0, 0] = False  # one value of the age too few with the event
    partly = replace(cohort, measured=measured)
    everything, some = leak_check(cohort, EVERYONE), leak_check(partly, EVERYONE)
    task = cohort.layout.task_names[0]
    assert (everything.features, everything.named, everything.allowed) == (5, 2, 0)
    assert everything.alone[task] == 5 and some.alone[task] == 4
    assert leak_check(cohort, EVERYONE, ["age"]) == replace(
        everything, allowed=1, named=1, alone={name: n - 1 for name, n in everything.alone.items()}
    )
    labels[events[FEWEST - 1 :], 0] = -1
    few = leak_check(replace(cohort, targets=replace(targets, labels=labels)), EVERYONE)
    assert few.alone[task] == 0 and task in everything.gaps and task not in few.gaps


def test_a_feature_that_is_not_counted_as_checked_is_not_found():
    cohort = cohort_with("age", "smoker")
    cohort = replace(cohort, measured=cohort.layout.cells.expand(cohort.measured.shape))
    emb = cohort.emb.clone()
    emb[:, 0, 0] = cohort.targets.labels[:, 0].float() + 0.01 * emb[:, 0, 0]  # the outcome itself
    task = cohort.layout.task_names[0]
    for events, checked in ((FEWEST, 5), (FEWEST - 1, 0)):
        labels = cohort.targets.labels.clone()
        labels[(labels[:, 0] == 1).nonzero().squeeze(1)[events:], 0] = -1
        one = replace(cohort, emb=emb, targets=replace(cohort.targets, labels=labels))
        assert leak_check(one, EVERYONE).alone[task] == checked
        assert any(leak.feature == "age" for leak in find_leaks(one, EVERYONE, None)) == (checked > 0)


def test_a_feature_that_ranks_patients_as_a_number_does_gives_it_away():
    cohort, _ = to_other_cohort(generate(SynthSpec(patients=200, widths={"a": 3, "b": 3}, seed=2)))
    (score,) = cohort.layout.numbers
    rows = torch.arange(150)
    assert not [leak for leak in find_leaks(cohort, rows, None) if "score" in leak.reason]
    emb = cohort.emb.clone()
    emb[:, 1, 2] = -torch.exp(cohort.targets.values[:, score] / 10) * cohort.measured[:, 1, 2]
    (found,) = find_leaks(replace(cohort, emb=emb), rows, None)
    assert (found.modality, found.feature) == ("b", "b[2]")
    assert "alone predicts score with a rank correlation of -1.000" in found.reason
    assert not find_leaks(replace(cohort, emb=emb), rows, None, ["b[2]"])
    assert leak_check(cohort, rows).alone["score"] == 6
