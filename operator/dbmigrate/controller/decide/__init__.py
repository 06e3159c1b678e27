"""Decides, from what is seen of a resource, what should be done: a pure function.

`book` what Jobs have told, `choose` the next piece of work, `assemble` the status. Nothing here
reads a clock, an API or a file; deciding twice on the same observation gives the same.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from dbmigrate.api.names import Phase, Reason
from dbmigrate.controller.decide import conditions, news
from dbmigrate.controller.decide.booking import GRACE, book
from dbmigrate.controller.decide.jobs import recorded_run
from dbmigrate.controller.decide.source import inspect
from dbmigrate.controller.decide.status import assemble
from dbmigrate.controller.decide.work import POD_PATIENCE, Kind, Work, choose
from dbmigrate.controller.decision import Decision
from dbmigrate.controller.observation import Observation

_SAFETY = timedelta(seconds=30)
"""While a Job runs it is looked at this often, should an event have been missed."""


def decide(observation: Observation) -> Decision:
    """What should be done about this resource now."""
    if observation.deleting:
        # Its Job goes with it, by the owner reference; there is nothing to clean up.
        return Decision(status=observation.status)
    if observation.spec is None:
        return _invalid(observation)
    source = inspect(observation)
    status, events = book(observation, source)
    work = choose(observation, observation.spec, status, source)
    status = assemble(observation, observation.spec, status, source, work)
    if work.job is not None:
        events += news.of_waiting(observation.status.progress, status.progress, work.job.name)
    return Decision(
        status=status,
        create=work.plan,
        stop=work.stop,
        delete_jobs=work.delete_jobs,
        follow=tuple(
            job.name for job in observation.jobs if job.run > recorded_run(status) and not job.over
        ),
        events=tuple(events),
        again_at=_again_at(observation, work),
    )


def _again_at(observation: Observation, work: Work) -> datetime | None:
    if work.kind is Kind.WATCH and work.job is not None:
        fresh = observation.now - work.job.created_at < POD_PATIENCE
        return observation.now + (POD_PATIENCE if fresh else _SAFETY)
    if work.kind is Kind.RUN:
        return observation.now + GRACE
    return work.again_at


def _invalid(observation: Observation) -> Decision:
    text = conditions.with_next_step(Reason.INVALID_SPEC, observation.spec_error)
    standing = conditions.stalled(Phase.BLOCKED, Reason.INVALID_SPEC, text)
    status = observation.status.model_copy(
        update={
            "observed_generation": observation.generation,
            "phase": standing.phase.value,
            "message": standing.message,
        }
    )
    told = conditions.conditions_of(
        standing,
        status,
        generation=observation.generation,
        now=observation.now,
        has_checks=False,
    )
    return Decision(status=status.model_copy(update={"conditions": told}))
