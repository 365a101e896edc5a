"""How an error of the core becomes a failure Dagster shows: the message in front, and no retry where none can help."""

from collections.abc import Generator
from contextlib import contextmanager

import dagster as dg
import duckdb

from taxi_platform.core.engine_errors import explained, is_mistake
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.core.os_errors import os_error_told
from taxi_platform.core.showing import LONGEST_TEXT, shown

#: What DuckDB's binding makes of a signal that comes while it is at a query.
_INTERRUPTED = "Query interrupted"
#: What is said of a month that was ended, and by whom.
ENDED = "it was ended before it was done; what it was at is as it was before, or whole"
ENDED_BY = "somebody told it to end: Ctrl-C, a signal, or Terminate in the UI"


@contextmanager
def reported(about: str) -> Generator[None, None, None]:
    """Turn what goes wrong in the block into a `dg.Failure` whose description says what, why and what to do.

    Args:
        about: The dataset and month, or table, the block works on.

    Raises:
        dg.Failure: Whatever went wrong; it is retried only where that may help, and of a mistake nobody knows that.
    """
    # The message says it all: the core's own stack below it would only bury it.
    try:
        yield
    except TaxiPlatformError as error:
        told = str(error) if error.about else f"{about}: {error}"
        raise dg.Failure(description=told, allow_retries=error.may_pass_later) from None
    except duckdb.Error as error:
        told = explained(error, about)
        stack = _bounded(error) if is_mistake(error) else None  # of a full disk, a stack tells nobody anything
        raise dg.Failure(description=str(told), allow_retries=told.may_pass_later) from stack
    except OSError as error:
        told = os_error_told(error, about)
        raise dg.Failure(description=str(told), allow_retries=told.may_pass_later) from None
    except (dg.Failure, dg.RetryRequested, dg.DagsterError):
        raise
    except Exception as error:  # noqa: BLE001 (it is raised again, in words)
        if str(error) == _INTERRUPTED:
            ended = TaxiPlatformError(ENDED, about=about, cause=ENDED_BY, fix="run it again")
            raise dg.Failure(description=str(ended), allow_retries=False) from None
        told = TaxiPlatformError(
            f"{type(error).__name__}: {error}",
            about=about,
            cause="a mistake in the platform, as the stack trace shows",
            fix="report it, with the stack trace",
        )
        raise dg.Failure(description=str(told), allow_retries=False) from _bounded(error)


def _bounded(error: Exception) -> Exception:
    """The error, or a short one in its place: Dagster stores every word of it and of what caused it."""
    each: BaseException | None = error
    while each is not None:
        if len(str(each)) > LONGEST_TEXT:
            short = f"{type(error).__name__}: {shown(str(error), LONGEST_TEXT)}"
            return RuntimeError(short).with_traceback(error.__traceback__)
        each = each.__cause__ or each.__context__
    return error
