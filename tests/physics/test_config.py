"""PSF specifications as settings: what is accepted where, and what is told otherwise."""

from __future__ import annotations

import pytest

from hsimisr.physics.config import check_psf, check_psf_choice, psf_numbers


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("box", ()), ("bicubic", ()), ("mtf:0.29", (0.29,)), ("gauss:1.2,0.9,-30", (1.2, 0.9, -30.0))],
)
def test_numbers_of_a_psf(text, numbers):
    assert psf_numbers(text) == numbers
    assert check_psf(text) == check_psf_choice(text) == text


def test_auto_is_a_choice_but_no_psf():
    assert check_psf_choice("auto") == "auto"
    with pytest.raises(ValueError, match="a PSF is needed here, which auto is not"):
        check_psf("auto")


def test_where_auto_is_accepted_it_is_offered():
    with pytest.raises(ValueError, match=r"'airy' is not one of box, .* or auto to find it from the frames"):
        check_psf_choice("airy")
