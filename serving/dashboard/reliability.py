"""How often it happened against what was said, by bins of forecasts."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from serving.dashboard import words
from serving.dashboard.charts import nice_axis
from serving.dashboard.today import tick_labels
from serving.verification import ReliabilityBin


def reliability_diagram(bins: Sequence[ReliabilityBin], name: str) -> Markup:
    """Return how often it happened against what was said, with the band of calibrated forecasts."""
    ends = [v for b in bins for v in (b.mean_probability, b.observed_frequency)]
    ends += [v for b in bins for v in (b.band_lower, b.band_upper)]
    axis = nice_axis(ends, 8, pad=0.04)
    body = ""
    for tick, label in zip(axis.ticks, tick_labels(axis), strict=True):
        x, y = _percent(axis.share(tick)), _percent(100 - axis.share(tick))
        body += f'<line class="grid" x1="{x}" x2="{x}" y1="0" y2="100%"/>'
        body += f'<line class="grid" x1="0" x2="100%" y1="{y}" y2="{y}"/>'
        said = f'text-anchor="{{}}">{escape(label)}</text>'
        body += f'<text class="tick" x="-8" y="{y}" dy="4" {said.format("end")}'
        body += f'<text class="tick" x="{x}" y="100%" dy="17" {said.format("middle")}'
    body += '<line class="level" x1="0" y1="100%" x2="100%" y2="0"/>'
    dots, most = "", max(b.n for b in bins)
    for b in bins:
        x = _percent(axis.share(b.mean_probability))
        low, high = (_percent(100 - axis.share(v)) for v in (b.band_lower, b.band_upper))
        body += f'<line class="reach" x1="{x}" x2="{x}" y1="{low}" y2="{high}"/>'
        inside = b.band_lower <= b.observed_frequency <= b.band_upper
        y, size = _percent(100 - axis.share(b.observed_frequency)), 3.5 + 3 * (b.n / most) ** 0.5
        dots += f'<circle class="{"said" if inside else "out"}" cx="{x}" cy="{y}" r="{size:.1f}"/>'
    body += dots
    out = sum(not b.band_lower <= b.observed_frequency <= b.band_upper for b in bins)
    title = escape(
        f"Reliability of {name}: {words.plural(len(bins), 'bin')}, {out} outside the band "
        "of calibrated forecasts"
    )
    return Markup(  # noqa: S704 - the title is escaped, the rest is made of numbers here
        f'<svg class="chart square" role="img" aria-label="{title}" width="100%" '
        f'height="100%"><title>{title}</title>{body}</svg>'
    )


def _percent(share: float) -> str:
    return f"{share:.2f}%"


def bin_row(b: ReliabilityBin) -> tuple[str, ...]:
    """Return a bin in words."""
    inside = b.band_lower <= b.observed_frequency <= b.band_upper
    return (
        f"{words.percent(b.lower)} to {words.percent(b.upper)}",
        f"{b.n:,}",
        words.percent(b.mean_probability),
        words.percent(b.observed_frequency),
        f"{words.percent(b.band_lower)} to {words.percent(b.band_upper)}",
        "inside" if inside else "outside",
    )
