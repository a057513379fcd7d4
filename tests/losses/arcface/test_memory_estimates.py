import subprocess
import sys
from pathlib import Path

import pytest
import torch

import landmarkzoo as lz

PEAK = """
import torch, landmarkzoo as lz
from pathlib import Path

def mib(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(field))) / 1024

torch.set_num_threads(2)
warm = lz.SubCenterArcFaceDynamic(16, 50, margins=0.3)
warm(torch.randn(4, 16), torch.randint(50, (4,))).backward()
before = mib("VmRSS")
head = lz.SubCenterArcFaceDynamic(256, 20_000, margins=0.3)
optimizer = torch.optim.Adam(head.parameters(), fused=True)  # foreach makes copies as large as the weight
for _ in range(2):
    optimizer.zero_grad()
    head(torch.randn(64, 256), torch.randint(20_000, (64,))).backward()
    optimizer.step()
print(mib("VmHWM") - before)
"""


def test_golden_size_of_google_landmarks():
    estimate = lz.memory_estimate(81_313)
    assert estimate.weights == 124_896_768 * 4 == estimate.gradient == estimate.optimizer // 2
    assert estimate.total == estimate.weights * 4 + estimate.activations
    assert estimate.activations < estimate.weights / 8
    assert "weights 476 MiB" in str(estimate)


def test_options():
    whole = lz.memory_estimate(1000, optimizer="sgd")
    assert whole.optimizer == 0
    assert lz.memory_estimate(1000, optimizer="momentum").optimizer == whole.weights
    assert lz.memory_estimate(1000, world_size=3).weights == 334 * 3 * 512 * 4
    assert lz.memory_estimate(1000, dtype=torch.bfloat16).weights == whole.weights // 2
    assert lz.memory_estimate(1000, sample_rate=0.25).gradient == whole.gradient // 4
    for wrong in (0, "81313", 64.5):
        with pytest.raises(ValueError, match="num_classes must be a positive integer"):
            lz.memory_estimate(wrong)
    with pytest.raises(ValueError, match="sample_rate must be in"):
        lz.memory_estimate(10, sample_rate=10)
    with pytest.raises(ValueError, match="optimizer must be one of"):
        lz.memory_estimate(10, optimizer="lion")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from Linux's /proc")
def test_estimate_is_the_measured_peak_of_training_with_adam():
    run = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    estimated = lz.memory_estimate(20_000, embedding_dim=256).total / 2**20
    assert float(run.stdout) == pytest.approx(estimated, rel=0.1)
