"""What holds in every situation, however odd."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.controller.situations import (
    CHECK,
    EXIT_CODES,
    FILES,
    NOON,
    SUM_3,
    apply,
    config_map,
    digest,
    ended,
    ended_pod,
    finish,
    integrity,
    observed,
    pod,
    spec,
    succeeded,
)

from dbmigrate.api.names import Action
from dbmigrate.api.report.outcome import Outcome
from dbmigrate.controller.act import difference, status_data
from dbmigrate.controller.decide import decide
from dbmigrate.controller.observation import JobView
from dbmigrate.controller.views import missing_config_map, status_of

CODES = ("MigrationFailed", "Unreachable", "SourceChanged", "ChecksumMismatch", "SecretNotFound")
RESULTS = st.one_of(
    st.none(),
    st.builds(
        succeeded,
        pending=st.integers(0, 2),
        current_version=st.sampled_from([None, "1.0.0", "1.1.0"]),
        database_known=st.booleans(),
        truncated=st.booleans(),
        integrity=st.sampled_from([None, integrity(), integrity("orphans")]),
    ),
    st.builds(
        ended,
        st.sampled_from([outcome for outcome in EXIT_CODES if outcome is not Outcome.SUCCEEDED]),
        st.sampled_from(["", *CODES]),
        transient=st.booleans(),
        touched=st.booleans(),
    ),
)
PODS = st.one_of(
    st.just(()),
    st.builds(
        lambda **changes: (pod(**changes),),
        started=st.booleans(),
        waiting_reason=st.sampled_from(["", "ErrImagePull", "ContainerCreating"]),
        stop_reason=st.sampled_from(["", "suspended"]),
        deleting=st.booleans(),
    ),
    st.builds(
        lambda code, **changes: (ended_pod(code, **changes),),
        st.sampled_from([0, 1, 137, 143]),
        disrupted=st.booleans(),
    ),
)
SPECS = st.sampled_from(
    [
        spec(),
        spec(suspend=True),
        spec(targetVersion="1.0.0"),
        spec(targetVersion="0"),
        spec(integrityChecks=[CHECK], verifyInterval="never"),
        spec(execution={"retryLimit": 0}),
        None,
    ]
)
SOURCES = st.sampled_from(
    [
        (config_map(),),
        (config_map(*FILES, ("v1.2.0_more.sql", SUM_3)),),
        (config_map(("nonsense.sql", SUM_3)),),
        (missing_config_map("exams-sql"),),
    ]
)


@st.composite
def jobs(draw, run):
    """A Job of ours in any state."""
    return JobView(
        name=f"exams-{run}",
        action=draw(st.sampled_from(list(Action))),
        run=run,
        attempt=draw(st.integers(1, 30)),
        retries_used=draw(st.integers(0, 12)),
        generation=draw(st.integers(1, 3)),
        source_digest=draw(st.sampled_from([digest(observed()), "0" * 64])),
        requested=draw(st.sampled_from([None, "again"])),
        created_at=NOON + timedelta(seconds=draw(st.integers(-7200, 0))),
        finished=draw(st.booleans()),
        deadline_exceeded=draw(st.booleans()),
        deleting=draw(st.booleans()),
        pods=draw(PODS),
        result=draw(RESULTS),
    )


@st.composite
def situations(draw):
    """A resource in any state that a few odd turns of the world can lead to."""
    seen = observed()
    for _ in range(draw(st.integers(0, 4))):
        decision = decide(seen)
        seen = apply(seen, decision)
        turn = draw(st.sampled_from(["finish", "vanish", "spec", "source", "time", "wish"]))
        if turn == "finish" and seen.jobs:
            *before, job = seen.jobs
            seen = replace(seen, jobs=(*before, finish(job, draw(RESULTS))))
        elif turn == "vanish":
            seen = replace(seen, jobs=())
        elif turn == "spec":
            seen = replace(seen, spec=draw(SPECS), generation=seen.generation + 1)
        elif turn == "source":
            seen = replace(seen, config_maps=draw(SOURCES))
        elif turn == "time":
            seen = replace(seen, now=seen.now + timedelta(seconds=draw(st.integers(0, 9000))))
        elif turn == "wish":
            seen = replace(seen, retry="again", check="again")
    if draw(st.booleans()):
        odd = [draw(jobs(run)) for run in range(1, draw(st.integers(1, 3)) + 1)]
        seen = replace(seen, jobs=tuple(odd))
    return replace(seen, deleting=draw(st.sampled_from([False, False, False, True])))


@settings(max_examples=400, deadline=None)
@given(situations())
def test_deciding_twice_is_deciding_the_same(seen):
    """The decision is a function of what is seen, and no situation raises."""
    assert decide(seen) == decide(seen)


@settings(max_examples=400, deadline=None)
@given(situations())
def test_applied_decision_leaves_nothing_to_do(seen):
    """After a decision was carried out, the next one at the same moment changes nothing.

    One that cannot start takes three rounds: it is asked to stop, deleted, and replaced.
    """
    for _ in range(3):
        seen = apply(seen, decide(seen))
    again = decide(seen)
    known = {job.name for job in seen.jobs}
    assert again.status == seen.status
    assert (again.stop, again.events, again.delete_jobs) == ((), (), ())
    assert again.create is None or again.create.name in known


@settings(max_examples=400, deadline=None)
@given(situations())
def test_nothing_starts_beside_a_job_that_is_not_over(seen):
    """At most one Job of a resource runs at any time."""
    if any(not job.over for job in seen.jobs):
        assert decide(seen).create is None


@settings(max_examples=400, deadline=None)
@given(situations())
def test_ready_is_only_what_has_succeeded_for_the_present_state(seen):
    """Ready=True is never said of another generation, another source, or a failure."""
    status = decide(seen).status
    ready = {each.type: each.status for each in status.conditions}.get("Ready")
    if ready == "True" and not seen.deleting:
        assert status.last_run is not None
        assert status.last_run.outcome == Outcome.SUCCEEDED
        assert status.last_run.generation == seen.generation == status.observed_generation
        assert status.last_run.source_digest == digest(seen)


@settings(max_examples=200, deadline=None)
@given(situations())
def test_status_survives_the_api_server(seen):
    """What is written is read back as the same, so that a restart writes nothing."""
    status = decide(seen).status
    data = status_data(status)
    assert status_of({"status": data}) == status
    assert difference(data, status_data(status)) == {}
