"""Plots are PNG, the same for the same numbers, and leave no global state."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable

import numpy as np
import pytest

from training.plots import PLOTS, plots_of
from training.report import CellEvaluation

MakeEvaluation = Callable[..., CellEvaluation]


@pytest.mark.parametrize("name", sorted(PLOTS))
def test_each_plot_is_a_png_of_a_size_to_read(make_evaluation: MakeEvaluation, name: str) -> None:
    content = PLOTS[name](make_evaluation())
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    # The header's first chunk holds width and height as big-endian integers at byte 16.
    width, height = struct.unpack(">II", content[16:24])
    assert (width >= 700, height >= 450) == (True, True)


def test_the_same_evaluation_gives_the_same_bytes(make_evaluation: MakeEvaluation) -> None:
    assert plots_of(make_evaluation()) == plots_of(make_evaluation())


def test_plots_carry_no_name_or_version_of_software(make_evaluation: MakeEvaluation) -> None:
    assert all(b"Software" not in content for content in plots_of(make_evaluation()).values())


def test_plots_are_named_by_cell(make_evaluation: MakeEvaluation) -> None:
    assert sorted(plots_of(make_evaluation("ETH", 20))) == [
        "ETH_20d/bets.png",
        "ETH_20d/coverage.png",
        "ETH_20d/gain.png",
        "ETH_20d/reliability.png",
        "ETH_20d/weights.png",
    ]


def test_plotting_does_not_import_pyplot(make_evaluation: MakeEvaluation) -> None:
    sys.modules.pop("matplotlib.pyplot", None)
    plots_of(make_evaluation())
    assert "matplotlib.pyplot" not in sys.modules


def test_a_forecaster_that_is_climatology_all_the_way_can_be_drawn(
    make_evaluation: MakeEvaluation,
) -> None:
    plain = make_evaluation(gain=np.zeros(100), gain_mnat=0.0)
    flat = np.full(10, 0.55)
    for array in (plain.reliability.forecast, plain.reliability.lower, plain.reliability.upper):
        array[:] = flat
    assert len(plots_of(plain)) == len(PLOTS)
