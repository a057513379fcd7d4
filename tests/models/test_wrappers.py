import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

import landmarkzoo as lz
from landmarkzoo.models.wrappers import unwrapped


@pytest.fixture(scope="module")
def model():
    return lz.create_model("efficientnet_lite0_gem", embedding_dim=8)


@pytest.fixture(scope="module")
def one_process(tmp_path_factory):
    store = tmp_path_factory.mktemp("gloo") / "store"
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


COMPILE = torch.compile  # compiles at the first call only
NESTINGS = [
    [COMPILE],
    [nn.DataParallel],
    [DistributedDataParallel],
    [COMPILE, DistributedDataParallel],
    [DistributedDataParallel, COMPILE],
    [COMPILE, nn.DataParallel, COMPILE],
    [nn.DataParallel, COMPILE, nn.DataParallel],
]


def wrapped(model, nesting):
    for wrap in nesting:
        model = wrap(model)
    return model


@pytest.mark.parametrize("nesting", NESTINGS)
def test_the_model_is_found_in_every_nesting(model, one_process, nesting):
    assert unwrapped(wrapped(model, nesting)) is model
    transform = lz.create_transform(wrapped(model, nesting), image_size=32)
    assert repr(transform) == repr(lz.create_transform(model, image_size=32))


def test_what_is_not_wrapped_stays():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = nn.Linear(2, 2)  # no wrapper, whatever its parts are called

    own = Own()
    assert unwrapped(own) is own
    script = torch.jit.script(nn.Linear(2, 2))
    assert unwrapped(script) is script
    average = AveragedModel(own)
    assert unwrapped(average) is average.module
