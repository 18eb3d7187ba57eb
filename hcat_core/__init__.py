"""hcat: outcome prediction on incomplete multimodal cohorts.

This package is what every plugin leans on; it imports no plugin. Read the modules in the order
of the data: :mod:`cohort`, :mod:`interfaces`, :mod:`catalog`, :mod:`recipe`, :mod:`build`,
:mod:`model`, :mod:`training`, :mod:`evaluation`.

Nothing heavy is imported here: ``hcat --help`` answers without torch.
"""

__version__ = "0.1.0"
