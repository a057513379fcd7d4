import re

import timm
import torch

from landmarkzoo.hub.convert.layout import Layout
from landmarkzoo.hub.convert.pycls_names import pycls_resnet_prefixes, rgb_input, sequential_resnet_prefixes


def layout(prefixes):
    return Layout("x", "GlobalDescriptor", "y", prefixes, lambda tensors, registered, given: (given, ""))


def pycls_name(name):
    """The name in pycls for one in timm, by hand."""
    name = re.sub(r"^layer(\d)\.(\d+)\.", lambda m: f"s{m[1]}.b{int(m[2]) + 1}.", name)
    name = re.sub(r"\.downsample\.0\.", ".proj.", name)
    name = re.sub(r"\.downsample\.1\.", ".bn.", name)
    name = re.sub(
        r"\.(conv|bn)([123])\.", lambda m: f".f.{'abc'[int(m[2]) - 1]}{'_bn' * (m[1] == 'bn')}.", name
    )
    return re.sub(r"^(conv|bn)1\.", r"stem.\1.", name)


def test_all_names_of_the_deepest_resnet_there_and_back():
    with torch.device("meta"):
        ours = [name for name in timm.create_model("resnet152").state_dict() if not name.startswith("fc.")]
    assert len(ours) == 930
    known = layout(pycls_resnet_prefixes("encoder_q.", "backbone."))
    for name in ours:
        theirs = f"encoder_q.{pycls_name(name)}"
        assert known.our_name(theirs) == f"backbone.{name}"
        assert known.their_name(f"backbone.{name}") == theirs
    assert pycls_name("layer3.35.bn2.weight") == "s3.b36.f.b_bn.weight"
    assert known.our_name("encoder_q.s3.b37.f.a.weight") is None


def test_the_children_of_a_resnet_as_a_sequential():
    model = timm.create_model("resnet18")
    children = torch.nn.Sequential(*list(model.children())[:-2])
    known = layout(sequential_resnet_prefixes("features.", "backbone."))
    expected = model.state_dict()
    renamed = {known.our_name(f"features.{name}"): t for name, t in children.state_dict().items()}
    assert renamed.keys() == {f"backbone.{name}" for name in expected if not name.startswith("fc.")}
    assert all(torch.equal(t, expected[name.removeprefix("backbone.")]) for name, t in renamed.items())


def test_colours_are_turned_round():
    weight, other = torch.randn(4, 3, 7, 7), torch.randn(4)
    flipped = rgb_input({"conv": weight, "bn": other}, "conv")
    images = torch.randn(1, 3, 16, 16)
    expected = torch.nn.functional.conv2d(images.flip(1), weight)
    torch.testing.assert_close(torch.nn.functional.conv2d(images, flipped["conv"]), expected)
    assert flipped["bn"] is other
    gray = {"conv": torch.randn(4, 1, 7, 7)}  # fits no model, which the loading says
    assert rgb_input(gray, "conv") == gray
    assert rgb_input({}, "conv") == {}
