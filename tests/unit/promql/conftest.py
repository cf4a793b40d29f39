"""The engine evaluates with numpy's warnings off (0/0 is NaN in PromQL, and no warning); so do these tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def as_in_the_engine() -> Iterator[None]:
    """No floating point warnings."""
    with np.errstate(all="ignore"):
        yield
