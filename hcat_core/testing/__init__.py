"""The conformance kit: what third parties run on their components."""
