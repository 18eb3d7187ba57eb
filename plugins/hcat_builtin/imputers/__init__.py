"""Imputers, which fill missing modalities and gaps; one per file."""
