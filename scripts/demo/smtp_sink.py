"""A mail server for the demo: takes every mail after a delay, and keeps the latest ones readable.

    /usr/bin/python3 scripts/demo/smtp_sink.py PORT DELAY_MS FOLDER

Runs until SIGTERM or SIGINT. aiosmtpd is a real SMTP server, by others: what it accepts is SMTP.
"""

import asyncio
import pathlib
import signal
import sys

from aiosmtpd.smtp import SMTP

KEPT = 20


class Keeper:
    def __init__(self, delay_s, folder):
        self.delay_s = delay_s
        self.folder = folder
        self.count = 0

    async def handle_DATA(self, server, session, envelope):
        await asyncio.sleep(self.delay_s)
        name = f"mail-{self.count % KEPT:02}.eml"
        self.count += 1
        (self.folder / name).write_bytes(envelope.content)
        return "250 2.0.0 kept"


async def main():
    port, delay_ms, folder = int(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3])
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    keeper = Keeper(delay_ms / 1000, folder)
    server = await loop.create_server(lambda: SMTP(keeper, hostname="sink.example", loop=loop), "127.0.0.1", port)
    print(f"listening 127.0.0.1:{port}", flush=True)
    await stop.wait()
    server.close()


asyncio.run(main())
