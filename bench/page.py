"""The page: how soon a fleet is seen, whether 1,000 nodes scroll without a dropped frame, how much script that takes.

    .venv/bin/python bench/page.py [CHROMIUM]      (default: chromium in PATH)

A hub holds some metrics of 100 and of 1,000 nodes, written once by Remote Write.
Measured in headless Chromium: from the fleet's answer until its table is drawn (an upper bound: the look begins when
the document is loaded); 5 s of scrolling from top to bottom, frame by frame (requestAnimationFrame), with the
browser's long tasks; the share of the scroll that the page's main thread computed, and what it computed for a frame
(CPU time of the trace: 60 frames/s leave it 16.7 ms), what rasterizing and showing it took on other threads; bytes of
script as gzip sends them. A machine with other work, or one that draws without a graphics card, drops frames that the
page does not, and a frame after dropped ones has more rows to draw: there the share tells more than the frames.
"""

from __future__ import annotations

import gzip
import json
import platform
import shutil
import statistics
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from playwright.sync_api import sync_playwright  # noqa: E402 - after the repository is importable

from tests.e2e.page_scene import CHROMIUM_ARGUMENTS, hub, now_ms, write  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser

STATIC = REPOSITORY / "src" / "kpwatch" / "ui" / "static"
TRIES = 5
SCROLL_SECONDS = 5
TREND_MINUTES = 30
SYNC_DURATION = "kubeproxy_sync_proxy_rules_duration_seconds"
FRAME_MS = 1000 / 60
TRACED = ["devtools.timeline", "disabled-by-default-devtools.timeline", "toplevel", "cc", "viz"]
ELSEWHERE = {"raster": "RasterTask", "display": "Display::DrawAndSwap"}
"""What a graphics card would do, on threads of its own."""
STAGES = {
    "main_thread": "RunTask",
    "script": "FunctionCall",
    "style": "UpdateLayoutTree",
    "layout": "Layout",
    "paint": "Paint",
}

FIRST_VIEW = """() => new Promise((done) => {
  const look = () => {
    const row = document.querySelector("tbody tr a");
    if (!row) return requestAnimationFrame(look);
    requestAnimationFrame(() => {
      const answer = performance.getEntriesByType("resource").find(({ name }) => name.includes("v1/fleet"));
      done({ drawn: performance.now(), answered: answer.responseEnd });
    });
  };
  look();
})"""

SCROLL = """(seconds) => new Promise((done) => {
  const main = document.querySelector("main");
  const frames = [];
  const long = [];
  const watch = new PerformanceObserver((list) => long.push(...list.getEntries().map(({ duration }) => duration)));
  watch.observe({ type: "longtask" });
  const bottom = main.scrollHeight - main.clientHeight;
  let begin = null;
  const step = (now) => {
    begin ??= now;
    frames.push(now);
    const part = (now - begin) / (seconds * 1000);
    main.scrollTop = bottom * Math.min(1, part);
    if (part < 1) requestAnimationFrame(step);
    else done({ frames, long });
  };
  requestAnimationFrame(step);
})"""


def fleet(nodes: int) -> list[tuple[dict[str, str], list[tuple[int, float]]]]:
    """Samples of now for every node, and those of half an hour for the line that shows how long syncs took."""
    at_ms = now_ms()
    metrics = {
        "up": 1.0,
        "kubeproxy_sync_proxy_rules_last_timestamp_seconds": at_ms / 1000 - 5,
        "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds": at_ms / 1000 - 6,
        "kubeproxy_sync_proxy_rules_endpoint_changes_pending": 0.0,
        "process_start_time_seconds": at_ms / 1000 - 9000,
    }
    series: list[tuple[dict[str, str], list[tuple[int, float]]]] = []
    for node in range(nodes):
        labels = {"ident": f"node-{node:04d}", "job": "kube-proxy"}
        series += [({"__name__": name, **labels}, [(at_ms, value)]) for name, value in metrics.items()]
        for suffix, each in (("count", 1.0), ("sum", 0.01 + node % 7 / 100)):
            values = [(at_ms - ago * 60_000, (TREND_MINUTES - ago) * each) for ago in range(TREND_MINUTES, -1, -1)]
            series.append(({"__name__": f"{SYNC_DURATION}_{suffix}", **labels}, values))
    return series


def first_view(browser: Browser, url: str) -> list[float]:
    """Milliseconds from the fleet's answer to the drawn table, of several visits."""
    found = []
    for _ in range(TRIES):
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.goto(url)
        seen: dict[str, float] = page.evaluate(FIRST_VIEW)
        found.append(seen["drawn"] - seen["answered"])
        page.context.close()
    return found


def scrolling(browser: Browser, url: str) -> dict[str, Any]:
    """Frames of a scroll through the whole table."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.goto(url)
    page.locator(".sparkline").first.wait_for()
    page.wait_for_timeout(1000)
    browser.start_tracing(page=page, categories=TRACED)
    told: dict[str, list[float]] = page.evaluate(SCROLL, SCROLL_SECONDS)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    spent, elsewhere = main_thread_ms(events), cpu_ms(events)
    gaps = [later - earlier for earlier, later in zip(told["frames"], told["frames"][1:], strict=False)]
    page.context.close()
    return {
        "frames_per_second": len(gaps) / (sum(gaps) / 1000),
        "median_ms": statistics.median(gaps),
        "p99_ms": statistics.quantiles(gaps, n=100)[98],
        "late": sum(gap > 1.5 * FRAME_MS for gap in gaps),
        "frames": len(gaps),
        "long_tasks": len(told["long"]),
        "main_thread_busy": spent[STAGES["main_thread"]] / sum(gaps),
        **{f"{name}_ms_a_frame": spent[event] / len(gaps) for name, event in STAGES.items()},
        **{f"{name}_ms_a_frame": elsewhere[event] / len(gaps) for name, event in ELSEWHERE.items()},
    }


def main_thread_ms(events: list[dict[str, Any]]) -> Counter[str]:
    """CPU milliseconds by event, of the main thread that drew the frames."""
    drew = Counter((event["pid"], event["tid"]) for event in events if event["name"] == "FireAnimationFrame")
    (thread, _), *_ = drew.most_common(1)
    return cpu_ms([event for event in events if (event["pid"], event["tid"]) == thread])


def cpu_ms(events: list[dict[str, Any]]) -> Counter[str]:
    """CPU milliseconds by event."""
    spent: Counter[str] = Counter()
    for event in events:
        if event["ph"] == "X":
            spent[event["name"]] += event.get("tdur", 0) / 1000
    return spent


def main(chromium: str) -> None:
    """Print every figure with what it was measured on."""
    sizes = {file.name: len(gzip.compress(file.read_bytes(), mtime=0)) for file in (STATIC / "assets").glob("*.js")}
    editor = sum(size for name, size in sizes.items() if name.startswith("editor-"))
    print(f"# {platform.platform()}, {chromium}")
    before = sum(sizes.values()) - editor
    print(f"script before the query editor: {before / 1024:.1f} KB gzip; editor: {editor / 1024:.1f} KB")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        for nodes in (100, 1000):
            with tempfile.TemporaryDirectory() as scratch, hub(Path(scratch)) as url:
                write(url, fleet(nodes))
                times = first_view(browser, url)
                print(f"{nodes} nodes, from answer to table: {sorted(map(round, times))} ms")
                if nodes == 1000:
                    found = scrolling(browser, url)
                    print(
                        f"{nodes} nodes, scrolling: " + ", ".join(f"{key} {value:.4g}" for key, value in found.items())
                    )
        browser.close()


if __name__ == "__main__":
    named = sys.argv[1] if len(sys.argv) > 1 else shutil.which("chromium")
    if named is None:
        sys.exit("bench/page.py: no chromium in PATH; name one as the first argument")
    main(named)
