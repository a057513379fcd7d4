"""Checkpoints of other code: how each layout becomes one of ours. One layout a file, listed in `LAYOUTS`."""

from landmarkzoo.hub.convert import dino_salad, henkel, megaloc
from landmarkzoo.hub.convert.checkpoint_files import read_checkpoint
from landmarkzoo.hub.convert.layout import Layout

LAYOUTS = (henkel.DOLG, henkel.HYBRID, megaloc.MEGALOC, dino_salad.DINO_SALAD)

__all__ = ["LAYOUTS", "Layout", "read_checkpoint"]
