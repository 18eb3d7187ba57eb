"""What this plugin offers. Importing this module must not import torch."""

from hcat_core.registry.component import Component
from hcat_core.registry.hooks import hookimpl


@hookimpl
def hcat_components():
    return [
        Component(
            "imputer",
            "acme/mean",
            "acme_hcat.mean:AcmeMean",
            "the training mean, shrunk towards zero",
            ("closed-form",),
            expected_failures={"beats the mean": "it is the mean, shrunk"},
        )
    ]
