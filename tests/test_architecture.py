"""What the layout promises: the window never waits for torch, and batched solves go through one helper."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def modules_loaded_by(statement: str) -> set[str]:
    """Top-level modules in a fresh interpreter after `statement`."""
    code = f"{statement}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    return set(done.stdout.split())


def plugin_modules() -> list[str]:
    files = sorted((ROOT / "napari_hsimisr").rglob("*.py"))
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]
    return [name.removesuffix(".__init__") for name in names]


def test_the_plugin_imports_without_torch():
    pytest.importorskip("napari", reason="the plugin's extra is not installed")
    assert "torch" not in modules_loaded_by("import " + ", ".join(plugin_modules()))


def test_the_command_line_starts_without_torch_napari_and_qt():
    loaded = modules_loaded_by("import hsimisr.cli.commands")
    assert not loaded & {"torch", "napari", "qtpy", "PyQt6"}


@pytest.mark.parametrize("call", ["torch.linalg.solve(a, b)", "torch.linalg.inv(a)", "torch.linalg.lu_factor(a)"])
def test_lint_refuses_solves_by_lu(call):
    source = f"import torch\n\n\ndef f(a, b):\n    return {call}\n"
    where = ["--stdin-filename", str(ROOT / "src_models/hsimisr/inversion/any.py")]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--select", "TID251", *where, "-"],
        input=source, capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "hsimisr.physics.linalg" in done.stdout


def test_no_tensor_is_inverted_by_its_own_method():
    """The lint knows functions by name, not methods by the type of what they are called on."""
    offenders = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in (ROOT / "src_models").rglob("*.py")
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if any(f".{method}(" in line for method in ("inverse", "logdet", "slogdet")) and "np.linalg" not in line
    ]
    assert offenders == []
