"""The documentation: its Python runs, its links lead somewhere, the files and exceptions it speaks of exist."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from distkeras import _errors
from distkeras.cli import main

PROJECT = Path(__file__).parents[1]
PAGES = [*sorted((PROJECT / "docs").glob("*.md")), *(PROJECT / name for name in ("README.md", "CONTRIBUTING.md"))]
FOLDERS = {path.name for root in (PROJECT, PROJECT / "distkeras") for path in root.iterdir() if path.is_dir()}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def test_the_python_of_the_user_guide_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = PROJECT / "docs" / "user_guide.md"
    found, names = blocks(page, "python"), {}
    assert len(found) >= 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for block in found:
            exec(compile(block, str(page), "exec"), names)
    assert names["accuracy"] > 0.8 and names["probabilities"].shape == (5, 2)
    assert {"model.h5", "weights.h5", "best.h5", "log.csv"} <= {path.name for path in tmp_path.iterdir()}


def test_the_python_of_the_page_on_data_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page, names = PROJECT / "docs" / "data.md", {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for block in blocks(page, "python"):
            exec(compile(block, str(page), "exec"), names)
    assert names["probabilities"].shape == (100, 2) and len(names["history"].history["val_loss"]) == 2
    assert sum(len(labels) for _, labels in names["records"]) == 100


def test_the_readme_names_every_example():
    readme = (PROJECT / "README.md").read_text()
    assert [path.name for path in (PROJECT / "examples").glob("*.py") if f"`{path.name}`" not in readme] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for name in re.findall(r"`([\w./*]+/[\w.*]*)`", text):
        roots = (PROJECT, PROJECT / "distkeras")
        if name.partition("/")[0] in FOLDERS:
            assert any(list(root.glob(name.rstrip("/"))) for root in roots), name


def test_every_part_of_the_package_is_in_the_tree():
    (tree,) = (block for block in blocks(PROJECT / "docs" / "architecture.md", "") if block.startswith("distkeras/"))
    entries = [
        path for path in (PROJECT / "distkeras").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    ]
    entries += [
        path for path in (PROJECT / "distkeras" / "keras").iterdir() if path.is_dir() and list(path.glob("*.py"))
    ]
    missing = [path.name for path in entries if not re.search(rf"\b{re.escape(path.stem)}\b", tree)]
    assert missing in ([], ["__main__.py"])


@pytest.mark.parametrize("name", [name for name, kind in vars(_errors).items() if inspect.isclass(kind)])
def test_every_exception_has_a_remedy(name):
    assert name in (PROJECT / "docs" / "troubleshooting.md").read_text()


def test_quoted_messages_are_those_of_the_source():
    """The first words of what the page quotes stand in the source as they are."""
    source = "\n".join(path.read_text() for path in (PROJECT / "distkeras").rglob("*.py"))
    source = re.sub(r'"\s*\n\s*f?"', "", source)  # texts that go on in the next line
    text = (PROJECT / "docs" / "troubleshooting.md").read_text().split("\n## MPI\n")
    section = text[0] + text[1].split("\n## ")[1]
    quoted = re.findall(r"^\| (?:warning )?`([^`]+)`", section, flags=re.MULTILINE)
    assert len(quoted) >= 20
    for message in quoted:
        pieces = [piece.strip() for piece in re.split(r"\.\.\.|\b[rs0-9]+\b|\[|\]", message) if len(piece.strip()) > 3]
        for piece in pieces:
            assert piece in source or piece.strip(" ,:.") in source, (message, piece)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_understood(page, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").touch()
    (tmp_path / "hosts").write_text("localhost slots=16\n")
    text = page.read_text()
    for command in set(re.findall(r"\bdistkeras (run -[^`\n]*train\.py)", text)):
        arguments = command.replace("-n N", "-n 2").split()
        assert main([arguments[0], "--dry-run", *arguments[1:]]) == 0, command


def test_the_python_of_the_page_on_workers_runs_as_a_script(tmp_path):
    (block,) = blocks(PROJECT / "docs" / "data_workers.md", "python")
    script = tmp_path / "script.py"
    script.write_text(block)
    # On a busy machine the workers may take so long to start that the training says it waited for them.
    command = [sys.executable, "-W", "ignore:Epoch 1 waited for data", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert 0 < float(done.stdout) < 1
