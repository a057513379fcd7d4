import time
import types
import weakref
from collections import deque, namedtuple
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch
from torch import nn

import landmarkzoo as lz
from landmarkzoo.embedding.eval_copies import eval_copy
from landmarkzoo.embedding.inference import inference_with

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")

Pair = namedtuple("Pair", "name module")


class Knotty(nn.Module):
    """Holds its parts in every way that Python has."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
        self.tied = nn.Conv2d(3, 4, 3)
        self.tied.weight = self.first[0].weight
        self.listed = [self.first[1], {"drop": (self.first[2], 1)}]
        self.pair = Pair("norm", self.first[1])
        self.bound = self.first[2].forward
        object.__setattr__(self, "hidden", self.first)
        object.__setattr__(self.first, "parent", self)  # a circle
        self.teacher = [nn.Dropout(0.5)]  # not a part of the model: eval() does not reach it either
        self.rnn = nn.GRU(4, 5, batch_first=True)
        self.seen = []

    def forward(self, images):
        x = self.hidden[0](images) + self.tied(images)
        x = self.listed[1]["drop"][0](self.pair.module(x))
        x = self.bound(x)
        self.seen.append(len(x))
        return self.rnn(x.flatten(2).mT)[0][:, -1]


def test_every_way_of_holding_a_module_leads_to_its_copy():
    model = Knotty()
    twin = eval_copy(model)
    images = torch.randn(3, 3, 8, 8)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    ours = twin(images)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.training
    assert all(module.training for module in model.modules())
    torch.testing.assert_close(ours, model.eval()(images), rtol=0, atol=0)
    assert twin.pair.module is twin.listed[0] is twin.first[1] is twin.hidden[1]
    assert twin.first.parent is twin
    assert twin.teacher[0] is model.teacher[0]
    assert len(model.seen) == 1  # of the last line but three: the copy has its own list


def test_weights_are_shared_and_what_a_copy_sets_stays_in_it():
    model = Knotty()
    twin = eval_copy(model)
    assert [p.data_ptr() for p in twin.parameters()] == [p.data_ptr() for p in model.parameters()]
    twin.first[1].running_mean = torch.ones(4)
    twin.register_buffer("more", torch.ones(1))
    twin.first.append(nn.Identity())
    assert not model.first[1].running_mean.any()
    assert "more" not in dict(model.named_buffers())
    assert len(model.first) == 3


@pytest.mark.parametrize("change", [{"dtype": torch.float64}, {"device": torch.device("meta")}])
def test_a_copy_of_another_type_or_place_has_its_own_weights(change):
    model = Knotty()
    before = [(p, p.data_ptr(), p.dtype, p.device) for p in model.parameters()]
    twin = eval_copy(model, **change)
    for tensor in (*twin.parameters(), *twin.buffers()):
        assert tensor.device.type == "meta" or tensor.dtype in (torch.float64, torch.int64)
    for (p, *rest), q in zip(before, model.parameters()):
        assert p is q
        assert [q.data_ptr(), q.dtype, q.device] == rest
    images = torch.randn(2, 3, 8, 8)
    if "dtype" in change:
        assert twin.tied.weight is twin.first[0].weight
        torch.testing.assert_close(twin(images.double()).float(), model.eval()(images))


class Scaled(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, images):
        return self.inner(images).mean((2, 3))


def doubled(module, images):
    return 2 * nn.Conv2d.forward(module, images)


def with_method():
    model = Scaled(nn.Conv2d(3, 4, 3))
    model.inner.forward = types.MethodType(doubled, model.inner)
    return model


def with_lambda():
    model = Scaled(nn.Conv2d(3, 4, 3))
    inner = model.inner
    inner.forward = lambda images: 2 * nn.Conv2d.forward(inner, images)
    return model


def with_partial():
    model = Scaled(nn.Conv2d(3, 4, 3))
    model.scale = partial(doubled, model.inner)
    return model


def with_hook():
    model = Scaled(nn.Conv2d(3, 4, 3))
    model.inner.register_forward_hook(lambda _, __, out: out * model.inner.bias.sum())
    return model


def with_script():
    return Scaled(torch.jit.trace(nn.Conv2d(3, 4, 3), torch.zeros(1, 3, 8, 8)))


def test_a_method_set_from_outside_is_bound_to_the_copy():
    model, images = with_method(), torch.randn(1, 3, 8, 8)
    twin = eval_copy(model)
    assert twin.inner.forward.__self__ is twin.inner
    torch.testing.assert_close(twin(images), model(images))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (with_lambda, "forward of inner is a function or an object that holds modules"),
        (with_partial, "scale of the model is a function or an object that holds modules"),
        (with_hook, "_forward_hooks of inner is a function or an object that holds modules"),
        (with_script, "is compiled by TorchScript"),
    ],
)
def test_what_cannot_be_copied_runs_in_eval_mode_only(make, reason):
    images = torch.randn(3, 3, 8, 8)
    model = make()
    with pytest.raises(ValueError, match=rf"{reason}\. Call model\.eval\(\) first"):
        lz.embed(model, images, progress=False)
    assert model.training
    d = lz.embed(model.eval(), images, progress=False)
    expected = nn.functional.normalize(model(images)).detach()
    torch.testing.assert_close(torch.from_numpy(d.vectors), expected)
    with pytest.raises(ValueError, match=r"Call model\.to\(torch\.float32\) first"):
        lz.embed(make().eval().double(), images.double(), precision="bfloat16", progress=False)


def test_a_function_set_from_outside_is_not_copied():
    model = Scaled(nn.Conv2d(3, 4, 3))
    model.inner.forward = torch.nn.functional.relu
    with pytest.raises(ValueError, match="forward of inner was set from outside of its class"):
        eval_copy(model)


def test_a_whole_script_module():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images = torch.randn(3, 3, 8, 8)
    script = torch.jit.trace(model.eval(), images)
    d = lz.embed(script.eval(), images, progress=False)
    torch.testing.assert_close(d.vectors, lz.embed(model, images, progress=False).vectors)
    with pytest.raises(ValueError, match="compiled by TorchScript"):
        lz.embed(script.train(), images, progress=False)


def test_hooks_are_called_by_one_thread_at_a_time():
    """A model that collects what its hooks see, as timm's FeatureHookNet does."""

    class Collecting(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
            found = self.found = {}
            self.body[0].register_forward_hook(lambda _, __, out: found.update(map=out))

        def forward(self, images):
            self.body(images)
            return self.found.pop("map").mean((2, 3))

    model = Collecting()
    images = list(torch.randn(64, 1, 3, 8, 8))
    expected = [lz.embed(model, image, progress=False).vectors for image in images]
    with ThreadPoolExecutor(8) as pool:
        ours = list(pool.map(lambda image: lz.embed(model, image, progress=False).vectors, images))
    torch.testing.assert_close(ours, expected, rtol=0, atol=0)


class KeepsBiases(nn.Module):
    """Computes something of its weights once, as LeViT and TinyViT of timm do with their attention biases."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.cache = {}
        self.caches = [self.cache, {}]

    def forward(self, images):
        if self.training:
            return self.linear(images.mean(dim=3)[:, 0])
        cache = self.caches[1]
        if "weight" not in cache:
            cache["weight"] = self.linear.weight * 1
            self.cache["bias"] = self.linear.bias * 1  # the same dictionary as the first of the list
        return nn.functional.linear(images.mean(dim=3)[:, 0], cache["weight"], self.caches[0]["bias"])


@pytest.mark.parametrize("training", [False, True])
def test_what_a_model_keeps_of_its_weights_never_outlives_them(training):
    model = KeepsBiases().train(training)
    images = torch.rand(2, 3, 4, 4)
    lz.embed(model, images, progress=False)
    with torch.no_grad():
        model.linear.weight.neg_()
    after = lz.embed(model, images, progress=False)
    assert model.cache == {}
    expected = nn.functional.normalize(KeepsBiases.forward(model.train(), images))
    torch.testing.assert_close(torch.from_numpy(after.vectors), expected.detach())


class Holder:
    def __init__(self, module):
        self.module = module


class ByWeakReference(nn.Module):
    def __init__(self, parent):
        super().__init__()
        self.parent = weakref.ref(parent)

    def forward(self, x):
        return self.parent().drop(x)


class ByProxy(nn.Module):
    def __init__(self, parent):
        super().__init__()
        object.__setattr__(self, "parent", weakref.proxy(parent))

    def forward(self, x):
        return self.parent.drop(x)


def dropping(hold):
    """A model that finds its dropout in some place, as ``hold`` makes it of the model."""

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop = nn.Dropout(0.5)
            self.place, self.look = hold(self)

        def forward(self, images):
            return self.look(self.place)(images[:, 0].flatten(1))

    return Model()


def nested(model):
    drop = model.drop
    inner = lambda x: drop(x)  # noqa: E731
    return lambda x: inner(x)


@pytest.mark.parametrize(
    ("hold", "mapped"),
    [
        (lambda model: (deque([model.drop]), lambda place: place[0]), True),
        (lambda model: (ByWeakReference(model), lambda place: place), True),
        (lambda model: (ByProxy(model), lambda place: place), True),
        (lambda model: (Holder(model.drop), lambda place: place.module), False),
        (lambda model: (nested(model), lambda place: place), False),
        (lambda model: (lambda x, drop=model.drop: drop(x), lambda place: place), False),
        (lambda model: (partial(Holder.__call__, Holder(model.drop)), lambda place: model.drop), False),
    ],
    ids=[
        "deque",
        "weak reference",
        "proxy",
        "object",
        "nested function",
        "default value",
        "partial with an object",
    ],
)
def test_wherever_a_model_finds_its_parts_these_are_never_in_training_mode(hold, mapped):
    model, images = dropping(hold), torch.rand(2, 3, 4, 4)
    if mapped:
        found = lz.embed(model, images, progress=False).vectors
        assert (found == lz.embed(model.eval(), images, progress=False).vectors).all()
        assert found.all()  # nothing was dropped
    else:
        with pytest.raises(ValueError, match=r"holds modules\. Call model\.eval\(\) first"):
            lz.embed(model, images, progress=False)
        assert lz.embed(model.eval(), images, progress=False).vectors.all()


class ByObject(nn.Module):
    """Hands something from layer to layer in an object."""

    def __init__(self):
        super().__init__()
        self.state = types.SimpleNamespace(seen=None)

    def forward(self, images):
        self.state.seen = images.mean(dim=(2, 3))
        time.sleep(0.001)
        return self.state.seen + 0


def test_a_model_that_keeps_things_in_an_object_runs_in_one_thread_at_a_time():
    model = ByObject().eval()
    photos = [torch.rand(3, 3, 4, 4) for _ in range(4)]
    expected = [lz.embed(model, images, progress=False).vectors for images in photos]

    def repeated(number):
        return [lz.embed(model, photos[number], progress=False).vectors for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        for one, found in zip(expected, pool.map(repeated, range(4))):
            assert all((vectors == one).all() for vectors in found)
    assert not inference_with(lz.create_model("dolg_efficientnet_b0")).one_at_a_time


def test_lazy_layers_say_what_to_do():
    model = nn.Sequential(nn.Flatten(), nn.LazyLinear(4))
    with pytest.raises(ValueError, match=r"lazy layers, whose weights have no shape yet: call it once"):
        lz.embed(model, torch.rand(2, 3, 4, 4), progress=False)
    model(torch.rand(1, 3, 4, 4))
    assert len(lz.embed(model, torch.rand(2, 3, 4, 4), progress=False)) == 2
