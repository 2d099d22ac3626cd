"""Sessions of Gradio's queue, without Gradio: which are dropped, and which get an event stream."""

import asyncio
from types import SimpleNamespace

import pytest

from emotiw.evaluate.serve.responses import RefusedError
from emotiw.evaluate.serve.sessions import Sessions, Streams


def scope(session):
    return {"type": "http", "path": "/gradio_api/queue/data", "query_string": f"session_hash={session}".encode()}


def queue(**alive):
    """A queue in which session "a" has these requests, by id: whether each will be answered."""
    events = {name: SimpleNamespace(_id=name, session_hash="a", alive=is_alive) for name, is_alive in alive.items()}
    ids = {"a": set(alive)}
    sessions = Sessions(2, ids)
    sessions["a"] = asyncio.Queue()
    return SimpleNamespace(
        pending_messages_per_session=sessions, pending_event_ids_session=ids, event_ids_to_events=events
    )


def test_the_least_recently_used_session_is_dropped():
    ids = {}
    sessions = Sessions(2, ids)
    for name in "abac":
        if name not in sessions:
            sessions[name] = asyncio.Queue()
            ids[name] = {"1"}
        sessions[name].put_nowait("message")
    assert list(sessions) == ["a", "c"]
    assert sorted(ids) == ["a", "c"]
    sessions["b"].put_nowait("goes nowhere")
    assert sessions["b"].empty()
    assert "b" not in sessions


def test_a_stream_is_opened_once_and_only_for_pending_requests():
    statuses = []

    async def inner(scope, receive, send):
        with pytest.raises(RefusedError) as refused:
            await streams(scope, receive, send)
        statuses.append(refused.value.status)

    streams = Streams(inner, queue(one=True))
    asyncio.run(streams(scope("a"), None, None))
    asyncio.run(streams(scope("a"), None, None))
    assert statuses == [409, 409], "while it is open, and not after that"
    read = queue(one=True)
    read.pending_event_ids_session["a"].clear()  # while Gradio still holds the event
    for session, wrong in (("b", queue(one=True)), ("a", queue(one=False)), ("a", queue()), ("a", read)):
        with pytest.raises(RefusedError) as refused:
            asyncio.run(Streams(inner, wrong)(scope(session), None, None))
        assert refused.value.status == 404


def test_requests_cancelled_by_a_broken_stream_are_dropped():
    own = queue(one=True, two=True)

    async def inner(scope, receive, send):
        own.event_ids_to_events["one"].alive = False

    streams = Streams(inner, own)
    asyncio.run(streams(scope("a"), None, None))
    assert own.pending_event_ids_session == {"a": {"two"}}
    assert streams.unread("a") == 1
