"""The page in a real browser; skipped where there is no Chromium."""

import json
import shutil
import subprocess

import pytest

CHROMIUM = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (found := shutil.which(name))
    ),
    None,
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to open the page with")

# Measures the page in a frame as wide as a phone, and writes what it found as the title.
WRAPPER = """<!doctype html><meta charset="utf-8"><title>waiting</title>
<iframe src="{page}" style="width:{width}px;height:900px;border:0"></iframe>
<script>
const frame = document.querySelector("iframe");
frame.addEventListener("load", () => {{
  const inside = frame.contentDocument, root = inside.documentElement;
  const wide = [...inside.querySelectorAll("main > *, section > *, figure, figure svg")]
    .filter((e) => e.getBoundingClientRect().right > root.clientWidth + 0.5)
    .map((e) => e.tagName);
  document.title = JSON.stringify({{
    width: root.clientWidth, content: root.scrollWidth, wide,
    requests: frame.contentWindow.performance.getEntriesByType("resource").length,
    figures: inside.querySelectorAll("figure svg").length,
    font: parseFloat(frame.contentWindow.getComputedStyle(inside.body).fontSize),
  }});
}});
</script>"""


def chromium(*options, url):
    common = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
    quiet = (
        "--hide-scrollbars",
        "--disable-background-networking",
        "--enable-logging=stderr",
        "--v=0",
    )
    done = subprocess.run(
        [CHROMIUM, *common, *quiet, *options, url],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if ":CONSOLE" in line]


@pytest.mark.parametrize("width", [400, 1200])
def test_the_page_fits_its_frame_and_complains_of_nothing(page, tmp_path, width):
    wrapper = tmp_path / "wrapper.html"
    wrapper.write_text(WRAPPER.format(page=page.as_uri(), width=width))
    dom, console = chromium(
        "--dump-dom",
        "--allow-file-access-from-files",
        "--virtual-time-budget=4000",
        url=wrapper.as_uri(),
    )
    found = json.loads(dom.partition("<title>")[2].partition("</title>")[0].replace("&quot;", '"'))
    assert found["width"] == width
    assert found["content"] <= width
    assert found["wide"] == []
    assert found["requests"] == 0
    assert found["figures"] > 5
    assert found["font"] >= 16
    assert console == []


def test_no_request_leaves_the_page(page, tmp_path):
    log = tmp_path / "net.json"
    _, console = chromium("--dump-dom", f"--log-net-log={log}", url=page.as_uri())
    asked = [
        event["params"]["url"]
        for event in json.loads(log.read_text())["events"]
        if "url" in event.get("params", {})
    ]
    # Chromium may look for its own updates; the page itself is a file and asks for no other.
    assert not [url for url in asked if url.startswith("file") and url != page.as_uri()]
    assert console == []
