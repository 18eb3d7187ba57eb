"""Pages without scripts that load nothing: the report of a run, and what other pages share with it."""
