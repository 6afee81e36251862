"""Models whose weights are spread over the processes of a training."""

from __future__ import annotations

from typing import Any

from exleak.errors import ModelError


def sharded_by(model: Any) -> str | None:
    """What spread a model's weights over processes; ``None`` if this process has all of them.

    Found are FSDP, in its first version (a wrapper) and its second, tensor parallelism (both have
    distributed tensors), and DeepSpeed ZeRO-3 (parameters without content of their own).
    """
    from torch.distributed.tensor import DTensor

    if any(type(part).__name__ == "FullyShardedDataParallel" for part in model.modules()):
        return "FSDP"
    for parameter in model.parameters():
        if isinstance(parameter, DTensor):
            return "FSDP2 or tensor parallelism"
        if hasattr(parameter, "ds_id"):
            return "DeepSpeed ZeRO-3"
    return None


def check_whole(model: Any) -> None:
    """Refuse a model of which this process has only a part.

    Raises:
        ModelError: The weights are spread over processes.
    """
    if by := sharded_by(model):
        raise ModelError(
            f"the weights are spread over processes by {by}, so that no process can continue a "
            "text by itself; measure the checkpoints that the training saves: when='save', or "
            "exleak watch beside the training"
        )
