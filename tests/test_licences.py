"""SECURITY.md names the licence and the maintainers of every package that is asked for."""

import licences


def test_the_table_is_what_installed_packages_say():
    assert f"{licences.MARKS[0]}\n{licences.table()}\n{licences.MARKS[1]}" in (
        licences.PAGE.read_text("utf-8")
    ), "run tests/licences.py"


def test_every_package_names_its_licence_and_who_maintains_it():
    rows = [line.strip("| ").split(" | ") for line in licences.table().splitlines()[2:]]
    assert len(rows) > 40
    assert [row for row in rows if len(row) != 4 or not all(row)] == []


def test_no_licence_binds_what_uses_the_package():
    """The GPL and its like would change under which licence this workbook can be given away."""
    rows = licences.table().splitlines()
    assert [row for row in rows if "GPL" in row.upper() or "GENERAL PUBLIC" in row.upper()] == []
