"""URLs are shown without their secrets, and those that name folders are told from the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from taxi_platform.core.urls import local_path, mask_url


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
        ("postgresql://db/taxi?user=me&password=secret", "postgresql://db/taxi?user=***&password=***"),
        ("https://x/y?PASSWORD=secret&z=1#part", "https://x/y?PASSWORD=***&z=***#part"),
        ("https://x/y?sv=2024&sig=a%2Fb&se=9", "https://x/y?sv=***&sig=***&se=***"),
        ("https://x/y?api_key=secret&accessToken=secret", "https://x/y?api_key=***&accessToken=***"),
        (
            "https://x/y?X-Amz-Credential=secret&X-Amz-Date=2026&X-Amz-Signature=secret",
            "https://x/y?X-Amz-Credential=***&X-Amz-Date=***&X-Amz-Signature=***",
        ),
        ("/a/path", "/a/path"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert mask_url(url) == shown


def test_every_url_in_a_text_is_shown_without_its_secrets() -> None:
    text = "from http://a:secret@x/1 to http://b:secret@y/2 failed"
    assert mask_url(text) == "from http://a:***@x/1 to http://b:***@y/2 failed"


def test_masking_twice_is_masking_once() -> None:
    once = mask_url("https://me:secret@x/y?token=secret")
    assert mask_url(once) == once


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
