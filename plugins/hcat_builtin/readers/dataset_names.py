"""The names under which files keep ids, embeddings, weights, quality scores and counts of rows."""

from __future__ import annotations

from hcat_core.reading import COUNT_COLUMN

ID_NAMES = (
    "patient_id",
    "patient_ids",
    "patient_index_map",
    "pid",
    "pids",
    "case_id",
    "case_ids",
    "ids",
)
EMBEDDING_NAMES = (
    "embedding",
    "embeddings",
    "embedding_512",
    "embedding_mean_512",
    "text_combined_embedding_512",
    "features_mean",
    "features",
    "feature",
    "feats",
)
QUALITY_NAMES = ("quality", "quality_score", "quality_scores")
WEIGHT_NAMES = ("n_patches",)
COUNT_NAMES = (COUNT_COLUMN,)
