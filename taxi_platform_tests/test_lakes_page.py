"""Every command of docs/lakes.md is run as a reader would, in bash, with servers of this machine for his own."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from real_servers.azure import AzureServer
from real_servers.s3 import S3Server

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "lakes.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
OBJECT = "taxi/green_trips/source_month=2020-11/green_tripdata_2020-11.parquet"


def test_the_commands_of_the_page_bring_a_month_to_an_s3(s3: S3Server, tmp_path: Path) -> None:
    bucket = s3.new_bucket()
    told = "s3://my-bucket/taxi?region=eu-central-1"
    assert run(told, s3.url(bucket, "taxi"), s3.environment(), tmp_path).endswith(f"s3://{bucket}/{OBJECT}")
    assert s3.client().head_object(Bucket=bucket, Key=OBJECT)["ContentLength"] > 10_000


@pytest.mark.campaign
def test_the_commands_of_the_page_bring_a_month_to_azure(azure: AzureServer, tmp_path: Path) -> None:
    container = azure.new_container()
    told = "az://my-container/taxi"
    assert run(told, f"az://{container}/taxi", azure.environment(), tmp_path).endswith(f"az://{container}/{OBJECT}")
    assert azure.client().get_blob_client(container, OBJECT).get_blob_properties().size > 10_000


def test_the_page_has_no_other_commands() -> None:
    assert len(BLOCKS) == 2


def run(told: str, real: str, account: dict[str, str], folder: Path) -> str:
    """Run the block that names a lake, with the real one in its place; what it printed."""
    (block,) = (it for it in BLOCKS if told in it)
    script = block.replace(told, real).replace("SOURCE=web", "SOURCE=sample")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TAXI_", "DAGSTER_", "MAKE"))}
    environ = kept | account | {"TAXI_DATA_DIR": str(folder / "data"), "TAXI_SAMPLE_ROWS": "1000"}
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout.strip()
