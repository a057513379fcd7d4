"""A quick job of embedding: descriptors are the first pixels of photos."""

import pytest
import torch
from torch import nn

import landmarkzoo as lz


class FirstPixel:
    """A transform that counts, and is known by its name in all processes. It may do something on the way."""

    def __init__(self, at=None, do=None):
        self.seen, self.at, self.do = 0, at, do

    def __call__(self, image):
        self.seen += 1
        if self.seen == self.at:
            self.do()
        return torch.tensor(image.getpixel((0, 0)))[:, None, None] / 255

    def __repr__(self):
        return "first pixel"


def embed(photos, out, transform=None, **options):
    transform = transform or FirstPixel()
    options = {"batch_size": 2, "progress": False, **options}
    return lz.embed(nn.Flatten(), photos, transform=transform, out=out, **options)


def interrupt():
    raise KeyboardInterrupt


def interrupted(photos, out, after, **options):
    with pytest.raises(KeyboardInterrupt):
        embed(photos, out, FirstPixel(after, interrupt), **options)


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != "photos")
