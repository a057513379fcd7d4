"""Reports for people to look at: rankings, predictions, trainings, suspicious photos; pages and a picture."""

from landmarkzoo.reports.predictions_page import write_predictions_page
from landmarkzoo.reports.ranking_page import write_ranking_page
from landmarkzoo.reports.ranking_picture import RankedPhotos, draw_rankings
from landmarkzoo.reports.suspicions_page import write_suspicions_page
from landmarkzoo.reports.training_page import write_training_page

__all__ = [
    "RankedPhotos",
    "draw_rankings",
    "write_predictions_page",
    "write_ranking_page",
    "write_suspicions_page",
    "write_training_page",
]
