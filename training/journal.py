"""The record of a search in a folder: Optuna's journal, which one process writes.

Imported where it is opened, as Optuna takes its time.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend

JOURNAL = "journal.log"
SETTLED = 6
"""Optuna's code, on disk, of the line that says how a trial ended; its last one."""


class Journal(JournalFileBackend):
    """A journal that waits for the disk once a trial, when it is done, instead of at each line.

    A process that dies loses nothing of what was written. A machine that loses its power may lose
    lines since the last that was waited for: of trials that ran, which begin again in any case.
    """

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write lines, and wait until they are on disk where a trial is done."""
        if any(log["op_code"] == SETTLED for log in logs):
            super().append_logs(logs)
            return
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        with Path(self._file_path).open("ab") as file:
            file.write(lines.encode())


def open_journal(folder: Path) -> Journal:
    """Open the journal of a folder, whoever was killed writing it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / JOURNAL
    # Whoever opens the journal holds the job, so this lock is of a process that was killed.
    path.with_name(f"{JOURNAL}.lock").unlink(missing_ok=True)
    if path.exists():
        cut_torn_line(path)
    return Journal(str(path))


def cut_torn_line(path: Path) -> int:
    """Cut off what follows the last line end, a line whose writing was cut short; return its bytes.

    Written on, it would make the whole journal unreadable.
    """
    with path.open("rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)
    return len(content) - whole
