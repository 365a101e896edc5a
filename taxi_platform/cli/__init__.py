"""The command `taxi`: one small module per group of commands, and none imports Dagster before its command needs it.

`app.py` reads what was asked, `start.py` checks it before anything is started, `say.py` is how people and programs are
answered. What needs Dagster runs in a process of its own (`month.py`, `many.py`, `overview.py`), which `children.py`
ends in its own time when it is told to, and at once when it is told twice. A new command is a function in `app.py`, and
a module here if it is more than a few lines.
"""
