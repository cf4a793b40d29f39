"""Real processes and a real browser for the page's tests: a hub, samples written to it, a page that is watched."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kpwatch.remote_write import snappy, v1

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from playwright.sync_api import ConsoleMessage, Page, Request, Response

    Labels = dict[str, str]
    Samples = Sequence[tuple[int, float]]

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START_SECONDS = 60


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[str]:
    """Run `kpwatch ARGUMENTS` (a verb that prints its URL first); gives the URL, without the last slash."""
    log = folder / "stderr.txt"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "kpwatch", *arguments], stdout=subprocess.PIPE, stderr=errors, text=True, cwd=folder
        )
    try:
        yield _announced_url(process, log)
    finally:
        process.terminate()
        process.communicate(timeout=START_SECONDS)


def _announced_url(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    line = process.stdout.readline() if ready else ""
    url = next((word for word in line.split() if word.startswith("http://")), None)
    assert url is not None, f"no URL in {line!r}; its log: {log.read_text()[-2000:]}"
    return url.rstrip("/")


@contextmanager
def hub(folder: Path) -> Iterator[str]:
    """An empty hub."""
    with serving(folder, "hub", "--listen", "127.0.0.1:0", "--data", str(folder / "data")) as url:
        yield url


def write(url: str, series: Iterable[tuple[Labels, Samples]]) -> None:
    """Remote Write 1.0 of every series; samples are (timestamp_ms, value)."""
    body = b"".join(v1.encode_series(v1.encode_labels(sorted(labels.items())), samples) for labels, samples in series)
    headers = {"Content-Type": v1.CONTENT_TYPE, "Content-Encoding": v1.CONTENT_ENCODING}
    request = urllib.request.Request(f"{url}/api/v1/write", snappy.compress(body), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 204


def query(url: str, expression: str, at_seconds: float | None = None) -> list[dict[str, Any]]:
    """The result of an instant query, as the API gives it."""
    parameters = {"query": expression} | ({} if at_seconds is None else {"time": str(at_seconds)})
    with urllib.request.urlopen(f"{url}/api/v1/query?{urllib.parse.urlencode(parameters)}", timeout=30) as answer:
        result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return result


def now_ms() -> int:
    """The wall clock, as agents stamp samples."""
    return time.time_ns() // 1_000_000


class Watch:
    """Everything a page should never do, noted as it happens."""

    def __init__(self, page: Page, origin: str) -> None:
        self.complaints: list[str] = []
        self._origin = origin
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        page.on("request", self._request)
        page.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"console {message.type}: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((f"{self._origin}/", "blob:", "data:")):
            self.complaints.append(f"foreign request: {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.complaints.append(f"{response.status}: {response.url}")


# Text whose colour is too near its ground (WCAG 2.2, 1.4.3): [text, ratio]. Grounds are opaque colours of ancestors.
CONTRAST = """() => {
  const channels = (colour) => colour.match(/[0-9.]+/g).map(Number);
  const linear = (c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = channels(getComputedStyle(each).backgroundColor);
      if ((colour[3] ?? 1) === 1) return colour;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.closest(":disabled, :has(> :disabled)")) continue;
    const style = getComputedStyle(element);
    const size = parseFloat(style.fontSize);
    const [a, b] = [light(channels(style.color)), light(ground(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5)) {
      bad.push([element.textContent.slice(0, 40), Math.round(ratio * 100) / 100]);
    }
  }
  return bad;
}"""

# Controls without a name for a screen reader.
NAMELESS = """() => [...document.querySelectorAll("button, a, input, select, textarea, summary")].filter((element) =>
  !(element.textContent.trim() || element.ariaLabel || element.labels?.length || element.title)
).map((element) => element.outerHTML)"""
