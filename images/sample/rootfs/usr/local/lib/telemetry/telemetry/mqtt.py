"""MQTT over TLS, as every program of the station speaks it."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from paho.mqtt import client as paho

from telemetry.settings import BROKER_PORT, CA, Failed, ready, secret

REFUSALS = ("Bad user name or password", "Not authorized")  # whatever else a broker says is no answer to a password
BATCH = 200  # messages that are stored in one go, at most


def make(user: str | None, password: str | None, client_id: str = "", **options: Any) -> paho.Client:  # noqa: ANN401
    """Make a client that checks the broker against the station's own CA."""
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=client_id, reconnect_on_failure=False, **options)
    client.tls_set(ca_certs=str(CA))
    if user is not None:
        client.username_pw_set(user, password)
    client.max_inflight_messages_set(500)
    return client


@contextmanager
def session(user: str | None, password: str | None, within: float = 10) -> Iterator[paho.Client]:
    """Log in and yield the client; PermissionError when the broker refuses, Failed when nobody answers."""
    client = make(user, password)
    answer: queue.Queue[Any] = queue.Queue()
    client.on_connect = lambda _client, _data, _flags, reason, _properties: answer.put(reason)
    try:
        client.connect("localhost", BROKER_PORT)
        client.loop_start()
        reason = answer.get(timeout=within)
        if reason.is_failure and str(reason) not in REFUSALS:
            raise Failed(f"the broker lets nobody in: {reason}")
        if reason.is_failure:
            raise PermissionError(f"the broker refused {user or 'a stranger'}: {reason}")
        yield client
    except (OSError, queue.Empty) as error:
        if isinstance(error, PermissionError):
            raise
        raise Failed(f"the broker on port {BROKER_PORT} does not answer: {error or 'no reply'}") from None
    finally:
        client.disconnect()
        client.loop_stop()


def publish(client: paho.Client, topic: str, payload: str, within: float = 10) -> None:
    """Publish one message and wait until the broker has taken it."""
    sent = client.publish(topic, payload, qos=1)
    try:
        sent.wait_for_publish(within)
    except (RuntimeError, ValueError) as error:
        raise Failed(f"the broker took no message on {topic}: {error}") from None
    if not sent.is_published():
        raise Failed(f"the broker took no message on {topic} within {within:.0f} s")


def consume(user: str, topic: str, store: Callable[[list[bytes]], None]) -> None:
    """Store every message of a topic, for ever; a message is acknowledged when it is stored and not before.

    The session is persistent: what arrives while the consumer is away waits for it. Returns never; raises Failed when the
    broker goes away, and systemd starts the service again.
    """
    client = make(user, secret(f"mqtt-{user}.password"), f"telemetry-{user}", clean_session=False, manual_ack=True)
    inbox: queue.Queue[paho.MQTTMessage | None] = queue.Queue()
    subscribed = threading.Event()
    client.on_connect = lambda *_: client.subscribe(topic, qos=1)
    client.on_subscribe = lambda *_: (subscribed.set(), ready())
    client.on_disconnect = lambda *_: inbox.put(None)
    client.on_message = lambda _client, _data, message: inbox.put(message)
    try:
        client.connect("localhost", BROKER_PORT)
    except OSError as error:
        raise Failed(f"the broker on port {BROKER_PORT} does not answer: {error}") from None
    client.loop_start()
    while True:
        batch = _next_batch(inbox)
        store([message.payload for message in batch])
        for message in batch:
            client.ack(message.mid, message.qos)


def _next_batch(inbox: queue.Queue[paho.MQTTMessage | None]) -> list[paho.MQTTMessage]:
    batch = [inbox.get()]
    while len(batch) < BATCH:
        try:
            batch.append(inbox.get_nowait())
        except queue.Empty:
            break
    if None in batch:
        raise Failed("the broker closed the connection")
    return [message for message in batch if message is not None]
