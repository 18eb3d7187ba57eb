"""Pages of hcat: templates that extend one base, rendered to files that load nothing."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hcat_core.text.quoting import printable


def render_page(template: str, **values: object) -> str:
    """Render a page as HTML.

    Args:
        template: name of a file in ``hcat_core/report/templates`` that extends ``base.html.j2``.
        values: of the template; ``title``, ``facts`` (pairs of a name and a text, below the title) and
            ``sections`` (pairs of an anchor and a name, for the list of contents) are those of every page.
    """
    return _environment().get_template(template).render(**values)


def render_part(template: str, **values: object) -> Markup:
    """Render a part of a page, which another template may contain as it is.

    Args:
        template: name of a file in ``hcat_core/report/templates``.
        values: of the template.
    """
    return Markup(_environment().get_template(template).render(**values))


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("hcat_core.report", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, finalize=_visible,
    )  # fmt: skip


def _visible(value: object) -> object:
    """Spell out invisible characters in names: a mark of direction would reorder the text around it."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
