"""Loopback is asked directly, and what the user has set stays."""

from __future__ import annotations

import urllib.request

import pytest

from nightreel import loopback


@pytest.mark.parametrize(
    ("has", "wanted"),
    [
        ({}, "127.0.0.1,localhost,::1"),
        ({"NO_PROXY": "intra.example, 10.0.0.0/8"}, "intra.example,10.0.0.0/8,127.0.0.1,localhost,::1"),
        ({"no_proxy": "a", "NO_PROXY": "b"}, "b,a,127.0.0.1,localhost,::1"),
        ({"no_proxy": "localhost"}, "localhost,127.0.0.1,::1"),
        ({"no_proxy": "*"}, "*"),
    ],
)
def test_what_the_user_has_stays(has: dict[str, str], wanted: str) -> None:
    assert loopback.direct(has) == {"NO_PROXY": wanted, "no_proxy": wanted}


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "http://localhost:1", "http://[::1]:1"])
def test_every_client_goes_directly(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx
    from botocore.utils import should_bypass_proxies

    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name, value in loopback.direct({}).items():
        monkeypatch.setenv(name, value)
    assert loopback.is_loopback(url)
    assert should_bypass_proxies(url) or "[" in url  # botocore has no such list for IPv6: S3Store tells it
    assert urllib.request.proxy_bypass(httpx.URL(url).host)
    with httpx.Client() as client:
        assert client._transport_for_url(httpx.URL(url)) is client._transport


@pytest.mark.parametrize("url", [None, "", "https://s3.example.com", "http://10.0.0.1", "http://[bad"])
def test_other_addresses_are_not_loopback(url: str | None) -> None:
    assert not loopback.is_loopback(url)


def test_the_store_on_loopback_is_asked_directly_in_a_library_too(
    moto: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that imports the reader has set no NO_PROXY."""
    from nightreel.store.backends.s3 import S3Store

    for name in loopback.NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in (moto | {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}).items():
        monkeypatch.setenv(name, value)
    store = S3Store("s3://loopback/store")
    store.put("a/b", b"x")
    assert store.get("a/b") == b"x"
