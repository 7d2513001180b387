"""`smac tasks` and `smac tasks show`, as a user types them."""

import pytest
from support import run

from analysis_cli import smac
from smac.tasks import task_names


def words(text: str) -> str:
    """What was printed, without the table's lines and the breaks that its width makes."""
    return " ".join(text.replace("│", " ").replace("┃", " ").split())


@pytest.mark.parametrize("line", ["tasks", "tasks list"])
def test_list(line, capsys):
    assert run(smac, line) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in task_names())


def test_show_explains_a_task_with_options(capsys):
    assert run(smac, "tasks show antmaze-umaze@version=v5") == 0
    printed = words(capsys.readouterr().out)
    for part in (
        "AntMaze_UMaze-v5 of gymnasium-robotics",
        "109 numbers (entries",
        "8 numbers in [-1, 1]",
        "700 steps",
        "`success`: success - 1 at each step",
        "terminates at the first success",
        "within 0.45 m of the goal",
        "Asap7772/antmaze_gen",
        "smac/antmaze-umaze-v0",
        "cells corners or any",
        "expectile 0.9",
    ):
        assert part in printed, part


def test_show_explains_any_environment(capsys):
    assert run(smac, "tasks show Pendulum-v1@random=-1200,expert=-150") == 0
    printed = words(capsys.readouterr().out)
    for part in (
        "3 numbers",
        "200 steps",
        "`own`",
        "-1200.0, -150.0",
        "UnitAction",
        "name one with --dataset",
    ):
        assert part in printed, part


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("kitchen-compete", "did you mean 'kitchen-complete'?"),
        ("kitchen-complete@reward=wsrl", "rewards are remaining, solved, completion, satisfied"),
        ("Nothing-v3", "unknown environment 'Nothing-v3'"),
        ("AdroitHandDoor-v1", "a sign error: state"),
    ],
)
def test_wrong_names_are_one_clear_line(name, message, capsys):
    assert run(smac, f"tasks show {name}") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("smac: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err
