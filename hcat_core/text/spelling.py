"""Suggest the most similar known name for a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice

SIMILAR = 0.6  # similarity (difflib) from which a name is suggested
MOST_COMPARED = 1_000
MOST_LISTED = 40


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The sentence `` Did you mean "vae"?``, or a list of the known names; with a leading blank."""
    names = sorted(islice(known, MOST_COMPARED))
    similar = difflib.get_close_matches(name, names, n=1, cutoff=SIMILAR)
    if similar:
        return f' Did you mean "{similar[0]}"?'
    more = ", ..." if len(names) > MOST_LISTED else ""
    return f" Known: {', '.join(names[:MOST_LISTED])}{more}." if names else ""
