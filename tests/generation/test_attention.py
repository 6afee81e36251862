"""Attention in two batched products is transformers' own, up to rounding."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AttentionInterface

from exleak import ModelError, Sampling
from exleak.generation.local import attention
from exleak.generation.local.attention import batched, can_be_batched
from exleak.generation.local.model import LocalModel
from exleak.generation.local.run import continue_prompts
from exleak.generation.requests import Request

SDPA = AttentionInterface()["sdpa"]


class Layer(torch.nn.Module):
    """What an attention function is told of its layer."""

    is_causal = True

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.num_key_value_groups = groups


def tensors(groups: int, new: int = 1) -> tuple[torch.Tensor, ...]:
    """Query, key, value and an additive mask that leaves the newest column free."""
    torch.manual_seed(groups)
    query = torch.randn(5, 2 * groups, new, 8)
    key, value = torch.randn(2, 5, 2, 11, 8).unbind()
    mask = torch.zeros(5, 1, new, 11).masked_fill_(torch.rand(5, 1, new, 11) < 0.5, -torch.inf)
    mask[..., -1] = 0
    return query, key, value, mask


@pytest.mark.parametrize("scaling", [None, 0.2])
@pytest.mark.parametrize("groups", [1, 3])
def test_equals_sdpa(groups: int, scaling: float | None) -> None:
    """With and without grouped heads and a scale of the model's own."""
    query, key, value, mask = tensors(groups)
    found, _ = batched(Layer(groups), query, key, value, mask, scaling=scaling)
    expected, _ = SDPA(Layer(groups), *tensors(groups), scaling=scaling)
    assert found.shape == expected.shape == (5, 1, 2 * groups, 8)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("new", "masked", "special"),
    [(3, True, {}), (1, False, {}), (1, True, {"position_bias": torch.ones(5, 2, 1, 11)})],
)
def test_anything_else_is_left_to_sdpa(
    new: int, masked: bool, special: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several new tokens, no mask, or something that only some models hand over."""
    asked = []

    def noted(*arguments: Any, **named: Any) -> Any:
        asked.append(named)
        return SDPA(*arguments, **named)

    monkeypatch.setattr(attention, "_SDPA", noted)
    query, key, value, mask = tensors(1, new)
    batched(Layer(1), query, key, value, mask if masked else None, **special)
    assert len(asked) == 1
    assert set(special) <= set(asked[0])


def test_it_is_used_on_the_cpu_in_float32_alone(llama_model: LocalModel) -> None:
    """Other kernels are better elsewhere, and a user's own choice of attention stays."""
    assert can_be_batched(llama_model.model)
    assert not can_be_batched(torch.nn.Linear(1, 1))
    llama_model.model.config._attn_implementation = "eager"
    assert not can_be_batched(llama_model.model)
    llama_model.model.config._attn_implementation = "sdpa"
    llama_model.model.bfloat16()
    assert not can_be_batched(llama_model.model)
    llama_model.model.float()


@pytest.mark.parametrize("how", ["whole", "closed", "failed"])
def test_the_models_own_attention_comes_back(
    how: str, llama_model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a run that ends, one that is given up, and one that fails."""
    used = []

    def complete(text: str) -> bool:
        used.append(llama_model.model.config._attn_implementation)
        if how == "failed":
            raise ModelError("as asked")
        return False

    monkeypatch.setattr("exleak.generation.local.engine.may_end", lambda piece: True)
    requests = [Request("The soup", (0, 1, 2), complete), Request("A road", (0, 1))]
    found = continue_prompts(llama_model, requests, Sampling(max_new_tokens=8))
    if how == "failed":
        with pytest.raises(ModelError, match="as asked"):
            list(found)
    elif how == "closed":
        next(found)
        found.close()
    else:
        assert len(list(found)) == 5
    assert set(used) == {"exleak"}
    assert llama_model.model.config._attn_implementation == "sdpa"
