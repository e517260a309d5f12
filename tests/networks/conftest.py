"""Dense references for these tests."""

from dense_problem import dense_problem, drawn_problem

__all__ = ["dense_problem", "drawn_problem"]
