"""PyTorch tensor files."""
