"""A search for better values of a recipe's keys, nested in the folds that report it."""
