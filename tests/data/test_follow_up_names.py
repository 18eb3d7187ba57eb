"""Follow-up columns are found by name in every public vocabulary, and nothing that is known before is."""

import csv
from pathlib import Path

import h5py
import pytest

from hcat_core.data.follow_up_names import is_follow_up, says_censoring, says_event, unit_in_name

DATA = Path(__file__).parents[3] / "shared" / "data"

FOLLOW_UP = {
    "TCGA-CDR": """vital_status; tumor_status; last_contact_days_to; death_days_to; cause_of_death;
        new_tumor_event_type; new_tumor_event_site; new_tumor_event_site_other; new_tumor_event_dx_days_to;
        treatment_outcome_first_course; OS; OS.time; DSS; DSS.time; DFI; DFI.time; PFI; PFI.time; DSS_cr;
        DSS.time.cr; DFI.cr; DFI.time.cr; PFI.cr; PFI.time.cr; PFS; PFS.time; PFI.1; PFI.time.1; Redaction""",
    "GDC": """demographic.vital_status; demographic.days_to_death; diagnoses.days_to_last_follow_up;
        diagnoses.last_known_disease_status; diagnoses.days_to_last_known_disease_status;
        diagnoses.progression_or_recurrence; diagnoses.days_to_recurrence; demographic.year_of_death;
        demographic.cause_of_death; days_to_new_tumor_event_after_initial_treatment; days_to_last_followup;
        follow_ups.days_to_progression; follow_ups.days_to_progression_free; followup_treatment_success""",
    "cBioPortal": """OS_STATUS; OS_MONTHS; DFS_STATUS; DFS_MONTHS; PFS_STATUS; PFS_MONTHS; DSS_STATUS; DSS_MONTHS;
        RFS_STATUS; EFS_MONTHS; VITAL_STATUS; DAYS_LAST_FOLLOWUP; DAYS_TO_PATIENT_PROGRESSION_FREE;
        DAYS_TO_TUMOR_PROGRESSION; NEW_TUMOR_EVENT_AFTER_INITIAL_TREATMENT; PERSON_NEOPLASM_CANCER_STATUS;
        Overall Survival (Months); Overall Survival Status; Disease Free (Months); Disease Free Status;
        Months of disease-specific survival; Progression Free Status; Patient's Vital Status""",
    "SEER": """Survival months; Survival months flag; Vital status recode (study cutoff used); COD to site recode;
        COD to site rec KM; SEER cause-specific death classification; SEER other cause of death classification;
        Year of follow-up recode; Month of follow-up recode; Type of follow-up expected;
        Cause of Death to SEER site recode""",
    "MCAT, PORPOISE": "survival_months; survival_days; censorship; disc_label; survival_months_dss; censorship_dss",
    "R survival": "futime; fustat; fu.time; cens; survtime; survstat; ostime; os_cens; dtime_cens; tte",
    "MIMIC": "hospital_expire_flag; dod; deathtime; discharge_location",
    "common": """censored; censoring; Censor; is_censored; uncensored; died; dead; death; Death_5y; patient_died;
        date_of_death; time_of_death; death_date; deceased; is_dead; mortality; 30_day_mortality; alive; is_alive;
        alive_at_5_years; survived; survivor; days_survived; survival_time; survivalMonths; VitalStatus; relapse;
        relapsed; recurrence; recurrence_free_survival; recurrence_free_days; progression_free; rfs; rfs_event;
        time_to_death; time_to_recurrence; time_to_next_treatment; last_contact; last_follow_up_date; last_seen;
        fu_days; followup_months; biochemical_recurrence; local_recurrence; distant_metastasis_1; metastasis_2;
        follow_up_status; lost_to_follow_up; surv_days; event; outcome; survival_outcome; tumor_days_to_relapse;
        metastasis_free_survival; bcr_free_time; days_to_last_information; survival_status_with_cause""",
}  # fmt: skip

KNOWN_BEFORE = """
age; age_at_diagnosis; age_at_initial_pathologic_diagnosis; age_at_index; sex; gender; race; ethnicity; is_female;
bmi; height_cm; weight_kg; body_surface_area; smoking_status; pack_years; pack_years_smoked; years_smoked;
alcohol_history; ecog_performance_status; karnofsky_performance_score; asa_score; charlson_index; comorbidities;
family_history_death; family_history_of_cancer; age at death of mother; mother_died; father_alive; sibling_death;
parent_death_age; prior_relapses; number_of_prior_relapses; previous_recurrence; history_of_recurrence;
prior_malignancy; history_of_metastasis; prior_progression; time_to_surgery; days_to_surgery; days_to_birth;
days_to_diagnosis; days_to_collection; days_to_sample_procurement; days_to_treatment_start; days_to_biopsy;
days_to_initial_pathologic_diagnosis; year_of_diagnosis; year_of_birth; initial_pathologic_dx_year; birth_days_to;
menopausal_status; menopause_status; ER_status; PR_status; HER2_status; hpv_status; msi_status; EGFR_status;
ALK_status; BRCA_status; lymph_node_status; margin_status; resection_status; residual_tumor; perineural_invasion;
lymphovascular_invasion; vascular_invasion; extracapsular_extension; tumor_grade; histological_type; pT_stage;
pN_stage; pM_stage; M_stage; clinical_stage; ajcc_pathologic_tumor_stage; tumor_size_mm; tumor_site; tumor_type;
primary_site; laterality; number_of_nodes_examined; metastasis at diagnosis; primarily_metastasis;
primarily_metastasis_1; metastatic_at_diagnosis; depth_of_invasion; mitotic_rate; necrosis; ki67; p53; pdl1; PD-L1 TPS;
tmb; tumor_mutational_burden; aneuploidy_score; fraction_genome_altered; msi_score; purity; ploidy; hrd_score;
bleeding_time; prothrombin_time; partial_thromboplastin_time; thrombin time; clotting_time; time_to_peak;
time_to_positivity; time_to_maximum; relaxation_time; acquisition_time; turnaround_time; repetition_time; echo_time;
hemoglobin; haematocrit; wbc; neutrophils; lymphocytes; platelets; nlr; crp; ldh; albumin; creatinine; egfr_ml_min;
bilirubin; alt; ast; alp; ggt; sodium; potassium; calcium; glucose; hba1c; psa; psa_free; free_t4; free_psa_ratio;
cortisol_free; ca125; cea; afp; ca19_9; d_dimer; ferritin; fibrinogen; troponin; bnp; lactate; ph; pco2; spo2;
heart_rate; systolic_bp; respiratory_rate; temperature; fev1; lvef; qt_interval; tte_ejection_fraction;
OS_left_eye_acuity; OSM; OS9; OSR1; OSBPL3; DSS1; PFKP; PFKFB3; PFN1; DFFA; DFNA5; CENPA; CENPE; CENPF; CENP-I; RELA;
REL; RELT; DEDD; DEAF1; DAPK1; FUS; FUT8; FUBP1; SURF4; survivin; BIRC5; SURVIVAL MOTOR NEURON 1; PDCD1; CD274; BCR;
TTN; TTF1; VIM; TP53; KRAS; EGFR; MYC; CASP3; programmed_cell_death_protein_1; death_receptor_5; Death-associated kinase;
apoptosis_score; CODA1; EVENTS_per_hour; progesterone_receptor; progesterone; ms_type=primary progressive;
recurrence_score; oncotype_recurrence_score; mortality_risk_score; predicted_mortality; relapse_risk; survival_score;
gail_risk; nuclear_area; nuclear_eccentricity; cell_density_CD8; til_fraction; stroma_ratio; gland_count; texture_contrast;
glcm_entropy; shape_sphericity; firstorder_skewness; suv_max; mtv; tlg; adc_mean; hounsfield_mean; tumor_volume;
marital_status; education_level; insurance_status; employment_status; living_situation; living_with_spouse; zip_income;
hospital_days; length_of_stay; icu_admission; chemo_cycles; radiation_dose_gy; treatment_arm; regimen; line_of_therapy;
neoadjuvant; surgery_type; anesthesia_time; operation_time; blood_loss_ml; last_menstrual_period; last_meal_hours;
deathwatch_beetle; osmolality; consensus_cluster; census_tract; censorious; license_status; concentration; percentage;
TP53_rnaseq; OSM_rnaseq; CENPF_cnv; C1QA; C; c_reactive_protein; vitality_index; vital_capacity; vital_signs_count
"""  # fmt: skip


def names(text):
    return [" ".join(name.split()) for name in text.split(";")]


@pytest.mark.parametrize("source", FOLLOW_UP)
def test_every_name_of_a_vocabulary_is_follow_up(source):
    assert [name for name in names(FOLLOW_UP[source]) if not is_follow_up(name)] == []


def test_no_ordinary_name_is_follow_up():
    ordinary = names(KNOWN_BEFORE)
    assert len(set(ordinary)) >= 250
    assert [name for name in ordinary if is_follow_up(name)] == []


def test_no_feature_of_hancock_is_follow_up_but_its_outcomes_are():
    folder = DATA / "hancock" / "features"
    if not folder.exists():
        pytest.skip("the data is not here")
    headers = {path.stem: path.read_text(encoding="utf-8").splitlines()[0] for path in folder.glob("*.csv")}
    found = {stem: [*filter(is_follow_up, next(csv.reader([line])))] for stem, line in headers.items()}
    assert len(found.pop("targets")) == 7
    assert found and not any(found.values())


def test_no_feature_of_the_tcga_files_is_follow_up():
    paths = sorted((DATA / "tcga").glob("*/*.h5"))
    if not paths:
        pytest.skip("the data is not here")
    checked = 0
    for path in paths:
        with h5py.File(path) as file:
            listed = file["feature_names"].asstr()[:].tolist() if "feature_names" in file else []
        assert [name for name in listed if is_follow_up(name)] == []
        checked += len(listed)
    assert checked > 10_000


@pytest.mark.parametrize("name", ["censorship", "Censored", "c", "CENS", "censor", "is_censored", "os_cens", "censorship_dss"])
def test_a_name_that_says_censoring_is_not_that_of_an_event(name):
    assert says_censoring(name) and not says_event(name)


@pytest.mark.parametrize("name", ["dead", "OS", "event", "died_5y", "uncensored", "not_censored", "DSS_event", "relapse"])
def test_a_name_that_says_the_event_is_not_that_of_censoring(name):
    assert says_event(name) and not says_censoring(name)


@pytest.mark.parametrize("name", ["status", "vital_status", "x", "census", "center", "CENPE", "outcome"])
def test_a_name_that_says_neither_may_be_both(name):
    assert not says_event(name) and not says_censoring(name)


@pytest.mark.parametrize(
    ("name", "unit"),
    [("OS_MONTHS", "months"), ("Survival months", "months"), ("fu_years", "years"), ("osdays", "days"), ("t", None),
     ("days_to_death", "days"), ("OS.time", None), ("time_yr", "years"), ("monthly_income", None)],
)  # fmt: skip
def test_the_unit_of_time_is_read_off_a_name(name, unit):
    assert unit_in_name(name) == unit
