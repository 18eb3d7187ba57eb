"""``report.html``: everything a reader of the results needs, on one page without outside parts."""

from hcat_core.report.material import Material
from hcat_core.report.page import write_report

__all__ = ["Material", "write_report"]
