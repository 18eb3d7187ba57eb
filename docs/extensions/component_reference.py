"""Writes the reference of recipes from hcat itself: of components, and of the fixed tables.

A page asks for it by a fence, ``{component-kind} imputer`` or ``{recipe-table} training``. In its place
comes Markdown of what ``hcat show`` prints: the site has the components of the code it is built with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from docstring_parser import Docstring, DocstringStyle, parse
from sphinx.util.logging import getLogger

from hcat_core.recipe.documentation import Documentation, document_component, document_table
from hcat_core.recipe.schema import DOCUMENTED_TABLES
from hcat_core.registry.catalog import load_catalog
from hcat_core.registry.component import Component

if TYPE_CHECKING:
    from sphinx.application import Sphinx


DIRECTIVE = re.compile(r"^```\{(component-kind|recipe-table)\} (\w+)\n```$", flags=re.MULTILINE)
log = getLogger(__name__)


def write_reference(app: Sphinx, page: str, source: list[str]) -> None:
    """Put Markdown in the place of ``{component-kind} imputer`` and ``{recipe-table} training``."""

    def written(found: re.Match[str]) -> str:
        lines = kind_in_markdown if found[1] == "component-kind" else fixed_table_in_markdown
        return "\n".join(lines(found[2]))

    source[0] = DIRECTIVE.sub(written, source[0])


def kind_in_markdown(kind: str) -> Iterator[str]:
    """Every component of one kind: a table of them, then a section for each."""
    components = components_of(kind)
    yield from overview_in_markdown(components)
    for component in components:
        yield from component_in_markdown(component)


def fixed_table_in_markdown(name: str) -> Iterator[str]:
    """A table that every recipe may have: its description, and its keys."""
    documentation = document_table(DOCUMENTED_TABLES[name])
    meanings = {row.name: row.meaning for row in documentation.parameters}
    yield from [documentation.text, ""]
    yield from keys_in_markdown(name, documentation, meanings)


def components_of(kind: str) -> list[Component]:
    """The components of a kind that ship with hcat, whatever plugins are installed here, for recipes."""
    entries = load_catalog().registries[kind]  # type: ignore[index]
    components = [entry.component for entry in entries if entry.provider.name == "builtin"]
    return [one for one in components if "not-in-recipes" not in one.tags]


def overview_in_markdown(components: Iterable[Component]) -> Iterator[str]:
    """One line for each component."""
    rows = ([f"[`{c.name}`](#{anchor(c)})", c.summary, ", ".join(c.tags)] for c in components)
    return table_in_markdown(("name", "what it does", "tags"), rows)


def component_in_markdown(component: Component) -> Iterator[str]:
    """A section: documentation, parameters, and errors of the constructor."""
    documentation = document_component(component)
    parsed = parse(documentation.text, style=DocstringStyle.GOOGLE)
    yield from ["", f"({anchor(component)})=", f"## `{component.name}`", ""]
    yield from [parsed.short_description or "", "", parsed.long_description or ""]
    meanings = {one.arg_name: one.description or "" for one in parsed.params}
    yield ""
    yield from keys_in_markdown(f"{component.kind} {component.name}", documentation, meanings)
    yield from raises_in_markdown(parsed)


def raises_in_markdown(parsed: Docstring) -> Iterator[str]:
    """What the constructor refuses."""
    refused = [" ".join((one.description or "").split()) for one in parsed.raises]
    if refused:
        yield from ["", "Refused: " + " ".join(refused)]


def keys_in_markdown(name: str, documentation: Documentation, meanings: dict[str, str]) -> Iterable[str]:
    """The table of keys, with the meaning of each; a key without one is a warning."""
    if not documentation.parameters:
        return ["It has no parameters."]
    unexplained = [row.name for row in documentation.parameters if not meanings.get(row.name)]
    if unexplained:
        log.warning("%s: its documentation does not describe %s", name, ", ".join(unexplained))
    rows = [
        [
            f"`{row.name}`",
            row.type,
            "" if row.default is None else "needed" if row.default == "(needed)" else f"`{row.default}`",
            " ".join(meanings.get(row.name, "").split()),
        ]
        for row in documentation.parameters
    ]
    return table_in_markdown(("key", "type", "default", "meaning"), rows)


def table_in_markdown(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """A table of Markdown."""
    headings = list(headings)
    yield "| " + " | ".join(headings) + " |"
    yield "| " + " | ".join("---" for _ in headings) + " |"
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
    yield ""


def anchor(component: Component) -> str:
    """Where the section of a component is linked to."""
    return f"{component.kind}-{component.name}".replace("_", "-")


def setup(app: Sphinx) -> dict[str, bool]:
    """Have Sphinx call ``write_reference`` for each page."""
    app.connect("source-read", write_reference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
