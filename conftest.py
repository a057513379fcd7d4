"""What tests and doctests share: the names that every doctest may use, and a registry that stays as it is."""

from collections.abc import Iterator
from unittest import mock

import numpy as np
import pytest
import torch

import landmarkzoo as lz
from landmarkzoo.models import descriptor_model, registry


# A package to install, not tests: importing it would register its model.
collect_ignore = ["tests/models/third_party"]


@pytest.fixture(autouse=True)
def _doctest_names(doctest_namespace: dict[str, object]) -> None:
    doctest_namespace.update(lz=lz, np=np, torch=torch)


@pytest.fixture(autouse=True)
def _registry_as_it_was() -> Iterator[None]:
    """What a test or an example registers is forgotten after it."""
    with mock.patch.dict(registry._MODELS), mock.patch.dict(descriptor_model.ARCHITECTURES):
        yield
