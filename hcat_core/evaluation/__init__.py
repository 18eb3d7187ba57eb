"""What a run reports: metrics by split and subgroup, Shapley values, baselines, the summary."""
