"""Comparisons of recipes and of imputers, as jobs whose results are kept."""
