"""A run that is at work for as long as a test lasts."""

import time

import dagster as dg


@dg.op
def endless() -> None:
    time.sleep(600)


@dg.job(executor_def=dg.in_process_executor)
def endless_job() -> None:
    endless()


defs = dg.Definitions(jobs=[endless_job])
