"""How long ``--help`` takes, beside two tools that its users know; one JSON line."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

PROGRAMS = ("riskon", "optuna", "mlflow")
ROUNDS = 5


def main() -> None:
    """Run each program in turn, and keep its best time."""
    best = dict.fromkeys(PROGRAMS, float("inf"))
    for _ in range(ROUNDS):
        for name in PROGRAMS:
            begun = time.perf_counter()
            program = Path(sys.executable).parent / name
            subprocess.run([program, "--help"], check=True, capture_output=True)  # noqa: S603 - ours
            best[name] = min(best[name], time.perf_counter() - begun)
    ratios = {f"{name}_over_riskon": round(best[name] / best["riskon"], 1) for name in PROGRAMS[1:]}
    seconds = {name: round(value, 3) for name, value in best.items()}
    print(json.dumps({"benchmark": "help", "seconds": seconds, **ratios}))


if __name__ == "__main__":
    main()
