"""The repository's own rules that no linter knows: no leftovers, no swollen files, no packages named after nothing."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60  # review asks questions from 40
NAMES_FOR_NOTHING = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc", "shared"}
# Spelled apart, so that this file does not find itself.
LEFTOVERS = re.compile("|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"]))
COMMENTED_OUT = re.compile(r"^\s*#\s*(@pytest\.mark\.(skip|xfail)|(def|class|import|return|assert) \S.*[:()]$)")
SKIPPED_FOR_GOOD = re.compile(r"@pytest\.mark\.skip\b|@pytest\.mark\.skip\(|pytest\.mark\.skipif\(True")


def tracked(*suffixes: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    paths = (ROOT / name for name in listed.stdout.decode().splitlines())
    return [path for path in paths if path.is_file() and (not suffixes or path.suffix in suffixes)]


def modules() -> list[Path]:
    return [path for path in tracked(".py") if path.relative_to(ROOT).parts[0] in {"streams", "tests", "bench"}]


def places(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1)
        if pattern.search(line)
    ]


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_nothing_is_left_for_later() -> None:
    texts = tracked(".py", ".md", ".yaml", ".yml", ".toml", ".sh", ".html", ".css", ".js", ".xml", "")
    assert places(LEFTOVERS, texts) == []


def test_no_code_is_commented_out() -> None:
    assert places(COMMENTED_OUT, modules()) == []


def test_no_test_is_switched_off() -> None:
    tests = [path for path in modules() if "tests" in path.parts and path != Path(__file__)]
    assert places(SKIPPED_FOR_GOOD, tests) == []


def test_a_module_is_read_in_one_sitting() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in modules()}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_MODULE_LINES} == {}


def test_a_function_fits_on_a_screen() -> None:
    lengths = {
        f"{path.relative_to(ROOT)}:{function.name}": (function.end_lineno or 0) - function.lineno + 1
        for path in modules()
        for function in functions(ast.parse(path.read_text()))
    }
    assert {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES} == {}


def test_no_package_is_named_after_nothing() -> None:
    named = {path for path in modules() if NAMES_FOR_NOTHING & {*path.relative_to(ROOT).parts, path.stem}}
    assert named == set()


def test_library_code_does_not_print() -> None:
    calls = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in modules()
        if path.relative_to(ROOT).parts[0] == "streams"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert calls == []


def test_only_the_engine_touches_kafkas_consumer_and_producer() -> None:
    clients = {"Consumer", "Producer", "DeserializingConsumer", "SerializingProducer"}
    imports = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in modules()
        if path.relative_to(ROOT).parts[0] == "streams" and "engine" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "confluent_kafka"
        if clients & {name.name for name in node.names}
    ]
    assert imports == []


def test_makefile_recipes_name_only_what_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    scripts = set(re.findall(r"\bscripts/[\w-]+", makefile))
    assert scripts
    assert {name for name in scripts if not (ROOT / name).stat().st_mode & 0o100} == set()
