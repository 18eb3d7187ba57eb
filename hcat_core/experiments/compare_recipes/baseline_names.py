"""The simple models beside which recipes are compared, where they fit the cohort."""

BASELINES = ("logistic", "random_forest", "hist_gradient_boosting", "coxnet", "survival_forest")
