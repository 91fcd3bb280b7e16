"""Sessions through the published clients: each line of standard input is `[SCENARIO, ADDRESS, DATABASE]`.

Runs on a Python of its own, with this project's package first on the path and the clients behind it. Each
scenario uses the clients as their READMEs say and returns what a user saw, printed as one JSON line; the test
judges it. One process runs many, since to import the clients takes longer than a session.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import sys
import traceback

ROWS = 20_000
NUMBERS = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})"
MANY = f"{NUMBERS} SELECT i, 'row ' || i AS t, i * 0.5 AS f FROM n"
MIDWAY = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
    "SELECT abs(CASE i WHEN 2000 THEN -9223372036854775808 ELSE i END) AS a FROM n"
)
TABLE = "CREATE TABLE v (i INTEGER, f REAL, s TEXT, b BLOB, n TEXT, o BOOLEAN, d DATETIME)"
VALUES = [-(2**63), 1.5, "grüße 🙂", bytes(range(256)), None, True, "2024-02-29 12:30:00"]
INSERT = "INSERT INTO v VALUES (?, ?, ?, ?, ?, ?, ?)"


def plain(value):
    """What JSON can carry, with the type where it matters."""
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, datetime.datetime):
        return {"datetime": value.isoformat()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def error_of(action, *arguments):
    """(class name, code) of the error an action ends in."""
    try:
        action(*arguments)
    except Exception as error:
        return describe(error)
    return None


async def async_error_of(action):
    try:
        await action
    except Exception as error:
        return describe(error)
    return None


def describe(error):
    code = getattr(error, "sqlite_errorcode", None) or getattr(error, "code", None)
    return [type(error).__name__, code]


def total(rows):
    """Count and sums: enough to tell a row lost, doubled or torn."""
    return [
        len(rows),
        sum(row[0] for row in rows),
        sum(len(row[1]) for row in rows),
        sum(row[2] for row in rows),
    ]


# ---------------------------------------------------------------- dqlite-client


async def client(address, database):
    import dqliteclient

    connection = await dqliteclient.connect(address, database=database)
    try:
        await connection.execute(TABLE)
        result = await connection.execute(INSERT, VALUES)
        seen = {
            "inserted": list(result),
            "row": plain((await connection.fetchall("SELECT * FROM v"))[0]),
            "many": total(await connection.fetchall(MANY)),
            "parameters": await connection.fetchval("SELECT " + "+".join("?" * 255), [1] * 255),
            "syntax": await async_error_of(connection.fetch("SELEKT 1")),
            "midway": await async_error_of(connection.fetchall(MIDWAY)),
            "unencodable": await async_error_of(connection.fetch("SELECT ?", [2**63])),
        }
        await connection.execute("CREATE TABLE u (a UNIQUE)")
        await connection.execute("INSERT INTO u VALUES (1)")
        seen["unique"] = await async_error_of(connection.execute("INSERT INTO u VALUES (1)"))
        async with connection.transaction():
            await connection.execute("INSERT INTO u VALUES (2)")
        seen["still usable"] = await connection.fetchval("SELECT count(*) FROM u")
    finally:
        await connection.close()
    return seen


async def cluster(address, database):
    import dqliteclient

    connection = await dqliteclient.connect(address, database=database)
    await connection.execute("CREATE TABLE d (a)")
    await connection.close()
    admin = dqliteclient.ClusterClient.from_addresses([address])
    nodes = await admin.cluster_info()
    leader = await admin.leader_info()
    await admin.set_weight(7)
    metadata = await admin.describe()
    files = await admin.dump(database)
    async with dqliteclient.ConnectionPool([address], database=database) as pool, pool.acquire() as pooled:
        pooled_value = await pooled.fetchval("SELECT count(*) FROM d")
    return {
        "leader": [leader.node_id, leader.address],
        "found": await admin.find_leader(),
        "nodes": [[node.node_id, node.address, int(node.role)] for node in nodes],
        "weight": metadata.weight,
        "files": sorted(name.removeprefix(database) for name in files),
        "magic": files[database][:15].decode(),
        "pooled": pooled_value,
    }


# ---------------------------------------------------------------- dqlite-dbapi


def dbapi(address, database):
    import dqlitedbapi

    connection = dqlitedbapi.connect(address, database=database, busy_timeout=0)
    other = dqlitedbapi.connect(address, database=database, busy_timeout=0)
    cursor = connection.cursor()
    cursor.execute(TABLE)
    cursor.execute(INSERT, VALUES)
    cursor.execute("CREATE TABLE u (a UNIQUE NOT NULL CHECK (a < 100))")
    cursor.executemany("INSERT INTO u VALUES (?)", [(number,) for number in range(5)])
    connection.commit()
    seen = {"row": plain(cursor.execute("SELECT i, f, s, b, n, o, d FROM v").fetchone())}
    seen["description"] = [column[0] for column in cursor.description]
    seen["many"] = total(list(cursor.execute(MANY)))
    seen["many by fetchmany"] = len(cursor.execute(MANY).fetchmany(99_999)) + len(cursor.fetchall())
    connection.commit()
    seen["errors"] = {
        name: error_of(cursor.execute, sql)
        for name, sql in {
            "syntax": "SELEKT 1",
            "table": "SELECT * FROM nowhere",
            "unique": "INSERT INTO u VALUES (1)",
            "not null": "INSERT INTO u VALUES (NULL)",
            "check": "INSERT INTO u VALUES (100)",
            "midway": MIDWAY,
        }.items()
    }
    connection.rollback()
    seen["unencodable"] = error_of(cursor.execute, "SELECT ?", (2**64,))
    other.cursor().execute("BEGIN IMMEDIATE")
    seen["busy"] = error_of(cursor.execute, "INSERT INTO u VALUES (50)")
    other.rollback()
    connection.rollback()
    seen["count"] = cursor.execute("SELECT count(*) FROM u").fetchone()[0]
    connection.close()
    other.close()
    return seen


async def dbapi_async(address, database):
    from dqlitedbapi import aio

    connection = await aio.aconnect(address, database=database)
    cursor = connection.cursor()
    await cursor.execute(TABLE)
    await cursor.execute(INSERT, VALUES)
    await connection.commit()
    await cursor.execute("SELECT * FROM v")
    seen = {"row": plain(await cursor.fetchone())}
    await cursor.execute(MANY)
    seen["many"] = total(await cursor.fetchall())
    await connection.rollback()
    seen["midway"] = await async_error_of(cursor.execute(MIDWAY))
    await connection.rollback()
    await cursor.execute("SELECT 1")
    seen["still usable"] = (await cursor.fetchone())[0]
    await connection.close()
    return seen


# ---------------------------------------------------------------- sqlalchemy-dqlite


def models():
    from sqlalchemy import ForeignKey, LargeBinary
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

    # SQLAlchemy evaluates the annotations by the names of the module
    globals().update(ForeignKey=ForeignKey, Mapped=Mapped)

    class Base(DeclarativeBase):
        type_annotation_map = {bytes: LargeBinary}
        # RETURNING aborts servers below 1.18.3
        __table_args__ = {"implicit_returning": False}

    class Author(Base):
        __tablename__ = "author"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(unique=True)
        books = relationship("Book", back_populates="author", cascade="all, delete-orphan")

    class Book(Base):
        __tablename__ = "book"
        id: Mapped[int] = mapped_column(primary_key=True)
        author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
        title: Mapped[str]
        price: Mapped[float]
        cover: Mapped[bytes]
        printed: Mapped[bool]
        published: Mapped[datetime.datetime]
        subtitle: Mapped[str | None]
        author = relationship("Author", back_populates="books")

    return Base, Author, Book


def shelf(author_class, book_class):
    books = [
        book_class(
            title=f"Volume {number}",
            price=9.5 + number,
            cover=bytes([number] * 3),
            printed=number % 2 == 0,
            published=datetime.datetime(2024, 2, 29, 12, 30, number),
            subtitle=None if number else "the first",
        )
        for number in range(3)
    ]
    return author_class(name="Ada", books=books)


def told(book):
    return [book.title, book.price, plain(book.cover), book.printed, plain(book.published), book.subtitle]


def orm(address, database):
    from sqlalchemy import create_engine, func, inspect, select, text
    from sqlalchemy.orm import Session

    base, author_class, book_class = models()
    engine = create_engine(f"dqlite://{address}/{database}")
    base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(shelf(author_class, book_class))
        session.commit()
    with Session(engine) as session:
        author = session.scalars(select(author_class).where(author_class.name == "Ada")).one()
        seen = {"books": [told(book) for book in author.books]}
        author.books[0].title = "Prologue"
        session.delete(author.books[2])
        session.commit()
    with Session(engine) as session:
        seen["after"] = list(session.scalars(select(book_class.title).order_by(book_class.id)))
        session.add(author_class(name="Ada"))
        seen["unique"] = sqlalchemy_error(error_of_commit(session))
        session.rollback()
        seen["count"] = session.scalar(select(func.count()).select_from(book_class))
    with engine.connect() as connection:
        seen["many"] = total(connection.execute(text(MANY)).all())
    seen["tables"] = sorted(inspect(engine).get_table_names())
    engine.dispose()
    return seen


def error_of_commit(session):
    try:
        session.commit()
    except Exception as error:
        return error
    return None


def sqlalchemy_error(error):
    return [type(error).__name__, describe(error.orig)[1]]


async def orm_async(address, database):
    from sqlalchemy import select, text
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
    from sqlalchemy.orm import selectinload

    base, author_class, book_class = models()
    engine = create_async_engine(f"dqlite+aio://{address}/{database}")
    async with engine.begin() as connection:
        await connection.run_sync(base.metadata.create_all)
    async with AsyncSession(engine) as session:
        session.add(shelf(author_class, book_class))
        await session.commit()
    async with AsyncSession(engine) as session:
        found = await session.scalars(select(author_class).options(selectinload(author_class.books)))
        seen = {"books": [told(book) for book in found.one().books]}
        session.add(author_class(name="Ada"))
        try:
            await session.commit()
        except Exception as error:
            seen["unique"] = sqlalchemy_error(error)
            await session.rollback()
    async with engine.connect() as connection:
        seen["many"] = total((await connection.execute(text(MANY))).all())
    await engine.dispose()
    return seen


SCENARIOS = {action.__name__: action for action in (client, cluster, dbapi, dbapi_async, orm, orm_async)}


def run(scenario, address, database):
    import dqlitewire

    seen = SCENARIOS[scenario](address, database)
    if asyncio.iscoroutine(seen):
        seen = asyncio.run(seen)
    return {"wire": dqlitewire.__file__, "seen": seen}


if __name__ == "__main__":
    for line in sys.stdin:
        try:
            result = run(*json.loads(line))
        except BaseException:
            result = {"error": traceback.format_exc()}
        print(json.dumps(result), flush=True)
