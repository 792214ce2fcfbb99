"""Uploads as files: a slow sender fills a file on disk, neither memory nor a transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from app.core.problems import PayloadTooLarge

_IN_MEMORY = 1 << 20


@asynccontextmanager
async def received(stream: AsyncIterator[bytes], limit_mib: int) -> AsyncIterator[BinaryIO]:
    """An upload's body as a file, from its beginning, for the life of the block.

    Raises:
        PayloadTooLarge: there is more of it than `limit_mib`.
    """
    with SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        size = 0
        async for part in stream:
            size += len(part)
            if size > limit_mib << 20:
                raise PayloadTooLarge(limit_mib=limit_mib)
            file.write(part)
        file.seek(0)
        yield cast(BinaryIO, file)
