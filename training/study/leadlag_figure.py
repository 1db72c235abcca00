"""The picture of who goes first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.study.canvas import BLUE, GREY, INK, ORANGE, blank, by_date, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from training.study.leadlag import LeadLag, RegimeLink
    from training.study.profiles import Profile
    from training.study.rolling import Rolling


def draw(result: LeadLag, asset: str = "") -> Figure:
    """Draw the profile, the rolling correlation and the regimes of an asset, or of the first."""
    asset = asset or result.profiles[0].asset
    daily, weekly = (
        next(p for p in result.profiles if p.asset == asset and p.step == step)
        for step in ("day", "week")
    )
    same = daily.correlation[daily.lags.index(0)]
    lead = {
        "neither shown": "and neither is seen to lead",
        "small caps": f"and {asset} follows",
        "crypto": f"and {asset} leads",
        "both": "and each is seen to lead at some lag",
    }[daily.verdict]
    made = blank(
        f"{asset} and small caps move on the same day (correlation {same:.2f}), {lead}",
        f"{result.symbols[0]} closes, {result.symbols[1]} opens; {daily.n} sessions, returns in "
        "deviations. Grey: all lags but 0 stay inside, nine times in ten, if nothing leads (all "
        "lags counted).\nCrypto's bars after a session begin after its close, those before it end "
        f"before its open. Largest lag away from 0: {daily.strongest_lag:+d} days, "
        f"p {daily.p_lags:.2f}. Least detectable at one lag: {daily.least_detectable:.3f}.",
        size=(12.4, 7.6),
    )
    grid = made.add_gridspec(2, 3, height_ratios=(1.1, 1))
    _profile(made.add_subplot(grid[0, :2]), daily)
    _profile(made.add_subplot(grid[0, 2]), weekly)
    rolling = next(one for one in result.rolling if one.asset == asset)
    _rolling(made.add_subplot(grid[1, 0]), rolling, "correlation")
    _rolling(made.add_subplot(grid[1, 1]), rolling, "beta")
    _regimes(made.add_subplot(grid[1, 2]), [r for r in result.regimes if r.asset == asset])
    return made


def _profile(axes: Axes, profile: Profile) -> None:
    lags = np.array(profile.lags)
    axes.fill_between(lags, -profile.sup, profile.sup, color=GREY, alpha=0.25, lw=0, step="mid")
    axes.vlines(lags, profile.lower, profile.upper, color=BLUE, alpha=0.35, lw=1.4)
    axes.plot(lags, profile.correlation, "o", color=BLUE, ms=3.2)
    axes.plot([0], [profile.correlation[profile.lags.index(0)]], "o", color=ORANGE, ms=7)
    axes.axhline(0, color=INK, lw=1)
    axes.axvline(0, color=INK, lw=0.6, ls=":")
    if profile.step == "day":
        axes.set_xlabel("<  crypto before small caps        days        crypto after small caps  >")
    else:
        axes.set_xlabel("<  crypto before    weeks    after  >")
    axes.set_ylabel("correlation of returns")
    words = {"neither shown": "neither leads", "both": "each leads at some lag"}
    found = words.get(profile.verdict, f"{profile.verdict} first")
    tidy(axes, title=f"By {profile.step}, n {profile.n}: {found}")


def _rolling(axes: Axes, rolling: Rolling, name: str) -> None:
    lower, upper = getattr(rolling, f"{name}_lower"), getattr(rolling, f"{name}_upper")
    axes.fill_between(rolling.dates, lower, upper, color=BLUE, alpha=0.2, lw=0)
    axes.plot(rolling.dates, getattr(rolling, name), color=BLUE, lw=1.4)
    axes.axhline(0, color=INK, lw=1)
    if name == "correlation":
        axes.axhline(0.5, color=ORANGE, lw=1, ls="--", label='"highly", 0.5')
        axes.legend(loc="upper left", frameon=False, fontsize=8.5)
    by_date(axes)
    title = "Correlation" if name == "correlation" else "Slope (beta)"
    tidy(axes, title=f"{title} over the last 252 sessions, 90 %")


def _regimes(axes: Axes, regimes: list[RegimeLink]) -> None:
    height = 0.22
    rows = np.arange(len(regimes), dtype="float64")
    for shift, (name, colour, words) in enumerate(
        (
            ("same", ORANGE, "same day"),
            ("follows", BLUE, "crypto 1-5 days after"),
            ("leads", GREY, "crypto 1-5 days before"),
        )
    ):
        middle, lower, upper = np.array([getattr(one, name) for one in regimes]).reshape(-1, 3).T
        at = rows + (shift - 1) * height
        axes.hlines(at, lower, upper, color=colour, lw=2)
        axes.plot(middle, at, "o", color=colour, ms=4, label=words)
    axes.axvline(0, color=INK, lw=1)
    axes.set_yticks(rows, [one.side for one in regimes], fontsize=8.5)
    axes.set_xlabel("correlation, or sum of 5")
    axes.set_ylim(len(regimes) + 1.6, -0.6)
    axes.legend(loc="lower right", frameon=False, fontsize=8)
    tidy(axes, title="By regime, 90 %")
