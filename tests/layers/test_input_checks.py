"""One image in training mode, and inputs of wrong types: every layer says the way out, compiled or not."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import landmarkzoo as lz
from landmarkzoo.layers import MultiAtrous, Neck, OrthogonalFusion, SpatialAttention
from landmarkzoo.layers.input_checks import check_batch_norm

WAY_OUT = (
    r"call model\.eval\(\) for descriptors, or train with 2 images or more \(a DataLoader with drop_last=True"
)
MAP = torch.ones(2, 4, 5, 5)


@pytest.mark.parametrize("kind", ["fc-bn-prelu", "fc-bn"])
def test_one_image_has_no_batch_statistics(kind):
    neck = Neck(6, 4, kind)
    with pytest.raises(ValueError, match=WAY_OUT):
        neck(torch.randn(1, 6))
    assert neck(torch.randn(2, 6)).shape == (2, 4)
    neck[1].eval()  # frozen
    assert neck(torch.randn(1, 6)).shape == (1, 4)
    assert neck.eval()(torch.randn(1, 6)).shape == (1, 4)


def test_necks_without_batch_norm_take_one_image():
    for kind in ("fc-silu", "none"):
        assert Neck(6, 4, kind)(torch.randn(1, 6)).shape[0] == 1


@pytest.mark.parametrize(
    "model",
    [
        lambda: lz.GlobalDescriptor("test_efficientnet", embedding_dim=8),
        lambda: lz.DOLG("test_efficientnet", hidden_dim=8, dilations=(1, 2), embedding_dim=8),
    ],
)
def test_one_image_in_a_model(model):
    model = model()
    with pytest.raises(ValueError, match=WAY_OUT):
        model(torch.randn(1, 3, 64, 64))
    assert model.eval()(torch.randn(1, 3, 64, 64)).shape == (1, 8)


def test_one_image_of_one_position_in_the_local_branch():
    with pytest.raises(ValueError, match=WAY_OUT):
        SpatialAttention(4)(torch.randn(1, 4, 1, 1))
    assert SpatialAttention(4)(torch.randn(1, 4, 2, 1)).shape == (1, 4, 2, 1)


def test_a_batch_norm_over_processes_may_see_one_image_in_each(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        neck = DistributedDataParallel(Neck(6, 4))
        with pytest.raises(ValueError, match=WAY_OUT):
            neck(torch.randn(1, 6))
        synced = nn.SyncBatchNorm.convert_sync_batchnorm(Neck(6, 4))
        check_batch_norm(synced[1], torch.randn(1, 4))  # says nothing: its batch is that of all processes
    finally:
        torch.distributed.destroy_process_group()


def test_compiled_and_exported_without_a_break():
    neck = Neck(6, 4)
    compiled = torch.compile(neck, fullgraph=True, backend="eager")
    for size in (2, 5):
        assert compiled(torch.randn(size, 6)).shape == (size, 4)
    pool = lz.GeM()
    x = torch.rand(2, 4, 5, 5)
    torch.testing.assert_close(torch.compile(pool, fullgraph=True, backend="eager")(x), pool(x))
    batch = torch.export.Dim("batch", min=1, max=64)
    for module, x in ((Neck(6, 4).eval(), torch.randn(2, 6)), (lz.GeM(), torch.rand(2, 4, 5, 5))):
        program = torch.export.export(module, (x,), dynamic_shapes=({0: batch},))
        for size in (1, 3):
            y = x[:1].expand(size, *x.shape[1:])
            torch.testing.assert_close(program.module()(y), module(y))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: Neck(4)(np.ones((2, 4))),
            TypeError,
            r"got ndarray: torch\.as_tensor",
        ),
        (lambda: Neck(4)(torch.ones(2, 4, dtype=torch.int64)), TypeError, r"got torch.int64: x\.float\(\)"),
        (lambda: Neck(4)(MAP), ValueError, r"takes features \(B, 4\), got \(2, 4, 5, 5\)"),
        (lambda: Neck(4)(torch.ones(2, 5)), ValueError, r"takes features \(B, 4\), got \(2, 5\)"),
        (lambda: MultiAtrous(4, 4, (1,))(MAP.numpy()), TypeError, "MultiAtrous takes torch tensors"),
        (lambda: MultiAtrous(4, 4, (1,))(MAP.long()), TypeError, "MultiAtrous takes floating-point"),
        (lambda: MultiAtrous(3, 4, (1,))(MAP), ValueError, r"takes maps \(B, 3, H, W\), got \(2, 4, 5, 5\)"),
        (lambda: MultiAtrous(4, 4, (1,))(MAP[:, :, :0]), ValueError, r"got \(2, 4, 0, 5\)"),
        (lambda: MultiAtrous(4, 4, ()), ValueError, "needs one dilation or more"),
        (lambda: MultiAtrous(4, 4, (1.5,)), ValueError, "each dilation must be a positive integer"),
        (lambda: SpatialAttention(4)(MAP[0]), ValueError, r"takes maps \(B, 4, H, W\), got \(4, 5, 5\)"),
        (lambda: SpatialAttention(4).weights(MAP.bool()), TypeError, "SpatialAttention takes floating-point"),
        (lambda: OrthogonalFusion()(MAP.numpy(), MAP[:, :, 0, 0]), TypeError, "OrthogonalFusion takes torch"),
        (
            lambda: OrthogonalFusion()(MAP, MAP[:, :, 0, 0].long()),
            TypeError,
            "takes floating-point",
        ),
        (lambda: OrthogonalFusion()(MAP[..., :0], MAP[:, :, 0, 0]), ValueError, r"got \(2, 4, 5, 0\)"),
        (lambda: Neck(4, 2.0), ValueError, "embedding_dim must be a positive integer, got 2.0"),
        (lambda: Neck(4, float("nan")), ValueError, "embedding_dim must be a positive integer"),
    ],
)
def test_wrong_inputs(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("power", [-16.6, -1e9, -float("inf"), 0.0, 1e-6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_the_power_stays_positive_whatever_a_step_does(power, dtype):
    layer = lz.GeM().to(dtype)
    maps = torch.rand(2, 4, 5, 5, dtype=dtype) + 0.5
    with torch.no_grad():
        layer.p.fill_(power)
    pooled = layer(maps)
    torch.testing.assert_close(pooled, lz.layers.gem(maps, 0.05))
    assert (pooled >= maps.amin((2, 3))).all()
    assert (pooled <= maps.amax((2, 3))).all()
    pooled.sum().backward()
    assert layer.p.grad.isfinite().all()
    if power > -1e8:
        assert layer.p.grad > 0  # larger pooled values need a larger power: it can come back


def test_a_power_in_its_range_is_used_as_it_is():
    maps = torch.rand(2, 4, 5, 5)
    for power in (0.05, 1.0, 3.0, 60.0):
        assert torch.equal(lz.GeM(p=power)(maps), lz.layers.gem(maps, torch.tensor([power])))
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"finite p >= 0\.05"):
            lz.GeM(p=wrong)
    with pytest.raises(ValueError, match="p > 0"):
        lz.layers.gem(maps, -1.0)
