"""The demo: from photos to answers, on rendered landmarks or on a folder of one's own."""

from landmarkzoo.demo.demo_split import DemoSplit, folder_split, rendered_split
from landmarkzoo.demo.steps import Step, picture_rows, run_steps

__all__ = ["DemoSplit", "Step", "folder_split", "picture_rows", "rendered_split", "run_steps"]
