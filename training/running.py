"""The run of a job while it works: there from the beginning, and closed as what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from sources.errors import RiskonError, TrackingUnavailableError
from training.liveness import BEAT_SECONDS, beating, signs_of_life
from training.runs import JOB_RUN, KIND
from training.stores import is_http
from training.tracking import connected, experiment_of, heart, tag_run

FAILURE = "failure"
LONGEST_FAILURE = 500


@contextmanager
def running(
    uri: str,
    name: str,
    tags: Mapping[str, str],
    *,
    experiment: str = "riskon",
    artifacts: Path | None = None,
    seconds: float = BEAT_SECONDS,
) -> Iterator[str]:
    """Keep a run of a job RUNNING, with a heartbeat, while the block works; yield its id.

    The block ends the run itself where all goes well, by sending what it found there
    (:func:`training.sending.send_job`). Ctrl-C ends it as KILLED, any error as FAILED with the
    reason in the tag ``failure``. A process that is killed outright leaves it RUNNING for
    :func:`training.tracking.reap`.

    Parameters
    ----------
    uri, artifacts : as for :func:`training.sending.send_job`.
    seconds : between two beats.

    Raises
    ------
    TrackingUnavailableError
        If the store does not answer at the beginning. Later it may come and go.
    """
    with connected(uri) as client:
        place = experiment_of(client, experiment, None if is_http(uri) else artifacts)
        marks = {**tags, KIND: JOB_RUN, **signs_of_life()}
        run_id: str = client.create_run(place, tags=marks, run_name=name).info.run_id
        beat = heart(client, run_id)
    try:
        with beating(beat, seconds):
            yield run_id
    except KeyboardInterrupt:
        _close(uri, run_id, "KILLED")
        raise
    except BaseException as error:
        _close(uri, run_id, "FAILED", error)
        raise


def _close(uri: str, run_id: str, status: str, error: BaseException | None = None) -> None:
    """End the run; where tracking is gone too, the reaper will."""
    with suppress(TrackingUnavailableError, RiskonError), connected(uri) as client:
        client.set_terminated(run_id, status)
        if error is not None:
            said = " ".join(f"{type(error).__name__}: {error}".split())
            tag_run(client, run_id, {FAILURE: said[:LONGEST_FAILURE]})
