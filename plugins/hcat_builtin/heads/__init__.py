"""Heads, which predict one task from the fused vector; one per file."""
