"""From a cohort to a fitted estimator: the neural model, its training loop, any other estimator."""
