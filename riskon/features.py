"""``riskon features``: the list, the highs by date, and a page of plots."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features import REGISTRY, Dataset, FeatureConfig, all_time_highs, build_dataset
from riskon import output as out
from riskon.settings import Settings
from riskon.wiring import open_market, status
from sources.errors import DataUnavailableError, UnknownNameError

EXPLAINED = ("highs",)
INDICES = ("RUT", "IWM")
COLUMNS = 3
INK, QUIET = "#0072b2", "#999999"


def features(
    where: Settings,
    market: Path | None,
    blocks: Sequence[str] | None,
    explain: str | None,
    indices: Sequence[str] | None,
    output: Path | None,
    form: str,
) -> None:
    """Print the registry, or what is asked of a market."""
    chosen = tuple(blocks or REGISTRY.blocks)
    REGISTRY.select(chosen)
    if explain is not None:
        if explain not in EXPLAINED:
            raise UnknownNameError("explanation", explain, EXPLAINED)
        _explain_highs(where, market, indices, form)
    elif output is not None:
        _draw(where, market, chosen, output)
    else:
        _list(chosen, form)


def _list(blocks: Sequence[str], form: str) -> None:
    rows: list[dict[str, Any]] = [
        {
            "name": feature.name,
            "block": group.block,
            "group": group.name,
            "formula": feature.formula,
            "unit": feature.unit,
            "lookback": feature.lookback,
            "inputs": ", ".join(f"{r.folder}/{'|'.join(r.symbols)}" for r in group.roles),
            "missing": feature.missing,
            "version": group.version,
            "reference": feature.reference,
        }
        for group in REGISTRY
        if group.block in blocks
        for feature in group.features
    ]
    if form != "table":
        out.print_rows(rows, form)
        return
    for block in blocks:
        here = [row for row in rows if row["block"] == block]
        out.print_table(
            f"{block}: {len(here)} features",
            ["name", "formula", "unit", "rows"],
            [[r["name"], r["formula"], r["unit"], str(r["lookback"] or "all")] for r in here],
        )


def _explain_highs(
    where: Settings, market: Path | None, indices: Sequence[str] | None, form: str
) -> None:
    opened = open_market(market, where)
    wanted = tuple(indices or (i for i in INDICES if i in opened.prices))
    if not wanted:
        raise DataUnavailableError(
            f"{opened.name}: needed prices of {' or '.join(INDICES)}; found none of them",
            source="prices",
        )
    rows: list[dict[Any, Any]] = []
    for index in wanted:
        table = all_time_highs(opened, index)
        table["date"] = table["date"].dt.strftime("%Y-%m-%d")
        table.insert(0, "index", index)
        since = table["sessions_since_previous"].astype("Int64").astype("object")
        table["sessions_since_previous"] = since.where(since.notna(), None)
        rows += table.to_dict("records")
    if form != "table":
        out.print_rows(rows, form)
        return
    for index in wanted:
        mine = [row for row in rows if row["index"] == index]
        out.print_table(
            f"{index}: {len(mine)} all-time highs on the price (* the first after a year without)",
            ["date", "close", "previous high", "sessions since the last"],
            [
                [
                    f"{r['date']} {'*' if r['first_of_cluster'] else ''}",
                    f"{r['close']:.2f}",
                    f"{r['previous_high']:.2f}",
                    ""
                    if r["sessions_since_previous"] is None
                    else str(r["sessions_since_previous"]),
                ]
                for r in mine
            ],
        )


def _draw(where: Settings, market: Path | None, blocks: Sequence[str], output: Path) -> None:
    opened = open_market(market, where)
    with status("drawing"):
        dataset = build_dataset(
            opened, opened.crypto[:1], FeatureConfig(blocks=tuple(blocks), selection="all")
        )
        parts = [
            f"<h2>{html.escape(block)}</h2>"
            f'<img alt="features of block {html.escape(block)}" src="data:image/png;base64,'
            f'{base64.b64encode(_picture(dataset, names)).decode()}">'
            for block in blocks
            if (names := _drawn(dataset, block))
        ]
    left_out = "".join(
        f"<li>{html.escape(group)}: the market has no {html.escape(missing)}</li>"
        for group, missing in dataset.omitted.items()
    )
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Features</title>'
        "<style>body{font:15px system-ui;margin:2rem auto;max-width:1180px;padding:0 1rem}"
        "img{width:100%}</style><h1>Features</h1>"
        f"<p>{html.escape(opened.name)}, {dataset.days[0]:%Y-%m-%d} to "
        f"{dataset.days[-1]:%Y-%m-%d}, "
        f"as known on each day; features of an asset are those of {dataset.assets[0]}. "
        "Constituents that left the index before the panel begins are missing from it: levels of "
        "breadth are biased upward in the past.</p>"
        f"{''.join(parts)}{f'<h2>Left out</h2><ul>{left_out}</ul>' if left_out else ''}</html>\n"
    ).encode()
    out.write_atomically(output, lambda file: file.write(page))
    out.note(f"Wrote {len(dataset.names)} features to {output}.")


def _drawn(dataset: Dataset, block: str) -> list[str]:
    wanted = [f.name for group in REGISTRY if group.block == block for f in group.features]
    return [name for name in wanted if name in dataset.names]


def _picture(dataset: Dataset, names: Sequence[str]) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(names) // COLUMNS)
    figure = Figure(figsize=(12, 1.35 * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False, sharex=True)
    days = pd.DatetimeIndex(dataset.days)
    for place, axis in enumerate(axes.flat):
        if place >= len(names):
            axis.set_axis_off()
            continue
        values = dataset.values[:, 0, dataset.names.index(names[place])]
        axis.plot(days, values, color=INK, linewidth=0.7)
        low, high = np.nanmin(values, initial=np.inf), np.nanmax(values, initial=-np.inf)
        if low < 0 < high:
            axis.axhline(0, color=QUIET, linewidth=0.5)
        axis.set_title(names[place], fontsize=8, loc="left", pad=2)
        axis.tick_params(labelsize=6.5, length=2)
        axis.spines[["top", "right"]].set_visible(False)
    picture = io.BytesIO()
    FigureCanvasAgg(figure).print_png(picture, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return picture.getvalue()
