"""The registry: versions of a model in MLflow, the champion among them, and its bundle.

The history in our own database decides who speaks. This is the only module of
serving that imports mlflow, and only where a version is fetched or the alias
moved: reading the champion takes a query.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, make_url

from models import ModelBundle
from serving.champions import ALIAS, Champion, ChampionHistory
from sources.errors import (
    ModelNotFoundError,
    PromotionRefusedError,
    TrackingUnavailableError,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

logger = logging.getLogger(__name__)

SHA256 = re.compile("[0-9a-f]{64}")

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "3",
}
"""What MLflow reads nowhere else; a value already set stays."""


class Registry:
    """Versions of one registered model, and the history of which one spoke.

    Parameters
    ----------
    engine : our database.
    artifacts : folder that keeps the bundles of champions, each under its digest.
    tracking_uri : of the MLflow tracking server, or of its local file.
    name : registered model.
    """

    def __init__(
        self, engine: Engine, artifacts: Path, tracking_uri: str, name: str = "riskon"
    ) -> None:
        self.history = ChampionHistory(engine, name)
        self.artifacts = artifacts
        self.tracking_uri = tracking_uri
        self.name = name

    def champion(self, at: datetime | None = None) -> Champion:
        """Return who speaks, or who spoke at an instant.

        Raises
        ------
        ModelNotFoundError
            Before the first promotion.
        """
        return self.history.champion(at)

    def promote(
        self,
        version: int,
        *,
        reason: str,
        override: bool = False,
        checks: Sequence[tuple[bool, str]] | None = None,
        fit_to_serve: bool | None = None,
        skill_certified: bool | None = None,
    ) -> Champion:
        """Make a version the champion; promoting the champion again changes nothing.

        The gate's verdict is that of the arguments or, where they are None,
        of the version's tags. ``override`` lets an unfit version through, and
        is kept in the history with the reason.

        Raises
        ------
        PromotionRefusedError
            If the version is not fit to serve, the reason is blank, or the
            champion changed in the meantime.
        ModelNotFoundError
            If there is no such version.
        IntegrityError
            If the bundle is not the one that was registered.
        TrackingUnavailableError
            If the tracking server does not answer.
        """
        if not reason.strip():
            raise PromotionRefusedError(version, ["needed a reason; found none"])
        end = self.history.last_position()
        registered = self._version(version)
        tags = registered.tags
        if checks is None:
            checks = [
                (bool(ok), str(said)) for ok, said in json.loads(tags.get("promotion_checks", "[]"))
            ]
        if fit_to_serve is None:
            fit_to_serve = tags.get("fit_to_serve") == "true"
        if skill_certified is None:
            skill_certified = tags.get("skill_certified") == "true"
        digest = tags.get("bundle_digest", "")
        if not SHA256.fullmatch(digest):
            raise PromotionRefusedError(version, ["needed a sha256 in its tag bundle_digest"])
        unfit: list[str] = []
        if not fit_to_serve:
            unfit += [said for ok, said in checks if not ok] or ["it is not fit to serve"]
        if "data_digest" not in tags:
            unfit.append("needed a tag data_digest, to know what it was trained on; found none")
        if unfit and not override:
            raise PromotionRefusedError(version, unfit)
        self._fetch(registered, digest)
        row = {
            "action": "promote",
            "version": version,
            "digest": digest,
            "reason": reason.strip(),
            "overridden": bool(unfit),
            "fit_to_serve": fit_to_serve,
            "skill_certified": skill_certified,
            "checks": json.dumps([[ok, said] for ok, said in checks]),
        }
        champion = self.history.append(row, end)
        self._mirror(champion)
        return champion

    def rollback(self, reason: str) -> Champion:
        """Bring back the champion before the current one; needs no tracking server.

        Raises
        ------
        ModelNotFoundError
            If there was none before.
        PromotionRefusedError
            If the reason is blank, or the champion changed in the meantime.
        """
        earlier, end = self.history.previous()
        if not reason.strip():
            raise PromotionRefusedError(earlier["version"], ["needed a reason; found none"])
        self.load(Champion(**{name: earlier[name] for name in Champion.__dataclass_fields__}))
        row = {**earlier, "action": "rollback", "reason": reason.strip()}
        champion = self.history.append(row, end)
        self._mirror(champion)
        return champion

    def load(self, champion: Champion) -> ModelBundle:
        """Return the champion's bundle, each byte checked; fetches it again where it is missing.

        Raises
        ------
        IntegrityError
            If its files are not those that were promoted.
        ModelNotFoundError, TrackingUnavailableError
            If it is missing here, and cannot be fetched.
        """
        folder = self._folder(champion.digest)
        if not folder.is_dir():
            self._fetch(self._version(champion.version), champion.digest)
        return ModelBundle.load(folder, digest=champion.digest)

    def _folder(self, digest: str) -> Path:
        return self.artifacts / "bundles" / digest

    def _mirror(self, champion: Champion) -> None:
        try:
            with _tracking(self.tracking_uri) as client:
                client.set_registered_model_alias(self.name, ALIAS, str(champion.version))
        except TrackingUnavailableError as error:
            logger.warning(
                "version %d speaks, but its alias was not moved: %s", champion.version, error
            )

    def _version(self, version: int) -> ModelVersion:
        missing = ModelNotFoundError(
            self.name, alias=str(version), hint="riskon train --market DIR --asset BTC --horizon 5"
        )
        url = make_url(self.tracking_uri) if self.tracking_uri.startswith("sqlite:") else None
        if url is not None and not Path(url.database or "").is_file():
            raise missing  # MLflow would take ten seconds to make an empty one.
        _set_environment()
        from mlflow.exceptions import MlflowException

        with _tracking(self.tracking_uri) as client:
            try:
                return client.get_model_version(self.name, str(version))
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise missing from error
                raise

    def _fetch(self, registered: ModelVersion, digest: str) -> None:
        """Download a bundle, check it, and put it in its place in one step."""
        folder = self._folder(digest)
        if folder.is_dir():
            ModelBundle.load(folder, digest=digest)
            return
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as held:
            with _tracking(self.tracking_uri):
                from mlflow.artifacts import download_artifacts

                got = download_artifacts(
                    artifact_uri=registered.source, dst_path=held, tracking_uri=self.tracking_uri
                )
            ModelBundle.load(Path(got), digest=digest)
            for path in (*Path(got).rglob("*"), Path(got)):
                _sync(path)
            try:
                Path(got).replace(folder)
            except OSError:
                if not folder.is_dir():
                    raise
                # Another process was first; the digest says that it is the same.
                shutil.rmtree(got)
        _sync(folder.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _set_environment() -> None:
    """MLflow reads it when it is imported."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


@contextmanager
def _tracking(uri: str) -> Iterator[MlflowClient]:
    """Open a client that gives up in seconds."""
    _set_environment()
    import requests
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield MlflowClient(tracking_uri=uri, registry_uri=uri)
    except (MlflowException, requests.RequestException, SQLAlchemyError, OSError) as error:
        lines = str(error).strip().splitlines()
        raise TrackingUnavailableError(uri, lines[0] if lines else type(error).__name__) from error
