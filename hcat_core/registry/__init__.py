"""Components and plugins: record, catalog and parameter types, hooks, discovery, old import paths."""
