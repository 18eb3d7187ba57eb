"""hcat from Python: cohorts of DataFrames, fitting, prediction and comparison as functions."""
