"""Files that are written whole or not at all, and paths that stay inside their folder."""
