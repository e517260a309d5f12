"""Dense references, and a situation, for these tests."""

from __future__ import annotations

import pytest
from dense_problem import dense_problem, drawn_problem
from situations import situation_of

__all__ = ["dense_problem", "drawn_problem"]


@pytest.fixture
def situation(drawn_problem):
    return situation_of(drawn_problem(shape=(12, 15)))
