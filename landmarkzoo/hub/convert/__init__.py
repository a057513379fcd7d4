"""Checkpoints of other code: how each layout becomes one of ours. One layout a file, listed in `LAYOUTS`."""

from landmarkzoo.hub.convert import cirtorch, cvnet, henkel, places
from landmarkzoo.hub.convert.checkpoint_files import read_checkpoint
from landmarkzoo.hub.convert.layout import Layout

LAYOUTS = (henkel.DOLG, henkel.HYBRID, cirtorch.CIRTORCH, places.PLACES, cvnet.CVNET)

__all__ = ["LAYOUTS", "Layout", "read_checkpoint"]
