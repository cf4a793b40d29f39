"""The package carries real bodies, untouched and small."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from kpwatch.base.errors import ConfigError
from kpwatch.simulate.bodies import capture, captures
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

DATA = REPOSITORY / "src/kpwatch/simulate/data"


def test_every_packed_body_is_the_captured_one_byte_for_byte(shared_dir: Path):
    for name, packed in captures().items():
        assert packed.metrics == (shared_dir / f"captures/real-{name}.txt").read_bytes(), name


def test_packing_again_gives_the_same_archive(shared_dir: Path, tmp_path: Path):
    """So a changed archive means changed captures."""
    script = (REPOSITORY / "scripts/make-simulator-bodies").read_text()
    copy = tmp_path / "scripts" / "make-simulator-bodies"
    (tmp_path / "src/kpwatch/simulate/data").mkdir(parents=True)
    copy.parent.mkdir()
    copy.write_text(script)
    subprocess.run([sys.executable, copy, shared_dir / "captures"], check=True, capture_output=True)
    made = tmp_path / "src/kpwatch/simulate/data/bodies.tar.xz"
    assert made.read_bytes() == (DATA / "bodies.tar.xz").read_bytes()


def test_the_archive_is_small():
    assert (DATA / "bodies.tar.xz").stat().st_size < 200_000


def test_a_capture_knows_its_version_and_mode():
    found = capture("1.36.3-nftables-churn")
    assert (found.version, found.minor, found.mode) == ("1.36.3", 36, "nftables")


def test_a_capture_that_is_not_there_is_named_beside_those_that_are():
    with pytest.raises(ConfigError, match=r"1\.37\.0.*1\.36\.3-iptables-churn"):
        capture("1.37.0-ipvs-churn")
