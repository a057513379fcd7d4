"""Reports: results for people to look at."""

from landmarkzoo.reports.ranking_picture import draw_rankings

__all__ = ["draw_rankings"]
