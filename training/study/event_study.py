"""Event studies: what follows the events of a claim, by index, target and horizon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from features.clock import DAY
from sources.market import Market
from training.study.cells import Cell, Finding
from training.study.claims import Claim, ClaimLedger, Event
from training.study.events import apart, find_events
from training.study.inference import DRAWS, Randomised, calendar_time, difference, randomise
from training.study.outcomes import Outcomes, forward, largest_rise
from training.study.power import (
    events_needed,
    least_detectable,
    power_of,
    share_detectable,
    share_events_needed,
    share_power,
    share_test,
)

SIDES: Mapping[str, tuple[str, str]] = {
    "flow_60s": ("inflows", "outflows"),
    "breadth_negative_252s": ("weak breadth", "strong breadth"),
    "net_liquidity_change_91d": ("liquidity rising", "liquidity falling"),
}
"""Words for days above and not above the bound of a split."""

EVENT_KINDS = ("event_return", "largest_rise", "rose_each_time", "split")


@dataclass
class EventStudy:
    """The events and outcomes of one market, found once and shared by all claims.

    Attributes
    ----------
    market : read for events alone.
    outcomes : what can be held.
    states : feature -> (n,) its value known at T(d), on the days of ``outcomes``.
    ledger : alpha and power.
    draws, seed : of the randomisation.
    """

    market: Market
    outcomes: Outcomes
    states: Mapping[str, np.ndarray]
    ledger: ClaimLedger
    draws: int = DRAWS
    seed: int = 0
    _events: dict[tuple[str, str, int], np.ndarray] = field(default_factory=dict)
    _levels: dict[str, np.ndarray | None] = field(default_factory=dict)
    _regimes: dict[str, np.ndarray] = field(default_factory=dict)

    def events(self, claim: Claim, index: str) -> np.ndarray:
        """Return the days on which the claim's events of an index became known, (n,) [D]."""
        return self.events_of(claim.event, index)

    def events_of(self, event: Event, index: str) -> np.ndarray:
        """Return the days on which an event of an index became known, (n,) [D]."""
        key = (index, event.kind, event.quiet_sessions)
        if key not in self._events:
            self._events[key] = find_events(self.market, index, event, self.outcomes.days)
        return self._events[key]

    def level(self, target: str) -> np.ndarray | None:
        """Return the log level of a target, None where a coin of it is missing."""
        if target not in self._levels:
            self._levels[target] = self.outcomes.level(target)
        return self._levels[target]

    def regime(self, target: str) -> np.ndarray:
        """Return the regime of each day, as a target has it."""
        if target not in self._regimes:
            self._regimes[target] = self.outcomes.regime(target)
        return self._regimes[target]

    def rows(self, days: np.ndarray) -> np.ndarray:
        """Return the rows of some days, which are all within the calendar."""
        rows: np.ndarray = ((days - self.outcomes.day[0]) // DAY).astype("int64")
        return rows

    def find(self, claim: Claim, cell: Cell) -> Finding:
        """Put one cell through the study of its claim's kind."""
        level_of_test = self.ledger.alpha * cell.weight
        lacking = self._lacking(claim, cell)
        if lacking:
            return Finding(reason=f"not testable here: needs {lacking}", level=level_of_test)
        level = self.level(cell.target)
        assert level is not None
        kinds = {
            "event_return": partial(self._returns, forward(level, cell.horizon_days)),
            "largest_rise": partial(self._returns, largest_rise(level, cell.horizon_days)),
            "rose_each_time": partial(self._shares, forward(level, cell.horizon_days)),
            "split": partial(self._split, forward(level, cell.horizon_days)),
        }
        return kinds[claim.kind](claim, cell, level_of_test)

    def _lacking(self, claim: Claim, cell: Cell) -> str:
        """Name the series without which a cell cannot be tested; empty where all are there."""
        lacking = []
        if cell.index not in self.market.prices:
            lacking.append(f"prices/{cell.index}")
        if self.level(cell.target) is None:
            name = cell.target.partition("-")[0]
            lacking.append("prices of other coins" if name == "ALTS" else f"prices/{name}")
            if "-" in cell.target and "BTC" not in self.outcomes.coins:
                lacking.append("prices/BTC")
        if claim.split and claim.split not in self.states:
            lacking.append(f"what {claim.split} is made of")
        return ", ".join(lacking)

    def _kept(self, claim: Claim, cell: Cell, outcome: np.ndarray) -> np.ndarray:
        """Return the rows of events with an outcome that do not overlap."""
        rows = self.rows(self.events(claim, cell.index))
        with_outcome = self.outcomes.day[rows[~np.isnan(outcome[rows])]]
        return self.rows(apart(with_outcome, cell.horizon_days))

    def _generator(self, cell: Cell) -> np.random.Generator:
        # Each cell has draws of its own, whatever other cells there are.
        name = f"{cell.claim}/{cell.index}/{cell.target}/{cell.horizon_days}"
        return np.random.default_rng([self.seed, *name.encode()])

    def _returns(self, outcome: np.ndarray, claim: Claim, cell: Cell, test_level: float) -> Finding:
        rows = self._kept(claim, cell, outcome)
        sign = claim.expected_sign or 1
        found = randomise(
            sign * outcome,
            rows,
            self.regime(cell.target),
            self._generator(cell),
            horizon_days=cell.horizon_days,
            draws=self.draws,
            ranks=cell.primary,
        )
        if found is None:
            return self._nothing(claim, cell, outcome, test_level)
        checks = self._checks(cell, rows, found, sign) if cell.primary else {}
        if claim.threshold is not None:
            seen = outcome[rows]
            checks["reached"] = float((seen >= claim.threshold).sum())
            checks["reached_share_of_days"] = float(
                np.mean(outcome[~np.isnan(outcome)] >= claim.threshold)
            )
        return self._finding(claim, found, test_level, checks)

    def _split(self, outcome: np.ndarray, claim: Claim, cell: Cell, test_level: float) -> Finding:
        state = self.states[claim.split]
        regime = self.regime(cell.target)
        rows = self._kept(claim, cell, outcome)
        rows = rows[~np.isnan(state[rows])]
        above = state > claim.split_at
        stratum = np.where(np.isnan(state) | (regime < 0), -1, 2 * regime + above)
        generator = self._generator(cell)
        sign = claim.expected_sign or 1
        compare = partial(
            randomise,
            sign * outcome,
            stratum=stratum,
            generator=generator,
            horizon_days=cell.horizon_days,
            draws=self.draws,
        )
        one, other = compare(rows[above[rows]]), compare(rows[~above[rows]])
        if one is None or other is None:
            side = SIDES.get(claim.split, (f"{claim.split} above", f"{claim.split} at or below"))
            empty = side[0] if one is None else side[1]
            lone = self._nothing(claim, cell, outcome, test_level)
            return Finding(
                n=float(len(rows)), level=test_level, needed=lone.needed,
                reason=f"none of them with {empty}",
            )  # fmt: skip
        found = difference(one, other, generator)
        checks = {"n_above": float(one.n), "n_below": float(other.n)}
        return self._finding(claim, found, test_level, checks)

    def _shares(self, outcome: np.ndarray, claim: Claim, cell: Cell, test_level: float) -> Finding:
        rows = self._kept(claim, cell, outcome)
        known = ~np.isnan(outcome)
        if len(rows) == 0:
            return self._nothing(claim, cell, outcome, test_level)
        regime = self.regime(cell.target)
        overall = float((outcome[known] > 0).mean())
        rates = np.array(
            [self._rate(outcome, known & (regime == regime[r]), overall) for r in rows]
        )
        rises = int((outcome[rows] > 0).sum())
        p, p_refute, (low, high) = share_test(rises, rates, claim.asserted)
        power = self.ledger.power
        return Finding(
            effect=rises / len(rows),
            lower=low,
            upper=high,
            observed=rises / len(rows),
            base=float(rates.mean()),
            p=p,
            p_refute=p_refute,
            n=float(len(rows)),
            level=test_level,
            least_detectable=share_detectable(rates, test_level, power),
            power=share_power(rates, claim.asserted, test_level),
            needed=share_events_needed(float(rates.mean()), claim.asserted, test_level, power),
            checks={"rises": float(rises)},
        )

    @staticmethod
    def _rate(outcome: np.ndarray, among: np.ndarray, overall: float) -> float:
        # As in the randomisation, a regime of less than 60 days is no yardstick.
        return float((outcome[among] > 0).mean()) if among.sum() >= 60 else overall

    def _nothing(self, claim: Claim, cell: Cell, outcome: np.ndarray, test_level: float) -> Finding:
        """Say how many events would be needed where there is none."""
        known = outcome[~np.isnan(outcome)]
        if len(known) < 2:
            return Finding(
                reason=f"{cell.target} has no bar {cell.horizon_days} days on", level=test_level
            )
        if claim.kind == "rose_each_time":
            base = float((known > 0).mean())
            needed = share_events_needed(base, claim.asserted, test_level, self.ledger.power)
        else:
            needed = events_needed(
                float(known.std()), claim.asserted, test_level, self.ledger.power
            )
        return Finding(
            reason=f"no event of {cell.index} with {cell.horizon_days} days of {cell.target} after",
            level=test_level,
            needed=needed,
        )

    def _finding(
        self, claim: Claim, found: Randomised, test_level: float, checks: dict[str, float]
    ) -> Finding:
        """Turn a randomisation into a finding; effects are oriented as the claim expects them."""
        sign, power = claim.expected_sign or 1, self.ledger.power
        asserted = claim.asserted * found.shown
        low, high = found.interval()
        if claim.expected_sign == 0:
            # Either direction counts; equivalence needs both bounds.
            p = min(1.0, 2 * min(found.p_above(), found.p_below(0.0)))
            p_refute = max(found.p_below(asserted), found.p_above(-asserted))
            test_level = test_level / 2
        else:
            p, p_refute = found.p_above(), found.p_below(asserted)
        deviation = float(found.draws.std() * np.sqrt(found.n))
        return Finding(
            effect=sign * found.effect,
            lower=sign * low if sign > 0 else sign * high,
            upper=sign * high if sign > 0 else sign * low,
            observed=sign * found.observed,
            base=sign * found.base,
            p=p,
            p_refute=p_refute,
            n=float(found.n),
            level=test_level,
            least_detectable=least_detectable(found.draws, test_level, power) / found.shown,
            power=power_of(found.draws, asserted, test_level),
            needed=events_needed(deviation, asserted, test_level, power),
            checks=checks,
        )

    def _checks(
        self, cell: Cell, rows: np.ndarray, found: Randomised, sign: int
    ) -> dict[str, float]:
        """Look at the same events in three other ways."""
        ranks = found.rank_draws
        checks = {
            "rank": found.rank,
            "p_rank": (1 + float((ranks >= found.rank - 1e-12).sum())) / (1 + len(ranks)),
        }
        level = self.level(cell.target)
        assert level is not None
        held = calendar_time(sign * level, rows, cell.horizon_days, seed=self.seed)
        if held is not None:
            checks |= {
                "calendar_days": float(held.days),
                "calendar_daily_effect": sign * held.effect,
                "p_calendar": held.p_above,
                "bootstrap_lower": held.lower * cell.horizon_days,
                "bootstrap_upper": held.upper * cell.horizon_days,
            }
        return checks


__all__ = ["EVENT_KINDS", "EventStudy"]
