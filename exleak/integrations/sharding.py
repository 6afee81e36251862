"""Models whose weights are spread over the processes of a training, and a whole copy of one.

All processes gather the weights; rank 0 puts them into a plain model, which has the class,
configuration and buffers of the one in training.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any, TypeVar

from exleak import resources
from exleak.errors import ModelError, one_line

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from exleak.integrations.ranks import Ranks

Result = TypeVar("Result")

#: Names that wrappers of a part of a model put into the names of its parameters.
_WRAPPERS = ("_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_orig_mod")
#: What :func:`sharded_by` finds, of which the model by itself has no whole weights.
_NOT_GATHERED = ("FSDP around more than the model", "DeepSpeed ZeRO-3")
_INSTEAD = (
    "measure the checkpoints that the training saves: when='save', or exleak watch beside the "
    "training"
)


def sharded_by(model: Any) -> str | None:
    """What spread a model's weights over processes; ``None`` if this process has all of them.

    Found are FSDP, in its first version (a wrapper) and its second, tensor parallelism (both have
    distributed tensors), and DeepSpeed ZeRO-3 (parameters without content of their own). FSDP's
    first version may be around a module that has the model as a part.
    """
    from torch.distributed.tensor import DTensor

    if any(map(_is_wrapper, model.modules())):
        return "FSDP"
    if _tensor_parallel(model):
        return "tensor parallelism"
    for parameter in model.parameters():
        if isinstance(parameter, DTensor):
            return "FSDP2 or tensor parallelism"
        if hasattr(parameter, "_fsdp_flattened"):
            return "FSDP around more than the model"
        if hasattr(parameter, "ds_id"):
            return "DeepSpeed ZeRO-3"
    return None


def check_gathers(model: Any) -> None:
    """Refuse a spread model of which no whole copy can be made. Nothing is gathered.

    Raises:
        ModelError: Its weights are spread by DeepSpeed, or it is no plain model of transformers.
    """
    if sharded_by(model):
        _empty(model)


def on_whole_copy(
    model: Any, all_ranks: Ranks, work: Callable[[PreTrainedModel], Result]
) -> Result:
    """What rank 0 finds in a whole copy of a spread model; the others wait for it.

    The copy is on the device that the model computes on, with weights of the data type that it
    computes in: FSDP's mixed precision casts weights before it uses them. Only rank 0 has one.

    Args:
        model: The model, in the outermost wrapper that spreads it.
        all_ranks: The processes; each has to call this.
        work: What to do with the copy.

    Raises:
        ModelError: There can be no copy, it does not fit into memory, or a rank failed.
        Exception: What the work raised.
    """
    copy = _empty(model)
    # Besides, all are here then: a process that is gone would hold the others in the gathering.
    all_ranks.by_first(lambda: _check_memory(copy, model))
    state: dict[str, Any] = {}
    all_ranks.by_all(lambda: state.update(_weights(model)))
    return all_ranks.by_first(lambda: work(_filled(copy, state, model)))


def _weights(model: Any) -> dict[str, Any]:
    """All weights of a model, in main memory, on rank 0; every rank has to call this."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    # On the CPU, torch's FSDP frees what it has "moved" there. Then all ranks get the weights.
    is_there = sharded_by(model) == "FSDP" and _computing(model)[0].type == "cpu"
    options = StateDictOptions(full_state_dict=True, cpu_offload=not is_there)
    return get_model_state_dict(model, options=options)


def _empty(model: Any) -> PreTrainedModel:
    """A plain model with all of a spread one but its weights.

    Raises:
        ModelError: See :func:`check_gathers`.
    """
    import torch

    by = sharded_by(model)
    inner = _inner(model)
    kind = _plain_class(inner)
    if by in _NOT_GATHERED or kind is None or _is_converted(inner):
        raise _refused(f"the weights of a {type(inner).__name__} are spread by {by}")
    try:
        with torch.device("meta"):
            copy: PreTrainedModel = kind(deepcopy(inner.config))
    except Exception as error:
        raise _refused(f"a {kind.__name__} cannot be made again: {one_line(error)}") from error
    parts = {_plain(name): part for name, part in inner.named_modules()}
    if other := parts.keys() ^ dict(copy.named_modules()).keys():
        raise _refused(f"the {kind.__name__} is not a plain one: {min(other)} differs")
    _computing(model)
    for name, part in copy.named_modules():
        for key, value in [*part._buffers.items(), *vars(part).items()]:
            if isinstance(value, torch.Tensor) and value.is_meta:
                setattr(part, key, getattr(parts[name], key).detach().clone())
    copy.generation_config = deepcopy(inner.generation_config)
    return copy.eval()


def _filled(copy: PreTrainedModel, state: dict[str, Any], model: Any) -> PreTrainedModel:
    """The copy with its weights, on the device that the model computes on.

    Raises:
        ModelError: The weights are not those of its class, or do not fit into the device's memory.
    """
    from exleak.generation.local.memory import is_out_of_memory

    device, dtype = _computing(model)
    _check_same(copy, state)
    try:
        for name, _ in copy.named_parameters(remove_duplicate=False):
            if dtype is not None:
                state[name] = state[name].to(dtype)
        copy.load_state_dict(state, assign=True)
        state.clear()
        copy.tie_weights()
        return copy.requires_grad_(False).to(device)
    except Exception as error:
        if is_out_of_memory(error):
            raise _too_large(copy, f"{device}: {one_line(error)}") from error
        raise


def _check_same(copy: PreTrainedModel, state: dict[str, torch.Tensor]) -> None:
    """Refuse weights that are not those of a model's class.

    Raises:
        ModelError: A name or shape differs.
    """
    needed = {name: one.shape for name, one in copy.state_dict().items()}
    found = {name: one.shape for name, one in state.items()}
    differing = [name for name in needed | found if needed.get(name) != found.get(name)]
    if differing:
        more = f" and {len(differing) - 1} more differ" if differing[1:] else " differs"
        raise _refused(
            f"the weights are not those of a {type(copy).__name__}: {differing[0]}{more}"
        )


def _computing(model: Any) -> tuple[torch.device, torch.dtype | None]:
    """Device and data type that a spread model computes on and in; ``None`` for its weights'.

    Raises:
        ModelError: Its parameters do not say how they are spread.
    """
    import torch
    from torch.distributed.fsdp import FSDPModule
    from torch.distributed.tensor import DTensor

    for part in model.modules():
        if _is_wrapper(part):
            return part.compute_device, part.mixed_precision.param_dtype
    meshes = [one.device_mesh for one in model.parameters() if isinstance(one, DTensor)]
    if not meshes:
        raise _refused(f"{sharded_by(model)} has spread the weights without distributed tensors")
    device = torch.device(meshes[0].device_type)
    for part in model.modules():
        if isinstance(part, FSDPModule):
            return device, part._get_fsdp_state()._mp_policy.param_dtype
    return device, None


def _check_memory(copy: PreTrainedModel, model: Any) -> None:
    """Refuse a copy whose weights, gathered in main memory, do not fit there.

    Raises:
        ModelError: They do not.
    """
    size = next(model.parameters()).element_size()
    needed = size * sum(parameter.numel() for parameter in copy.parameters())
    free = resources.free_memory()
    if free is not None and needed > free:
        raise _too_large(copy, f"{needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free")


def _inner(model: Any) -> Any:
    """The model inside the wrappers around it."""
    while within := [part for name, part in model._modules.items() if name in _WRAPPERS]:
        model = within[0]
    return model


def _plain_class(model: Any) -> Any:
    """A model's class before FSDP2 put its own in front; ``None`` if not of transformers."""
    from torch.distributed.fsdp import FSDPModule
    from transformers import PreTrainedModel

    plain = (
        kind
        for kind in type(model).__mro__
        if issubclass(kind, PreTrainedModel) and not issubclass(kind, FSDPModule)
    )
    return next(plain, None)


def _is_wrapper(part: Any) -> bool:
    """Whether a module is the wrapper of FSDP's first version."""
    return type(part).__name__ == "FullyShardedDataParallel"


def _tensor_parallel(model: Any) -> bool:
    """Whether transformers spread a model; some versions do without distributed tensors."""
    return (getattr(model, "_tp_size", None) or 1) > 1


def _is_converted(model: Any) -> bool:
    """Whether weights in memory are not the plain ones: quantised, or packed before spreading."""
    plan = getattr(model, "_tp_plan", None) or {}
    is_packed = _tensor_parallel(model) and any("packed" in str(how) for how in plan.values())
    return is_packed or getattr(model.config, "quantization_config", None) is not None


def _plain(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _refused(reason: str) -> ModelError:
    return ModelError(
        f"{reason}, so that no process can continue a text by itself, nor can a whole copy be "
        f"made; {_INSTEAD}"
    )


def _too_large(copy: PreTrainedModel, reason: str) -> ModelError:
    return ModelError(
        f"a whole copy of the {type(copy).__name__} does not fit into memory ({reason}); {_INSTEAD}"
    )
