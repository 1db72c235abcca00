"""Sources: the only reader of market data.

Calendars, schemas, the ``files`` source, the market in memory, and the one tree of errors. The
simulated market is :mod:`sources.simulated`.
"""

from sources.calendars import (
    PUBLICATION_LAGS,
    as_of_instant,
    available_at_crypto,
    available_at_equity,
    available_at_flows,
    available_at_macro,
    is_session,
    session_closes,
    sessions_between,
    to_us,
)
from sources.errors import (
    AlreadyRunningError,
    DataUnavailableError,
    EmptyFeedError,
    InsufficientHistoryError,
    IntegrityError,
    LookAheadError,
    ModelNotFoundError,
    PromotionConflictError,
    PromotionRefusedError,
    ProviderUnavailableError,
    RiskonError,
    SchemaError,
    StaleDataError,
    TrackingUnavailableError,
    UnknownNameError,
)
from sources.files import read_market, write_market
from sources.market import CRYPTO_UNIVERSE, Market, Panel, known_at
from sources.publication import PublicationLag
from sources.revisions import PanelRevisions
from sources.schemas import check_table

__all__ = [
    "CRYPTO_UNIVERSE",
    "PUBLICATION_LAGS",
    "AlreadyRunningError",
    "DataUnavailableError",
    "EmptyFeedError",
    "InsufficientHistoryError",
    "IntegrityError",
    "LookAheadError",
    "Market",
    "ModelNotFoundError",
    "Panel",
    "PanelRevisions",
    "PromotionConflictError",
    "PromotionRefusedError",
    "ProviderUnavailableError",
    "PublicationLag",
    "RiskonError",
    "SchemaError",
    "StaleDataError",
    "TrackingUnavailableError",
    "UnknownNameError",
    "as_of_instant",
    "available_at_crypto",
    "available_at_equity",
    "available_at_flows",
    "available_at_macro",
    "check_table",
    "is_session",
    "known_at",
    "read_market",
    "session_closes",
    "sessions_between",
    "to_us",
    "write_market",
]
