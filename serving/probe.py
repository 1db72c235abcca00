"""A process of its own for what may end a process: bundles are first loaded, and speak, in there.

LightGBM calls abort() on some garbled texts, and a market of years takes memory. Neither is let
near the process that answers: it talks to this one through a pipe, and outlives it. Spawned, never
forked, as LightGBM hangs in a forked child.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import signal
from multiprocessing.connection import Connection
from threading import Lock
from typing import Any

from serving.speaker import Places
from sources.errors import DataUnavailableError, IntegrityError, RiskonError

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 120.0
"""To load a version, or to read a market of years and score a day."""

CLOSE_SECONDS = 3.0
"""For what is being said when its process is to end; well within what a service manager grants."""


class SpeakerProcess:
    """A speaker in a process of its own, one question at a time; safe to share between threads.

    Parameters
    ----------
    places : where it finds what it needs.
    """

    def __init__(self, places: Places) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        # A daemon is ended with us; if we are killed, it reads the end of the pipe and goes.
        self._process = context.Process(target=_speak, args=(theirs, places), daemon=True)
        self._process.start()
        theirs.close()
        self._turn = Lock()

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return self._process.is_alive()

    @property
    def pid(self) -> int | None:
        """The number of the process."""
        return self._process.pid

    def ask(self, what: str, *told: Any, timeout: float | None = None) -> Any:
        """Call a method of the speaker by its name, and wait for what it returns or raises.

        Raises
        ------
        IntegrityError
            If the process ended over loading a version.
        DataUnavailableError
            If it ended over anything else, or did not answer in time; it is gone then.
        """
        patience = PATIENCE_SECONDS if timeout is None else timeout
        if not self._turn.acquire(timeout=patience):
            raise DataUnavailableError(
                f"scorer: needed its turn within {patience:g} s; found it busy", source="scorer"
            )
        try:
            self._pipe.send((what, told))
            if not self._pipe.poll(patience):
                self._end()
                raise DataUnavailableError(
                    f"scorer: needed an answer within {patience:g} s; found none", source="scorer"
                )
            ok, answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            self._end()
            code = self._process.exitcode
            found = f"its process ended, exit code {code}"
            if what == "load":
                raise IntegrityError(
                    "bundle, tried in a process of its own",
                    expected="a version that can be loaded",
                    found=found,
                ) from error
            raise DataUnavailableError(
                f"scorer: needed an answer; found {found}", source="scorer"
            ) from error
        finally:
            self._turn.release()
        if not ok:
            raise answer
        return answer

    def close(self) -> None:
        """End the process, once it has said what it is saying or has had its time for it.

        Whoever still waits for an answer gets :class:`DataUnavailableError`.
        """
        if not self._turn.acquire(timeout=CLOSE_SECONDS):
            self._process.kill()  # who waits reads the end of the pipe, and tidies up
            return
        try:
            self._end()
        finally:
            self._turn.release()

    def _end(self) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.join()


def _speak(pipe: Connection, places: Places) -> None:
    """Answer until the other end is gone."""
    # Ctrl-C in a terminal reaches the whole group: whoever started this ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import models  # noqa: F401 - what a bundle is made of, while the caller is still starting

    speaker = places.open()
    with contextlib.suppress(EOFError, OSError):
        while True:
            what, told = pipe.recv()
            try:
                answer = (True, speaker.ask(what, *told))
            except RiskonError as error:
                answer = (False, error)
            except Exception as error:  # its process must live; the log has the traceback
                logger.exception("scorer")
                answer = (False, RiskonError(f"scorer: {type(error).__name__}"))
            pipe.send(answer)
