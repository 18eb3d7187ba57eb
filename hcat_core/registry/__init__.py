"""Which components exist: the record of one, the catalog of all, plugin hooks and their discovery."""
