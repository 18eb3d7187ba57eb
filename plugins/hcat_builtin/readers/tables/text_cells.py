"""Cells of text: which are empty, which are numbers, and which are words."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hcat_core.data.missing_values import NUMBER, Missing

LARGEST = float(np.finfo(np.float32).max)
"""The largest number that a cohort can hold."""

_WHOLE = re.compile(r"[+-]?[0-9]+", re.ASCII)
_INT64 = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_TRUTH = {word: float(word[0] in "Tt") for word in ("True", "TRUE", "true", "False", "FALSE", "false")}


@dataclass(frozen=True)
class TextNumbers:
    """What R cells of text are as numbers.

    Attributes:
        values: (R,) float64; NaN where a cell is empty or a word.
        words: (R,) whether a cell is neither empty nor a finite number that a cohort can hold.
        truths: whether the cells are True and False, read as 1 and 0.
    """

    values: np.ndarray
    words: np.ndarray
    truths: bool = False


def numbers_of(cells: np.ndarray, missing: Missing, decimal: str = ".") -> TextNumbers:
    """Read cells as numbers: decimal digits with a sign, a decimal mark and an exponent, nothing else.

    ``nan``, ``inf``, ``1_000``, ``0x10``, ``1,234`` and digits of other scripts are words. True and False
    (also in capitals, or small) are 1 and 0 where all cells are such; beside numbers they are words.

    Args:
        cells: (R,) text, or None or NaN for an empty cell.
        missing: words that mean an empty cell.
        decimal: the decimal mark, ``.`` or ``,``.
    """
    codes, spellings = pd.factorize(cells)
    texts = [str(text).strip() for text in spellings]
    numbers = _parsed(texts, decimal)
    empty = np.array([text == "" or text in missing.texts for text in texts], dtype=bool)
    empty |= missing.among(numbers)
    truth = np.array([_TRUTH.get(text, np.nan) for text in texts], dtype=np.float64)
    truths = bool((~empty).any() and not np.isnan(truth[~empty]).any())
    values = np.where(empty, np.nan, truth if truths else numbers)
    words = ~empty & ~(np.abs(values) <= LARGEST)
    values[words] = np.nan
    # The code of an empty cell is -1, the last place.
    return TextNumbers(np.append(values, np.nan)[codes], np.append(words, False)[codes], truths)


def texts_of(cells: np.ndarray, missing: Missing) -> np.ndarray:
    """(R,) the cells without surrounding blanks; None where a cell is empty or means "not measured"."""
    codes, spellings = pd.factorize(cells)
    texts = np.array([*(_text(str(cell).strip(), missing) for cell in spellings), None], dtype=object)
    return np.asarray(texts[codes], dtype=object)


def as_column(cells: np.ndarray, missing: Missing, decimal: str = ".") -> np.ndarray:
    """(R,) numbers where every cell that is not empty is one, else text as it stands, None for empty cells.

    Whole numbers of up to 18 digits are int64 where no cell is empty. Otherwise a column with a whole
    number beyond 2**53, which a float cannot tell from its neighbours, is text. Where words stand among
    numbers with decimal commas, these are floats, since the decimal mark is known here alone.
    """
    found = numbers_of(cells, missing, decimal)
    if found.words.any():
        text = text_as_it_stands(cells, missing)
        if decimal == ",":
            codes, spellings = pd.factorize(cells)  # the code of an empty cell is -1, the last place
            marked = np.array([*("," in str(spelling) for spelling in spellings), False])
            numbers = marked[codes] & ~np.isnan(found.values)
            text[numbers] = found.values[numbers]
        return text
    codes, spellings = pd.factorize(cells)
    texts = [str(text).strip() for text in spellings]
    gaps = np.isnan(found.values)
    if not gaps.any() and texts and all(_INT64.fullmatch(text) for text in texts):
        return np.array([int(text) for text in texts], dtype=np.int64)[codes]
    if any(_WHOLE.fullmatch(text) and abs(int(text)) > 2**53 for text in texts):
        return text_as_it_stands(cells, missing)
    return found.values


def only(cells: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """(R,) the cells that are kept, None in place of all others."""
    result = np.full(len(cells), None, dtype=object)
    result[kept] = cells[kept]
    return result


def text_as_it_stands(cells: np.ndarray, missing: Missing) -> np.ndarray:
    """(R,) the cells with their blanks; None where a cell is empty or means "not measured"."""
    stripped = texts_of(cells, missing)
    return only(cells, ~pd.isna(stripped))


def _text(stripped: str, missing: Missing) -> str | None:
    if stripped == "" or stripped in missing.texts:
        return None
    if missing.numbers and NUMBER.fullmatch(stripped) and float(stripped) in missing.numbers:
        return None
    return stripped


def _parsed(texts: list[str], decimal: str) -> np.ndarray:
    """(U,) numbers; NaN where a text is none."""
    if decimal == ",":
        texts = ["" if "." in text else text.replace(",", ".") for text in texts]
    return np.array([float(text) if NUMBER.fullmatch(text) else np.nan for text in texts], dtype=np.float64)
