"""How a run is executed: in one process, which is recorded, and whose waiting has words and an end.

Dagster's own executor of that kind waits for a place in a pool for ever, at full speed, and hears no signal meanwhile.
It cannot be told otherwise from outside, so this module uses the parts it is made of (`dagster_internals.py`): the
executor, the loop over the steps, and the object that claims places. What is changed of them is small: who
executes is recorded and the dead are buried first, and a claim that was not granted says so, sleeps, and ends.
"""

import os
import time
from collections.abc import Iterator
from typing import Any

import dagster as dg

from taxi_platform.automation import burial
from taxi_platform.automation.outcomes import subject_of
from taxi_platform.core.errors import TaxiPlatformError
from taxi_platform.dagster_internals import (
    DagsterEvent,
    DagsterExecutionInterruptedError,
    EngineEventData,
    ExecuteRunWithPlanIterable,
    ExecutionPlan,
    InProcessExecutor,
    InstanceConcurrencyContext,
    PlanExecutionContext,
    PlanExecutionContextManager,
    PlanOrchestrationContext,
    check_captured_interrupt,
    inner_plan_execution_iterator,
)

#: Four fetches of the largest months, one after the other, at the slowest that a source is borne with.
LONGEST_WAIT = 7_200.0
_LOOK_SECONDS = 0.2
#: How often the dead are looked for, and what is waited for is said.
_BURIAL_SECONDS, _WORDS_SECONDS = 15.0, 300.0


_SCHEMA: Any = dg.in_process_executor.config_schema


@dg.executor(name="in_process", config_schema=_SCHEMA)
def recording_executor(init_context: dg.InitExecutorContext) -> InProcessExecutor:
    """All steps of a run in one process, as Dagster's own has them; who executes it is recorded, and waiting ends."""
    make: Any = dg.in_process_executor.executor_creation_fn
    plain: InProcessExecutor = make(init_context)
    return _RecordingExecutor(plain.retries, plain.step_dependency_config)


class _RecordingExecutor(InProcessExecutor):
    def execute(self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan) -> Iterator[DagsterEvent]:
        instance, run = plan_context.instance, plan_context.dagster_run
        burial.record(instance, run)
        _bury(plan_context)
        steps = EngineEventData.in_process(os.getpid(), execution_plan.step_keys_to_execute)
        yield DagsterEvent.engine_event(plan_context, f"Executing steps in process (pid: {os.getpid()})", steps)
        context_manager = PlanExecutionContextManager(
            job=plan_context.job,
            retry_mode=plan_context.retry_mode,
            execution_plan=execution_plan,
            run_config=plan_context.run_config,
            dagster_run=run,
            instance=instance,
            raise_on_error=plan_context.raise_on_error,
            output_capture=plan_context.output_capture,
            step_dependency_config=self.step_dependency_config,
        )
        yield from ExecuteRunWithPlanIterable(execution_plan, _steps, context_manager)
        yield DagsterEvent.engine_event(plan_context, f"Finished steps in process (pid: {os.getpid()})", steps)


def _bury(context: PlanOrchestrationContext | PlanExecutionContext) -> None:
    try:
        for it in burial.bury(context.instance, but=context.run_id):
            context.log.info(f"{subject_of(it)}: run {it.run_id} is failed: {burial.why(it)}")
    except Exception as error:  # noqa: BLE001 (whatever it is: a month that is alive shall not suffer for the dead)
        context.log.warning(f"nobody knows whether runs have died: {type(error).__name__}: {error}")


def _steps(job_context: PlanExecutionContext, execution_plan: ExecutionPlan) -> Iterator[DagsterEvent]:
    with _PatientClaims(job_context) as claims:
        for event in inner_plan_execution_iterator(job_context, execution_plan, claims):
            yield event
            if event.event_type is dg.DagsterEventType.STEP_UP_FOR_RETRY and _is_interrupted(event):
                # Dagster tries again what was told to end, where a step is tried again at all.
                raise DagsterExecutionInterruptedError("ended as it was told to")


def _is_interrupted(event: DagsterEvent) -> bool:
    error = event.step_retry_data.error
    while error is not None:
        if error.cls_name in (DagsterExecutionInterruptedError.__name__, KeyboardInterrupt.__name__):
            return True
        error = error.cause
    return False


class _PatientClaims(InstanceConcurrencyContext):
    """Claims places in pools, and waits for them: with words, for a while, and not after a signal."""

    def __init__(self, context: PlanExecutionContext) -> None:
        super().__init__(context.instance, context.dagster_run)
        self._context = context
        self._since: dict[str, float] = {}
        self._buried = self._told = float("-inf")

    def claim(self, concurrency_key: str, step_key: str, step_priority: int = 0) -> bool:
        """Claim a place for a step; False, after a moment, if there is none.

        Raises:
            DagsterExecutionInterruptedError: Somebody wants the run to end.
            TaxiPlatformError: There has been none for too long.
        """
        if self._is_granted(concurrency_key, step_key, step_priority):
            if self._since.pop(step_key, None) is not None:
                self._context.log.info(f"there is a place in pool {concurrency_key!r} now")
            return True
        self._wait(concurrency_key, step_key)
        return False

    def _is_granted(self, pool: str, step: str, priority: int) -> bool:
        is_new = self.get_pool_info(pool) is None
        try:
            return super().claim(pool, step, priority)
        except Exception:
            # The first two runs of a pool both write it down. In PostgreSQL Dagster does not get over it that the other
            # was faster (it goes on in a transaction that has failed): the next claim finds the pool.
            if is_new and pool in self._context.instance.event_log_storage.get_concurrency_keys():
                return False
            raise

    def _wait(self, pool: str, step: str) -> None:
        if check_captured_interrupt():
            raise DagsterExecutionInterruptedError(f"ended while it waited for a place in pool {pool!r}")
        now = time.monotonic()
        since = self._since.setdefault(step, now)
        if now - since > LONGEST_WAIT:
            raise TaxiPlatformError(
                f"no place in pool {pool!r} in {LONGEST_WAIT:,.0f} s",
                about=subject_of(self._context.dagster_run),
                cause=self._holders(pool),
                fix="end those runs if they hang, and run the month again",
                may_pass_later=True,
            )
        if now - self._buried > _BURIAL_SECONDS:
            self._buried = now
            _bury(self._context)
        if now - self._told > _WORDS_SECONDS:
            self._told = now
            self._context.log.info(
                f"waiting for a place in pool {pool!r}, for {LONGEST_WAIT:,.0f} s at most: {self._holders(pool)}"
            )
        time.sleep(_LOOK_SECONDS)

    def _holders(self, pool: str) -> str:
        """Who has the places, as people know them."""
        info = self._context.instance.event_log_storage.get_concurrency_info(pool)
        ids = sorted({it.run_id for it in info.claimed_slots})
        runs = self._context.instance.get_runs(dg.RunsFilter(run_ids=ids)) if ids else []
        told = ", ".join(sorted(f"{subject_of(it)} (run {it.run_id[:8]})" for it in runs))
        return f"its {info.slot_count} places are taken by {told or 'nobody that is known'}"
