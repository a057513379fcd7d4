import pytest
from PIL import Image, ImageFont

from landmarkzoo.reports import RankedPhotos, draw_rankings, ranking_picture


def test_picture_frames_right_green_wrong_red_and_the_query_blue():
    white = Image.new("RGB", (50, 30), (255, 255, 255))
    rows = [RankedPhotos(white, "q", [(white, "right", True), (white, "x" * 90, False)])]
    colors = {color for _, color in draw_rankings(rows, "heading").getcolors(10**6)}
    assert {(34, 150, 72), (205, 48, 48), (52, 100, 190)} <= colors
    with pytest.raises(ValueError, match="rows is empty"):
        draw_rankings([], "heading")


def test_long_names_go_over_two_lines_and_a_legend_says_what_colors_are():
    font, width = ImageFont.load_default(size=13), 160
    for text, lines in (
        ("0.84 vn_sapa_rice_terraces", ["0.84 vn_sapa_rice_", "terraces"]),
        ("0.84 Brandenburger Tor in Berlin", ["0.84 Brandenburger Tor in", "Berlin"]),
        ("short", ["short"]),
    ):
        broken = ranking_picture._in_lines(text, font, width)
        assert broken == lines
    for text in ("x" * 90, "word " * 30, "", "a" + "_" * 60):
        broken = ranking_picture._in_lines(text, font, width)
        assert len(broken) <= 2
        assert all(font.getlength(line) <= width for line in broken)
    white = Image.new("RGB", (50, 30), (255, 255, 255))
    picture = draw_rankings([RankedPhotos(white, "q", [])], "heading")
    legend = picture.crop((0, 0, picture.width, 65)).getcolors(10**6)  # above the first photo
    assert {(34, 150, 72), (205, 48, 48), (52, 100, 190)} <= {color for _, color in legend}
