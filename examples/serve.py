"""A web service that finds photos: post one, get ids, labels and scores of the most similar ones of an index.

pip install 'landmarkzoo[serve]'
python examples/serve.py INDEX [--port 8000]
curl -F photo=@query.jpg 'http://127.0.0.1:8000/search?k=5'

A request goes through two parts. ``Limits`` refuses what is too much before it costs anything: too many
requests at once (503), too many bytes (413), too much time (504). A few threads then decode, embed and
search. All the rest waits on the event loop, where it costs next to nothing. ``INDEX`` may grow meanwhile:
each answer is from its last commit. Ctrl-C and SIGTERM let running requests finish.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI, HTTPException, Query, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from PIL import Image
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import landmarkzoo as lz


@dataclass
class Limits:
    """Refuses what is too much. It stands in front of the application and sees requests as they arrive.

    Attributes:
        app: The application.
        requests: Requests that may be here at once, both those that are computed and those that wait.
        bytes: Size of a request.
        seconds: From its first byte to its answer; a client that sends too slowly is cut off as well.
    """

    app: ASGIApp
    requests: int
    bytes: int
    seconds: float
    running: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] != "http" or scope["path"] == "/health":  # which is to answer also under load
            await self.app(scope, receive, send)
        elif self.running >= self.requests:
            await _refuse(scope, receive, send, 503, "all places are taken, try again", {"Retry-After": "1"})
        elif int(Headers(scope=scope).get("content-length", "0")) > self.bytes:  # said before it is sent
            await _refuse(scope, receive, send, 413, self._too_large)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        received, answering = 0, False

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.bytes:  # it did not say how large it is
                raise HTTPException(413, self._too_large)
            return message

        async def noted(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        self.running += 1
        try:
            await asyncio.wait_for(self.app(scope, counted, noted), self.seconds)
        except asyncio.TimeoutError:
            if not answering:
                await _refuse(scope, receive, send, 504, f"no answer within {self.seconds:g} seconds")
        finally:
            self.running -= 1

    @property
    def _too_large(self) -> str:
        return f"larger than {self.bytes:,} bytes"


async def _refuse(
    scope: Scope, receive: Receive, send: Send, status: int, why: str, headers: dict[str, str] | None = None
) -> None:
    await JSONResponse({"detail": why}, status, headers)(scope, receive, send)


def search(index: lz.Index, photo: bytes, k: int) -> dict[str, Any]:
    """The best photos of the last commit; it runs in a thread."""
    snapshot = index.snapshot()  # the rows found and the labels are of one commit
    found, labels = snapshot.search(photo, k), snapshot.labels
    best = found.indices[0], found.ids[0], found.scores[0]
    return {
        "results": [
            {"id": id_, "label": labels[row], "score": round(float(score), 6)}
            for row, id_, score in zip(*best)
            if row >= 0
        ]
    }


def create_app(index: lz.Index, arguments: argparse.Namespace) -> FastAPI:
    # Threads that are not used up by requests that wait. Each of them computes with few threads of torch:
    # many small jobs side by side get more done than one job spread over all cores.
    pool = ThreadPoolExecutor(arguments.threads, "search", torch.set_num_threads, (arguments.torch_threads,))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if len(index):  # the first search loads the model and reads the index: not at a user's expense
            gray = Image.new("RGB", (640, 480), "gray")
            for warm in [pool.submit(index.search, gray) for _ in range(arguments.threads)]:
                warm.result()
        yield
        pool.shutdown()

    app = FastAPI(title="landmarkzoo", lifespan=lifespan)
    app.add_middleware(
        Limits,
        requests=arguments.threads + arguments.queue,
        bytes=int(arguments.max_megabytes * 1e6),
        seconds=arguments.timeout,
    )

    @app.exception_handler(RequestValidationError)
    async def in_one_line(_: Request, error: RequestValidationError) -> JSONResponse:
        wrong = error.errors()[0]
        return JSONResponse({"detail": f"{wrong['loc'][-1]}: {wrong['msg']}"}, 422)

    @app.post("/search")
    async def search_photo(photo: UploadFile, k: int = Query(10, ge=1, le=1000)) -> dict[str, Any]:
        """The ``k`` most similar photos, best first, with label and cosine."""
        if not len(index):
            raise HTTPException(503, "the index is empty")
        data = await photo.read()
        try:
            # Cut off by the time limit, a search that waits for a thread is dropped.
            return await asyncio.get_running_loop().run_in_executor(pool, search, index, data, k)
        except lz.PhotoError as error:
            reason = error.reason.partition(":")[0]  # what follows is advice for who runs the service
            raise HTTPException(422, f"cannot read the photo: {reason}") from error

    @app.get("/health")
    def health() -> dict[str, Any]:
        """Whether the service is well, and what it searches."""
        info = index.info
        return {"rows": info.rows, "generation": info.generation, "model": info.model}

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument("index", help="folder of an lz.Index")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0: other machines may ask too")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--device", help="such as cuda; the CPU if left out")
    parser.add_argument("--threads", type=int, default=cores, help="requests that are computed at once")
    parser.add_argument("--torch-threads", type=int, default=1, help="cores that one request computes on")
    parser.add_argument("--queue", type=int, default=32, help="requests that may wait; others get a 503")
    parser.add_argument("--timeout", type=float, default=10, help="seconds a request may take, then a 504")
    parser.add_argument("--max-megabytes", type=float, default=20, help="size of an upload")
    parser.add_argument(
        "--max-megapixels", type=float, default=100, help="of a photo: small files can hold huge ones"
    )
    arguments = parser.parse_args()

    lz.photos.allow_pixels(int(arguments.max_megapixels * 1e6 / 2))  # Pillow refuses more than twice as many
    torch.set_num_threads(arguments.torch_threads)
    try:
        index = lz.Index.open(arguments.index, device=arguments.device)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if "weights" not in index.provenance:
        parser.error(f"{arguments.index} was made without a model, so it cannot take photos")
    uvicorn.run(
        create_app(index, arguments),
        host=arguments.host,
        port=arguments.port,
        timeout_graceful_shutdown=int(arguments.timeout) + 1,
    )


if __name__ == "__main__":
    main()
