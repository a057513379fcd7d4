"""The weight of the head: how it starts, moves, and is loaded; what stands beside it follows."""

import copy
import pickle

import pytest
import torch

import landmarkzoo as lz
from landmarkzoo.losses.arcface.parallel import ProcessGroupInfo

MARGINS = [0.1, 0.2, 0.3]
X, Y = torch.tensor([[1.0, 2, 3, 4], [4, -3, 2, 1]]), torch.tensor([0, 2])


def head(**options):
    torch.manual_seed(0)
    return lz.SubCenterArcFaceDynamic(4, 3, margins=MARGINS, class_weights=[1, 2, 3], **options)


def test_from_the_meta_device_by_to_empty():
    new = head(device="meta").to_empty(device="cpu")
    new.load_state_dict(head().state_dict())
    assert torch.equal(new(X, Y), head()(X, Y))
    assert torch.equal(new.margins, torch.tensor(MARGINS))


def test_from_the_meta_device_by_assign():
    new = head(device="meta")
    assert "margins=0.1 to 0.3" in repr(new)
    new.load_state_dict(head().state_dict(), assign=True)
    assert torch.equal(new(X, Y), head()(X, Y))


def test_to_the_meta_device_and_back():
    new = head().to("meta").to_empty(device="cpu")
    new.reset_parameters()
    assert torch.equal(new.margins, torch.tensor(MARGINS))
    assert torch.isfinite(new(X, Y))


@pytest.mark.parametrize("narrow", [torch.bfloat16, torch.float16])
def test_casts_leave_the_digits_of_margins(narrow):
    new = head().to(narrow).float()
    assert torch.equal(new.margins, torch.tensor(MARGINS))
    assert torch.equal(new.class_weights, torch.tensor([1.0, 2, 3]))
    assert head().double().margins.dtype == torch.float32


def test_margins_changed_in_place_stay_changed():
    new = head()
    new.margins.fill_(0.7)
    assert (new.double().float().margins == 0.7).all()
    assert (copy.deepcopy(new).margins == 0.7).all()


def test_class_weights_changed_before_the_backward_pass():
    new = head()
    loss = new(X, Y)
    new.class_weights *= 2
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_shard_is_only_loaded_as_what_it_is():
    saved = head().state_dict()
    saved._metadata[""]["classes"] = [3, 6, 8]  # as a rank that owns these classes saves it
    with pytest.raises(ValueError, match="has classes 3 to 5 of 8, the head on this process 0 to 2 of 3"):
        head().load_state_dict(saved)


def test_pickling_without_a_group():
    twin = pickle.loads(pickle.dumps(head()))
    assert torch.equal(twin(X, Y), head()(X, Y))
    assert pickle.loads(pickle.dumps(ProcessGroupInfo())) == ProcessGroupInfo()


def test_of_equally_near_centers_the_first_one_is_moved():
    new = lz.SubCenterArcFaceDynamic(4, 2, margins=0.2, sub_centers=2)
    with torch.no_grad():
        new.weight[1] = new.weight[0]
    new(X, Y.clamp(max=1)).backward()
    assert new.weight.grad[0].abs().sum() > 0
    assert new.weight.grad[1].abs().sum() == 0
