"""From rows of files to a cohort: ids, aggregation, assembly, outcomes, splits, folds, data checks."""
