"""A folder of tasks for lm-evaluation-harness, for its option ``--include_path``.

The folder holds a YAML file and a file of prompts for each dataset, and a module with the functions
that the YAML names. It can be moved: the harness looks for all of them beside the YAML.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from exleak.datasets import load_dataset
from exleak.environment import version
from exleak.errors import SettingsError
from exleak.files import check_folder, read_text, write_text
from exleak.generation.sampling import Sampling
from exleak.records import Dataset
from exleak.tasks.documents import documents

_MODULE = "exleak_task"
_YAML = """\
# {about}. Written by exleak {version}.
task: {task}
custom_dataset: !function {module}.documents
dataset_kwargs: {{exleak_file: {task}.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: prompt
doc_to_target: ""
num_fewshot: 0
repeats: {sampling.generations}
# Without a filter, the metrics see every generation.
filter_list: [{{name: none, filter: []}}]
generation_kwargs:
  until: []
  do_sample: true
  temperature: {sampling.temperature}
  top_p: {sampling.top_p}
  top_k: {sampling.top_k}
  repetition_penalty: {sampling.repetition_penalty}
  max_gen_toks: {sampling.max_new_tokens}
process_results: !function {module}.answered
metric_list:
  - {{metric: mu_EL, aggregation: !function {module}.mu_el, higher_is_better: false}}
  - {{metric: directional, aggregation: !function {module}.directional, higher_is_better: false}}
metadata: {{version: {dataset_version}}}
"""


def export(
    folder: str | Path,
    datasets: Sequence[str | Path] = ("hexl", "aexl"),
    *,
    sampling: Sampling | None = None,
    limit: int | None = None,
    mitigation: str | None = None,
) -> tuple[str, ...]:
    """Write a task for each dataset.

    Args:
        folder: The folder; created if it is not there.
        datasets: Names of shipped datasets, or files.
        sampling: Sampling settings; the paper's by default. The seed is not used: the harness has
            its own.
        limit: Take only the first samples of each dataset, four prompts each.
        mitigation: An instruction prepended to each prompt.

    Returns:
        The names of the tasks, in the order of the datasets.

    Raises:
        DatasetError: A dataset cannot be read.
        SettingsError: Two datasets have the same name, or the folder has another file of a name
            that is to be written, or cannot be written to.
    """
    folder, settings = Path(folder), sampling or Sampling()
    files = {f"{_MODULE}.py": read_text(Path(__file__).with_name("harness.py"))}
    tasks: list[str] = []
    for name in datasets:
        data = load_dataset(name, limit=limit)
        task = f"exleak_{re.sub(r'[^0-9A-Za-z]+', '_', data.name).strip('_').lower()}"
        if task in tasks:
            raise SettingsError(f"{name}: another dataset is called {data.name!r}, too; rename one")
        tasks.append(task)
        files[f"{task}.yaml"] = _yaml(task, data, settings)
        files[f"{task}.jsonl"] = "".join(
            f"{json.dumps(document)}\n" for document in documents(data, mitigation)
        )
    _write(folder, files)
    return tuple(tasks)


def _yaml(task: str, dataset: Dataset, sampling: Sampling) -> str:
    about = f"Expression leakage on {dataset.name}, {len(dataset.samples)} samples"
    return _YAML.format(
        about=" ".join(about.split()),
        version=version(),
        task=task,
        module=_MODULE,
        sampling=sampling,
        dataset_version=json.dumps(dataset.version or dataset.hash[:8]),
    )


def _write(folder: Path, files: dict[str, str]) -> None:
    """Write all files, or none if one is there with another content."""
    check_folder(folder)
    for name, text in files.items():
        path = folder / name
        if path.exists() and (not path.is_file() or path.read_bytes() != text.encode()):
            raise SettingsError(
                f"{path}: it is there already, with another content; delete it, or give another "
                "folder"
            )
    for name, text in files.items():
        write_text(folder / name, text)
