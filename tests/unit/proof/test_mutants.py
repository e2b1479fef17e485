"""Which mutants a solution gets, and how they are called."""

from __future__ import annotations

import ast

import pytest

from coursekit.proof.mutants import Mutant, mutants, region


def cell(*lines: str) -> str:
    body = "\n".join(f"    {line}" for line in lines)
    return f'def f(x, y):\n    """Not 3 * 4."""\n    ### BEGIN SOLUTION\n{body}\n    ### END SOLUTION\n    return 7\n'


def names(*lines: str) -> list[str]:
    return [mutant.name.partition(": ")[2] for mutant in mutants(cell(*lines))]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("z = x + y", ["x + y -> x - y", "x + y -> x", "x + y -> y", "z = x + y -> pass"]),
        ("z = x @ y", ["x @ y -> y @ x"]),
        ("z = x * (y - 1)", ["x * (y - 1) -> x / (y - 1)", "y - 1 -> y + 1", "y - 1 -> y", "y - 1 -> y - 2", "y - 1 -> y - 0"]),
        ("z = x - y * 2", ["x - y * 2 -> x + (y * 2)", "y * 2 -> y / 2", "y * 2 -> y * -2"]),
        ("x += y", ["x += y -> x -= y", "x += y -> x = y", "x += y -> pass"]),
        ("z = x < y", ["x < y -> x <= y", "x < y -> x >= y"]),
        ("z = x == y", ["x == y -> x != y"]),
        ("z = -x", ["-x -> x"]),
        ("z = x and y", ["x and y -> x or y", "x and y -> x", "x and y -> y"]),
        ("z = not x", ["not x -> x"]),
        ("z = True", ["z = True -> z = False"]),
        ("z = 1e-5", ["z = 1e-5 -> z = 1.00001", "z = 1e-5 -> z = -1e-05"]),
        ("z = x.sum(dim=0, keepdim=True)", [
            "x.sum(dim=0, keepdim=True) -> x.sum(dim=1, keepdim=True)",
            "x.sum(dim=0, keepdim=True) -> x.sum(dim=0, keepdim=False)",
            "x.sum(dim=0, keepdim=True) -> x.sum(keepdim=True)",
            "x.sum(dim=0, keepdim=True) -> x.mean(dim=0, keepdim=True)",
            "x.sum(dim=0, keepdim=True) -> x",
        ]),
        ("z = x.clone()", ["x.clone() -> x"]),
        ("x.sub_(y)", ["x.sub_(y) -> x.sub(y)", "x.sub_(y) -> x.sub_()", "x.sub_(y) -> pass"]),
        ("z = torch.where(x, y, 0)", [
            "torch.where(x, y, 0) -> torch.where(y, x, 0)",
            "torch.where(x, y, 0) -> torch.where(x, 0, y)",
            "torch.where(x, y, 0) -> torch.where(x, y)",
            "torch.where(x, y, 0) -> torch.where(x, y, 1)",
        ]),
        ("z = torch.zeros_like(x)", ["torch.zeros_like(x) -> x", "torch.zeros_like(x) -> torch.ones_like(x)"]),
        ("z = x.T", ["x.T -> x"]),
        ("z = x[1:, :-1]", ["x[1:, :-1] -> x", "x[1:, :-1] -> x[:, :-1]", "x[1:, :-1] -> x[1:, :]", "x[1:, :-1] -> x[:-1, 1:]"]),
        ("z = x[:, None]", ["x[:, None] -> x[None, :]"]),
        ('z = torch.einsum("ij->ji", x)', ["""torch.einsum("ij->ji", x) -> torch.einsum('ij->ij', x)"""]),
        ("return x, y", ["return x, y -> return y, x", "return x, y -> pass"]),
        ("return x", ["return x -> return y"]),
        ("raise ValueError(3)", ['raise ValueError(3) -> pass']),
    ],
)  # fmt: skip
def test_what_a_line_gives(line: str, expected: list[str]) -> None:
    found = names(line)
    assert [name for name in expected if name not in found] == [], found


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("for i in x:", "    break"), ["break -> continue", "break -> pass"]),
        (("while x:", "    x -= 1"), ["while x: -> while not x:"]),
        (("if x > 0 and y:", "    z = 1"), ["x > 0 and y -> not (x > 0 and y)"]),
        (("with torch.no_grad():", "    x.mul_(2)"), ["with torch.no_grad(): -> pass"]),
    ],
)
def test_what_a_block_gives(lines: tuple[str, ...], expected: list[str]) -> None:
    found = names(*lines)
    assert [name for name in expected if name not in found] == [], found


@pytest.mark.parametrize(
    ("line", "unwanted"),
    [
        ("z: int = x", "int ->"),
        ('raise ValueError("at least 3")', "3 ->"),
        ("z = x.sum(dim=-1)", "dim=1)"),
        ("z = x.transpose(0, 1)", "x.transpose(1, 0)"),
        ("z = torch.maximum(x, y)", "torch.maximum(y, x)"),
        ('"""A note: 3 + 4."""', "3"),
        ("import math", "import"),
    ],
)
def test_what_is_left_alone(line: str, unwanted: str) -> None:
    assert [name for name in names(line) if unwanted in name] == []


def test_only_the_solution_is_changed() -> None:
    found = mutants(cell("z = x"))
    assert {mutant.line for mutant in found} == {4}
    assert all('"""Not 3 * 4."""' in mutant.text and "return 7" in mutant.text for mutant in found)


def test_what_a_release_shows_is_no_solution() -> None:
    text = "def f(x):\n    ### BEGIN SOLUTION\n    y = x\n    ### RELEASE SHOWS\n    # y = 2\n    ### END SOLUTION\n    return y\n"
    assert region(text) == {3: 1}
    assert [mutant.name for mutant in mutants(text)] == ["line 1: y = x -> pass"]


def test_lines_are_counted_within_the_solution() -> None:
    text = cell("a = x", "b = y")
    longer = text.replace("Not 3 * 4.", "Not 3 * 4.\n\n    More.\n    ")
    assert [m.name for m in mutants(longer)] == [m.name for m in mutants(text)]
    assert [m.line - n.line for m, n in zip(mutants(longer), mutants(text), strict=True)] == [3, 3]


def test_names_are_unique_and_no_two_mutants_mean_the_same() -> None:
    text = cell("z = x + 0 * (0 + 0)", "z = z[0][0]", "return z")
    found = mutants(text)
    assert len({mutant.name for mutant in found}) == len(found)
    meanings = {ast.dump(ast.parse(mutant.text)) for mutant in found}
    assert len(meanings) == len(found)
    assert ast.dump(ast.parse(text)) not in meanings


def test_an_operation_keeps_what_it_binds() -> None:
    by_name = {mutant.name.partition(": ")[2]: mutant.text for mutant in mutants(cell("z = (x + y - 1) * 2"))}
    assert "z = (x + y) * 2" in by_name["x + y - 1 -> x + y"]
    assert "z = ((x + y) + 1) * 2" in by_name["x + y - 1 -> (x + y) + 1"]


def test_a_long_line_is_named_by_the_part_that_differs() -> None:
    long = " + ".join(f"term_number_{i}" for i in range(12))
    found = [mutant.name for mutant in mutants(cell(f"z = {long}"))]
    assert all(len(name) < 160 for name in found)
    assert len(set(found)) == len(found)


def test_a_mutant_is_plain_data() -> None:
    mutant = mutants(cell("z = x"))[0]
    assert mutant == Mutant("line 1: z = x -> pass", 4, cell("pass"))
