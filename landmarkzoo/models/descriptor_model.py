"""What all models share: photos in, one descriptor each out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import timm
from torch import Tensor, nn

from landmarkzoo.layers import Neck
from landmarkzoo.losses import SubCenterArcFaceDynamic, save_head
from landmarkzoo.losses.head_files import CLASSES_FILE, HEAD_FILE
from landmarkzoo.models.backbones import ImageSizeRule
from landmarkzoo.models.model_cfg import IMAGENET_MEAN, IMAGENET_STD, ModelCfg, Score
from landmarkzoo.models.model_files import write_model
from landmarkzoo.models.timm_parts import set_part_checkpointing

if TYPE_CHECKING:
    from typing_extensions import Self


class DescriptorModel(nn.Module, ABC):
    """Base of the architectures: maps -> pooled features -> neck -> descriptor.

    A subclass defines :meth:`forward_features` and :meth:`forward_pooled` and sets the attributes.

    Attributes:
        cfg: The model as data.
        neck: From pooled features to descriptor.
        size_rule: Image sizes that the model takes.
        timm_parts: Names of the parts that are timm's, from the output to the input; the arguments that name
            their timm models are called the same.
        frozen_modules: Names of the modules that ``freeze`` keeps in eval mode.
    """

    timm_parts: ClassVar[tuple[str, ...]] = ("backbone",)
    cfg: ModelCfg
    neck: Neck
    size_rule: ImageSizeRule
    frozen_modules: frozenset[str] = frozenset()

    @property
    def embedding_dim(self) -> int:
        """Size of the descriptor."""
        return self.neck.out_features

    @abstractmethod
    def forward_features(self, images: Tensor) -> Any:
        """Maps before pooling and neck; each architecture says which."""

    @abstractmethod
    def forward_pooled(self, images: Tensor) -> Tensor:
        """Pooled features before the neck: (B, 3, H, W) -> (B, neck input)."""

    def forward(self, images: Tensor) -> Tensor:
        """Descriptors, not normalised: (B, 3, H, W) -> (B, embedding_dim).

        Raises:
            TypeError: If the images are not floating point.
            ValueError: If their shape or size does not fit.
        """
        descriptors: Tensor = self.neck(self.forward_pooled(images))
        return descriptors

    def train(self, mode: bool = True) -> Self:
        """Set training mode, but for what is frozen: its batch-norm statistics must not move."""
        super().train(mode)
        for name, module in self.named_modules():
            if name in self.frozen_modules:
                module.training = False
        return self

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Compute the blocks of the timm parts again in the backward pass, instead of keeping what they gave.

        Less memory for more time; gradients stay the same. Batch norms inside these blocks see each batch
        twice, so their running statistics follow it a little faster.

        Raises:
            ValueError: If the timm model of a part cannot.
        """
        for part in self.timm_parts:
            set_part_checkpointing(getattr(self, part), enable)

    def save_pretrained(
        self,
        folder: str | Path,
        head: SubCenterArcFaceDynamic | None = None,
        class_names: Sequence[str] | None = None,
    ) -> None:
        """Write ``config.json`` and ``model.safetensors``, and for a head ``head.safetensors``.

        Each file is written whole or not at all; the head of an earlier model in that folder is removed. If
        the classes of the head are spread over processes, all of them must call this; the first one writes.

        Args:
            folder: Where to; made if it is not there.
            head: The head that the model was trained with.
            class_names: Name of each class of the head, for ``classes.json``.

        Raises:
            OSError: If the folder cannot be made or written.
            TypeError: If the head is none.
            ValueError: If head, names and model do not fit each other.
        """
        folder = Path(folder)
        if head is None:
            if class_names is not None:
                raise ValueError("class_names are those of a head: give head=... as well")
            folder.mkdir(parents=True, exist_ok=True)
            write_model(self, self.cfg, folder)
            for stale in (HEAD_FILE, CLASSES_FILE):
                (folder / stale).unlink(missing_ok=True)
            return
        if isinstance(head, SubCenterArcFaceDynamic) and head.embedding_dim != self.embedding_dim:
            raise ValueError(
                f"the model gives vectors of size {self.embedding_dim}, the head takes {head.embedding_dim}"
            )
        save_head(head, folder, class_names)
        if head.ranks.rank == 0:
            write_model(self, self.cfg, folder)

    def push_to_hub(
        self,
        repo_id: str,
        head: SubCenterArcFaceDynamic | None = None,
        class_names: Sequence[str] | None = None,
        *,
        private: bool | None = None,
        token: str | bool | None = None,
        revision: str | None = None,
        commit_message: str | None = None,
        create_pr: bool = False,
        scores: Iterable[Score] | None = None,
        training_data: str | None = None,
        license: str | None = None,
        card: bool = True,
    ) -> str:
        """Push what :meth:`save_pretrained` writes, and a model card, to the Hugging Face Hub as one commit.

        The repository is made if it is not there; the head of an earlier model in it is removed. Of scores,
        training data and licence it says what ``cfg`` or the arguments say, and nothing else.

        Args:
            repo_id: ``"org/repo"``.
            head: The head that the model was trained with.
            class_names: Name of each class of the head.
            private: Whether a new repository is private; ``None``: as its owner has set it.
            token: Access token that may write; ``None``: that of ``hf auth login`` or ``HF_TOKEN``.
            revision: Branch to push to, made if it is not there; ``None``: ``main``.
            commit_message: First line of the commit.
            create_pr: Open a pull request instead.
            scores: What these weights reach, instead of ``cfg.scores``.
            training_data: What they were trained on, instead of ``cfg.training_data``.
            license: Their licence, instead of ``cfg.license``.
            card: ``False`` leaves the ``README.md`` of the repository as it is.

        Returns:
            Address of the commit, or of the pull request. With a head that is spread over processes the first
            one pushes, and the others get ``""``.

        Raises:
            OSError: ``ConnectionError`` if the Hub does not answer, ``PermissionError`` if the token may not
                write there, ``FileNotFoundError`` if there is no such repository and it cannot be made.
            TypeError: If head or scores are none.
            ValueError: If head, names and model do not fit each other, or the name is none.
        """
        # Models know nothing of the Hub, and `weights` imports them: so it is imported when it is needed.
        from landmarkzoo.weights.hub_options import Target
        from landmarkzoo.weights.publishing import publish

        target = Target(repo_id, revision, token, private, create_pr, commit_message)
        stated = {"scores": scores, "training_data": training_data, "license": license}
        return publish(self, target, head, class_names, stated, card=card)

    def check_images(self, images: Tensor) -> None:
        """Raise with the fix in the message if ``images`` are not a batch that the model takes."""
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(
                f"a model takes a batch of RGB images (B, 3, H, W), got {tuple(images.shape)}; "
                "one image is images[None]"
            )
        if not images.is_floating_point():
            raise TypeError(
                f"a model takes normalised floating point images, got {images.dtype}: apply "
                "lz.create_transform(model), or let lz.embed do it"
            )
        self.size_rule.check(images)


def cfg_by_hand(
    architecture: str,
    args: Mapping[str, Any],
    embedding_dim: int,
    *,
    backbone: str,
    image_size: tuple[int, int] | None = None,
) -> ModelCfg:
    """Cfg of a model that was built without the registry: its input is that of a timm backbone."""
    cfg = timm.get_pretrained_cfg(backbone)
    return ModelCfg(
        architecture=architecture,
        args=args,
        input_size=(3, *image_size) if image_size else cfg.input_size if cfg else (3, 224, 224),
        mean=cfg.mean if cfg else IMAGENET_MEAN,  # type: ignore[arg-type]
        std=cfg.std if cfg else IMAGENET_STD,  # type: ignore[arg-type]
        embedding_dim=embedding_dim,
    )
