"""The sheet of a drill is one page of paper, and the first one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.data import demo, hostile, incidents, inspections
from tests.pages.looking import Looked, opened
from tests.pages.made import told

PAPERS = {"A4": (210, 297), "Letter": (216, 279)}  # millimetres
MARGIN, INCH, PIXELS = 14, 25.4, 96
TELLERS = (
    demo.passing,
    demo.failing,
    demo.cut_off,
    incidents.corruption,
    incidents.compromise,
    inspections.ailing,
    hostile.failed,
)


def sheets(pdf: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("tell", TELLERS)
def test_the_sheet_has_the_first_page_to_itself(
    chromium: Browser, tmp_path: Path, tell: Callable[[Path], Path], paper: str
) -> None:
    width, height = ((side - 2 * MARGIN) / INCH * PIXELS for side in PAPERS[paper])
    with opened(chromium, told(tell, folder=tmp_path), Looked()) as page:
        page.set_viewport_size({"width": int(width), "height": int(height)})
        page.emulate_media(media="print")
        sheet = page.locator(".certificate").bounding_box()
        assert sheet is not None
        assert sheet["y"] < 5
        assert sheet["y"] + sheet["height"] < height
        after = page.locator(".certificate").evaluate("each => getComputedStyle(each).breakAfter")
        whole = sheets(page.pdf(format=paper))
        page.evaluate("document.querySelectorAll('.muster > :not(.certificate)').forEach(each => each.remove())")
        alone = sheets(page.pdf(format=paper))
    assert after == "page"
    assert alone == 1
    assert whole > 1
