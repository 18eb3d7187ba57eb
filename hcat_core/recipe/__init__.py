"""From TOML to a validated recipe, and from a recipe to objects."""
