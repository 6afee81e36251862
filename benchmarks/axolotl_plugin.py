"""Whether the plugin for axolotl works within the real axolotl, of which no training is run.

    python benchmarks/axolotl_plugin.py

Needs axolotl in the environment, or its unpacked wheel on PYTHONPATH with addict installed. Its
plugin manager loads the plugin, its validation checks a configuration, and the callbacks that its
trainer would get are printed; then configurations that have to be refused.
"""

from __future__ import annotations

from typing import Any

from axolotl.integrations.base import BasePlugin, PluginManager
from axolotl.utils.config import validate_config
from axolotl.utils.dict import DictDefault

PLUGIN = "exleak.integrations.axolotl.LeakagePlugin"
BASE = {
    "base_model": "a/model",
    "plugins": [PLUGIN],
    "datasets": [{"path": "a/dataset", "type": "alpaca"}],
    "micro_batch_size": 1,
    "gradient_accumulation_steps": 1,
    "num_epochs": 1,
    "learning_rate": 1e-5,
}
GOOD: tuple[dict[str, Any], ...] = (
    {"dataset": "aexl", "limits": {"max_rate": 0.6}, "sampling": {"generations": 4}},
    {},
)
BAD: tuple[dict[str, Any], ...] = (
    {"datset": "hexl"}, {"limits": {"maxrate": 1}}, {"sampling": {"generations": 0}},
)  # fmt: skip


def main() -> None:
    """Check, and print."""
    manager = PluginManager.get_instance()
    manager.register(PLUGIN)
    assert isinstance(manager.plugins[PLUGIN], BasePlugin)
    for leakage in GOOD:
        found = validate_config(DictDefault({**BASE, "leakage": leakage}))
        (callback,) = manager.add_callbacks_post_trainer(found, None)
        print(leakage, "->", type(callback).__name__)
    for leakage in BAD:
        try:
            validate_config(DictDefault({**BASE, "leakage": leakage}))
        except ValueError as error:
            print(leakage, "->", str(error).splitlines()[2].strip())
        else:
            raise AssertionError(f"{leakage} was not refused")


if __name__ == "__main__":
    main()
