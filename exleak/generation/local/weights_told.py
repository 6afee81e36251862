"""How many weights of a model are loaded, as transformers tells its progress bars."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from exleak.progress import advance, phase

#: What transformers calls the bar of the weights.
_BAR = "Loading weights"


@contextmanager
def weights_told() -> Iterator[None]:
    """Tell each weight that is loaded within, with versions of transformers that have a hook."""
    from transformers.utils import logging

    set_hook = getattr(logging, "set_tqdm_hook", None)
    if set_hook is None:
        yield
        return

    def hook(factory: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        bar = factory(*args, **kwargs) if before is None else before(factory, args, kwargs)
        return _Told(bar, args[0]) if args and kwargs.get("desc") == _BAR else bar

    before = set_hook(hook)
    try:
        yield
    finally:
        set_hook(before)


class _Told:
    """A progress bar that also tells what it has counted."""

    def __init__(self, bar: Any, weights: Any) -> None:
        self._bar, self._weights = bar, weights

    def __iter__(self) -> Iterator[Any]:
        with phase("loading", "weights", len(self._weights)):
            for weight in self._bar:
                yield weight
                advance()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bar, name)
