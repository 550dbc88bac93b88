"""The house stands as it was drawn: who may import whom, and who alone may import a library."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "mailbot"
STAGES = ("intake", "reading", "screening", "classifying", "filing", "replying", "reviewing")
#: what a stage may import of mailbot, besides its own folder
SHARED = ("model", "errors", "config", "rendering", "network", "addresses", "oauth")
#: the shared modules know no stage
BELOW = (*SHARED, "tomlfile", "schedule", "campaign")
#: a library, and the only places that may import it
ALONE = {
    "imapclient": ("intake/imap.py", "demo/"),
    "imaplib": ("intake/imap.py",),
    "mailparser": ("reading/parse.py",),
    "spacy": ("classifying/",),
    "onnxruntime": ("classifying/encoder.py", "build_encoder.py"),
    "tokenizers": ("classifying/encoder.py", "build_encoder.py"),
    "scipy": ("classifying/heads.py",),
    "py3langid": ("classifying/language.py",),
    "torch": ("build_encoder.py",),
    "transformers": ("build_encoder.py",),
    "publicsuffixlist": ("addresses.py",),
    "authlib": ("oauth.py",),
    "dns": ("finding.py",),
    "requests": ("oauth.py",),
    "authres": ("screening/authentication.py",),
    "flufl": ("reading/bounces.py",),
    "smtplib": ("replying/smtp.py",),
    "sqlalchemy": ("filing/",),
    "alembic": ("filing/",),
    "jinja2": ("rendering.py",),
    "apscheduler": ("worker.py", "schedule.py"),
    "typer": ("cli.py", "commands.py", "options.py"),
    "pymap": ("demo/",),
    "aiosmtpd": ("demo/",),
}
FILES = sorted(path for path in ROOT.rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, in full, wherever in the file it does."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def ours(path: Path) -> set[str]:
    """The modules and folders directly under mailbot/ that a file imports."""
    return {name.split(".")[1] for name in imports_of(path) if name.startswith("mailbot.")}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_imports_no_other_stage(stage: str) -> None:
    for path in (ROOT / stage).rglob("*.py"):
        assert ours(path) <= {*SHARED, stage}, path


@pytest.mark.parametrize("name", BELOW)
def test_shared_modules_know_no_stage(name: str) -> None:
    assert ours(ROOT / f"{name}.py") <= set(BELOW)


def test_the_model_stands_alone() -> None:
    assert ours(ROOT / "model.py") == set()
    assert ours(ROOT / "errors.py") == set()


def test_nobody_imports_what_stands_above() -> None:
    above = ["replies", "pipeline", "digests", "app", "worker", "doctor", "tables", "preview", "commands", "cli"]
    for path in FILES:
        name = path.relative_to(ROOT).with_suffix("").as_posix()
        if name in above:
            assert not ours(path) & set(above[above.index(name) + 1 :]), name
        elif not name.startswith("demo/") and name not in ("shapes", "__main__"):
            assert not ours(path) & set(above), name


@pytest.mark.parametrize("library", ALONE)
def test_a_library_is_imported_in_its_place_only(library: str) -> None:
    users = {
        path.relative_to(ROOT).as_posix()
        for path in FILES
        if any(name == library or name.startswith(f"{library}.") for name in imports_of(path))
    }
    assert users, f"nobody imports {library}"
    assert {user for user in users if not user.startswith(ALONE[library])} == set()


def test_values_between_stages_are_frozen_and_slotted() -> None:
    import dataclasses

    from mailbot import model

    kinds = [kind for kind in vars(model).values() if isinstance(kind, type) and dataclasses.is_dataclass(kind)]
    assert len(kinds) > 15
    for kind in kinds:
        assert kind.__dataclass_params__.frozen and "__slots__" in vars(kind), kind  # type: ignore[attr-defined]


def test_every_error_is_in_the_tree_shown() -> None:
    from mailbot import errors

    names = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert names <= set((errors.__doc__ or "").replace("(", " ").split())
