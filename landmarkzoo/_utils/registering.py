"""Classes that a file names: which of two is meant, and which arguments build one again."""

from __future__ import annotations

import inspect


def is_same_class(one: type, other: type) -> bool:
    """Whether two classes are one, or one that was defined again, as when a notebook's cell runs again.

    Examples:
        >>> is_same_class(lz.GeM, lz.GeM), is_same_class(lz.GeM, lz.DOLG)
        (True, False)
    """
    return (one.__module__, one.__qualname__) == (other.__module__, other.__qualname__)


def check_registered(kind: type, registered: type | None, register: str) -> None:
    """Raise unless a class is the one that is registered under its name, so that a file can name it.

    Args:
        kind: The class.
        registered: What is registered under its name; ``None`` for nothing.
        register: How it is registered, for the message.

    Raises:
        TypeError: If another class is registered, or none.
    """
    name = kind.__name__
    if registered is not None and registered is not kind and is_same_class(registered, kind):
        raise TypeError(
            f"the class {name} was defined again after this object was made, so a saved copy could come back "
            f"as another {name}: make it anew from the class as it is now, or, if both do the same, set its "
            f"__class__ = {name}"
        )
    if registered is not kind:
        raise TypeError(f"{name} is not registered, so a saved {name} could not be loaded: {register}")


def arguments_of(kind: type) -> list[str]:
    """Names of the arguments that a class takes, with those that its ``**kwargs`` pass on to its parents.

    Examples:
        >>> class SoftCosFace(lz.losses.CosFace):
        ...     def __init__(self, *args, temperature=1.0, **kwargs):
        ...         super().__init__(*args, **kwargs)
        >>> arguments_of(SoftCosFace)[:3]
        ['temperature', 'embedding_dim', 'num_classes']
    """
    names: dict[str, None] = {}
    for parent in kind.__mro__:
        if "__init__" in vars(parent):
            own, passes_on = own_arguments(parent)
            names |= dict.fromkeys(own)
            if passes_on is None:
                break
    return list(names)


def own_arguments(kind: type) -> tuple[list[str], str | None]:
    """Arguments that the ``__init__`` of a class names, and its ``**kwargs`` for its parents, if any.

    Examples:
        >>> own_arguments(lz.GeM)
        (['p', 'eps', 'trainable'], None)
    """
    parameters = list(inspect.signature(vars(kind)["__init__"]).parameters.values())[1:]  # without self
    named = [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return named, next((p.name for p in parameters if p.kind is p.VAR_KEYWORD), None)
