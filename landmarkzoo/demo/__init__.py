"""The whole way from photos to answers, on rendered landmarks or a folder of the user's."""

from landmarkzoo.demo.albums import Album, folder_album, rendered_album
from landmarkzoo.demo.steps import Step, picture_rows, run_steps

__all__ = ["Album", "Step", "folder_album", "picture_rows", "rendered_album", "run_steps"]
