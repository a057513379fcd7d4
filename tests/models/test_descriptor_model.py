"""What all models share: a class is saved as itself; device and dtype; images that are refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import landmarkzoo as lz
from landmarkzoo._utils.registering import arguments_of

BACKBONE = "test_efficientnet"


class Unregistered(lz.GlobalDescriptor):
    def forward_pooled(self, images):
        return 2 * super().forward_pooled(images)


class Scaled(lz.GlobalDescriptor):
    """An argument of its own, all others go to the parent."""

    def __init__(self, backbone, *, factor=2.0, **kwargs):
        super().__init__(backbone, **kwargs)
        self.factor = factor
        self.cfg = replace(self.cfg, args={**self.cfg.args, "factor": factor})

    def forward_pooled(self, images):
        return self.factor * super().forward_pooled(images)


class Forgetful(lz.GlobalDescriptor):
    """Does not write its argument into its cfg."""

    def __init__(self, backbone=BACKBONE, factor=2.0, **kwargs):
        super().__init__(backbone, **kwargs)


class Small(lz.GlobalDescriptor):
    """Has its parent's arguments in its cfg, which it does not take."""

    def __init__(self, embedding_dim=8):
        super().__init__(BACKBONE, embedding_dim=embedding_dim)


def same_output(one, other):
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        return torch.equal(one.eval()(x), other.eval()(x))


def test_an_unregistered_subclass_is_not_saved_as_its_parent(tmp_path):
    model = Unregistered(BACKBONE, embedding_dim=8)
    assert model.cfg.architecture == "Unregistered"
    for save in (model.save_pretrained, lambda folder: model.push_to_hub("org/repo")):
        with pytest.raises(TypeError, match=r"call lz\.register_architecture\(Unregistered\) after the def"):
            save(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    lz.register_architecture(Unregistered)
    model.save_pretrained(tmp_path / "model")
    loaded = lz.create_model(tmp_path / "model")
    assert type(loaded) is Unregistered
    assert loaded.cfg == model.cfg
    assert same_output(loaded, model)


def test_a_subclass_with_an_argument_of_its_own(tmp_path):
    assert lz.register_architecture(Scaled) is Scaled
    model = Scaled(BACKBONE, factor=5.0, embedding_dim=8, neck="fc-bn")
    model.save_pretrained(tmp_path)
    loaded = lz.create_model(tmp_path)
    assert loaded.factor == 5.0
    assert same_output(loaded, model)
    lz.register_model("scaled", model.cfg)
    other = lz.create_model("scaled", factor=1.0, pool="avg")
    assert (other.factor, other.pool, other.cfg.name) == (1.0, "avg", "scaled")
    assert arguments_of(Scaled)[:3] == ["backbone", "factor", "pool"]
    with pytest.raises(ValueError, match=r"Scaled has no argument 'faktor'\. Did you mean factor"):
        lz.create_model("scaled", faktor=1.0)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            Forgetful,
            r"lacks factor, which Forgetful takes: .*args=\{'backbone': backbone, "
            r"'factor': factor, \*\*kwargs\}",
        ),
        (
            Small,
            r"has backbone, .*, which Small does not take: .*args=\{'embedding_dim': embedding_dim\}",
        ),
    ],
)
def test_arguments_that_are_not_in_the_cfg_are_noticed_before_anything_is_written(kind, message, tmp_path):
    lz.register_architecture(kind)
    with pytest.raises(ValueError, match=message):
        kind().save_pretrained(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_cfg_of_another_class_is_noticed(tmp_path):
    model = lz.GlobalDescriptor(BACKBONE)
    model.cfg = replace(model.cfg, architecture="DOLG")
    with pytest.raises(ValueError, match=r"cfg\.architecture is 'DOLG', but the model is a GlobalDescriptor"):
        model.save_pretrained(tmp_path)


def test_a_class_defined_again_takes_the_place_of_the_first(tmp_path):
    def define(power):
        class Powered(lz.GlobalDescriptor):
            def forward_pooled(self, images):
                return super().forward_pooled(images) ** power

        return lz.register_architecture(Powered)

    first, second = define(1), define(2)
    model = first(BACKBONE, neck="none")  # trained before the cell was run again
    with pytest.raises(TypeError, match="Powered was defined again after this object was made"):
        model.save_pretrained(tmp_path)
    model.__class__ = second
    model.save_pretrained(tmp_path)
    assert type(lz.create_model(tmp_path)) is second


def test_names_of_architectures_are_taken_once():
    class DOLG(lz.GlobalDescriptor):
        pass

    with pytest.raises(ValueError, match=r"'DOLG' already, landmarkzoo\.models\.dolg\.DOLG: give the class"):
        lz.register_architecture(DOLG)
    with pytest.raises(TypeError, match="DOLG is not registered, so a saved DOLG could not be loaded"):
        DOLG(BACKBONE).check_saveable()


def test_what_is_not_an_architecture():
    class HalfDone(lz.models.DescriptorModel):
        def forward_features(self, images):
            return images

    with pytest.raises(TypeError, match="HalfDone must define forward_pooled before it is registered"):
        lz.register_architecture(HalfDone)
    for wrong in (nn.Linear, "DOLG", lz.GlobalDescriptor(BACKBONE)):
        with pytest.raises(TypeError, match=r"takes a class, a subclass of lz\.models\.DescriptorModel"):
            lz.register_architecture(wrong)


def test_device_and_dtype():
    model = lz.create_model("efficientnet_lite0_gem", embedding_dim=8, dtype=torch.bfloat16)
    assert (model.device, model.dtype) == (torch.device("cpu"), torch.bfloat16)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert model.eval()(torch.zeros(1, 3, 64, 64, dtype=model.dtype)).dtype == torch.bfloat16
    assert model.to("meta", torch.float64).device == torch.device("meta")
    assert model.dtype == torch.float64


def test_device_and_dtype_of_a_model_without_parameters():
    class Corner(nn.Module):
        num_features = 3

        def forward(self, images):
            return images[:, :, :2, :2]

    model = lz.GlobalDescriptor(Corner(), pool="avg", neck="none")
    assert (model.device, model.dtype) == (torch.device("cpu"), torch.float32)


@pytest.mark.parametrize(
    ("images", "got"),
    [
        (np.zeros((1, 3, 64, 64), np.float32), "ndarray"),
        (Image.new("RGB", (64, 64)), "Image"),
        (None, "NoneType"),
    ],
)
@pytest.mark.parametrize("name", ["efficientnet_lite0_gem", "dolg_efficientnet_lite0"])
def test_images_that_are_not_a_tensor(name, images, got):
    model = lz.create_model(name)
    with pytest.raises(
        TypeError, match=rf"a tensor \(B, 3, H, W\) of normalised images, got {got}: lz\.embed"
    ):
        model(images)


class Averaged(lz.GlobalDescriptor):
    """Sets an argument of its parent, which its cfg then has too."""

    def __init__(self, backbone=BACKBONE, **kwargs):
        super().__init__(backbone, pool="avg", **kwargs)


class FixedBackbone(lz.GlobalDescriptor):
    def __init__(self, **kwargs):
        super().__init__(BACKBONE, **kwargs)


class WellAveraged(lz.GlobalDescriptor):
    """Written as the error says."""

    def __init__(self, backbone=BACKBONE, **kwargs):
        super().__init__(backbone, pool="avg", **kwargs)
        self.cfg = replace(self.cfg, args={"backbone": backbone, **kwargs})


@pytest.mark.parametrize(
    ("kind", "argument", "line"),
    [
        (Averaged, "keyword argument 'pool'", r"args=\{'backbone': backbone, \*\*kwargs\}"),
        (FixedBackbone, "argument 'backbone'", r"args=\{\*\*kwargs\}"),
    ],
)
def test_a_class_that_cannot_be_built_from_its_cfg_is_not_saved(kind, argument, line, tmp_path):
    lz.register_architecture(kind)
    model = kind(embedding_dim=8)
    with pytest.raises(ValueError, match=f"got multiple values for {argument}.* {line}"):
        model.save_pretrained(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    with pytest.raises(
        ValueError, match=rf"'mine' cannot be registered, as .*multiple values for {argument}"
    ):
        lz.register_model("mine", model.cfg)
    assert not lz.is_model("mine")


def test_the_line_of_the_error_is_right(tmp_path):
    lz.register_architecture(WellAveraged)
    model = WellAveraged(embedding_dim=8, neck="fc-bn")
    model.save_pretrained(tmp_path)
    assert same_output(lz.create_model(tmp_path), model)
    with pytest.raises(ValueError, match=r"has pretrained_backbone, .*let WellAveraged\.__init__ name it"):
        WellAveraged(pretrained_backbone=False).check_saveable()


def test_a_model_that_was_changed_after_it_was_built_is_not_saved(tmp_path):
    model = lz.GlobalDescriptor(BACKBONE, embedding_dim=8)
    model.neck = lz.layers.Neck(model.neck[0].in_features, 8, "fc-bn")
    with pytest.raises(ValueError, match=r"neck\.2\.weight is missing\. Was the model changed"):
        model.save_pretrained(tmp_path / "model")


def test_the_check_draws_no_random_numbers_and_takes_classes_that_compute(tmp_path):
    @lz.register_architecture
    class Computing(lz.GlobalDescriptor):
        """Reads a value while it is built, which the meta device cannot give."""

        def __init__(self, embedding_dim=8):
            super().__init__(BACKBONE, embedding_dim=embedding_dim)
            self.largest = max(p.abs().max().item() for p in self.parameters())
            self.cfg = replace(self.cfg, args={"embedding_dim": embedding_dim})

    for model in (Computing(), lz.GlobalDescriptor(BACKBONE)):
        state = torch.get_rng_state()
        model.check_saveable()
        assert torch.equal(torch.get_rng_state(), state)


def test_a_cfg_with_another_embedding_dim_is_noticed(tmp_path):
    @lz.register_architecture
    class Plain(lz.models.DescriptorModel):
        def __init__(self, embedding_dim=64):
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 8, 8)
            self.neck = lz.layers.Neck(4, embedding_dim, "fc-bn")
            self.cfg = lz.ModelCfg("Plain", {"embedding_dim": embedding_dim})

        def forward_features(self, images):
            return self.stem(images)

        def forward_pooled(self, images):
            return self.forward_features(images).mean((2, 3))

    model = Plain()
    for head in (None, lz.losses.CosFace(64, 3)):
        with pytest.raises(
            ValueError, match=r"embedding_dim is 512, but this Plain gives descriptors of size 64"
        ):
            model.save_pretrained(tmp_path / "model", head)
    # Images are checked for a class that does not ask for it.
    with pytest.raises(TypeError, match=r"got ndarray: lz\.embed"):
        model(np.zeros((1, 3, 64, 64)))
    model.cfg = replace(model.cfg, embedding_dim=64)
    # A class that knows nothing of normalize_pooled can be whitened, saved and loaded.
    whitened = lz.whiten_neck(model, torch.randn(12, 3, 64, 64), progress=False)
    assert whitened.cfg.args == {"embedding_dim": 64, "normalize_pooled": True}
    whitened.save_pretrained(tmp_path, lz.losses.CosFace(64, 3))
    loaded = lz.create_model(tmp_path)
    assert loaded.neck.normalize_input
    assert loaded.cfg == whitened.cfg
    assert same_output(loaded, whitened)
    lz.register_model("plain_whitened", whitened.cfg)
    assert lz.create_model("plain_whitened").neck.normalize_input
    assert not lz.create_model("plain_whitened", normalize_pooled=False).neck.normalize_input


def test_whitening_checks_images_and_subclasses_can_be_whitened(tmp_path):
    @lz.register_architecture
    class SizeOnly(lz.GlobalDescriptor):
        def __init__(self, embedding_dim=8):
            super().__init__(BACKBONE, pool="avg", embedding_dim=embedding_dim)
            self.cfg = replace(self.cfg, args={"embedding_dim": embedding_dim})

        def forward_features(self, images):
            return self.backbone.forward_features(images)

    with pytest.raises(ValueError, match="this backbone needs at least"):
        lz.whiten_neck(SizeOnly(), torch.randn(4, 3, 8, 8), progress=False)
    model = lz.whiten_neck(SizeOnly(), torch.randn(12, 3, 64, 64), progress=False)
    model.save_pretrained(tmp_path)
    assert same_output(lz.create_model(tmp_path), model)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1: 2}, r"the argument value of this Holding is \{1: 2\}, which would come back as \{'1': 2\}"),
        (torch.float16, r"the argument value .* torch\.float16 \(Object of type dtype is not JSON"),
        (torch.ones(2), r"the argument value .* \(Object of type Tensor is not JSON"),
    ],
)
def test_arguments_that_a_file_cannot_hold(value, message, tmp_path):
    @lz.register_architecture
    class Holding(lz.GlobalDescriptor):
        def __init__(self, value):
            super().__init__(BACKBONE, embedding_dim=8)
            self.cfg = replace(self.cfg, args={"value": value})

    with pytest.raises(TypeError, match=message):
        Holding(value).save_pretrained(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    Holding({"a": (1, None), "b": float("nan")}).save_pretrained(tmp_path / "model")


def test_tied_weights_are_saved_and_stay_tied(tmp_path):
    class Tied(nn.Module):
        num_features = 4

        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 4, 8, 8)
            self.first, self.second = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
            self.second.weight = self.first.weight

        def forward(self, images):
            return self.second(self.first(self.stem(images)))

    @lz.register_architecture
    class TiedModel(lz.GlobalDescriptor):
        def __init__(self, embedding_dim=8):
            super().__init__(Tied(), pool="avg", embedding_dim=embedding_dim)
            self.cfg = replace(self.cfg, args={"embedding_dim": embedding_dim})

    model = TiedModel()
    model.save_pretrained(tmp_path)
    loaded = lz.create_model(tmp_path)
    assert loaded.backbone.first.weight is loaded.backbone.second.weight
    assert same_output(loaded, model)
