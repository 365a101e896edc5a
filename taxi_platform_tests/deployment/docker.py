"""The command `docker`, as far as `make backup` uses it, where there is no Docker: a service's command is run here.

It is started as a program: `docker compose exec -T SERVICE COMMAND …`, `docker compose run --rm … SERVICE …`. What
starts and stops services is written down and not done. `STAND_IN` in the environment names a JSON file with `services`
(name -> environment), `data` (the folder that is /data), and `calls` (the file of what was asked).
"""

import json
import os
import sys
from pathlib import Path


def main(arguments: list[str]) -> None:
    """Do, or write down, what is asked; what runs in a container takes the place of this process."""
    place = json.loads(Path(os.environ["STAND_IN"]).read_text())
    with Path(place["calls"]).open("a") as calls:
        calls.write(" ".join(arguments) + "\n")
    compose, verb, *rest = arguments
    assert compose == "compose"
    if verb in ("up", "stop"):
        return
    assert verb in ("exec", "run"), verb
    while rest[0].startswith("-"):
        del rest[0]
    service, *command = rest
    command = [place["data"] if it == "/data" else it for it in command]
    os.execvpe(command[0], command, place["services"][service])


if __name__ == "__main__":
    main(sys.argv[1:])
