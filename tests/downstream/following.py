"""A client that follows the leader, line by line; run as `following.py ADDRESS,ADDRESS DATABASE`.

Runs on a Python of its own, with the published dqlite-client. For each line of standard input it prints what
the statement gave, or `Error: ` and why, and a prompt; `.leader` asks for the leader.
"""

from __future__ import annotations

import asyncio
import sys


async def main(addresses, database):
    import dqliteclient

    admin = dqliteclient.ClusterClient.from_addresses(addresses.split(","))
    async with dqliteclient.ConnectionPool(addresses.split(","), database=database) as pool:

        async def answer(line):
            if line == ".leader":
                return await admin.find_leader()
            async with pool.acquire() as connection:
                if line.startswith("SELECT"):
                    return await connection.fetchval(line)
                await connection.execute(line)
                return ""

        print("> ", end="", flush=True)
        while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
            try:
                said = await answer(line)
            except Exception as error:
                said = f"Error: {type(error).__name__}: {error}"
            print(said, end="\n> ", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
