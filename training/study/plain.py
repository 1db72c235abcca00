"""Results as plain JSON: what a study found, in types that any program reads."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd


def plain(value: Any) -> Any:
    """Turn a result into plain JSON types; NaN and infinities become null.

    Parameters
    ----------
    value : dataclass, mapping, sequence, array, timestamp or scalar, nested in any way.

    Examples
    --------
    >>> plain({"p": float("nan"), "lags": np.arange(2), "day": np.datetime64("2024-11-25", "D")})
    {'p': None, 'lags': [0, 1], 'day': '2024-11-25'}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(held) for key, held in value.items()}
    if isinstance(value, np.ndarray) and value.dtype.kind == "M":
        return [plain(pd.Timestamp(held)) for held in value.ravel()]
    if isinstance(value, np.ndarray):
        return [plain(held) for held in value.tolist()]
    if isinstance(value, (list, tuple)):
        return [plain(held) for held in value]
    if isinstance(value, (pd.Timestamp, np.datetime64)):
        return None if pd.isna(value) else f"{pd.Timestamp(value):%Y-%m-%d}"
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
