"""The registry: versions of a model in MLflow, the champion among them, and its bundle.

The history in our own database decides who speaks. This is the only module of
serving that imports mlflow, and only where a version is fetched or the alias
moved: reading the champion takes a query.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, make_url

from serving.champions import ALIAS, Champion, ChampionHistory
from sources.crashpoints import crashpoint
from sources.errors import (
    IntegrityError,
    ModelNotFoundError,
    PromotionRefusedError,
    TrackingUnavailableError,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from models import ModelBundle

logger = logging.getLogger(__name__)

SHA256 = re.compile("[0-9a-f]{64}")

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "3",
}
"""What MLflow reads nowhere else; a value already set stays."""


READY = "READY"
PREDICTIONS = "predictions.csv"
CHALLENGER = "challenger"
KNOWN = ("data_digest", "dataset_digest", "config_digest")
"""Tags without which nobody knows what a version was trained on, on which features, and how."""

Check = tuple[bool, str]


@dataclass(frozen=True)
class Candidate:
    """A version as it was registered, before the gate.

    ``predictions`` are its walk-forward forecasts with their outcomes, as CSV; None where the
    tracking store has them no longer.
    """

    version: int
    tags: Mapping[str, str]
    predictions: bytes | None


Gate = Callable[[Candidate, Candidate], Sequence[Check]]
"""Judges a version against the champion that it is to replace."""


def no_gate(_candidate: Candidate, _champion: Candidate) -> Sequence[Check]:
    """Let any version replace any."""
    return ()


def admit_any(_bundle: ModelBundle) -> None:
    """Let any bundle speak."""


def _known(tags: Mapping[str, str], name: str) -> Check:
    found = tags.get(name)
    return (
        bool(found),
        f"known: needed a tag {name}, to know what it was trained on; found {found or 'none'}",
    )


class Registry:
    """Versions of one registered model, and the history of which one spoke.

    Parameters
    ----------
    engine : our database.
    artifacts : folder that keeps the bundles of champions, each under its digest.
    tracking_uri : of the MLflow tracking server, or of its local file.
    name : registered model.
    admit : is shown each bundle before it speaks, and raises where it is not to.
    """

    def __init__(
        self,
        engine: Engine,
        artifacts: Path,
        tracking_uri: str,
        name: str = "riskon",
        admit: Callable[[ModelBundle], None] = admit_any,
    ) -> None:
        self.admit = admit
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
        gate: Gate = no_gate,
        explain: Callable[[Sequence[Check]], None] = lambda _: None,
    ) -> Champion:
        """Make a version the champion; promoting the champion again changes nothing.

        It must be fit to serve, by the verdict in its tags, and the gate must let it replace
        the champion that there is. ``override`` lets a refused version through, and is kept in
        the history with the reason. Where somebody else promotes in the meantime, one wins:
        whoever writes first to our database.

        Parameters
        ----------
        gate : judges a version against the champion it is to replace.
        explain : hears every check, before the decision.

        Raises
        ------
        PromotionConflictError
            If the champion changed in the meantime.
        PromotionRefusedError
            If a check fails, the version is not whole, or the reason is blank.
        ModelNotFoundError
            If there is no such version.
        IntegrityError
            If the bundle is not the one that was registered.
        TrackingUnavailableError
            If the tracking server does not answer.
        """
        if not reason.strip():
            raise PromotionRefusedError(version, ["needed a reason; found none"])
        incumbent, end = self.history.current()
        registered = self._version(version)
        tags = registered.tags
        digest = tags.get("bundle_digest", "")
        if registered.status != READY:
            # Cut short while it was made: its files may not be there, so no override helps.
            raise PromotionRefusedError(
                version, [f"needed status {READY}; found {registered.status}"]
            )
        if not SHA256.fullmatch(digest):
            raise PromotionRefusedError(version, ["needed a sha256 in its tag bundle_digest"])
        fit = tags.get("fit_to_serve") == "true"
        checks = [
            (bool(ok), str(said)) for ok, said in json.loads(tags.get("promotion_checks", "[]"))
        ]
        # Skill may be absent in a champion, so it is told, and is no reason to refuse.
        needed = [said for ok, said in checks if not ok and not said.startswith("skill:")]
        needed = needed or ["it is not fit to serve"]
        refused = [] if fit else needed
        others = [_known(tags, name) for name in KNOWN]
        speaks = incumbent is not None and incumbent.version == version
        if incumbent is not None and not speaks:
            others += gate(self._candidate(registered), self._candidate_of(incumbent))
        refused += [said for ok, said in others if not ok]
        if not speaks:  # Whoever speaks was let through, or forced; there is nothing to decide.
            explain([*checks, *others])
            if refused and not override:
                raise PromotionRefusedError(version, refused)
        self._fetch(registered, digest)
        row = {
            "action": "promote",
            "version": version,
            "digest": digest,
            "reason": reason.strip(),
            "overridden": bool(refused),
            "fit_to_serve": fit,
            "skill_certified": tags.get("skill_certified") == "true",
            "checks": json.dumps([*checks, *others]),
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
        PromotionConflictError
            If the champion changed in the meantime.
        PromotionRefusedError
            If the reason is blank.
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
            If its files are not those that were promoted, or it is not admitted.
        ModelNotFoundError, TrackingUnavailableError
            If it is missing here, and cannot be fetched.
        """
        from models import ModelBundle  # what reads the champion alone needs no learner

        folder = self.folder(champion.digest)
        if not folder.is_dir():
            self._fetch(self._version(champion.version), champion.digest)
        bundle = ModelBundle.load(folder, digest=champion.digest)
        self.admit(bundle)
        return bundle

    def folder(self, digest: str) -> Path:
        """Return where the bundle of a digest is kept once it was fetched."""
        return self.artifacts / "bundles" / digest

    def _candidate(self, registered: ModelVersion) -> Candidate:
        version = int(registered.version)
        return Candidate(version, dict(registered.tags), self._predictions(registered))

    def _candidate_of(self, champion: Champion) -> Candidate:
        try:
            return self._candidate(self._version(champion.version))
        except ModelNotFoundError:
            # Deleted from MLflow, but it speaks: the gate is to say what cannot be compared.
            return Candidate(champion.version, {}, None)

    def _predictions(self, registered: ModelVersion) -> bytes | None:
        """Return the walk-forward forecasts of a version, by the digest in its tags."""
        expected = registered.tags.get("predictions_digest")
        if expected is None or registered.run_id is None:
            return None
        with tempfile.TemporaryDirectory(prefix="riskon-") as held:
            with _tracking(self.tracking_uri):
                from mlflow.artifacts import download_artifacts

                got = download_artifacts(
                    artifact_uri=f"runs:/{registered.run_id}/{PREDICTIONS}",
                    dst_path=held,
                    tracking_uri=self.tracking_uri,
                )
            content = Path(got).read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != expected:
            where = f"{PREDICTIONS} of version {registered.version}"
            raise IntegrityError(where, expected=expected, found=found)
        return content

    def _mirror(self, champion: Champion) -> None:
        version = str(champion.version)
        try:
            with _tracking(self.tracking_uri) as client:
                crashpoint("before_alias")
                client.set_registered_model_alias(self.name, ALIAS, version)
                crashpoint("after_alias")
                aliases = client.get_registered_model(self.name).aliases
                if str(aliases.get(CHALLENGER)) == version:
                    client.delete_registered_model_alias(self.name, CHALLENGER)
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
        from models import ModelBundle

        folder = self.folder(digest)
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
