"""Devices of a model: one, several with a copy of the model each, or its layers spread over them.

A device setting is a device (``"cuda:1"``), a list of them, separated by commas, with a copy of the
model on each, or ``"auto"``: accelerate spreads the layers over the devices within memory limits.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from exleak import resources
from exleak.errors import ModelError, SettingsError

if TYPE_CHECKING:
    import torch

#: Value of a device setting that spreads a model.
AUTO = "auto"
#: Memory limits of a spread model: device=size texts, or sizes by device.
MaxMemory = str | Mapping[str | int, str | int]
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT])(i?)B", re.IGNORECASE)
_GPU = re.compile(r"(?:cuda:)?(\d+)")
_OFFLOADED = ("cpu", "disk")
#: Share of the free memory that the weights of a spread model may take; rows need the rest.
_WEIGHTS_SHARE = 0.85


def devices(device: str) -> tuple[str, ...]:
    """The devices of a setting, one for each copy of the model.

    >>> devices("cuda:0, cuda:1")
    ('cuda:0', 'cuda:1')

    Raises:
        SettingsError: A list with an empty place, with ``"auto"``, or of several types.
    """
    listed = tuple(part.strip() for part in device.split(","))
    kinds = {part.partition(":")[0] for part in listed}
    if len(kinds) > 1 or (listed != (AUTO,) and kinds & {"", AUTO}):
        raise SettingsError(
            f"device {device!r}: a list names one device for each copy of the model, all of one "
            "type, such as cuda:0,cuda:1; auto stands alone"
        )
    return listed


def check_devices(device: str | None, max_memory: MaxMemory | None) -> None:
    """Check a device setting and its memory limits.

    Raises:
        SettingsError: One of them is malformed, or there are limits without ``"auto"``.
    """
    if device is not None:
        devices(device)
    if max_memory is not None and memory_limits(max_memory) and device != AUTO:
        raise SettingsError(
            "max_memory limits what the layers of a spread model take on each device: it needs "
            f"device 'auto', and the device is {device!r}"
        )


def memory_limits(limits: MaxMemory) -> dict[int | str, int]:
    """Bytes by device: the number of a GPU, or ``"cpu"``.

    >>> memory_limits("0=20GiB, cpu=1.5GB")
    {0: 21474836480, 'cpu': 1500000000}

    Raises:
        SettingsError: A limit is not DEVICE=SIZE, or a device has two.
    """
    if isinstance(limits, str):
        pairs = [part.partition("=")[::2] for part in limits.split(",") if part.strip()]
    else:
        pairs = [(str(device), str(size)) for device, size in limits.items()]
    found: dict[int | str, int] = {}
    for device, size in ((one.strip(), other.strip()) for one, other in pairs):
        gpu, amount = _GPU.fullmatch(device), _SIZE.fullmatch(size)
        where: int | str = int(gpu[1]) if gpu else device
        if amount is None or not (gpu or device == "cpu") or where in found:
            raise SettingsError(
                f"max_memory {device}={size}: give each device one size, as in 0=20GiB,cpu=60GiB; "
                "a device is the number of a GPU, or cpu"
            )
        base = 1024 if amount[3] else 1000
        found[where] = int(float(amount[1]) * base ** (1 + "KMGT".index(amount[2].upper())))
    return found


def check_accelerate() -> None:
    """Refuse to spread a model without accelerate.

    Raises:
        ModelError: It is not installed.
    """
    if find_spec("accelerate") is None:
        raise ModelError(
            "device 'auto' spreads a model with accelerate, which is not installed: "
            "pip install 'exleak[devices]'"
        )


def spreading(max_memory: MaxMemory | None) -> tuple[dict[str, Any], TemporaryDirectory[str]]:
    """Arguments of ``from_pretrained`` that spread a model, and the folder of offloaded weights.

    Args:
        max_memory: Memory limits; by default a share of what each device has free.

    Raises:
        ModelError: accelerate is not installed.
        SettingsError: The limits name a GPU that is not here.
    """
    check_accelerate()
    import torch

    limits = memory_limits(max_memory or {})
    there = torch.cuda.device_count()
    if absent := [number for number in limits if isinstance(number, int) and number >= there]:
        raise SettingsError(f"max_memory: GPU {absent[0]} is not here; there are {there}")
    folder = TemporaryDirectory(prefix="exleak-offload-")
    return {
        "device_map": AUTO,
        "max_memory": limits or _free_memory(there),
        "offload_folder": folder.name,
    }, folder


def _free_memory(gpus: int) -> dict[int | str, int]:
    """Memory for weights; unlike accelerate's own figures within the limits of control groups."""
    import torch

    free: dict[int | str, int] = {n: torch.cuda.mem_get_info(n)[0] for n in range(gpus)}
    if (here := resources.free_memory()) is not None:
        free["cpu"] = here
    return {device: int(size * _WEIGHTS_SHARE) for device, size in free.items()}


def is_spread(model: Any) -> bool:
    """Whether accelerate moves the inputs or the weights of a model's parts between devices."""
    return any("_hf_hook" in vars(module) for module in model.modules())


def main_device(model: Any) -> torch.device:
    """The device that a model takes its inputs on; its first weights may be elsewhere."""
    import torch

    device: torch.device = model.device
    if device.type != "meta" and getattr(model, "_hf_hook", None) is None:
        return device
    for module in model.modules():
        hook = getattr(module, "_hf_hook", None)
        for one in (hook, *getattr(hook, "hooks", ())):
            where = getattr(one, "execution_device", None)
            if where is not None:
                return torch.device(where)
    return device


def layers_by_device(model: Any) -> dict[str, int]:
    """Number of layers on each device of a spread model; empty for others.

    A layer that is split counts for the device of its first part.
    """
    places = getattr(model, "hf_device_map", None)
    if not places or not is_spread(model):
        return {}
    count = model.config.get_text_config(decoder=True).num_hidden_layers
    names = next(
        (
            [f"{name}.{number}" for number in range(count)]
            for name, module in model.named_modules()
            if type(module).__name__ == "ModuleList" and len(module) == count
        ),
        list(places),
    )
    return dict(Counter(_place(name, places) for name in names))


def _place(layer: str, places: Mapping[str, Any]) -> str:
    """The device of a layer in a device map, whose entries are modules in it or around it."""
    for name, place in places.items():
        if (
            name in ("", layer)
            or f"{layer}.".startswith(f"{name}.")
            or name.startswith(f"{layer}.")
        ):
            return f"cuda:{place}" if isinstance(place, int) else str(place)
    return "unknown"


def offloading_note(model: Any) -> tuple[str, ...]:
    """A caveat on a model some of whose layers are computed where their weights are not."""
    layers = layers_by_device(model)
    main = str(main_device(model)) if layers else ""
    away = {place: n for place, n in layers.items() if place in _OFFLOADED and place != main}
    if not away:
        return ()
    shown = " and ".join(f"{count} on {place}" for place, count in away.items())
    return (
        f"layers are offloaded ({shown}, of {sum(layers.values())}): each step fetches their "
        "weights anew, which is slow",
    )
