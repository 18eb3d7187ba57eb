"""Small tables for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

MOST_FINDINGS = 5


def facts_as_html(title: str, *parts: str, findings: Sequence[str] = ()) -> str:
    """A title, parts that are HTML already, and the first findings."""
    more = len(findings) - MOST_FINDINGS
    shown = [f"<li>{escape(finding)}</li>" for finding in findings[:MOST_FINDINGS]]
    shown += [f"<li>and {more} more</li>"] if more > 0 else []
    listed = f"<ul>{''.join(shown)}</ul>" if shown else ""
    return f"<div><p><strong>{escape(title)}</strong></p>{''.join(parts)}{listed}</div>"


def table_as_html(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; text is escaped."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(f'<td>{escape(_cell(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def paragraph(text: str) -> str:
    """A paragraph; text is escaped."""
    return f"<p>{escape(text)}</p>"


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
