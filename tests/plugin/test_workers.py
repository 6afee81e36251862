"""Under xdist: who measures what, and on which GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from leakage_fixtures import workers
from tests.plugin.conftest import Run

GPUS = """
from pathlib import Path
from leakage_fixtures import workers

# Four devices, as far as the plugin can tell; no driver here.
devices = Path(__file__).parent / "devices"
devices.mkdir(exist_ok=True)
for number in range(4):
    (devices / f"nvidia{number}").touch()
(devices / "nvidiactl").touch()
workers._DEVICES = devices
"""
OWN = """
import os
import sys

import pytest

@pytest.mark.parametrize("number", range(6))
def test_pinned(number, worker_id):
    assert "torch" not in sys.modules
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == {expected}
"""


@pytest.mark.parametrize(
    ("visible", "device", "expected"),
    [
        (None, "cuda", 'worker_id.removeprefix("gw")'),
        ("3,GPU-b5", "cuda", '["3", "GPU-b5"][int(worker_id[2:])]'),
        ("2", "cuda", '"2"'),
        (None, "cuda:1", "None"),
        (None, "cuda:0,cuda:1", "None"),
        (None, "auto", "None"),
    ],
)
def test_each_worker_gets_its_own_gpu(
    cold: None,
    visible: str | None,
    device: str,
    expected: str,
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before torch loads; not where the user numbered the devices or wants all, nor with one."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    (pytester.path / "leakage.toml").write_text(
        f'[models.reference-clean]\nmax_rate = 1.0\ndevice = "{device}"'
    )
    monkeypatch.setattr(workers, "_DEVICES", workers._DEVICES)  # the conftest sets it here, too
    pytester.makeconftest(GPUS)
    pytester.makepyfile(test_own=OWN.format(expected=expected))
    result = pytester.runpytest_inprocess("-n2", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=6)


def test_gpus_are_counted_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices, not the control device; an empty list of visible ones means none."""
    monkeypatch.setattr(workers, "_DEVICES", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert workers.visible_gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert workers.visible_gpus() == []


def test_a_measurement_stays_on_one_worker(
    measure: Run, llama: Path, pytester: pytest.Pytester
) -> None:
    """Two models, two workers: each model's tests run where it was measured."""
    copies = [llama, pytester.path / "b"]
    copies[1].symlink_to(llama)
    pytester.makeconftest(
        """
        def pytest_runtest_logreport(report):
            if report.when == "call" and hasattr(report, "node") and "signif" not in report.nodeid:
                with open("where.txt", "a") as file:
                    print(report.nodeid.partition("[")[2], report.node.gateway.id, file=file)
        """
    )
    result = measure(*(f"--leakage-model={path}" for path in copies), "--leakage-max-rate=1", "-n2")
    result.assert_outcomes(passed=4)
    lines = set((pytester.path / "where.txt").read_text().splitlines())
    assert len(lines) == len({line.split()[0] for line in lines}) == 2


CORES = """
import os
import pytest
from exleak import resources

@pytest.fixture(scope="session", autouse=True)
def cores():
    import torch
    os.cpu_count = lambda: 64
    resources.cpus = lambda: 20
    torch.set_num_threads(20)
"""


@pytest.fixture
def own_test(llama: Path, pytester: pytest.Pytester) -> Run:
    """Runs a test of so many threads on one of two workers."""

    def run(threads: int) -> pytest.RunResult:
        pytester.makeconftest(CORES)
        pytester.makepyfile(
            test_own=f"""
            def test_own(leakage_generations):
                import torch
                assert torch.get_num_threads() == {threads}
            """
        )
        return pytester.runpytest_inprocess(
            f"--leakage-model={llama}", "--leakage-report-only", "--leakage-limit=3",
            "--leakage-generations=2", "-n2",
        )  # fmt: skip

    return run


def test_workers_share_the_cores(own_test: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers compute on ten each of the twenty cores that they may use, of 64."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    own_test(10).assert_outcomes(passed=1)


def test_workers_heed_the_environment(own_test: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """``OMP_NUM_THREADS`` is not raised to a worker's share of the cores."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    own_test(3).assert_outcomes(passed=1)
