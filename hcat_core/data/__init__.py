"""From the rows of files to a cohort: ids, aggregation, assembly, outcomes, splits, data checks."""
