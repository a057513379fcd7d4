"""Reports for people to look at: rankings, predictions, suspicious photos; as pages and as a picture."""

from landmarkzoo.reports.predictions_page import write_predictions_page
from landmarkzoo.reports.ranking_page import write_ranking_page
from landmarkzoo.reports.ranking_picture import RankedPhotos, draw_rankings
from landmarkzoo.reports.suspicions_page import write_suspicions_page

__all__ = [
    "RankedPhotos",
    "draw_rankings",
    "write_predictions_page",
    "write_ranking_page",
    "write_suspicions_page",
]
