"""The pytest plugin of exleak: fixtures, options and the suite that measures leakage."""

import pytest

pytest.register_assert_rewrite("leakage_fixtures.suite")
