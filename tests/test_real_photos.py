"""The whole way on real landmark photos; the figures are those of the benchmark."""

import runpy
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "landmark_photos.py"


@pytest.mark.slow  # two minutes
def test_frozen_and_whitened_lite0(real_photos):
    measure = runpy.run_path(str(BENCHMARK))["measure"]
    results = measure(real_photos, shrinkages=[0.01], progress=False)
    (frozen_map, _, _), (white_map, soft_map, white_gap) = results.values()
    assert 0.41 < frozen_map < 0.44
    assert 0.50 < white_map < 0.54
    assert 0.86 < white_gap < 0.92
    assert soft_map < white_map  # its train set knows none of these landmarks: the docs warn of it
