"""URLs are shown without their secrets, and those that name folders are told from the rest."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taxi_platform.core.urls import local_path, mask_text, mask_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://tlc.example/trips", "https://tlc.example/trips"),
        ("https://tlc.example:8443/trips", "https://tlc.example:8443/trips"),
        ("https://token@tlc.example/trips", "https://***@tlc.example/trips"),
        ("postgresql://me@db/taxi", "postgresql://me@db/taxi"),
        ("https://me:secret@tlc.example/trips", "https://me:***@tlc.example/trips"),
        ("https://:secret@tlc.example/trips", "https://:***@tlc.example/trips"),
        ("https://me:s3cr/t@home@tlc.example/trips", "https://me:***@tlc.example/trips"),
        ("postgresql://me:se:cret@db:5432/taxi?sslmode=require", "postgresql://me:***@db:5432/taxi?sslmode=require"),
        ("postgresql://db/taxi?user=me&password=secret", "postgresql://db/taxi?***"),
        ("https://x/y?PASSWORD=secret&z=1#part", "https://x/y?***#***"),
        ("https://x/y?sv=2024&sig=a%2Fb&se=9", "https://x/y?***"),
        ("https://x/y?api_key=secret&accessToken=secret", "https://x/y?***"),
        (
            "https://x/y?X-Amz-Credential=secret&X-Amz-Date=2026&X-Amz-Signature=secret",
            "https://x/y?***",
        ),
        ("postgresql://me@server:secret@db/taxi", "postgresql://me@server:***@db/taxi"),
        ("postgresql://m e:sec ret@db/taxi", "postgresql://***:***@db/taxi"),
        ("postgresql://me:12/secret@db/taxi", "postgresql://me:***@db/taxi"),
        ("postgresql://me:a\nsecret@db/taxi", "postgresql://me:***@db/taxi"),
        ("postgresql://me:secret@[::1]:5432,other:5433/taxi", "postgresql://me:***@[::1]:5432,other:5433/taxi"),
        ("postgresql:///taxi?host=/run&service=x", "postgresql:///taxi?***"),
        ("postgresql://db/taxi?sslmode=require&password=a&secret", "postgresql://db/taxi?sslmode=require&***"),
        ("postgresql://db/taxi?password=a&sslmode=secret", "postgresql://db/taxi?***"),
        ("postgresql://me:secret", "postgresql://***"),
        ("postgresql://me:secret/taxi", "postgresql://***"),
        ("no scheme://me:secret@db", "***://***"),
        ("https://x/y#secret", "https://x/y#***"),
        ("file:///a@b/c#d", "file:///a@b/c#d"),
        ("duckdb:////a b/c@d.duckdb", "duckdb:////a b/c@d.duckdb"),
        ("/a/path", "/a/path"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert mask_url(url) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://a:secret@x/1 to http://b:sec ret@y/2 failed", "http://***@y/2 failed"),
        ("Failed to parse: http://a:s/e?c#r et@x:80/1", "Failed to parse: http://***@x:80/1"),
        ("no port: 'http://a:secret'", "no port: 'http://***"),
        ("http://x:80/1 and http://[::1]:80/1 are gone", "http://x:80/1 and http://[::1]:80/1 are gone"),
        ("port=80: exceeded with url: /y?sig=a&se=9 (Caused by", "port=80: exceeded with url: *** (Caused by"),
        ("what? me & you", "what? me & you"),
    ],
)  # fmt: skip
def test_a_sentence_is_shown_without_the_secrets_of_the_urls_it_repeats(text: str, shown: str) -> None:
    assert mask_text(text) == shown


@pytest.mark.parametrize(
    "url",
    ["https://me:secret@x/y?token=secret", "https://token@x/#y", "postgresql://m e:secret@x", "x://y:z", "a b://c"],
)
def test_masking_twice_is_masking_once(url: str) -> None:
    assert mask_url(mask_url(url)) == mask_url(url)
    assert mask_text(mask_text(url)) == mask_text(url)


ANYTHING = st.text(st.one_of(st.sampled_from("@:/?#%&= '\"\n[],\\$"), st.characters(codec="utf-8")), max_size=12)
HOSTS = ["db", "db.example.com", "127.0.0.1:5432", "[::1]:5432", "a:1,[::2],b:3", ""]


@pytest.mark.parametrize("scheme", ["postgresql", "https", "mysql", "s3"])
@given(user=ANYTHING, password=ANYTHING, host=st.sampled_from(HOSTS), before=ANYTHING)
@example(user="user@server", password="hunter2", host="db", before="")
@example(user="", password="http://hunter2", host="db", before="")
def test_whatever_the_password_is_the_same_is_shown(
    scheme: str, user: str, password: str, host: str, before: str
) -> None:
    def shown(secret: str) -> tuple[str, str]:
        url = f"{scheme}://{user}:{secret}@{host}/taxi?sslmode=require"
        return mask_url(url), mask_text(f"{before} {url} is gone")

    assert shown(password) == shown("another")
    assert mask_url(f"{scheme}://{user}:{password}@{host}/taxi").endswith(f":***@{host}/taxi")


@given(user=ANYTHING, password=ANYTHING)
def test_an_escaped_password_is_not_shown_either(user: str, password: str) -> None:
    shown = mask_url(f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@db/taxi")
    assert shown == mask_url(f"postgresql://{quote(user, safe='')}:x@db/taxi")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("file:///data/trips", "/data/trips"),
        ("file://localhost/data/trips", "/data/trips"),
        ("file:///with%20blank/M%C3%BCller", "/with blank/Müller"),
        ("/data/trips", "/data/trips"),
        ("/with blank/100%20", "/with blank/100%20"),
        ("./trips", "trips"),
        ("../trips", "../trips"),
        ("data/trips", "data/trips"),
        (".", "."),
        ("..", ".."),
    ],
)
def test_paths_and_file_urls_name_folders(text: str, path: str) -> None:
    assert local_path(text) == Path(path)


@pytest.mark.parametrize("text", ["~", "~/trips"])
def test_a_tilde_is_the_home_folder(text: str) -> None:
    assert local_path(text) == Path(text).expanduser()


@pytest.mark.parametrize(
    "text", ["web", "sample", "https://x/y", "gs://bucket/x", "file://server/share", "file://", ""]
)
def test_nothing_else_names_a_folder(text: str) -> None:
    assert local_path(text) is None
