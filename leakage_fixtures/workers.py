"""Support for xdist: scheduling, GPUs, cores and the store of the workers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from leakage_fixtures import models, settings
from leakage_fixtures.rootdir import root

if TYPE_CHECKING:
    from exleak.store import Store


_DEVICES = Path("/dev")


def worker_count(config: pytest.Config) -> int:
    """The number of processes that run tests."""
    workerinput = getattr(config, "workerinput", None)
    return int(workerinput["workercount"]) if workerinput else 1


def refuse_snapshot_update(config: pytest.Config) -> None:
    """Refuse ``--snapshot-update`` under xdist: rate snapshots are written by one process.

    Raises:
        pytest.UsageError: ``--snapshot-update`` is used with xdist workers.
    """
    updates = getattr(config.option, "update_snapshots", False)
    if updates and getattr(config.option, "tx", None) and settings.in_use(config):
        raise pytest.UsageError(
            "snapshots of leakage rates are not updated by several workers at once; run\n"
            "    pytest -n0 --snapshot-update -k test_rates_match_snapshot\n"
            "(with everything stored by the run before, it generates nothing)"
        )


def pin_gpu(config: pytest.Config) -> None:
    """Assign one GPU to each worker, round robin, before CUDA is initialised.

    Does nothing if a model is placed on a numbered device, such as ``cuda:1``, or spread over all.
    """
    workerinput = getattr(config, "workerinput", None)
    gpus = visible_gpus()
    if workerinput is None or len(gpus) < 2:
        return
    placed = [settings.resolve(config, spec).device or "" for spec in models.models(config)]
    if not any(":" in device or device == "auto" for device in placed):
        number = int(workerinput["workerid"].removeprefix("gw"))
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]


def visible_gpus() -> list[str]:
    """The CUDA devices of this process, named as in ``CUDA_VISIBLE_DEVICES``, without torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    return [str(number) for number in range(len(list(_DEVICES.glob("nvidia[0-9]*"))))]


def share_cpus(config: pytest.Config) -> None:
    """Limit each worker's torch threads to its share of the cores.

    Respects ``OMP_NUM_THREADS``, CPU affinity and container quotas.
    """
    count = worker_count(config)
    if count > 1:
        from exleak.resources import limit_torch

        limit_torch(count)


def scheduler(config: pytest.Config, log: Any) -> Any:
    """A scheduler for xdist that keeps the tests of one measurement on one worker.

    xdist's default distributes single tests, so every worker would wait for the generations of the
    same model. Returns ``None`` unless ``--dist`` is the default and leakage may be measured.
    """
    if config.getoption("dist") != "load" or not settings.in_use(config):
        return None
    from xdist.scheduler.loadscope import LoadScopeScheduling  # type: ignore[import-untyped]

    class ByMeasurement(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            if "::test_significance_is_as_wanted[" in nodeid:
                return "significance"
            return measurement_of(config, nodeid) or nodeid

        def remove_node(self, node: Any) -> str | None:
            # As xdist's default does, and its loadscope does not: the test that crashed its
            # worker is not given to the next one, which it would crash too.
            units = self.assigned_work.get(node, {}).values()
            crashed = next(
                (nodeid for unit in units for nodeid, is_done in unit.items() if not is_done), None
            )
            for unit in units:
                if crashed in unit:
                    unit[crashed] = True
            super().remove_node(node)
            return crashed

    return ByMeasurement(config, log)


def measurement_of(config: pytest.Config, nodeid: str) -> str | None:
    """The parameters (model and dataset) in a leakage test's id; ``None`` for other tests."""
    parameters = nodeid.partition("[")[2]
    names = [spec.name for spec in models.models(config)] if parameters else []
    is_leakage = any(parameters.startswith((f"{name}]", f"{name}-")) for name in names)
    return parameters if is_leakage else None


def store(config: pytest.Config, folder: str, temporary: pytest.TempPathFactory) -> Store | None:
    """The store of this run; its lock lets one worker generate while the others wait.

    With ``--leakage-store none``, workers share a temporary store and a single process gets
    ``None``.
    """
    from exleak.store import Store

    if folder != "none":
        return Store(root(config) / Path(folder))
    if worker_count(config) > 1:
        return Store(shared_folder(config, temporary) / "leakage-store")
    return None


def shared_folder(config: pytest.Config, temporary: pytest.TempPathFactory) -> Path:
    """The temporary folder of the session, which its workers share."""
    base = temporary.getbasetemp()
    return base.parent if worker_count(config) > 1 else base
