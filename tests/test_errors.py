"""An error is one printable line, whatever it quotes."""

import warnings

import numpy as np

from depthclip_core.errors import DepthClipError, Notice, first_line, show_notices_plainly


def test_quoted_values_do_not_break_the_line():
    quoted = f"got {np.zeros((3, 3))!r}, {object()}, odd\nname\x1b[31m\udcff"
    said = str(DepthClipError(quoted))
    assert said.isprintable() and " at 0x" not in said
    assert said.startswith("got array([[0., 0., 0.], [0., 0., 0.]") and "odd name" in said


def test_middle_of_a_very_long_message_is_left_out():
    said = str(DepthClipError(f"bins {[1.5] * 10**4} are wrong: give one for each word"))
    assert len(said) < 800 and said.startswith("bins [1.5, ") and " … " in said
    assert said.endswith("are wrong: give one for each word")


def test_error_of_the_system_is_told_without_number_and_path():
    try:
        open("/no/such/file")
    except OSError as error:
        assert first_line(error) == "No such file or directory"


def test_notices_are_one_line_and_other_warnings_as_python_shows_them(monkeypatch):
    pythons = warnings.formatwarning
    monkeypatch.setattr(warnings, "formatwarning", pythons)  # what is set is taken back
    show_notices_plainly()
    show_notices_plainly()
    where = ("a.py", 3, "code()")
    shown = warnings.formatwarning(Notice("RN50 has\x1b random weights"), Notice, *where)
    assert shown == "note: RN50 has  random weights\n"
    other = UserWarning("theirs")
    assert warnings.formatwarning(other, UserWarning, *where) == pythons(other, UserWarning, *where)
