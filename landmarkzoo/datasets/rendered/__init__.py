"""A data set of landmarks that are drawn, not downloaded."""

from landmarkzoo.datasets.rendered.dataset import RenderedLandmarks

__all__ = ["RenderedLandmarks"]
