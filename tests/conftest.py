"""hypothesis without deadlines: speed is measured in ``benchmarks/``, never in a test."""

from hypothesis import settings

settings.register_profile("hcat", deadline=None)
settings.load_profile("hcat")
