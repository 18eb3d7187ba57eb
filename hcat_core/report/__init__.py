"""The report of a run: ``report.html``, one page that loads nothing."""

from hcat_core.report.inputs import ReportInputs
from hcat_core.report.page import write_report

__all__ = ["ReportInputs", "write_report"]
