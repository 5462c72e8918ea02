"""Asked to stop: the first SIGINT or SIGTERM ends the epoch, a second SIGINT ends the process.

Python runs its handlers only between two bytecodes, and a compiled epoch is one bytecode. The
signals' numbers are therefore read from a pipe by a thread, which answers at once.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CAUGHT = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether somebody asked to stop: falsy until then.

    >>> stop = Stop()
    >>> stop.asked()
    False
    >>> stop.signal = 2
    >>> stop.asked()
    True
    """

    signal: int | None = None

    def asked(self) -> bool:
        return self.signal is not None


@contextmanager
def stopping(tell: Callable[[str], None]) -> Iterator[Stop]:
    """Catch signals inside the block; outside the main thread they are left alone."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    receive, send = socket.socketpair()
    send.setblocking(False)
    old_pipe = signal.set_wakeup_fd(send.fileno(), warn_on_full_buffer=False)
    old = {number: signal.signal(number, lambda *_: None) for number in CAUGHT}
    thread = threading.Thread(target=_listen, args=(receive, stop, tell), daemon=True)
    thread.start()
    try:
        yield stop
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(old_pipe)
        send.close()
        thread.join(1.0)
        receive.close()


def _listen(receive: socket.socket, stop: Stop, tell: Callable[[str], None]) -> None:
    while data := receive.recv(1):
        number = data[0]
        if number not in CAUGHT:
            continue
        if not stop.asked():
            stop.signal = number
            tell(f"{signal.Signals(number).name}: finishing this epoch, then saving")
        elif number == signal.SIGINT:
            tell("stopped at once; the last checkpoint stands")
            os._exit(128 + number)
