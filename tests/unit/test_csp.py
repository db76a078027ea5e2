"""The policy of a page: nothing but its own styles and scripts, by their hashes."""

from __future__ import annotations

import base64
import hashlib

import pytest

from muster.report.csp import strict

PAGE = "<!doctype html>\n<html><head><title>Drills</title><style>p { color: red }</style></head><body><p>Hello</p></body></html>"


def policy(page: str) -> str:
    return page.partition('Content-Security-Policy" content="')[2].partition('"')[0]


def hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_only_the_styles_of_the_page_itself_apply() -> None:
    expected = f"default-src 'none'; style-src {hashed('p { color: red }')}; base-uri 'none'; form-action 'none'"
    assert policy(strict(PAGE)) == expected


def test_the_policy_comes_before_anything_that_it_binds() -> None:
    page = strict(PAGE)
    assert page.index("Content-Security-Policy") < page.index("<style>")
    assert page.replace(f'\n<meta http-equiv="Content-Security-Policy" content="{policy(page)}">', "") == PAGE


def test_equal_styles_have_one_hash_and_pictures_are_only_those_of_the_page() -> None:
    page = PAGE.replace("</body>", "<style>p { color: red }</style><img alt='' src='data:image/png;base64,AA=='></body>")
    assert policy(strict(page)).count("sha256-") == 1
    assert "img-src data:;" in policy(strict(page))
    assert "img-src" not in policy(strict(PAGE))


def test_a_script_runs_only_if_the_maker_of_the_page_put_it_there() -> None:
    page = PAGE.replace("</body>", "<script>\r\nstart()\r\n</script></body>")
    with pytest.raises(ValueError, match="has 1 scripts, and was meant to have 0"):
        strict(page)
    assert f"script-src {hashed(chr(10) + 'start()' + chr(10))};" in policy(strict(page, scripts=1))


@pytest.mark.parametrize(
    ("piece", "said"),
    [
        ("<p style='color: red'>", "the attribute style of p"),
        ("<img src=x onerror=alert(1)>", "the attribute onerror of img"),
        ("<svg/onload=alert(1)>", "the attribute onload of svg"),
        ("<script src='//a.invalid/x.js'></script>", "a script with an address"),
        ("<meta http-equiv=content-security-policy content=''>", "a second policy"),
    ],
)
def test_what_would_not_work_under_the_policy_is_refused(piece: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        strict(PAGE.replace("<p>", piece))


def test_a_page_without_a_head_is_refused() -> None:
    with pytest.raises(ValueError, match="no head"):
        strict("<p>Hello</p>")


def test_text_that_looks_like_an_element_is_none() -> None:
    assert "sha256-" in policy(strict(PAGE.replace("Hello", "&lt;script&gt;alert(1)&lt;/script&gt;<!-- <script>x</script> -->")))
