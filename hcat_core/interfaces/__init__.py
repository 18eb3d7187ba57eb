"""Contracts of the six kinds of component, one file per kind, and the records that pass between them.

Those of readers are in ``hcat_core.reading``.

Protocols, no base classes: a class with these methods is a component. ``layout`` is injected first
(heads also get their task and the fused width); keyword-only constructor parameters are the recipe's
keys. A parameter annotated with one of these Protocols takes a nested table with a ``use`` of its own;
one annotated ``pathlib.Path`` is resolved against ``cohort.root``.
"""

from hcat_core.interfaces.estimator import (
    AdditiveEstimator,
    CrossFittedEstimator,
    EmbeddingEstimator,
    EnsembleEstimator,
    Estimator,
    GatedEstimator,
    ImputingEstimator,
    RefittingEstimator,
    SinglePassEstimator,
    ThresholdingEstimator,
)
from hcat_core.interfaces.fitting import FitContext, ImputerEpoch, StatefulComponent
from hcat_core.interfaces.fusion import Fused, Fusion, GatedFusion, PreparedFusion
from hcat_core.interfaces.head import (
    BinaryLogitHead,
    EvidenceHead,
    Head,
    PatientWeightingHead,
    ResidualHead,
    TimedHead,
)
from hcat_core.interfaces.imputer import Average, Imputation, Imputer
from hcat_core.interfaces.loss import HeadCheckingLoss, HeadSpecificLoss, Loss, Outputs
from hcat_core.interfaces.outcome_kinds import ALL_KINDS, EVENTS, EVENTS_AND_CLASSES, OutcomeKinds
from hcat_core.interfaces.prediction import Prediction
from hcat_core.interfaces.random_numbers import (
    CommonNumbers,
    PatientNumbers,
    categories,
    normal,
    shared_normal,
)
from hcat_core.interfaces.traceable import TraceableComponent, TracedBatch, traceable_form
from hcat_core.reading import (
    COUNT_COLUMN,
    QUALITY_COLUMN,
    ColumnTable,
    DescribingReader,
    ModalityTable,
    Reader,
    ViewReader,
)

__all__ = [
    "ALL_KINDS",
    "AdditiveEstimator",
    "Average",
    "BinaryLogitHead",
    "COUNT_COLUMN",
    "ColumnTable",
    "CommonNumbers",
    "CrossFittedEstimator",
    "DescribingReader",
    "EVENTS",
    "EVENTS_AND_CLASSES",
    "EmbeddingEstimator",
    "EnsembleEstimator",
    "Estimator",
    "EvidenceHead",
    "FitContext",
    "Fused",
    "Fusion",
    "GatedEstimator",
    "GatedFusion",
    "Head",
    "HeadCheckingLoss",
    "HeadSpecificLoss",
    "Imputation",
    "Imputer",
    "ImputerEpoch",
    "ImputingEstimator",
    "Loss",
    "ModalityTable",
    "OutcomeKinds",
    "Outputs",
    "PatientNumbers",
    "PatientWeightingHead",
    "Prediction",
    "PreparedFusion",
    "QUALITY_COLUMN",
    "Reader",
    "RefittingEstimator",
    "ResidualHead",
    "SinglePassEstimator",
    "StatefulComponent",
    "ThresholdingEstimator",
    "TimedHead",
    "TraceableComponent",
    "TracedBatch",
    "ViewReader",
    "categories",
    "normal",
    "shared_normal",
    "traceable_form",
]
