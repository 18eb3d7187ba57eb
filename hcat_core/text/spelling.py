"""The nearest of the names that there are, for a name that there is not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice

NEAR = 0.6  # how alike two names are, for one to be meant by the other
LOOKED_AT = 1_000
SHOWN = 40


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` Did you mean "vae"?`` or the whole short list, with a leading blank."""
    names = sorted(islice(known, LOOKED_AT))
    near = difflib.get_close_matches(name, names, n=1, cutoff=NEAR)
    if near:
        return f' Did you mean "{near[0]}"?'
    more = ", ..." if len(names) > SHOWN else ""
    return f" Known: {', '.join(names[:SHOWN])}{more}." if names else ""
