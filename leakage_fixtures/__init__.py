"""The pytest plugin of exleak: options, fixtures and the test suite that measures leakage."""

import pytest

pytest.register_assert_rewrite("leakage_fixtures.suite")
