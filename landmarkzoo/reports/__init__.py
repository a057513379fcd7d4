"""Reports for people to look at: rankings as an HTML page, and as a picture."""

from landmarkzoo.reports.ranking_page import write_ranking_page
from landmarkzoo.reports.ranking_picture import RankedPhotos, draw_rankings

__all__ = ["RankedPhotos", "draw_rankings", "write_ranking_page"]
