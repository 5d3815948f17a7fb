from __future__ import annotations

import ast

import pytest

from coopery_conda.entry_points import EntryPoint, parse


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tool = pkg.cli:main", EntryPoint("tool", "pkg.cli", "main")),
        ("  tool=pkg:App.run ", EntryPoint("tool", "pkg", "App.run")),
        ("f2py3.11 = numpy.f2py.f2py2e:main", EntryPoint("f2py3.11", "numpy.f2py.f2py2e", "main")),
        ("_tool-x = p:m", EntryPoint("_tool-x", "p", "m")),
    ],
)
def test_what_packages_have(line: str, expected: EntryPoint) -> None:
    assert parse(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "../../etc/cron.d/x = p:m",
        "/usr/bin/python = p:m",
        ".. = p:m",
        "a/b = p:m",
        "x\n = p:m",
        "-x = p:m",
        "x = os; import evil:m",
        "x = p:m(); import evil",
        "x = p:m\nimport evil",
        "x = p",
        "= p:m",
        "x = :m",
        "x = p:",
        "",
    ],
)
def test_what_would_leave_the_prefix_or_add_code_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"entry point|command"):
        parse(line)


def test_the_script_is_python_and_calls_the_function() -> None:
    script = parse("tool = pkg.cli:App.run").script("/opt/env/bin/python3.12").decode()
    assert script.startswith("#!/opt/env/bin/python3.12\n")
    tree = ast.parse(script)
    imports = [ast.unparse(node) for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert imports == ["from pkg.cli import App"]
    assert "sys.exit(App.run())" in ast.unparse(tree)
