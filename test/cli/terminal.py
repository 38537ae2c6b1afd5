"""Runs a program at a terminal of its own and types what a person would.

    terminal.py STEPS PROGRAM ARGS...

STEPS is JSON: [[wait_for, type], ...]. Each waits for its text in what came after the step before,
then types. Prints {"code", "output"} as JSON; code is null when the program had to be stopped.
"""

import json
import os
import pty
import select
import signal
import sys
import time

PATIENCE_S = 25


def main() -> None:
    steps = json.loads(sys.argv[1])
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(sys.argv[2], sys.argv[2:])
    deadline = time.monotonic() + PATIENCE_S
    output = b""
    seen = 0
    open_ = True
    while open_ and time.monotonic() < deadline:
        while steps and steps[0][0].encode() in output[seen:]:
            wanted, typed = steps.pop(0)
            seen = output.index(wanted.encode(), seen) + len(wanted.encode())
            os.write(terminal, typed.encode())
        ready, _, _ = select.select([terminal], [], [], 0.2)
        if ready:
            try:
                chunk = os.read(terminal, 65536)
            except OSError:
                chunk = b""
            output += chunk
            open_ = chunk != b""
    if open_:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    code = None if open_ else os.waitstatus_to_exitcode(status)
    print(json.dumps({"code": code, "output": output.decode()}))


main()
