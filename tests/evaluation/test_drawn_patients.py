"""How many patients the expensive parts of an analysis look at."""

from hypothesis import given
from hypothesis import strategies as st

from hcat_core.evaluation.drawn_patients import drawn
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import SynthSpec, generate

COHORT = to_cohort(generate(SynthSpec(patients=60, widths={"a": 2, "b": 2}, seed=1)))


@given(st.integers(1, 80), st.integers(0, 5))
def test_patients_are_drawn_once_and_stay_in_order(most, seed):
    found = drawn(COHORT, most, seed)
    assert len(found) == min(most, 60)
    rows = [COHORT.patient_ids.index(patient) for patient in found.patient_ids]
    assert rows == sorted(set(rows))
    assert found.patient_ids == drawn(COHORT, most, seed).patient_ids


def test_a_cohort_that_is_small_enough_is_used_as_it_is():
    assert drawn(COHORT, 60, 0) is COHORT
    assert drawn(COHORT, 10, 0).patient_ids != drawn(COHORT, 10, 1).patient_ids
