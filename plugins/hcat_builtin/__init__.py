"""The components that ship with hcat, registered through the same entry point as third-party ones."""

from __future__ import annotations

from hcat_core.registry.component import NOT_IN_RECIPES, Component
from hcat_core.registry.hooks import hookimpl


@hookimpl
def hcat_components() -> list[Component]:
    """List the built-in components; this imports none of them."""
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
            "CSV or Parquet with a patient-id column; one-hot encodes the columns named in the recipe",
        ),
        Component(
            "reader",
            "frame",
            "hcat_builtin.readers.tables.frame_reader:FrameReader",
            "pandas DataFrames that are given in Python; not for recipes, which name files",
            (NOT_IN_RECIPES,),
            expected_failures={
                "has a source": "a recipe cannot make one: it is made of a DataFrame",
                "names a missing file": "it reads no file",
            },
        ),
        Component(
            "reader",
            "h5ad",
            "hcat_builtin.readers.anndata.h5ad:H5adReader",
            "AnnData file: X, a layer or an obsm array, dense or sparse; outcomes in obs",
        ),
        Component(
            "reader",
            "h5mu",
            "hcat_builtin.readers.anndata.h5mu:H5muReader",
            "MuData file: one of its modalities; outcomes in obs",
        ),
        Component(
            "reader",
            "pt",
            "hcat_builtin.readers.tensors.reader:PtReader",
            "PyTorch tensors: one file per slide or patient, or one file for all; loads tensors only",
        ),
        Component(
            "imputer",
            "none",
            "hcat_builtin.imputers.none:NoImputer",
            "no imputation: the fusion uses a learned mask token for a missing modality",
            expected_failures={
                "fills every gap": "it fills nothing; other imputers are compared with it",
                "beats the mean": "it fills nothing",
                "draws have the claimed mean and spread": "it fills nothing",
                "wrong shapes are an error": "it does not read cells; the core checks layouts",
            },
        ),
        Component(
            "imputer",
            "mean",
            "hcat_builtin.imputers.mean:MeanImputer",
            "mean and standard deviation of each feature over the training patients",
            ("closed-form",),
            expected_failures={"beats the mean": "it is the mean"},
        ),
        Component(
            "imputer",
            "knn",
            "hcat_builtin.imputers.knn:NearestNeighbourImputer",
            "mean over the nearest training patients (scikit-learn)",
            ("stores-patients",),
        ),
        Component(
            "imputer",
            "mice",
            "hcat_builtin.imputers.mice:ChainedEquationsImputer",
            "chained equations (scikit-learn), on principal components of wide modalities",
            ("stores-patients",),
        ),
        Component(
            "imputer",
            "vae",
            "hcat_builtin.imputers.vae:MultiModalVAE",
            "joint variational autoencoder, a product of experts over the present modalities",
            ("trainable", "draws"),
        ),
        Component(
            "imputer",
            "attention",
            "hcat_builtin.imputers.attention:AttentionImputer",
            "attention: a learned query per modality attends over the present modalities",
            ("trainable", "draws"),
        ),
        Component(
            "imputer",
            "iterative",
            "hcat_builtin.imputers.iterative:AdvancedIterativeImputer",
            "transformer steps that refine another imputer's result, trained on hidden blocks",
            ("trainable",),
        ),
        Component(
            "imputer",
            "gaussian",
            "hcat_builtin.imputers.gaussian:GaussianImputer",
            "mixture of low-rank factor analysers, in closed form for every missingness pattern",
            ("closed-form", "draws"),
        ),
        Component(
            "fusion",
            "enhanced_hcat",
            "hcat_builtin.fusions.enhanced_hcat:EnhancedHCAT",
            "Enhanced-HCAT: attention within branches, over all modalities, and between pooled vectors",
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
            "hazard of each time interval; uses censored patients too",
            ("trainable", "needs-times"),
        ),
        Component(
            "head",
            "cox",
            "hcat_builtin.heads.cox:CoxHead",
            "log hazard ratio with Breslow's baseline; uses censored patients too",
            ("trainable", "needs-times"),
        ),
        Component(
            "head",
            "multiclass",
            "hcat_builtin.heads.multiclass:MulticlassHead",
            "probability of each class of an outcome of several",
            ("trainable",),
        ),
        Component(
            "head",
            "continuous",
            "hcat_builtin.heads.continuous:ContinuousHead",
            "expected value of a number, with its uncertainty",
            ("trainable",),
        ),
        Component(
            "loss",
            "bce",
            "hcat_builtin.losses.binary:BinaryCrossEntropy",
            "class-weighted cross-entropy of patients with a known outcome",
        ),
        Component(
            "loss",
            "focal",
            "hcat_builtin.losses.binary:FocalLoss",
            "focal loss, for rare events, of patients with a known outcome",
        ),
        Component(
            "loss",
            "hazard",
            "hcat_builtin.losses.survival:HazardLoss",
            "negative log likelihood of a discrete_hazard head",
        ),
        Component(
            "loss",
            "cox",
            "hcat_builtin.losses.survival:CoxLoss",
            "negative log partial likelihood of a cox head (torchsurv)",
        ),
        Component(
            "loss",
            "cross_entropy",
            "hcat_builtin.losses.classes_and_numbers:CrossEntropy",
            "cross-entropy of a multiclass head",
        ),
        Component(
            "loss",
            "gaussian_nll",
            "hcat_builtin.losses.classes_and_numbers:GaussianLoss",
            "negative log density of a continuous head's values",
        ),
        Component(
            "loss",
            "huber",
            "hcat_builtin.losses.classes_and_numbers:HuberLoss",
            "Huber loss of a continuous head's values, for numbers with outliers",
        ),
        Component(
            "loss",
            "infonce",
            "hcat_builtin.losses.infonce:InfoNCE",
            "contrastive loss between two views of each patient",
        ),
        Component(
            "loss",
            "kl",
            "hcat_builtin.losses.imputer_losses:KLDivergence",
            "Kullback-Leibler divergence computed by the imputer",
        ),
        Component(
            "loss",
            "imputation",
            "hcat_builtin.losses.imputer_losses:ImputationLoss",
            "sum of the other losses computed by the imputer",
        ),
        Component(
            "estimator",
            "neural",
            "hcat_core.training.neural_estimator:NeuralEstimator",
            "neural model: the recipe's imputer, fusion, heads and losses, trained together",
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
            "random forest (scikit-learn)",
        ),
        Component(
            "estimator",
            "hist_gradient_boosting",
            "hcat_builtin.estimators.hist_gradient_boosting:GradientBoostingEstimator",
            "boosted trees that use missing values as they are (scikit-learn)",
        ),
        Component(
            "estimator",
            "coxnet",
            "hcat_builtin.estimators.coxnet:CoxnetEstimator",
            "elastic-net Cox regression; uses censored patients too",
            ("needs-times",),
        ),
        Component(
            "estimator",
            "evidence",
            "hcat_builtin.estimators.evidence:EvidenceEstimator",
            "sum of one regression per modality, a forest, and products of two modalities",
        ),
        Component(
            "estimator",
            "survival_forest",
            "hcat_builtin.estimators.survival_forest:SurvivalForestEstimator",
            "random forest on pseudo-observations; uses censored patients too",
        ),
        Component(
            "estimator",
            "late_fusion",
            "hcat_builtin.estimators.late_fusion:LateFusionEstimator",
            "one model per modality, whose predictions are averaged",
        ),
        Component(
            "estimator",
            "stack",
            "hcat_builtin.estimators.stack:StackEstimator",
            "any estimators, combined by a regression on their out-of-fold predictions",
        ),
    ]
