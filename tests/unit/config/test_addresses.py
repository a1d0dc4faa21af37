from __future__ import annotations

import pytest

from devloop.config import addresses, values


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("https://argocd.example", "https://argocd.example"),
        ("http://localhost:8080/", "http://localhost:8080"),
        ("argocd.example", "https://argocd.example"),
        ("argocd.example:8443/root/", "https://argocd.example:8443/root"),
        (" https://argocd.example ", "https://argocd.example"),
    ],
)
def test_a_web_server_has_a_scheme_and_no_slash_at_the_end(text: str, server: str) -> None:
    assert addresses.web_server(text) == server


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not the address"),
        ("ftp://argocd.example", "not the address"),
        ("https://", "not the address"),
        ("https://a b", "not the address"),
        ("https://host:port", "not an address"),
        ("https://[::1", "not an address"),
        ("https://me:secret@argocd.example", "holds a login"),
        ("https://argocd.example/?x=1", "address of a page"),
        (7, "expected text"),
    ],
)
def test_what_is_no_web_server(text: object, said: str) -> None:
    with pytest.raises(values.BadValue) as caught:
        addresses.web_server(text)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_link_is_filled_in_and_each_field_stays_one_part() -> None:
    link = addresses.link_template("https://g.example/d?ns={namespace}&pod={pod}&raw={{x}}")
    assert addresses.filled(link, {"namespace": "a/b&c=d", "pod": "web-1"}) == (
        "https://g.example/d?ns=a%2Fb%26c%3Dd&pod=web-1&raw={x}"
    )
    assert addresses.filled(link, {}) == "https://g.example/d?ns=&pod=&raw={x}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("https://g.example/{", "lone '{'"),
        ("https://g.example/}", "lone '}'"),
        ("https://g.example/{nmespace}", "knows no {nmespace}"),
        ("https://g.example/{}", "knows no {}"),
        ("{namespace}", "not the address of a web page"),
        ("javascript://x", "not the address of a web page"),
        ("https://g.example/a b", "not the address of a web page"),
    ],
)
def test_what_is_no_link(text: str, said: str) -> None:
    with pytest.raises(values.BadValue) as caught:
        addresses.link_template(text)
    assert said in str(caught.value)


def test_a_near_field_is_offered() -> None:
    with pytest.raises(values.BadValue) as caught:
        addresses.link_template("https://g.example/{nmespace}")
    assert caught.value.hint == "did you mean 'namespace'?"
