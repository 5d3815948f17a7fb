"""A service: each line that a client sends names a definition, and is answered with the image to run."""

import asyncio
import sys

from coopery import Builder, CooperyError, Environment


async def serve(builder: Builder, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        try:
            image = await builder.build_async(Environment.load(line.decode().strip()))
            writer.write(f"{image.reference}\n".encode())
        except CooperyError as error:
            writer.write(f"error: {error.message.splitlines()[0]}\n".encode())
    writer.close()


async def main(socket: str) -> None:
    with Builder() as builder:
        server = await asyncio.start_unix_server(lambda *ends: serve(builder, *ends), socket)
        await server.serve_forever()


asyncio.run(main(sys.argv[1]))
