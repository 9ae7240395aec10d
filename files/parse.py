"""The process in which hostile files are parsed: `python -P -m files.parse`, started by `files.parsing` only.

It loads the readers once and never uses them itself: each file gets a copy of this process (a fork) with limits
of its own, which may abort, panic or hang. For each file it is sent a byte with two descriptors: a socket on which
the order comes as one line of JSON, and a file for what the readers say. The copy says its number, then its layout
with a descriptor of the rows, or a problem; then this process adds how the copy ended. Everything ends when the
other side closes its sockets, and nothing is ever on disk.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Never

import fastexcel  # noqa: F401 - so that no copy has to load it
import pyarrow as pa  # noqa: F401 - same; fastexcel loads it

from domain.errors import FileProblem
from domain.frames import ROW, column
from domain.titles import columns_titled
from files.delimited import read_delimited
from files.handover import written
from files.layouts import Limits
from files.workbooks import is_workbook, read_workbook

SPARE_SECONDS = 5
MOST_ENDS = 1_024


def main() -> None:
    """Serve the process at the other end of standard input until it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=0)
    ended, wake = socket.socketpair()
    wake.settimeout(0)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    copies: dict[int, socket.socket] = {}
    gc.freeze()  # else the collector of each copy would write to, and so copy, all that is loaded here
    events = select.poll()
    events.register(control, select.POLLIN)
    events.register(ended, select.POLLIN)
    while True:
        for end, _ in events.poll():
            if end == ended.fileno():
                ended.recv(MOST_ENDS)
                _tell_ends(copies, events)
            elif end != control.fileno():
                _stop(end, copies, events)
            elif not _take_order(control, copies, events):
                for pid in copies:
                    os.kill(pid, signal.SIGKILL)
                return


def _take_order(control: socket.socket, copies: dict[int, socket.socket], events: select.poll) -> bool:
    """Make a copy of this process for one order; False when the other side is gone."""
    message, descriptors, _, _ = socket.recv_fds(control, 1, 2)
    if not message:
        return False
    reply, talk = socket.socket(fileno=descriptors[0]), descriptors[1]
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for other in (control, *copies.values()):
            other.close()
        _serve(reply, talk)
    os.close(talk)
    copies[pid] = reply
    events.register(reply, 0)  # of which a hang-up is always told
    return True


def _tell_ends(copies: dict[int, socket.socket], events: select.poll) -> None:
    """Each copy that has ended: how, to whoever waits for it."""
    with suppress(ChildProcessError):  # when none is left
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if pid in copies:
                with copies.pop(pid) as reply, suppress(OSError):
                    events.unregister(reply)
                    reply.sendall(b"\n%d" % os.waitstatus_to_exitcode(status))


def _stop(end: int, copies: dict[int, socket.socket], events: select.poll) -> None:
    """Nobody waits for this answer any more."""
    events.unregister(end)
    for pid in [pid for pid, reply in copies.items() if reply.fileno() == end]:
        os.kill(pid, signal.SIGKILL)
        copies.pop(pid).close()


def _serve(reply: socket.socket, talk: int) -> Never:
    """What a copy does: one order, and then nothing of what a process usually does at its end."""
    silence = os.open(os.devnull, os.O_RDWR)
    for old, new in ((silence, 0), (silence, 1), (talk, 2)):
        os.dup2(old, new)
    try:
        reply.sendall(b"%d " % os.getpid())
        with reply.makefile("rb") as lines:
            order = json.loads(lines.readline())
        _limit(memory_bytes=order["limits"]["memory_bytes"], seconds=order["limits"]["seconds"])
        _parse(order, reply)
    except BaseException as fault:  # noqa: BLE001 - the readers panic with what is no Exception
        sys.excepthook(type(fault), fault, fault.__traceback__)
        os._exit(1)
    os._exit(0)


def _limit(*, memory_bytes: int, seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    signal.alarm(seconds + SPARE_SECONDS)  # should the process that waits, and the one that started this, both be gone


def _parse(order: dict[str, Any], reply: socket.socket) -> None:
    path, file_name = Path(order["path"]), order["file_name"]
    limits, titles, with_others = Limits(**order["limits"]), tuple(order["titles"]), order["with_others"]
    try:
        with path.open("rb") as file:
            beginning = file.read(8)
        if is_workbook(beginning):
            layout, cells = read_workbook(path, file_name=file_name, limits=limits, titles=titles)
            wanted = columns_titled(layout.header, titles, with_others=with_others)
            rows = written(cells.select(ROW, *map(column, wanted)))
        else:
            layout, rows = read_delimited(
                path, file_name=file_name, limits=limits, titles=titles, with_others=with_others
            )
    except FileProblem as problem:
        reply.sendall(json.dumps({"code": problem.code, "message": str(problem)}).encode())
        return
    socket.send_fds(reply, [b" "], [rows.fileno()])
    reply.sendall(layout.to_json().encode())


if __name__ == "__main__":
    main()
