"""Numbers of things in words."""

from __future__ import annotations


def counted(n: int, singular: str, plural: str = "") -> str:
    """A number and what it counts: ``1 patient``, ``2 patients``, ``2 modalities``, ``1 patient has``.

    Args:
        n: the number.
        singular: what there is one of, with a verb where one follows.
        plural: the same of several; by default with an s.

    Example:
        >>> counted(1, "patient has", "patients have"), counted(2, "row")
        ('1 patient has', '2 rows')
    """
    return f"{n} {singular if n == 1 else plural or singular + 's'}"
