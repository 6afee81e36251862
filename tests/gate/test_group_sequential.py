"""Looks that together keep one error rate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from exleak import SettingsError
from exleak.gate.group_sequential import design, nominal_levels, z_bounds


def _obrien_fleming(shares: list[float], alpha: float) -> list[float]:
    """Lan and DeMets' spending function of the O'Brien-Fleming type."""
    z = special.ndtri(alpha / 2)
    return [float(2 * special.ndtr(z / share**0.5)) for share in shares]


@pytest.mark.parametrize(
    ("looks", "bounds"),
    [
        (4, (4.3326, 2.9631, 2.3590, 2.0141)),
        (5, (4.8769, 3.3570, 2.6803, 2.2898, 2.0310)),
    ],
)
def test_bounds_are_those_of_the_literature(looks: int, bounds: tuple[float, ...]) -> None:
    """Two-sided 5%, equal looks: the values that group-sequential software prints."""
    shares = [(number + 1) / looks for number in range(looks)]
    found = z_bounds(shares, _obrien_fleming(shares, 0.025))
    assert found == pytest.approx(bounds, abs=2e-4)


def test_all_looks_together_keep_the_error_rate() -> None:
    """Of simulated runs at the limit, the stated share crosses a bound at any look."""
    shares = (0.25, 0.5, 0.75, 1.0)
    bounds = special.ndtri(nominal_levels(shares, 0.05))
    steps = np.random.default_rng(1).normal(0, 0.5, (200_000, 4)).cumsum(axis=1)
    crossed = (steps / np.sqrt(shares) > bounds).any(axis=1).mean()
    assert crossed == pytest.approx(0.05, abs=0.002)


def test_a_single_look_is_the_fixed_test() -> None:
    """Neither stricter nor laxer."""
    (look,) = design(60, 0.99, adaptive=False)
    assert look.samples == 60
    assert look.level == pytest.approx(0.99, abs=1e-12)


def test_early_looks_are_stricter_and_the_last_is_nearly_the_fixed_test() -> None:
    """Levels fall from look to look, to just above that of one look."""
    looks = design(60, 0.99, adaptive=True)
    assert [look.samples for look in looks] == [15, 30, 45, 60]
    levels = [look.level for look in looks]
    assert levels == sorted(levels, reverse=True)
    assert 0.99 < levels[-1] < 0.992


def test_run_and_extension_share_the_error_rate() -> None:
    """Half of it each, so that their errors add up to at most the whole, whatever they measure."""
    looks = design(60, 0.99, adaptive=False, further=200)
    assert [look.samples for look in looks] == [60, 260]
    assert sum(1 - look.level for look in looks) == pytest.approx(0.01)
    several = design(60, 0.99, adaptive=True, further=200)
    assert [look.samples for look in several] == [15, 30, 45, 60, 110, 160, 210, 260]
    assert several[3].level > 0.995
    assert several[-1].level > 0.995


def test_few_samples_have_fewer_looks() -> None:
    """No look is taken twice."""
    assert [look.samples for look in design(1, 0.99, adaptive=True)] == [1]
    assert [look.samples for look in design(3, 0.99, adaptive=True)] == [1, 2, 3]


@pytest.mark.parametrize(("samples", "level"), [(0, 0.99), (60, 1.0), (60, 0.5)])
def test_what_is_no_design_is_refused(samples: int, level: float) -> None:
    """No sample, no error rate, no confidence."""
    with pytest.raises(SettingsError, match="at least one sample"):
        design(samples, level, adaptive=True)
