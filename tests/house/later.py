"""`pytest -p tests.house.later`: a process whose clock is an hour and 1.234 s ahead."""

from __future__ import annotations

import time

_now, _now_ns = time.time, time.time_ns

time.time = lambda: _now() + 3601.234
time.time_ns = lambda: _now_ns() + 3_601_234_000_000
