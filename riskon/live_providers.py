"""Providers of one run: each made once, and left alone once it does not answer."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus

from riskon.settings import Settings
from sources.errors import DataUnavailableError, ProviderUnavailableError
from sources.live import Client, Deployment, Payload, Provider, make_provider
from sources.live.fred import Fred
from sources.live.ishares import described_funds
from sources.live.reading import read_again
from sources.store import Feed, FeedRecord, Parse, parse_file

GIVE_UP_AFTER = 2
"""Failures in a row after which a provider is left alone for the rest of the run."""

_NOT_KNOWN = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)


def deployment_of(where: Settings) -> Deployment:
    """Return where the settings say that providers are, and their keys."""
    return Deployment(
        where.live_urls, where.live_keys, exchange=where.exchange,
        exchange_quote=where.exchange_quote, funds=described_funds(where.funds),
        cache=where.home / "cache",
    )  # fmt: skip


class Providers:
    """Providers by name, each made once, and left alone once it does not answer."""

    def __init__(self, client: Client, deployment: Deployment) -> None:
        self._client, self._deployment = client, deployment
        self._made: dict[str, Provider] = {}
        self._failures: Counter[str] = Counter()

    def of(self, name: str) -> Provider:
        """Return a provider by its name.

        Raises
        ------
        DataUnavailableError
            Where it failed several times in a row.
        """
        if self._failures[name] >= GIVE_UP_AFTER:
            raise DataUnavailableError(
                f"{name}: needed an answer to one of the last {GIVE_UP_AFTER} questions; "
                "found none; not asked again in this run",
                source=name,
            )
        if name not in self._made:
            self._made[name] = make_provider(name, self._client, self._deployment)
        return self._made[name]

    def ask(
        self, name: str, asked: str, start: dt.date, end: dt.date, since: dt.date | None = None
    ) -> tuple[Payload, ...]:
        """Download, and count how often a provider did not answer in a row.

        Parameters
        ----------
        name, asked : the provider, and what it calls the series.
        start, end : first and last event date.
        since : of FRED, the day from which vintages are asked for; all by default.

        Raises
        ------
        DataUnavailableError
            Where there is no answer; see :class:`~sources.live.provider.Provider`.
        """
        provider = self.of(name)
        try:
            if since is not None and isinstance(provider, Fred):
                answers = provider.revisions(asked, start, end, since)
            else:
                answers = provider.download(asked, start, end)
        except ProviderUnavailableError as error:
            # Not to know one series is an answer; the next may be known.
            self._failures[name] += error.status not in _NOT_KNOWN
            raise
        self._failures[name] = 0
        return answers

    def parse(self) -> Parse:
        """Return what makes the store's feeds again of their payloads, files among them."""

        def parse(record: FeedRecord, contents: Sequence[bytes], now: dt.datetime) -> Feed:
            if record.source == "files":
                return parse_file(record, contents, now)
            provider = make_provider(record.source, self._client, self._deployment)
            return read_again(provider, record, contents)

        return parse
