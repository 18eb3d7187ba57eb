"""Every component that ships with hcat, offered through the same entry point as a stranger's."""

from __future__ import annotations

from hcat_core.registry.component import Component
from hcat_core.registry.hooks import hookimpl


@hookimpl
def hcat_components() -> list[Component]:
    """The built-in components; importing this module imports none of them."""
    return [
        Component(
            "reader",
            "h5",
            "hcat_builtin.readers.hdf5.reader:H5Reader",
            "HDF5 embeddings: one file, one group per patient, or a folder of slides",
        ),
        Component(
            "reader",
            "table",
            "hcat_builtin.readers.tables.reader:TableReader",
            "CSV or Parquet with a patient-id column; one-hot encodes what the recipe names",
        ),
        Component(
            "reader",
            "h5ad",
            "hcat_builtin.readers.anndata.h5ad:H5adReader",
            "AnnData: X, a layer or an obsm, dense or sparse; outcomes in obs",
        ),
        Component(
            "reader",
            "h5mu",
            "hcat_builtin.readers.anndata.h5mu:H5muReader",
            "MuData: one modality of a file of several; outcomes in obs",
        ),
        Component(
            "reader",
            "pt",
            "hcat_builtin.readers.tensors.reader:PtReader",
            "PyTorch tensors: a file a slide or patient, or one of all; nothing but tensors is unpickled",
        ),
        Component(
            "imputer",
            "none",
            "hcat_builtin.imputers.none:NoImputer",
            "fills nothing; a missing modality becomes a learned mask token",
            expected_failures={
                "fills every gap": "it fills nothing: the arm that others are compared with",
                "beats the mean": "it fills nothing",
                "draws have the claimed mean and spread": "it fills nothing",
                "wrong shapes are an error": "it does not look at cells; the core checks layouts",
            },
        ),
        Component(
            "imputer",
            "mean",
            "hcat_builtin.imputers.mean:MeanImputer",
            "the training patients' mean and standard deviation of each feature",
            ("closed-form",),
            expected_failures={"beats the mean": "it is the mean"},
        ),
        Component(
            "imputer",
            "knn",
            "hcat_builtin.imputers.knn:NearestNeighbourImputer",
            "the nearest training patients (scikit-learn)",
            ("stores-patients",),
        ),
        Component(
            "imputer",
            "mice",
            "hcat_builtin.imputers.mice:ChainedEquationsImputer",
            "chained equations (scikit-learn), on a reduced basis where modalities are wide",
            ("stores-patients",),
        ),
        Component(
            "imputer",
            "vae",
            "hcat_builtin.imputers.vae:MultiModalVAE",
            "joint variational autoencoder: product of experts over present modalities",
            ("trainable", "draws"),
        ),
        Component(
            "imputer",
            "attention",
            "hcat_builtin.imputers.attention:AttentionImputer",
            "a learned query for each modality attends over the present ones",
            ("trainable",),
        ),
        Component(
            "imputer",
            "iterative",
            "hcat_builtin.imputers.iterative:AdvancedIterativeImputer",
            "transformer refinements of any first imputer, each trained on hidden blocks",
            ("trainable",),
        ),
        Component(
            "imputer",
            "gaussian",
            "hcat_builtin.imputers.gaussian:GaussianImputer",
            "mixture of low-rank factor analysers, exact for every pattern",
            ("closed-form", "draws"),
        ),
        Component(
            "fusion",
            "enhanced_hcat",
            "hcat_builtin.fusions.enhanced_hcat:EnhancedHCAT",
            "hierarchical cross-modal attention: branches, global encoder, pooling, cross-modal fusion",
            ("trainable",),
        ),
        Component(
            "head",
            "binary",
            "hcat_builtin.heads.binary:BinaryHead",
            "probability of the event within the task's horizon",
            ("trainable",),
        ),
        Component(
            "head",
            "discrete_hazard",
            "hcat_builtin.heads.discrete_hazard:DiscreteHazardHead",
            "hazards of time intervals: censored patients teach too",
            ("trainable",),
        ),
        Component(
            "head",
            "cox",
            "hcat_builtin.heads.cox:CoxHead",
            "log hazard ratio, with Breslow's baseline: censored patients teach too",
            ("trainable",),
        ),
        Component(
            "loss",
            "bce",
            "hcat_builtin.losses.bce:BinaryCrossEntropy",
            "masked binary cross-entropy with class weights",
        ),
        Component(
            "loss",
            "focal",
            "hcat_builtin.losses.focal:FocalLoss",
            "masked focal loss for rare events",
        ),
        Component(
            "loss",
            "hazard",
            "hcat_builtin.losses.hazard:HazardLoss",
            "likelihood of a discrete_hazard head",
        ),
        Component(
            "loss",
            "cox",
            "hcat_builtin.losses.cox:CoxLoss",
            "partial likelihood of a cox head (torchsurv)",
        ),
        Component(
            "loss",
            "infonce",
            "hcat_builtin.losses.infonce:InfoNCE",
            "contrastive agreement of two views of each patient",
        ),
        Component(
            "loss",
            "kl",
            "hcat_builtin.losses.imputer_terms:KLDivergence",
            "the imputer's Kullback-Leibler term",
        ),
        Component(
            "loss",
            "imputation",
            "hcat_builtin.losses.imputer_terms:ImputationLoss",
            "everything else the imputer trains on",
        ),
        Component(
            "estimator",
            "neural",
            "hcat_core.training.neural_estimator:NeuralEstimator",
            "the recipe's imputer, fusion, heads and losses, trained together",
            ("trainable",),
        ),
        Component(
            "estimator",
            "logistic",
            "hcat_builtin.estimators.logistic:LogisticEstimator",
            "ridge logistic regression (scikit-learn)",
        ),
        Component(
            "estimator",
            "random_forest",
            "hcat_builtin.estimators.random_forest:RandomForestEstimator",
            "bagged trees (scikit-learn)",
        ),
        Component(
            "estimator",
            "hist_gradient_boosting",
            "hcat_builtin.estimators.hist_gradient_boosting:GradientBoostingEstimator",
            "boosted trees that take missing values as they are (scikit-learn)",
        ),
        Component(
            "estimator",
            "coxnet",
            "hcat_builtin.estimators.coxnet:CoxnetEstimator",
            "elastic-net Cox regression: censored patients teach too",
        ),
        Component(
            "estimator",
            "survival_forest",
            "hcat_builtin.estimators.survival_forest:SurvivalForestEstimator",
            "trees on pseudo-observations: censored patients teach too",
        ),
        Component(
            "estimator",
            "late_fusion",
            "hcat_builtin.estimators.late_fusion:LateFusionEstimator",
            "one model a modality, averaged over what a patient has",
        ),
        Component(
            "estimator",
            "stack",
            "hcat_builtin.estimators.stack:StackEstimator",
            "any estimators, combined by what they predict out of fold",
        ),
    ]
