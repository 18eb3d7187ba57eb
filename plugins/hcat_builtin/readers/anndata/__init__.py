"""AnnData and MuData files."""
