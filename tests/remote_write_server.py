"""A process of its own that takes remote write, to be killed: `serve DIR` tells its port, `dump DIR` what it kept."""

from __future__ import annotations

import asyncio
import json
import socket
import sys

import uvicorn
from starlette.applications import Starlette

from windvane.api.remote_write import routes
from windvane.ingest.accounting import Accounting
from windvane.ingest.metric_commit import MetricStore, kinds
from windvane.ingest.remote_write import RemoteWriteReceiver
from windvane.ingest.series_book import SeriesBook
from windvane.ingest.series_rules import MetricLimits, SeriesBudget
from windvane.kit.metrics import Metrics
from windvane.store.commit import GroupCommit
from windvane.store.embedded import EmbeddedEngine
from windvane.store.metric_facts import MetadataWriter
from windvane.store.migrate import Retention, migrate


async def serve(directory: str) -> None:
    engine = EmbeddedEngine.open(directory)
    migrate(engine, Retention(default=None))
    async with GroupCommit(engine, kinds()) as commit:
        book = SeriesBook(SeriesBudget(engine, None), MetricLimits())
        store = MetricStore(commit, book, MetadataWriter(engine))
        app = Starlette(routes=routes(RemoteWriteReceiver(store, Accounting(Metrics()))))
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        print(listener.getsockname()[1], flush=True)
        await uvicorn.Server(uvicorn.Config(app, log_level="error")).serve(sockets=[listener])


def dump(directory: str) -> None:
    engine = EmbeddedEngine.open(directory)
    rows = engine.query(
        "SELECT s.Labels['sender'] AS sender, toInt64(Value) AS number, count() AS n FROM samples "
        "JOIN (SELECT Id, any(Labels) AS Labels FROM series GROUP BY Id) AS s USING Id GROUP BY ALL ORDER BY ALL"
    )
    print(json.dumps(rows[["sender", "number"]].to_numpy().tolist()), flush=True)
    engine.close()


if __name__ == "__main__":
    mode, directory = sys.argv[1:]
    if mode == "serve":
        asyncio.run(serve(directory))
    else:
        dump(directory)
