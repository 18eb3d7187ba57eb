"""Changes of a recipe's keys that are given in Python."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hcat_core.errors import UsageError


def as_sets(settings: Mapping[str, Any]) -> list[str]:
    """Settings by dotted key as ``KEY=VALUE`` texts, as ``hcat --set`` takes them.

    Raises:
        UsageError: for a value that a recipe cannot hold.
    """
    texts = []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            texts += as_sets({f"{key}.{inner}": one for inner, one in value.items()})
        else:
            texts.append(f"{key}={_as_toml(key, value)}")
    return texts


def _as_toml(key: str, value: object) -> str:
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, np.generic):
        value = value.item()
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        raise UsageError(f"{key}: a recipe cannot hold {type(value).__name__} {value!r}.") from None
