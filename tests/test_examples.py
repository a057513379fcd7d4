import subprocess
import sys
from pathlib import Path

import landmarkzoo as lz

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_find_similar_photos(tmp_path):
    data = lz.rendered.RenderedLandmarks(3, 4, 0, image_size=96)
    for row, id_ in enumerate(data.ids):
        data[row][0].save(tmp_path / f"{id_.replace('/', '_')}.png")
    data[0][0].save(tmp_path / "twin.png")
    command = [sys.executable, str(EXAMPLES / "find_similar_photos.py"), str(tmp_path), "--pairs", "3"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert len(lines) == 3
    assert lines[0].split() == ["1.000", f"{data.ids[0].replace('/', '_')}.png", "twin.png"]
