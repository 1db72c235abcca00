"""MLflow's own pages on a finished job, in a real browser: runs, charts and compare view."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from chosen import CHOICE, SPACE
from mlflow import MlflowClient
from playwright.sync_api import sync_playwright
from postgres import postgres, run_as_postgres
from trackingserver import tracking_server

from training.report import JobReport
from training.sending import track_job
from training.trial_runs import search_record

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WAIT_MS = 90_000


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium absent")
def test_the_pages_show_the_job_its_trials_their_charts_and_how_they_compare(
    make_report: Callable[..., JobReport], bundle_directory: Path, tmp_path: Path
) -> None:
    with postgres() as database:
        psql = str(Path(database.pg_ctl).with_name("psql"))
        run_as_postgres(psql, f"{database.url}/postgres", "-qc", "CREATE DATABASE mlflow")
        with tracking_server(f"{database.url}/mlflow", tmp_path) as address:
            job = track_job(
                make_report(), bundle_directory, "b" * 64,
                uri=address, artifacts=None, spool=tmp_path / "spool", plots={},
                search=search_record(CHOICE, SPACE),
            )  # fmt: skip
            client = MlflowClient(tracking_uri=address, registry_uri=address)
            runs = client.search_runs([job.experiment_id])
            ids = {run.info.run_name: run.info.run_id for run in runs}
            pair = quote(json.dumps([ids["trial 000"], ids["trial 001"]]))
            place = quote(json.dumps([job.experiment_id]))
            experiment = f"{address}/#/experiments/{job.experiment_id}/runs"
            with sync_playwright() as player:
                browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
                page = browser.new_page(viewport={"width": 1500, "height": 1300})
                page.set_default_timeout(WAIT_MS)

                def shown(*texts: str) -> None:
                    for text in texts:
                        page.get_by_text(text, exact=True).first.wait_for()

                page.goto(experiment, wait_until="domcontentloaded")
                shown("train 2025-06-30")
                # Nested runs lie under the job's, until it is opened.
                assert page.get_by_text("trial 003", exact=True).count() == 0
                page.get_by_role("gridcell").get_by_role("button").first.click()
                shown("BTC_5d", "ETH_20d", *(f"trial {n:03d}" for n in range(5)))
                page.goto(f"{experiment}?compareRunsMode=CHART", wait_until="domcontentloaded")
                page.get_by_placeholder("Search metric charts").fill("inner_gain")
                shown("best_inner_gain_mnat", "inner_gain_mnat")
                page.goto(
                    f"{address}/#/compare-runs?runs={pair}&experiments={place}",
                    wait_until="domcontentloaded",
                )
                shown("Comparing 2 Runs from 1 Experiment", "mixture.rate", "false")
                # Means of folds 1, 2, 3 and 3, 4, 5.
                shown("inner_gain_mnat", "2", "4")
                page.goto(f"{experiment}/{job.run_id}", wait_until="domcontentloaded")
                shown("log_loss", "0.6875")
                browser.close()
