"""Expression leakage as tasks of Inspect: ``inspect eval exleak/hexl --model …``.

Inspect finds this module by its entry point. An epoch is a generation; the scorer shows its first
sentence and the sentence's mood, and the metric computes the rates of all of them, as
``exleak score LOG`` does.
"""

from __future__ import annotations

from anyio import to_thread
from inspect_ai import Epochs, Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatCompletionChoice, GenerateConfig
from inspect_ai.scorer import Metric, SampleScore, Score, Scorer, Target, Value, metric, scorer
from inspect_ai.solver import TaskState, generate

from exleak.datasets import load_dataset
from exleak.generation.sampling import Sampling
from exleak.logs.chat import content
from exleak.logs.node import Node
from exleak.prompts import MITIGATION
from exleak.tasks.documents import documents, rates

#: Keys of a score's metadata.
_GENERATIONS, _EPOCH, _INSTRUMENT = "generations", "epoch", "instrument"


@task
def hexl(
    generations: int = 10,
    limit: int | None = None,
    instrument: str = "embedded",
    mitigation: str | bool = False,
) -> Task:
    """Expression leakage on HEXL (60 samples, 240 prompts).

    Args:
        generations: Generations a prompt, which are epochs.
        limit: Only the first samples, four prompts each.
        instrument: ``embedded``, ``paper``, or a classifier.
        mitigation: An instruction prepended to each prompt; ``true`` is the paper's.
    """
    return leakage("hexl", generations, limit, instrument, mitigation)


@task
def aexl(
    generations: int = 10,
    limit: int | None = None,
    instrument: str = "embedded",
    mitigation: str | bool = False,
) -> Task:
    """Expression leakage on AEXL (200 samples, 800 prompts); arguments as for :func:`hexl`."""
    return leakage("aexl", generations, limit, instrument, mitigation)


@task
def leakage(
    dataset: str = "hexl",
    generations: int = 10,
    limit: int | None = None,
    instrument: str = "embedded",
    mitigation: str | bool = False,
) -> Task:
    """Expression leakage on a dataset.

    Args:
        dataset: A shipped dataset, or a file.
        generations, limit, instrument, mitigation: As for :func:`hexl`.
    """
    from exleak.measurement import check_instrument

    sampling = Sampling(generations=generations)
    data = load_dataset(dataset, limit=limit)
    check_instrument(instrument, data)
    extra = MITIGATION if mitigation is True else mitigation or None
    return Task(
        dataset=MemoryDataset(
            [
                Sample(id=document["id"], input=document["prompt"], metadata=document)
                for document in documents(data, extra)
            ],
            name=data.name,
        ),
        solver=generate(),
        scorer=first_sentence(instrument),
        epochs=Epochs(sampling.generations),
        # Without a seed: the epochs of a prompt would be the same generation.
        config=GenerateConfig(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            max_tokens=sampling.max_new_tokens,
        ),
        metadata={"dataset": data.name, "dataset_version": data.version, "hash": data.hash},
    )


@metric(scores="unreduced")
def leakage_rates() -> Metric:
    """The rates of :func:`exleak.tasks.documents.rates` over all epochs of all samples."""

    def compute(scores: list[SampleScore]) -> Value:
        from exleak.tasks.answers import remembering

        found = [(one.sample_metadata, one.score.metadata) for one in scores]
        kept = [(about, said) for about, said in found if about and said and _EPOCH in said]
        kept.sort(key=lambda item: int(item[1][_EPOCH]))
        if not kept:
            return {}
        tool = remembering(str(kept[0][1][_INSTRUMENT]))
        return rates([(about, said[_GENERATIONS]) for about, said in kept], tool)

    return compute


@scorer(metrics=[leakage_rates()])
def first_sentence(instrument: str = "embedded") -> Scorer:
    """The first sentence of a generation, and its class probabilities.

    Args:
        instrument: The instrument.
    """

    async def score(state: TaskState, target: Target) -> Score:
        texts = [_text(choice) for choice in state.output.choices]
        # The encoder computes in threads of its own; the loop goes on with other samples.
        return await to_thread.run_sync(_score, state, texts, instrument)

    return score


def _text(choice: ChatCompletionChoice) -> str:
    """As :mod:`exleak.logs` reads it from a log."""
    return content(Node(choice.message.model_dump(), "choice"))


def _score(state: TaskState, texts: list[str], instrument: str) -> Score:
    from exleak.tasks.answers import answer, remembering

    about = {_GENERATIONS: texts, _EPOCH: state.epoch, _INSTRUMENT: instrument}
    if not texts:
        return Score.unscored(reason="no_response", metadata=about)
    shown = answer(state.metadata, texts[0], remembering(instrument))
    return Score(
        value=dict(shown.probabilities),
        answer=shown.sentence,
        explanation=shown.remark or None,
        metadata=about,
    )
