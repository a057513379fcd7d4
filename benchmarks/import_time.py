"""What ``import landmarkzoo`` adds to ``import torch, torchvision, timm``: median of fresh processes.

python benchmarks/import_time.py
"""

from __future__ import annotations

import platform
import statistics
import subprocess
import sys
from datetime import date

SCRIPT = """
import time, torch, torchvision, timm
start = time.perf_counter()
import landmarkzoo
print(time.perf_counter() - start)
"""


def main() -> None:
    command = [sys.executable, "-c", SCRIPT]
    runs = [subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(5)]
    seconds = statistics.median(float(run) for run in runs)
    print(f"{date.today()}, {platform.machine()}: import landmarkzoo adds {seconds:.2f} s (median of 5)")


if __name__ == "__main__":
    main()
