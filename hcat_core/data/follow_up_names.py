"""Names of columns that say what became of a patient: they are outcomes, and no features.

``VOCABULARIES`` has the names of public tables and the spellings that are common elsewhere, each with its
source. A pattern stands for whole names in lower case, with ``_`` between words (``plain_name``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hcat_core.data.schema import TimeUnit

_SPAN = r"(?:days?|months?|mos?|years?|yrs?)"
# What may follow the word that names the event: "death_date", "OS_time", "recurrence_1", "survival_5y".
_TAIL = (
    rf"(?:_(?:status|event|events|time|times|label|date|cause|with_cause|tte|flag|indicator|code|yn|{_SPAN}"
    rf"|in_{_SPAN}|interval|cr|censor\w*|cens|\d+(?:_?{_SPAN}|[dmy])?))*"
)
_CENSORED = r"censor(?:ed|ing|ship|s)?"
_ENDPOINT = r"(?:os|dss|pfi|dfi|pfs|dfs|rfs|efs|mfs|dmfs|lrfs|drfs)"
_HAPPENED = (
    r"(?:survival|survived|vital|died|dead|deceased|death|mortality|recur|recurred|recurrence|relapse|relapsed"
    r"|progress|progressed|progression)"
)
_AT_RISK_OF = (
    r"(?:recurrence|relapse|progression|disease|event|failure|bcr|metasta(?:sis|ses)"
    r"|biochemical_recurrence)"
)


@dataclass(frozen=True)
class Vocabulary:
    """Names of follow-up columns from one source: patterns of whole plain names."""

    source: str
    patterns: Sequence[str]


VOCABULARIES = (
    Vocabulary(
        "TCGA Clinical Data Resource (Liu et al., Cell 2018; 173:400, table S1)",
        (
            rf"{_ENDPOINT}{_TAIL}",
            r"(?:.*_)?new_(?:tumou?r|neoplasm)_event(?:_.*)?",
            r"(?:death|last_contact)_days_to",
            r"cause_of_death(?:_.*)?",
            r"treatment_outcome_first_course|redaction",
            r"(?:person_neoplasm_)?(?:tumou?r|cancer)_status",
        ),
    ),
    Vocabulary(
        "NCI Genomic Data Commons, data dictionary (demographic, diagnosis, follow_up)",
        (
            # Not what lies before the outcome: days_to_birth, days_to_collection.
            r"(?:.*_)?days?_(?:to|until)_(?!(?:birth|diagnosis|initial_pathologic_diagnosis|initial_pathologic_dx"
            r"|(?:sample_)?(?:collection|procurement|sampling)|sample|biopsy|surgery|resection|operation"
            r"|(?:first_)?(?:treatment|therapy|radiation|radiotherapy|chemotherapy|drug_therapy)(?:_start)?"
            r"|admission|consent|enrol\w*|registration|randomi[sz]ation|index|imaging|scan|baseline)(?:_|$)).+",
            r"(?:.*_)?last_known_(?:disease|vital|survival)_status|(?:.*_)?progression_or_recurrence(?:_.*)?",
            r"(?:.*_)?year_of_death|primary_therapy_outcome_success|followup_treatment_success",
        ),
    ),
    Vocabulary(
        "cBioPortal, file formats: clinical data (OS_STATUS, DFS_MONTHS, ...)",
        (
            rf"(?:.*_)?{_ENDPOINT}_(?:status|{_SPAN})",
            r"days_last_follow_?up|(?:.*_)?time_to_relapse(?:_.*)?",
        ),
    ),
    Vocabulary(
        "SEER Research Data, dictionary of variables",
        (
            r"survival_months(?:_flag)?",
            r"(?:.*_)?vital_status(?:_.*)?",
            r"cod(?:_to_site(?:_.*)?)?",
            r"seer_(?:cause_specific|other_cause_of)_death_classification",
            r"(?:year|month|type)_of_follow_up(?:_.*)?",
        ),
    ),
    Vocabulary(
        "Tables of MCAT (Chen et al., ICCV 2021), PORPOISE (Chen et al., Cancer Cell 2022) and SurvPath",
        (
            rf"survival(?:_{_SPAN})?(?:_(?:os|dss|pfi|dfi|pfs))?",
            rf"(?:.*_)?(?:un|non)?{_CENSORED}(?:_.*)?",
            r"disc_label|y_disc",
        ),
    ),
    Vocabulary(
        "Data sets of R's survival and of scikit-survival",
        (
            rf"(?:fu|futime|fustat|fu_(?:time|stat|status|event|{_SPAN}))|(?:.*_)?(?:un|non)?cens(?:_{_SPAN}|_time)?",
            r"(?:os|pfs|dfs|rfs|efs|dss|pfi|dfi|mfs|surv|death)_?(?:time|status|stat|event|cens|days?|months?|years?)",
            rf"tte(?:_(?:status|event|label|{_SPAN}))?(?:_\d+)?|(?:.*_)?time_to_event(?:_.*)?|event",
        ),
    ),
    Vocabulary(
        "MIMIC (Johnson et al., Sci Data 2023; 10:1), tables of admissions and patients",
        (r"(?:hospital_)?expire_flag|dod(?:_.*)?|discharge_(?:status|disposition|location)",),
    ),
    Vocabulary(
        "Common spellings",
        (
            rf"(?:.*_)?{_HAPPENED}{_TAIL}",
            rf"(?:.*_)?survival_status(?:_.*)?|(?:.*_)?{_SPAN}_survived|survivor|(?:date|time|age)_(?:of|at)_death",
            r"(?:.*_)?follow_?up(?:_.*)?",
            r"(?:.*_)?last_(?:info|information|contact|visit|seen|known)(?:_.*)?",
            r"(?:.*_)?(?:is_|was_|still_)?(?:alive|living)(?:_status|_at_.*)?|alive_or_dead|dead_or_alive",
            rf"(?:.*_)?{_AT_RISK_OF}_free(?:_.*)?|(?:.*_)?free_(?:survival|{_SPAN})(?:_.*)?",
            r"(?:.*_)?time_(?:to|until)_(?:death|last|follow|recur|relapse|progress|failure|metasta|bcr|next_treat"
            r"|treatment_failure|castration|new_tumou?r|readmission|discharge|distant|local).*",
            r"(?:biochemical|local|distant|locoregional|regional)_(?:recurrence|failure|relapse|progression)"
            rf"{_TAIL}|bcr_(?:time|event|{_SPAN})",
            r"(?:survival_|patient_|final_|clinical_)?outcome",
            # From the start of the name: "primarily_metastasis_1" is a category of what was known at
            # diagnosis.
            r"(?:distant_)?metasta(?:sis|ses)(?:_[1-9]\d*|(?:_\d+)?_(?:location|site)s?)",
        ),
    ),
)
"""Names of follow-up columns, by source."""

# Words that make a name one of what was known before, of relatives, or of a score that predicts.
_ELSEWHERE = re.compile(
    r"(?:^|_)(?:family|familial|mothers?|fathers?|maternal|paternal|parents?|parental|siblings?|brothers?|sisters?"
    r"|spouse|husband|wife|child|children|grand\w+|relatives?|f?hx|history|prior|previous|previously|past|predicted"
    r"|risk|score|baseline|preoperative|preop|at_(?:initial_)?diagnosis|cell|cells|ligand|receptor|domain|gene"
    r"|pathway|signature|living_(?:arrangement|situation|alone|with))(?:_|$)"
)
_FOLLOW_UP = re.compile("|".join(f"(?:{p})" for v in VOCABULARIES for p in v.patterns))
_CENSORING = re.compile(rf"c|(?:.*_)?(?:cens|{_CENSORED})(?:_.*)?")
_NOT_CENSORED = re.compile(r"(?:^|_)(?:un|non_?|not_)(?:cens|censor)")
_EVENT = re.compile(
    rf"(?:.*_)?(?:event|died|dead|death|deceased|recurred|recurrence|relapsed?|progressed|progression|{_ENDPOINT})"
    r"(?:_(?:event|observed|flag|indicator|\d+\w*))?"
)
_JOINED = re.compile(r"^(?:os|pfs|dfs|dss|surv|survival|fu)")  # of "OSmonths"
_UNITS: dict[TimeUnit, re.Pattern[str]] = {
    "days": re.compile(r"days?"),
    "months": re.compile(r"months?|mos?"),
    "years": re.compile(r"years?|yrs?"),
}


def plain_name(name: str) -> str:
    """The name in lower case with ``_`` between words: ``disease_free`` for ``Disease Free``."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[\W_]+", "_", apart).strip("_").lower()


def is_follow_up(name: str) -> bool:
    """Whether a column of this name says what became of a patient."""
    plain = plain_name(name)
    return _FOLLOW_UP.fullmatch(plain) is not None and _ELSEWHERE.search(plain) is None


def says_censoring(name: str) -> bool:
    """Whether a column of this name is 1 for censored patients, as ``censorship`` of PORPOISE is."""
    plain = plain_name(name)
    return _CENSORING.fullmatch(plain) is not None and _NOT_CENSORED.search(plain) is None


def says_event(name: str) -> bool:
    """Whether a column of this name is 1 for patients with the event: ``dead``, ``OS``, ``uncensored``."""
    plain = plain_name(name)
    named = _EVENT.fullmatch(plain) is not None and _CENSORING.fullmatch(plain) is None
    return named or _NOT_CENSORED.search(plain) is not None


def unit_in_name(name: str) -> TimeUnit | None:
    """The unit of time that a column's name gives, or None: ``OS_MONTHS``, ``Survival months``."""
    words = [_JOINED.sub("", word) or word for word in plain_name(name).split("_")]
    for unit, pattern in _UNITS.items():
        if any(pattern.fullmatch(word) for word in words):
            return unit
    return None
