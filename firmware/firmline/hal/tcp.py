# SPDX-License-Identifier: MIT
"""A TCP port for one client, on the desktop and on boards whose network is up.

A second client is hung up on at once, so that it knows. Never blocks; a fault of the client's
connection, or a full heap, ends it and is counted; nothing is raised after opening. The contract
is in modbus/tcp.py. Taking in a client allocates, waiting for one does not.
"""

import select
import socket

_FAULTS = (OSError, MemoryError)  # made here: later there may be no heap


class Listener:
    """Listens on `address` (a number text) and `tcp_port`; OSError when that is not to be had."""

    def __init__(self, address, tcp_port):
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(socket.getaddrinfo(address, tcp_port)[0][-1])
        server.listen(1)
        server.setblocking(False)
        self._server = server
        self._client = None
        self._poll = select.poll()
        self._poll.register(server, select.POLLIN)
        self.is_open = False
        self.session = 0
        self.errors = 0

    def any(self):
        """The client has sent something or is gone; a waiting client is taken in."""
        is_there = False
        has_visitor = False
        for source, _ in self._poll.ipoll(0):
            if source is self._server:
                has_visitor = True
            else:
                is_there = True
        if has_visitor and not is_there:  # a client that has gone is read to its end first
            self._take_in()
        return is_there

    def _take_in(self):
        client = None
        try:
            client = self._server.accept()[0]
            if self._client is not None:
                client.close()
                return
            client.setblocking(False)
            self._poll.register(client, select.POLLIN)
        except _FAULTS:
            self.errors += 1
            if client is not None:
                client.close()
            return
        self._client = client
        self.is_open = True
        self.session += 1

    def readinto(self, buffer):
        """At most len(buffer) bytes; 0: none now, -1: the client has gone, which closes it."""
        try:
            count = self._client.readinto(buffer)
        except _FAULTS:
            self.errors += 1
            count = 0
        if count:
            return count
        if count is None:
            return 0
        self.hang_up()
        return -1

    def write(self, buffer, count):
        try:
            return self._client.write(buffer, count) or 0
        except _FAULTS:
            self.errors += 1
            self.hang_up()
            return -1

    def close(self):
        """No more clients: the port is free again."""
        self.hang_up()
        self._server.close()

    def hang_up(self):
        client = self._client
        if client is not None:
            self._client = None
            self.is_open = False
            self._poll.unregister(client)
            client.close()
