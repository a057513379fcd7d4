"""Landmarks drawn from seeds: photos for the demo, and for training, in which nobody has rights."""

from landmarkzoo.rendered import rendered_protocol  # noqa: F401 - registers itself with lz.evaluate
from landmarkzoo.rendered.rendered_landmarks import Parts, RenderedLandmarks

__all__ = ["Parts", "RenderedLandmarks"]
