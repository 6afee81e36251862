"""Models of which a process has only a part: measured as a whole copy, or as the training saves."""

from __future__ import annotations

import json
import time
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.distributed.checkpoint import state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import (
    FullyShardedDataParallel,
    MixedPrecision,
    MixedPrecisionPolicy,
    fully_shard,
)
from torch.distributed.fsdp.wrap import ModuleWrapPolicy
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    parallelize_module,
)
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from exleak import resources
from exleak.errors import ModelError
from exleak.integrations import monitor as monitor_module
from exleak.integrations import sharding, transformers
from exleak.integrations.monitor import Monitor
from exleak.integrations.sharding import check_gathers, sharded_by
from exleak.integrations.transformers import LeakageCallback
from exleak.records import Expression
from exleak.store.report import read_measurements
from tests.helpers.instruments import HASHED
from tests.helpers.processes import two_processes
from tests.helpers.training import SMALL, TEXTS, trainer

#: Time-out of a measurement in seconds.
TIMEOUT = 60
KINDS = ("FSDP", "FSDP in bfloat16", "FSDP2", "FSDP2 in bfloat16", "tensor parallel")


def measure(checkpoint: Path, folder: Path) -> None:
    """The work of one process: each kind of spread model is trained and measured."""
    dist.init_process_group("gloo")
    rank, copies = dist.get_rank(), watched_copies()
    told: dict[str, Any] = {}
    for kind in KINDS:
        plain, _ = trained(checkpoint, kind, None)
        monitor = small_monitor(folder / kind)
        with_checks, same = trained(checkpoint, kind, monitor)
        told[kind] = {"plain": plain, "measured": with_checks, "same": same}
    told["left"] = [copy() is not None for copy in copies]
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = spread(AutoModelForCausalLM.from_pretrained(checkpoint), "FSDP2")
    for case in WRONG:
        begun = time.monotonic()
        with pytest.MonkeyPatch.context() as patch:
            go_wrong(patch, case, rank)
            with pytest.raises((ModelError, RuntimeError)) as caught:
                small_monitor(None).check(model, tokenizer, 0)
        told[case] = f"{type(caught.value).__name__}: {caught.value}"
        told["seconds"] = max(time.monotonic() - begun, told.get("seconds", 0))
    small_monitor(None).check(model, tokenizer, 0)  # nothing is left over
    (folder / f"{rank}.json").write_text(json.dumps(told), encoding="utf-8")
    dist.destroy_process_group()


def small_monitor(folder: Path | None) -> Monitor:
    """Of a few prompts; with its generations in a folder."""
    monitor = Monitor(**SMALL, instrument=HASHED, folder=folder, timeout=TIMEOUT)
    if folder is not None:
        folder.mkdir(exist_ok=True)
    return monitor


def watched_copies() -> list[weakref.ref[Any]]:
    """A list that gets every copy of this process."""
    copies: list[weakref.ref[Any]] = []
    usual = sharding._filled

    def filled(*given: Any) -> Any:
        copy = usual(*given)
        copies.append(weakref.ref(copy))
        return copy

    sharding._filled = filled  # type: ignore[assignment]
    return copies


def spread(model: Any, kind: str) -> Any:
    """A model whose weights are spread over the processes, on the CPU."""
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    dtype = torch.bfloat16 if "bfloat16" in kind else None
    if kind.startswith("FSDP2"):
        policy = MixedPrecisionPolicy(param_dtype=dtype)
        for part in (*model.model.layers, model):
            fully_shard(part, mesh=mesh, mp_policy=policy)
        return model
    if kind.startswith("FSDP"):
        return FullyShardedDataParallel(
            model, auto_wrap_policy=ModuleWrapPolicy({type(model.model.layers[0])}),
            device_id=torch.device("cpu"), mixed_precision=MixedPrecision(param_dtype=dtype),
        )  # fmt: skip
    plan = {"gate_proj": ColwiseParallel(), "up_proj": ColwiseParallel(),
            "down_proj": RowwiseParallel()}  # fmt: skip
    for part in model.model.layers:
        parallelize_module(part.mlp, mesh, plan)
    return model


def trained(checkpoint: Path, kind: str, monitor: Monitor | None) -> tuple[list[float], bool]:
    """The losses of a training with dropout, perhaps measured at its start and after each step.

    Returns:
        They, and whether each measurement left the weights of this process as they were.
    """
    torch.manual_seed(0)
    given = AutoModelForCausalLM.from_pretrained(checkpoint, attention_dropout=0.5)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = spread(given, kind).train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, foreach=False)
    ids = torch.tensor([tokenizer(TEXTS[0])["input_ids"]])
    losses, same = [], True
    for step in range(3):
        if monitor is not None:
            before = own_weights(model)
            monitor.check(model, tokenizer, step)
            same &= own_weights(model) == before and model.training
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses, same


def own_weights(model: Any) -> list[list[float]]:
    """The part of the weights that this process has."""
    own = (getattr(one, "to_local", lambda one=one: one)() for one in model.parameters())
    return [part.detach().flatten().tolist() for part in own]


#: What goes wrong, and what the two ranks say.
WRONG = {
    "rank 1 is odd": ("ModelError: rank 1: RuntimeError: odd", "RuntimeError: odd"),
    "rank 1 does not gather": (
        "ModelError: rank 1: RuntimeError: no luck",
        "RuntimeError: no luck",
    ),
    "rank 0 does not measure": (
        "RuntimeError: no text",
        "ModelError: rank 0: RuntimeError: no text",
    ),
    "other weights": ("a LlamaForCausalLM: model.norm.weight differs",) * 2,
    "no main memory": ("does not fit into memory",) * 2,
    "no memory of the device": ("does not fit into memory",) * 2,
}


def go_wrong(patch: pytest.MonkeyPatch, case: str, rank: int) -> None:
    """Have a part of a measurement fail on one rank."""

    def fail(error: Exception) -> Any:
        def failing(*_: Any, **__: Any) -> None:
            raise error

        return failing

    if case == "rank 1 is odd" and rank == 1:
        patch.setattr(sharding, "_empty", fail(RuntimeError("odd")))
    usual = state_dict.get_model_state_dict

    def gathered(*given: Any, **also: Any) -> Any:
        found = usual(*given, **also)
        if rank == 1:
            raise RuntimeError("no luck")
        return found

    def without_norm(*given: Any, **also: Any) -> Any:
        found = usual(*given, **also)
        return {name: found[name] for name in found if name != "model.norm.weight"}

    if case == "rank 1 does not gather":
        patch.setattr(state_dict, "get_model_state_dict", gathered)
    if case == "other weights":
        patch.setattr(state_dict, "get_model_state_dict", without_norm)
    if case == "rank 0 does not measure":
        patch.setattr(monitor_module, "generate_rows", fail(RuntimeError("no text")))
    if case == "no main memory":
        patch.setattr(resources, "free_memory", lambda: 1000)
    if case == "no memory of the device":
        patch.setattr(PreTrainedModel, "to", fail(torch.OutOfMemoryError("out of memory")))


@pytest.fixture(scope="module")
def told(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """The folder of all kinds, and what the two processes had at the end."""
    folder = tmp_path_factory.mktemp("spread")
    two_processes("tests.integrations.test_sharding:measure", llama, folder)
    return folder, [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_texts_are_those_of_one_process(
    told: tuple[Path, list[Any]], llama: Path, tmp_path: Path, kind: str
) -> None:
    """With the whole model, in the data type that the spread one computes in."""
    dtype = torch.bfloat16 if "bfloat16" in kind else torch.float32
    whole = AutoModelForCausalLM.from_pretrained(llama, dtype=dtype)
    small_monitor(tmp_path).check(whole, AutoTokenizer.from_pretrained(llama), 0)
    one, two = (place / "step-0.jsonl" for place in (tmp_path, told[0] / kind))
    assert one.read_text(encoding="utf-8") == two.read_text(encoding="utf-8")
    later = told[0] / kind / "step-2.jsonl"
    assert later.read_text(encoding="utf-8") != two.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_the_training_is_as_without_it(told: tuple[Path, list[Any]], kind: str) -> None:
    """To the last bit of losses and weights, in either process; and no copy is left."""
    for rank in told[1]:
        assert rank[kind]["measured"] == rank[kind]["plain"]
        assert rank[kind]["same"]
    assert [rank["left"] for rank in told[1]] == [[False] * 3 * len(KINDS), []]


@pytest.mark.parametrize("case", WRONG)
def test_a_rank_that_fails_does_not_hold_the_other(told: tuple[Path, list[Any]], case: str) -> None:
    """Both say what went wrong, and what to do if there can be no copy."""
    for rank, expected in zip(told[1], WRONG[case], strict=True):
        assert expected in rank[case]
        assert ("when='save', or exleak watch" in rank[case]) == ("RuntimeError" not in expected)
        assert rank["seconds"] < TIMEOUT / 2


def test_spread_weights_are_found(llama: Path) -> None:
    """FSDP by its wrapper, ZeRO-3 by what DeepSpeed puts on parameters; that is refused."""
    model = AutoModelForCausalLM.from_pretrained(llama)
    assert sharded_by(model) is None
    check_gathers(model)
    next(model.parameters()).ds_id = 0
    assert sharded_by(model) == "DeepSpeed ZeRO-3"
    with pytest.raises(ModelError, match="when='save'"):
        check_gathers(model)


class Wrapper(torch.nn.Module):
    """Has the attributes of PEFT's wrapper that matter here."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.base_model, self.config = model, model.config


def with_another_part(model: Any) -> Any:
    """Has what an adapter adds."""
    model.model.layers[0].mlp.adapter = torch.nn.Linear(2, 2)
    return model


def in_plain_parts(model: Any) -> Any:
    """Is spread by a version of transformers that has plain tensors for its parts."""
    model._tp_size = 2
    return model


def packed(model: Any) -> Any:
    """Is spread by transformers, with parts of weights in another order."""
    model._tp_size, model._tp_plan = 2, {"mlp": "packed_colwise"}
    return model


def quantised(model: Any) -> Any:
    """Has weights that are packed."""
    model.config.quantization_config = {"quant_method": "x"}
    return model


def flattened(model: Any) -> Any:
    """Is a part of a module that FSDP wraps as a whole."""
    next(model.parameters())._fsdp_flattened = True
    return model


#: What :func:`sharded_by` finds by itself.
OWN = (in_plain_parts, packed, flattened)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (Wrapper, "weights of a Wrapper"),
        (with_another_part, "layers.0.mlp.adapter differs"),
        (in_plain_parts, "tensor parallelism .* without distributed tensors"),
        (packed, "spread by tensor parallelism, so"),
        (flattened, "FSDP around more than the model"),
        (quantised, "weights of a LlamaForCausalLM"),
    ],
)
def test_a_model_that_cannot_be_made_again_is_refused(
    llama: Path, monkeypatch: pytest.MonkeyPatch, change: Any, said: str
) -> None:
    """Before anything is gathered, with what to do instead."""
    monkeypatch.setattr(sharding, "sharded_by", sharded_by if change in OWN else lambda _: "FSDP")
    with pytest.raises(ModelError, match=f"{said}.*when='save', or exleak watch"):
        check_gathers(change(AutoModelForCausalLM.from_pretrained(llama)))


def test_the_saved_checkpoint_is_measured_instead(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the rates of the model in memory, which is whole here; the start is not saved."""
    settings = {**SMALL, "instrument": HASHED, "when": "save", "at_start": False}

    def measured(how: str) -> Expression:
        callback = LeakageCallback(**settings, on_error="raise")
        folder = tmp_path / how
        trainer(llama, folder, [callback], save_strategy="steps", save_steps=2).train()
        (found,) = read_measurements(folder / "leakage" / "step-2.json")
        return found.expression

    whole = measured("whole")
    monkeypatch.setattr(transformers, "sharded_by", lambda model: "FSDP")
    monkeypatch.delattr(Monitor, "check")
    assert measured("spread") == whole
