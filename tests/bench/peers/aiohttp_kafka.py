# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# A checker as one writes it in an afternoon, to compare with: aiohttp for the requests,
# confluent-kafka (librdkafka) for the records. Slots are those of webmond; there is no spool.
#
#   aiohttp_kafka.py SETTINGS.json     see Aiohttp in ../peers.py

import asyncio
import json
import re
import ssl
import sys
import time

import aiohttp
from confluent_kafka import Producer


class Checker:
    def __init__(self, settings, session):
        self.settings = settings
        self.session = session
        self.pattern = re.compile(settings["pattern"].encode())
        self.producer = Producer({"bootstrap.servers": settings["bootstrap"],
                                  "enable.idempotence": True, "linger.ms": 50})
        self.running = set()

    async def check(self, url, slot):
        record = {"url": url, "scheduled_at": slot, "started_at": time.time(), "status": "up"}
        try:
            async with self.session.get(url) as response:
                body = await response.read()
            record["http_status_code"] = response.status
            if response.status != 200 or not self.pattern.search(body):
                record["status"] = "down"
        except (aiohttp.ClientError, asyncio.TimeoutError) as e:
            record.update(status="down", error_message=repr(e))
        record["response_time_ms"] = (time.time() - record["started_at"]) * 1000
        self.producer.produce(self.settings["topic"], json.dumps(record), url)
        self.producer.poll(0)

    def begin(self, url, slot):
        task = asyncio.create_task(self.check(url, slot))
        self.running.add(task)
        task.add_done_callback(self.running.discard)

    async def run(self):
        """The groups of an interval one after the other, for ever."""
        interval = self.settings["interval_s"]
        base = time.time() // interval * interval
        while True:
            for phase_ms, urls in self.settings["groups"]:
                slot = base + phase_ms / 1000
                if slot < time.time() - interval:
                    continue
                await asyncio.sleep(max(0, slot - time.time()))
                for url in urls:
                    self.begin(url, slot)
            base += interval


async def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        settings = json.load(f)
    tls = ssl.create_default_context(cafile=settings["ca_file"]) if settings["ca_file"] else True
    connector = aiohttp.TCPConnector(force_close=True, limit=0, ssl=tls)
    timeout = aiohttp.ClientTimeout(total=settings["timeout_s"])
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        await Checker(settings, session).run()


asyncio.run(main())
