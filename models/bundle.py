"""The bundle: all that a version knows, as JSON and LightGBM's own text, each file by its sha256.

::

    manifest.json            sha256 of every other file; its own sha256 is the bundle's digest
    bundle.json              configuration, cells, feature names, digests, versions
    carried.json             what the signals carry to the last refit
    golden.json              rows, and what the experts said of them when they were trained
    cells/BTC_5d.json        snapshots of a cell: fitted numbers, state of the mixture
    trees/BTC_5d/2025-04-01.txt    LightGBM's native text

Nothing in it is code, and nothing is parsed before its sha256 is checked:
LightGBM ends the whole process on a garbled file.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from features import Dataset
from features.questions import assets_of, horizons_of, select
from models.abstention import unlike_any_seen
from models.calibration import CalibrationState
from models.cells import Cell
from models.config import ModelConfig
from models.experts import Expert
from models.forecast import Forecast, forecast, speaking_on
from models.golden import GoldenRows, golden_faults
from models.guard import GuardState
from models.mixture import PathState, Snapshot
from models.online import SignalPath, cell_rows, online_rows
from models.recent import Carried
from sources.errors import IntegrityError, SchemaError

FORMAT = 3
"""Another one where files change, or a formula of the signals, whose sums the bundle carries."""

LIBRARIES = ("numpy", "scikit-learn", "lightgbm", "pandas")


def library_versions() -> dict[str, str]:
    """Return the versions of what turns numbers into forecasts, and of Python."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


@dataclass(frozen=True)
class ModelBundle:
    """A trained version for all its cells.

    Attributes
    ----------
    config : what the model is.
    snapshots : cell -> experts and mixture state, one a refit, ascending.
    pool : (a,) assets that evidence was pooled over.
    names : (f,) feature names the experts were fitted on.
    trained_through : last as-of day that training read.
    data_digest : sha256 of the rows training read.
    versions : library -> version at training.
    digest : sha256 of the manifest once saved or loaded, else empty.
    carried : what the signals carry to the last refit, so that a day since then needs
        no walk through all days; the numbers are the same without.
    golden : cell -> rows and what its last experts said of them; none in older bundles.
    """

    config: ModelConfig
    snapshots: Mapping[Cell, tuple[Snapshot, ...]]
    pool: tuple[str, ...]
    names: tuple[str, ...]
    trained_through: np.datetime64
    data_digest: str
    versions: Mapping[str, str] = field(default_factory=library_versions)
    digest: str = ""
    carried: Carried | None = None
    golden: Mapping[Cell, GoldenRows] = field(default_factory=dict)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The questions this version answers."""
        return tuple(self.snapshots)

    @property
    def assets(self) -> tuple[str, ...]:
        """Assets, each once, in the order of the cells."""
        return assets_of(self.cells)

    @property
    def horizons(self) -> tuple[int, ...]:
        """Horizons in days, ascending."""
        return horizons_of(self.cells)

    def select(
        self, assets: Sequence[str] | None = None, horizons: Sequence[int] | None = None
    ) -> tuple[Cell, ...]:
        """Return the cells of some assets and horizons (of all by default).

        Raises
        ------
        UnknownNameError
            For an asset or horizon that this version does not answer; lists those it does.
        """
        return select(self.cells, assets, horizons)

    def forecast(
        self, dataset: Dataset, cells: Sequence[Cell], as_of: np.datetime64
    ) -> dict[Cell, Forecast | None]:
        """Forecast some cells as of a day; None before the first day a cell's experts speak of.

        The dataset holds all the assets of ``pool``, whatever is asked for, and each feature that
        the experts were fitted on; others, which came with a newer release or a new folder of the
        market, are not read.

        Raises
        ------
        SchemaError
            If the dataset lacks a feature that the experts were fitted on.
        """
        if dataset.assets != self.pool:
            raise SchemaError(
                dataset_name(dataset),
                expected=f"the assets evidence was pooled over, {', '.join(self.pool)}",
                found=", ".join(dataset.assets),
            )
        if dataset.names != self.names:
            lost = [name for name in self.names if name not in dataset.names]
            if lost:
                raise SchemaError(
                    dataset_name(dataset),
                    expected=f"the {len(self.names)} features of the model",
                    found=f"{len(self.names) - len(lost)} of them, without {', '.join(lost)}",
                )
            dataset = dataset.only(self.names)
        rows, path = self._recent(dataset, cells, as_of)
        online = online_rows(rows, cells, self.config, path)
        assets = dict.fromkeys(cell.asset for cell in cells)
        unlike = {asset: self._unlike_any_seen(dataset, asset, as_of) for asset in assets}
        found: dict[Cell, Forecast | None] = {}
        for cell in cells:
            here = cell_rows(rows, cell, online, self.config)
            strange = unlike[cell.asset]
            made = forecast(here, self.snapshots[cell], as_of, self.config, strange)
            found[cell] = None if made is None else made[0]
        return found

    def _unlike_any_seen(self, dataset: Dataset, asset: str, as_of: np.datetime64) -> str | None:
        """Say what of the classifiers' features is unlike all its past, up to a day."""
        limits, chosen = self.config.abstention, self.config.classifier_features
        if limits is None:
            return None
        end = int(np.searchsorted(dataset.days.to_numpy("datetime64[D]"), as_of, "right"))
        read = [i for i, name in enumerate(self.names) if chosen is None or name in chosen]
        values = dataset.values[:end, dataset.assets.index(asset), read]
        names = [self.names[i] for i in read]
        return unlike_any_seen(values, names, widths=limits.widths, least_days=limits.least_days)

    def _recent(
        self, dataset: Dataset, cells: Sequence[Cell], as_of: np.datetime64
    ) -> tuple[Dataset, SignalPath | None]:
        """Return the rows that tell the forecasts of a day, and the signals where known so."""
        if self.carried is None or self.config.signals is None:
            return dataset, None
        speaking = [speaking_on(self.snapshots[cell], as_of) for cell in cells]
        spoke = [snapshot.fit_as_of for snapshot in speaking if snapshot is not None]
        if not spoke or len(spoke) < len(speaking):
            return dataset, None
        recent = self.carried.recent(dataset, min(spoke), as_of)
        if recent is None:
            return dataset, None
        return recent, self.carried.path(dataset, recent, self.config.signals)

    def refuse_other_numbers(self) -> None:
        """Try the experts on the golden rows.

        Raises
        ------
        IntegrityError
            If one does not say what it said when it was trained.
        """
        faults = golden_faults(self.golden, self.snapshots)
        if faults:
            raise IntegrityError(
                f"golden rows of bundle {self.digest[:12]}",
                expected="what the experts said when they were trained",
                found=f"{len(faults)} differences, first {faults[0]}",
            )

    def save(self, directory: FilePath) -> ModelBundle:
        """Write the bundle to an empty or new directory; return it with its digest."""
        files: dict[str, str] = {}

        def write(name: str, text: str) -> None:
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
            files[name] = hashlib.sha256(text.encode()).hexdigest()

        head = {
            "format": FORMAT,
            "config": self.config.model_dump(mode="json"),
            "config_digest": self.config.digest,
            "cells": [[c.asset, c.horizon_days, c.threshold] for c in self.cells],
            "pool": list(self.pool),
            "features": list(self.names),
            "trained_through": str(self.trained_through),
            "data_digest": self.data_digest,
            "versions": dict(self.versions),
        }
        write("bundle.json", _json(head))
        if self.carried is not None:
            write("carried.json", _json(self.carried.to_json()))
        if self.golden:
            kept_rows = {str(cell): rows.to_json() for cell, rows in self.golden.items()}
            write("golden.json", _json(kept_rows))
        for cell, snapshots in self.snapshots.items():
            kept: list[dict[str, Any]] = []
            for snapshot in snapshots:
                experts: list[dict[str, Any]] = []
                for expert in snapshot.experts:
                    state, trees = expert.state()
                    name = f"trees/{cell}/{snapshot.fit_as_of}.txt" if trees is not None else None
                    if name is not None and trees is not None:
                        write(name, trees)
                    experts.append({"name": expert.name, "state": state, "trees": name})
                kept.append(
                    {
                        "fit_as_of": str(snapshot.fit_as_of),
                        "experts": experts,
                        "state": _state_to_json(snapshot.state),
                        "calibration": snapshot.calibration and snapshot.calibration.to_json(),
                    }
                )
            write(f"cells/{cell}.json", _json(kept))
        manifest = _json({"format": FORMAT, "files": dict(sorted(files.items()))})
        (directory / "manifest.json").write_text(manifest, encoding="utf-8", newline="\n")
        digest = hashlib.sha256(manifest.encode()).hexdigest()
        return ModelBundle(**{**self.__dict__, "digest": digest})

    @classmethod
    def load(cls, directory: FilePath, *, digest: str | None = None) -> ModelBundle:
        """Load a bundle, checking every byte against the manifest before it is used.

        Raises
        ------
        IntegrityError
            If a file is missing, changed or a link, or the manifest is not the one of ``digest``.
        """
        manifest, found = _read_manifest(directory, digest)
        files = {name: _checked(directory, name, sha) for name, sha in manifest.items()}
        head = json.loads(files["bundle.json"])
        if head["format"] != FORMAT:
            raise IntegrityError(
                str(directory), expected=f"bundle format {FORMAT}", found=str(head["format"])
            )
        snapshots: dict[Cell, tuple[Snapshot, ...]] = {}
        for asset, horizon, threshold in head["cells"]:
            cell = Cell(asset, horizon, threshold)
            snapshots[cell] = tuple(
                Snapshot(
                    np.datetime64(kept["fit_as_of"], "D"),
                    tuple(
                        Expert.restore(e["name"], e["state"], e["trees"] and files[e["trees"]])
                        for e in kept["experts"]
                    ),
                    _state_from_json(kept["state"]),
                    kept["calibration"] and CalibrationState.from_json(kept["calibration"]),
                )
                for kept in json.loads(files[f"cells/{cell}.json"])
            )
        return cls(
            config=ModelConfig.model_validate(head["config"]),
            snapshots=snapshots,
            pool=tuple(head["pool"]),
            names=tuple(head["features"]),
            trained_through=np.datetime64(head["trained_through"], "D"),
            data_digest=head["data_digest"],
            versions=head["versions"],
            digest=found,
            carried=Carried.from_json(json.loads(files["carried.json"]))
            if "carried.json" in files
            else None,
            golden=_golden(files, snapshots),
        )


def _golden(files: Mapping[str, str], cells: Iterable[Cell]) -> dict[Cell, GoldenRows]:
    """Read the golden rows by the names of their cells; a name that is none stays out of reach."""
    if "golden.json" not in files:
        return {}
    kept = json.loads(files["golden.json"])
    return {cell: GoldenRows.from_json(kept[str(cell)]) for cell in cells if str(cell) in kept}


def dataset_name(dataset: Dataset) -> str:
    """Name a dataset in a message."""
    return f"dataset of {', '.join(dataset.assets)}"


def _json(content: object) -> str:
    return json.dumps(content, allow_nan=False, separators=(",", ":"))


def _state_to_json(state: PathState) -> dict[str, Any]:
    return {
        "as_of": str(state.as_of),
        "hits": state.hits,
        "total": state.total,
        "losses": state.losses.tolist(),
        "pending_days": [str(day) for day in state.pending_days],
        "pending": state.pending.tolist(),
        "reference": None if state.reference is None else _state_to_json(state.reference),
        "guard": None if state.guard is None else state.guard.to_json(),
    }


def _state_from_json(kept: Mapping[str, Any]) -> PathState:
    losses = np.array(kept["losses"], dtype="float64")
    return PathState(
        as_of=np.datetime64(kept["as_of"], "D"),
        hits=kept["hits"],
        total=kept["total"],
        losses=losses,
        pending_days=np.array(kept["pending_days"], dtype="datetime64[D]"),
        pending=np.array(kept["pending"], dtype="float64").reshape(-1, len(losses)),
        reference=None if kept["reference"] is None else _state_from_json(kept["reference"]),
        guard=None if kept["guard"] is None else GuardState.from_json(kept["guard"]),
    )


def _read_manifest(directory: FilePath, digest: str | None) -> tuple[dict[str, str], str]:
    path = directory / "manifest.json"
    if not path.is_file():
        raise IntegrityError(str(path), expected="a bundle's manifest", found="no file")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if digest is not None and found != digest:
        raise IntegrityError(str(path), expected=f"sha256 {digest}", found=found)
    try:
        files: dict[str, str] = json.loads(content)["files"]
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(str(path), expected="a bundle's manifest", found=str(error)) from error
    return files, found


def _checked(directory: FilePath, name: str, sha: str) -> str:
    path = directory / name
    if ".." in FilePath(name).parts or FilePath(name).is_absolute() or path.is_symlink():
        raise IntegrityError(
            str(path), expected="a file inside the bundle", found="a way out of it"
        )
    if not path.is_file():
        raise IntegrityError(str(path), expected=f"sha256 {sha}", found="no file")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha:
        raise IntegrityError(str(path), expected=f"sha256 {sha}", found=found)
    return content.decode("utf-8")
