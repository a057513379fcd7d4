import pytest
from PIL import Image

from landmarkzoo.reports import RankedPhotos, draw_rankings


def test_picture_frames_right_green_wrong_red_and_the_query_blue():
    white = Image.new("RGB", (50, 30), (255, 255, 255))
    rows = [RankedPhotos(white, "q", [(white, "right", True), (white, "x" * 90, False)])]
    colors = {color for _, color in draw_rankings(rows, "heading").getcolors(10**6)}
    assert {(34, 150, 72), (205, 48, 48), (52, 100, 190)} <= colors
    with pytest.raises(ValueError, match="rows is empty"):
        draw_rankings([], "heading")
