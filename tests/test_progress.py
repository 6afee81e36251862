"""What is told of loading, generating and scoring, and the line that shows it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

import exleak
from exleak.progress import Done, advance, phase, spread, told, work_of
from exleak.progress_line import Line, Pace, describe, duration
from tests.helpers.instruments import WORDS


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Time that stands still until told."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr("exleak.progress_line.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def sentences(count: int) -> Done:
    """So many of the sentences of a run."""
    return Done("generating", "sentences", count, 2400)


def test_a_terminal_shows_one_line_that_is_wiped(clock: SimpleNamespace) -> None:
    """Rewritten in place, no more often than needed."""
    written: list[str] = []
    done = sentences(0)
    with Line("m", written.append, 69) as line:
        line(done)
        clock.now += 0.1
        done.count = 10
        line(done)
        assert written == []
        clock.now += 1.9
        for done.count in (200, 210):
            line(done)
        assert written == ["\rm: generating 200 of 2,400 sentences, 100/s, 22 s left".ljust(70)]
    assert written[1:] == ["\r" + " " * 69 + "\r"]


def test_a_log_gets_a_line_now_and_then(clock: SimpleNamespace) -> None:
    """No carriage returns, a line each half minute, on a line of its own."""
    written: list[str] = []
    done = Done("generating", "sentences", 0, 24_150)
    with Line("m", written.append, None, before="\n") as line:
        line(done)
        for done.count in range(100, 1201, 100):
            clock.now += 10
            line(done)
    assert "".join(written) == "\n" + "".join(
        f"m: generating {count} of 24,150 sentences, 10/s, {minutes} min left\n"
        for count, minutes in (("300", 40), ("600", 39), ("900", 39), ("1,200", 38))
    )


def test_a_long_name_does_not_push_the_time_out_of_the_line(clock: SimpleNamespace) -> None:
    """The end of the name, which distinguishes checkpoints, is kept."""
    written: list[str] = []
    done = sentences(0)
    with Line("runs/a-model-with-a-long-name/checkpoint-500 on hexl", written.append, 79) as line:
        for done.count in (0, 100, 300):
            line(done)
            clock.now += 2
        text = written[-1].removeprefix("\r")
    assert len(text) == 79
    assert text.startswith("…")
    assert text.endswith("point-500 on hexl: generating 300 of 2,400 sentences, 100/s, 21 s left")


def test_while_nothing_is_told_the_seconds_are_shown(clock: SimpleNamespace) -> None:
    """As when a model is read, of which only the size is known; not once all is done."""
    written: list[str] = []
    with Line("m", written.append, 40) as line:
        line(Done("loading", "weights", 0, 0))
        clock.now += 3
        line.still()
        line(Done("loading", "bytes", 0, 1_200_000_000))
        clock.now += 9
        line.still()
        shown = [text.strip() for text in written]
        line(Done("loading", "weights", 5, 5))
        clock.now += 9
        line.still()
        assert len(written) == len(shown)
    assert shown == ["m: loading, 3 s", "m: loading 1.2 GB, 12 s"]


def test_the_rate_is_of_recent_work() -> None:
    """What was faster or slower at the beginning is forgotten."""
    pace, done = Pace(), sentences(0)
    for second in range(1, 301):
        done.count += 10 if second <= 100 else 2
        pace.see(done, second)
    found = pace.rate(done, 300.0)
    assert found == pytest.approx((2, 500), rel=0.05)
    # A standstill shows.
    stood = pace.rate(done, 400.0)
    assert stood is not None
    assert stood[0] < 1.4


def test_what_comes_before_the_first_unit_is_not_counted() -> None:
    """It is not repeated, as warming up and compiling."""
    pace, done = Pace(), sentences(0)
    pace.see(done, 0.0)
    for second in range(5):
        done.count += 100
        pace.see(done, 60.0 + second)
    assert pace.rate(done, 64.0) == pytest.approx((100, 19))


def test_the_time_left_is_by_the_work_that_is_left() -> None:
    """Short texts take less than long ones."""
    pace, done = Pace(), Done("scoring", "texts", 0, 300, of_work=work_of(["x" * 92, "x" * 12]))
    for second, (count, work) in enumerate([(20, 20), (60, 60), (100, 100)]):
        done.count, done.work = count, work
        pace.see(done, second)
    assert pace.rate(done, 2.0) == pytest.approx((40, 0.5))


@pytest.mark.parametrize(
    ("count", "seconds", "is_known"),
    [(119, 10, False), (120, 10, True), (120, 0.5, False), (99, 25, False), (100, 25, True)],
)
def test_no_time_is_said_before_enough_is_known(count: int, seconds: float, is_known: bool) -> None:
    """The first of a batch end together."""
    pace, done = Pace(), sentences(1)
    pace.see(done, 0.0)
    done.count = count
    pace.see(done, seconds)
    assert (pace.rate(done, seconds) is not None) == is_known


@pytest.mark.parametrize(
    ("done", "rate", "text"),
    [
        (Done("loading", "bytes", 3_100_000_000, 14_000_000_000), (5e8, 21.8),
         "reading 3.1 of 14.0 GB, 500.0 MB/s, 22 s left"),
        (Done("loading", "weights", 120, 290), (45.0, 3.8),
         "loading 120 of 290 weights, 45/s, 4 s left"),
        (Done("scoring", "texts", 30, 4800), None, "scoring 30 of 4,800 texts"),
        (Done("generating", "sentences", 100, 20_000), (0.5, 39_800),
         "generating 100 of 20,000 sentences, 0.5/s, 11.1 h left"),
        (Done("loading", "bytes", 15, 14), (1.0, 0.0), "reading 0.0 of 0.0 MB, 0.0 MB/s, 0 s left"),
    ],
)  # fmt: skip
def test_words(done: Done, rate: tuple[float, float] | None, text: str) -> None:
    """Amounts, rate and time left, in units that fit."""
    assert describe(done, rate, 5.0) == text


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.33, "0.3 s"), (59.6, "60 s"), (600, "10 min"), (7300, "2.0 h")],
)
def test_durations_are_readable(seconds: float, said: str) -> None:
    """Two or three digits."""
    assert duration(seconds) == said


def test_any_few_items_are_like_all() -> None:
    """Although they are sorted: their rate is that of all."""
    items = list(range(1000))
    found = spread(items)
    assert sorted(found) == items
    for part in (20, 100, 500):
        assert sum(found[:part]) / part == pytest.approx(499.5, rel=0.1)
    assert spread([]) == []


def test_work_tells_its_innermost_phase() -> None:
    """To who listens at the time; a phase that ends gives way to the one around it."""
    heard: list[tuple[str, int, int]] = []
    advance(3)  # nobody listens
    with told(lambda done: heard.append((done.phase, done.count, done.total))):
        with told(None), phase("generating", "sentences", 9):
            with phase("loading", "weights", 2):
                advance()
            advance(4)
        with phase("scoring", "texts", 5):
            advance(5)
            advance(0)
    advance()
    assert heard == [
        ("generating", 0, 9), ("loading", 0, 2), ("loading", 1, 2), ("generating", 4, 9),
        ("scoring", 0, 5), ("scoring", 5, 5),
    ]  # fmt: skip


def test_a_measurement_tells_its_three_phases(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each to its end; what is stored already tells nothing."""
    monkeypatch.setattr("exleak.store.identity._SETTLED_NS", -1)  # the files may be seconds old
    heard: list[tuple[str, str, int, int]] = []

    def note(done: Done) -> None:
        heard.append((done.phase, done.unit, done.count, done.total))

    def run(limit: int) -> list[tuple[str, str, int, int]]:
        heard.clear()
        exleak.measure(
            llama, exleak.load_dataset("hexl", limit=limit), instrument=WORDS, store=tmp_path,
            sampling=exleak.Sampling(generations=2, max_new_tokens=4), progress=note,
        )  # fmt: skip
        return [*heard]

    found = run(2)
    assert list(dict.fromkeys(name for name, *_ in found)) == ["loading", "generating", "scoring"]
    ends = {(name, unit): (count, total) for name, unit, count, total in found}
    assert ends["generating", "sentences"] == (16, 16)
    for key in (("loading", "weights"), ("scoring", "texts")):
        count, total = ends[key]
        assert 0 < count <= total
    more = run(3)
    assert max(total for name, _, _, total in more if name == "generating") == 8
    assert run(3) == []
