"""What is checked of a head whose cosines are wanted for all classes."""

from __future__ import annotations

from landmarkzoo.losses.base_head import Head


def check_whole_head(head: object, call: str) -> None:
    """Check that a head can compare embeddings with all of its classes.

    Args:
        head: What the user gave.
        call: How it is to be given, such as ``"lz.classify(model, head, photos)"``.

    Raises:
        TypeError: If it is no head.
        ValueError: If it has no centers, or this process has some of the classes only.

    Examples:
        >>> from landmarkzoo.losses.whole_head import check_whole_head
        >>> check_whole_head(lz.losses.CosFace(8, 3), "lz.classify(model, head, photos)")
    """
    if not isinstance(head, Head):
        pair = "; lz.load_head gives two things: head, class_names = lz.load_head(name)"
        raise TypeError(
            f"{call} needs a lz.losses.Head, such as SubCenterArcFaceDynamic, got "
            f"{type(head).__name__}{pair if isinstance(head, tuple) else ''}"
        )
    if head.weight.is_meta:
        raise ValueError("the head is on the meta device, so it has no centers: load it, lz.load_head(name)")
    if len(head.shard) < head.num_classes:
        raise ValueError(
            f"this process has {len(head.shard)} of the {head.num_classes} classes of the head: load all of "
            "them, lz.load_head(name) without process_group"
        )
