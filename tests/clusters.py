"""A cluster of two workers that tests start by the command itself, and that they may kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = Path(sys.executable).parent / "riskon"


class LocalCluster:
    """``riskon cluster --local 2``, started when somebody asks for it, and again if it died."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[str] | None = None
        self._address = ""

    @property
    def address(self) -> str:
        """Return the address of its scheduler."""
        if self.process is None or self.process.poll() is not None:
            self.end()
            with self.said.open("w") as said:
                self.process = subprocess.Popen(
                    [PROGRAM, "cluster", "--local", "2", "--port", "0"], text=True,
                    cwd=self.folder, stdout=subprocess.PIPE, stderr=said, start_new_session=True,
                )  # fmt: skip
            assert self.process.stdout is not None
            self._address = self.process.stdout.readline().strip()
        return self._address

    @property
    def said(self) -> Path:
        """Return the file of what it said on stderr."""
        return self.folder / "cluster.err"

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal to it, or to all its processes as a terminal does."""
        assert self.process is not None
        (os.killpg if group else os.kill)(self.process.pid, number)

    def members(self) -> list[int]:
        """Return the processes of its group that run."""
        assert self.process is not None
        found = subprocess.run(
            ["ps", "-o", "pid=,stat=", "-s", str(self.process.pid)], capture_output=True, text=True,
            check=False,
        ).stdout.split("\n")  # fmt: skip
        pairs = [line.split() for line in found if line.strip()]
        return [int(pid) for pid, state in pairs if not state.startswith("Z")]

    def gone_within(self, seconds: float) -> bool:
        """Tell whether no process of it is left, after so many seconds at most."""
        until = time.monotonic() + seconds
        while self.members() and time.monotonic() < until:
            time.sleep(0.05)
        return not self.members()

    def end(self) -> None:
        """End it, with all that it started."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL, group=True)
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
