"""A job's forecasts as an artifact, so that runs can be compared on the same outcomes later."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd

from models import Cell
from sources.errors import SchemaError
from training.momentum import momentum_forecast
from training.walkforward import CellRun, predictions

PREDICTIONS = "predictions.parquet"
KEYS = ("date", "asset", "horizon", "threshold")
COLUMNS = (*KEYS, "probability", "lower", "upper", "base_rate", "outcome", "momentum",
           "forward_return")  # fmt: skip


def predictions_artifact(runs: dict[Cell, CellRun], *, start: pd.Timestamp | None = None) -> bytes:
    """Return the forecasts of all cells as parquet, as ``predictions.csv`` and two columns more.

    ``momentum`` is the forecast of crypto's own momentum, ``forward_return`` what the asset did.

    Parameters
    ----------
    start : first as-of day, such as that from which a search knew nothing; all by default.
    """
    table = predictions(runs, start=start)
    more = pd.concat(
        [
            pd.DataFrame(
                {
                    "date": run.path.days.astype("datetime64[us]"),
                    "asset": cell.asset,
                    "horizon": cell.horizon_days,
                    "threshold": cell.threshold,
                    "momentum": momentum_forecast(run),
                    "forward_return": run.rows.forward_return[
                        np.searchsorted(run.rows.days, run.path.days)
                    ],
                }
            )
            for cell, run in runs.items()
        ]
    )
    held = io.BytesIO()
    whole = table.merge(more, on=list(KEYS), how="left", validate="one_to_one")
    whole.to_parquet(held, index=False, compression="zstd", write_page_checksum=True)
    return held.getvalue()


def read_predictions(content: bytes, source: str) -> pd.DataFrame:
    """Return the forecasts of an artifact whose outcome is known, by their keys.

    Raises
    ------
    SchemaError
        If it is not such an artifact.
    """
    try:
        table = pd.read_parquet(io.BytesIO(content), page_checksum_verification=True)
    except (OSError, ValueError) as error:
        raise SchemaError(source, expected="parquet", found=str(error)[:80]) from error
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise SchemaError(source, expected=f"columns {missing}", found=f"{list(table)}")
    return table[table["outcome"].notna()].set_index(list(KEYS)).sort_index()
