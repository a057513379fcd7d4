"""Checkpoints of other code: how each layout becomes one of ours. One layout a file, listed in `LAYOUTS`."""

from landmarkzoo.hub.convert import cirtorch, cvnet, dino_salad, henkel, iccv_dolg, megaloc, places
from landmarkzoo.hub.convert.checkpoint_files import read_checkpoint
from landmarkzoo.hub.convert.layout import Layout

LAYOUTS = (
    henkel.DOLG,
    henkel.HYBRID,
    cirtorch.CIRTORCH,
    cvnet.CVNET,
    dino_salad.DINO_SALAD,
    iccv_dolg.ICCV_DOLG,
    megaloc.MEGALOC,
    places.PLACES,
)

__all__ = ["LAYOUTS", "Layout", "read_checkpoint"]
