"""Who follows which stream. A push is one frame, and the same bytes go to everybody. Runs on the event loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from eigenkring import wire
from eigenkring_server.exchange import Ended, Event, Grown, Superseded, Turned
from eigenkring_server.limits import Limits
from eigenkring_server.line import framed

# An event goes out whatever the reply to `follow` already holds.
_ALWAYS: Final = 2**64


class Outbox:
    """Frames that wait to be sent on one connection. Pushes are bounded here, replies by the frames in flight."""

    __slots__ = ("_limits", "_push_bytes", "_pushes", "_waiting", "_wake", "following", "reply_bytes")

    def __init__(self, limits: Limits, wake: Callable[[], None]) -> None:
        self._limits = limits
        self._wake = wake
        self._waiting: deque[tuple[bytes, bool]] = deque()
        self._pushes = 0
        self._push_bytes = 0
        self.reply_bytes = 0
        self.following: dict[bytes, Following] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def close(self) -> None:
        """The device is gone: what waits and what is still to come goes nowhere, and nobody is woken for it."""
        self._wake = _nobody
        self._waiting.clear()

    def reply(self, frame: bytes) -> None:
        self._waiting.append((frame, False))
        self.reply_bytes += len(frame)
        self._wake()

    def has_room(self, frame: bytes) -> bool:
        return self._pushes < self._limits.follower_pushes and (
            self._pushes == 0 or self._push_bytes + len(frame) <= self._limits.follower_bytes
        )

    def push(self, frame: bytes) -> None:
        self._waiting.append((frame, True))
        self._pushes += 1
        self._push_bytes += len(frame)
        self._wake()

    def take(self, room: int) -> bytes:
        """The first frame, and those behind it while they fit in ``room``."""
        first = self._take()
        if not self._waiting or len(first) >= room:
            return first
        frames = [first]
        room -= len(first)
        while self._waiting and (room := room - len(self._waiting[0][0])) >= 0:
            frames.append(self._take())
        return b"".join(frames)

    def _take(self) -> bytes:
        frame, pushed = self._waiting.popleft()
        if pushed:
            self._pushes -= 1
            self._push_bytes -= len(frame)
        else:
            self.reply_bytes -= len(frame)
        return frame


def _nobody() -> None:
    pass


class Following:
    """One stream followed on one connection. Until the reply to `follow` is out, what happens is held back."""

    __slots__ = ("after", "cap_digest", "held", "outbox", "stream")

    def __init__(self, stream: bytes, cap_digest: bytes, outbox: Outbox) -> None:
        self.stream = stream
        self.cap_digest = cap_digest
        self.outbox = outbox
        self.held: list[tuple[int, bytes]] | None = []
        # A reader sees a record as soon as it is on disk, before the writer has told of it.
        self.after = 0


class Followers:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._of: dict[bytes, set[Following]] = {}

    def expect(self, stream: bytes, cap_digest: bytes, outbox: Outbox) -> Following:
        """Before the stream is read, so that no record falls between the reply and the first push."""
        self.drop(stream, outbox)
        following = Following(stream, cap_digest, outbox)
        outbox.following[stream] = following
        self._of.setdefault(stream, set()).add(following)
        return following

    def begin(self, following: Following, length: int) -> None:
        """After the reply, which told of records up to ``length``, was put in the outbox."""
        held, following.held, following.after = following.held or [], None, length
        for index, frame in held:
            if index > length:
                following.outbox.push(frame)

    def drop(self, stream: bytes, outbox: Outbox) -> None:
        following = outbox.following.get(stream)
        if following is not None:
            self.forget(following)

    def forget(self, following: Following) -> None:
        """Without a word. What was replaced by a newer `follow` of the same stream is left alone."""
        everyone = self._of.get(following.stream)
        if everyone is not None:
            everyone.discard(following)
            if not everyone:
                del self._of[following.stream]
        if following.outbox.following.get(following.stream) is following:
            del following.outbox.following[following.stream]

    def leave(self, outbox: Outbox) -> None:
        for following in list(outbox.following.values()):
            self.forget(following)

    def count(self) -> int:
        return sum(map(len, self._of.values()))

    def publish(self, events: Iterable[Event]) -> None:
        for event in events:
            everyone = self._of.get(event.stream)
            if not everyone:
                continue
            match event:
                case Grown():
                    frame = framed(wire.encode(wire.PushedRecord(event.stream, event.index, event.record)))
                    behind = [each for each in everyone if not self._send(each, event.index, frame)]
                    if behind:
                        self._cut(behind, wire.PushedEvent(event.stream, "behind"))
                case Superseded():
                    frame = framed(wire.encode(wire.PushedEvent(event.stream, "replaced")))
                    behind = [each for each in everyone if not self._send(each, _ALWAYS, frame)]
                    if behind:
                        self._cut(behind, wire.PushedEvent(event.stream, "behind"))
                case Turned():
                    # Rule 5: a capability that no longer holds gets this and nothing after it.
                    cut = [each for each in everyone if each.cap_digest != event.read]
                    self._cut(cut, wire.PushedEvent(event.stream, "rekeyed"))
                case Ended():
                    self._cut(list(everyone), wire.PushedEvent(event.stream, "closed"))

    def _send(self, following: Following, index: int, frame: bytes) -> bool:
        held = following.held
        if held is not None:
            if len(held) >= self._limits.follower_pushes:
                return False
            held.append((index, frame))
            return True
        if index <= following.after:
            return True
        outbox = following.outbox
        if not outbox.has_room(frame):
            return False
        outbox.push(frame)
        return True

    def _cut(self, cut: list[Following], why: wire.PushedEvent) -> None:
        """The last word on this stream: it is never dropped, and there is one for each `follow`."""
        frame = framed(wire.encode(why))
        for following in cut:
            self.forget(following)
            if following.held is None:
                following.outbox.push(frame)
            else:
                following.held.append((_ALWAYS, frame))
