"""What surrounds a command: pipes that close, Ctrl-C, encodings, a notebook's backend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from exleak.cli import gate, main

NOTEBOOK = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
MAIN = "import sys; from exleak.cli import main; sys.exit(main())"
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A Python process in another environment."""
    return subprocess.run(
        [sys.executable, *command], capture_output=True, encoding="utf-8", check=False,
        env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["comparison", "dataset", "paper"])
def test_pictures_do_not_need_a_backend(kind: str, tmp_path: Path) -> None:
    """A notebook's ``MPLBACKEND`` is not there in other processes; it stays set."""
    calls = {
        "comparison": "from exleak.cli.compare import check_plot as c; c(Path('x.svg'))",
        "dataset": "from exleak.datasets.stats import plot, stats\n"
        "from exleak import load_dataset\n"
        "plot([stats(load_dataset('hexl', limit=4))], 'x.svg')",
        "paper": "from exleak.paper.figures import _panels, save\n"
        "save(_panels(1, 1, (2, 2))[0], Path(), 'x')",
    }
    code = f"import os\nfrom pathlib import Path\nos.chdir({str(tmp_path)!r})\n{calls[kind]}\n"
    code += "import sys\nassert 'matplotlib.pyplot' not in sys.modules\n"
    code += "print(os.environ['MPLBACKEND'])"
    done = run("-c", code, **NOTEBOOK)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == NOTEBOOK["MPLBACKEND"]
    assert kind == "comparison" or (tmp_path / "x.svg").exists()


def generations(path: Path) -> Path:
    """A generations file with characters that ASCII lacks."""
    rows = []
    for number in range(8):
        rows.append(
            {
                "id": f"ü{number}",
                "control": None,
                "condition": "control",
                "prompt": "Das Café –",
                "generations": ["was nice – μ.", "was bad."],
            }
        )
        for condition in ("positive", "neutral", "negative"):
            rows.append({**rows[-1], "id": f"ü{number}:{condition}", "control": f"ü{number}",
                         "condition": condition})  # fmt: skip
    path.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), "utf-8")
    return path


def test_a_plain_c_locale_is_enough(tmp_path: Path) -> None:
    """Files are UTF-8 all the same, and what a terminal lacks is a question mark."""
    file = generations(tmp_path / "gé.jsonl")
    report, page = tmp_path / "r.json", tmp_path / "r.md"
    commands = [
        ["score", str(file), "--model", "a-model", "--json", str(report)],
        ["report", str(report), "-o", str(page)], ["report", str(report), "--to", "md"],
        ["gate", str(report), "--max-rate", "1"], ["dataset", "stats", "hexl"],
    ]  # fmt: skip
    for command in commands:
        done = run(
            "-c", "import sys; from exleak.cli import main; sys.exit(main())", *command, **ASCII
        )
        assert done.returncode in (0, 10), (command, done.stderr)
        assert "Traceback" not in done.stderr
    assert "μ_EL" in page.read_text(encoding="utf-8")


def test_a_closed_pipe_is_no_traceback() -> None:
    """As of ``| head``: silent, and with the status of a process that a pipe ended."""
    code = (
        "import sys\nfrom exleak import cli\nfrom exleak.cli import gate\n"
        "gate._run = lambda options: print('x' * 10_000_000) or 0\n"
        "sys.exit(cli.main(['gate', 'x.json']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr is not None
    error = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), error) == (141, b"")


def test_an_interrupt_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 130, as shells have it."""

    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(gate, "_run", interrupted)
    assert main(["gate", "x.json"]) == 130
    assert capsys.readouterr().err == "exleak gate: interrupted\n"
