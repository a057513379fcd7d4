"""What every head must pass: ``@each_head`` runs a test with the ``make_head`` of each."""

import pytest

import landmarkzoo as lz


def arcface(embedding_dim, num_classes, **options):
    return lz.SubCenterArcFaceDynamic(embedding_dim, num_classes, **{"margins": 0.3, **options})


# make_head(embedding_dim, num_classes, scale=..., device=..., dtype=...)
each_head = pytest.mark.parametrize("make_head", [arcface, lz.losses.CosFace], ids=["ArcFace", "CosFace"])
