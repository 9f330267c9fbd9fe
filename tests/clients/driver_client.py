"""Sends the same statements through a driver of Python's world: asyncpg, psycopg, sqlalchemy (on psycopg) or pymysql.
psycopg-late has prepared a statement before it says `ready`, and goes on for a line on standard input.
Arguments: driver, port, password, rounds. Out, as JSON: statements by verb and table, errors by code, and what the ones on the table `waits` took in
milliseconds. Tables are there before; user and database are `shop`."""
import asyncio
import json
import sys
import time
from collections import Counter

DRIVER, PORT, PASSWORD, ROUNDS = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
AT_ONCE = 5
sent, errors, waits = Counter(), Counter(), []


def wait_s(number):
    return (20 + 2 * (number % 20)) / 1_000


def begin_time():
    return time.perf_counter()


def waited(began):
    waits.append((time.perf_counter() - began) * 1_000)


async def with_asyncpg():
    import asyncpg

    pool = await asyncpg.create_pool(
        host="127.0.0.1", port=PORT, user="shop", password=PASSWORD, database="shop", min_size=AT_ONCE, max_size=AT_ONCE
    )

    async def round_of(number):
        async with pool.acquire() as db:
            await db.fetch("SELECT name FROM things WHERE id = $1", number)
            await db.execute("INSERT INTO items (id, name) VALUES ($1, $2)", number, f"canary7Q {number}")
            await db.execute("UPDATE stock SET n = n + 1 WHERE id = 1")
            async with db.transaction():
                await db.execute("DELETE FROM carts WHERE id = $1", number)
                await db.fetchval("SELECT count(*) FROM orders")
        sent.update({"SELECT things": 1, "INSERT items": 1, "UPDATE stock": 1, "DELETE carts": 1, "SELECT orders": 1})

    await asyncio.gather(*(round_of(number) for number in range(ROUNDS)))
    async with pool.acquire() as db:
        await db.executemany("INSERT INTO batch (id) VALUES ($1)", [(number,) for number in range(ROUNDS)])
        sent["INSERT batch"] += ROUNDS
        for number in range(ROUNDS):
            began = begin_time()
            await db.fetch("SELECT pg_sleep($1) FROM waits", wait_s(number))
            waited(began)
        for number in range(3):
            try:
                await db.execute("INSERT INTO items (id, name) VALUES ($1, $2)", 0, "twice")
            except asyncpg.PostgresError as error:
                errors[error.sqlstate] += 1
            sent["INSERT items"] += 1
    sent["SELECT waits"] += ROUNDS
    await pool.close()


def with_psycopg():
    import psycopg

    with psycopg.connect(host="127.0.0.1", port=PORT, user="shop", password=PASSWORD, dbname="shop", autocommit=True) as db:
        for number in range(ROUNDS):
            db.execute("SELECT name FROM things WHERE id = %s", [number]).fetchall()
            db.execute("INSERT INTO items (id, name) VALUES (%s, %s)", [number, f"canary7Q {number}"])
            db.execute("UPDATE stock SET n = n + 1 WHERE id = 1")
            with db.transaction():
                db.execute("DELETE FROM carts WHERE id = %s", [number])
                db.execute("SELECT count(*) FROM orders").fetchall()
        cursor = db.cursor()
        cursor.executemany("INSERT INTO batch (id) VALUES (%s)", [(number,) for number in range(ROUNDS)])
        for number in range(ROUNDS):
            began = begin_time()
            db.execute("SELECT pg_sleep(%s) FROM waits", [wait_s(number)]).fetchall()
            waited(began)
        for number in range(3):
            try:
                db.execute("INSERT INTO items (id, name) VALUES (%s, %s)", [0, "twice"])
            except psycopg.Error as error:
                errors[error.sqlstate] += 1
    tables = ["SELECT things", "UPDATE stock", "DELETE carts", "SELECT orders", "INSERT batch", "SELECT waits"]
    sent.update({"INSERT items": ROUNDS + 3} | dict.fromkeys(tables, ROUNDS))


def with_psycopg_late():
    import psycopg

    with psycopg.connect(host="127.0.0.1", port=PORT, user="shop", password=PASSWORD, dbname="shop", autocommit=True) as db:
        for number in range(10):
            db.execute("SELECT name FROM things WHERE id = %s", [number]).fetchall()
        print("ready", flush=True)
        input()
        for number in range(ROUNDS):
            db.execute("SELECT name FROM things WHERE id = %s", [number]).fetchall()
            db.execute("INSERT INTO items (id, name) VALUES (%s, %s)", [number, f"canary7Q {number}"])


def with_sqlalchemy():
    import threading

    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import IntegrityError

    engine = create_engine(f"postgresql+psycopg://shop:{PASSWORD}@127.0.0.1:{PORT}/shop", pool_size=AT_ONCE, max_overflow=0)

    def rounds_of(first):
        for number in range(first, ROUNDS, 2 * AT_ONCE):
            with engine.begin() as db:
                db.execute(text("SELECT name FROM things WHERE id = :id"), {"id": number}).all()
                db.execute(text("INSERT INTO items (id, name) VALUES (:id, :name)"), {"id": number, "name": f"canary7Q {number}"})
            with engine.begin() as db:
                db.execute(text("DELETE FROM carts WHERE id = :id"), {"id": number})
                db.execute(text("SELECT count(*) FROM orders")).all()

    threads = [threading.Thread(target=rounds_of, args=[first]) for first in range(2 * AT_ONCE)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    with engine.connect() as db:
        for number in range(ROUNDS):
            began = begin_time()
            db.execute(text("SELECT pg_sleep(:s) FROM waits"), {"s": wait_s(number)}).all()
            waited(began)
    for number in range(3):
        try:
            with engine.begin() as db:
                db.execute(text("INSERT INTO items (id, name) VALUES (:id, :name)"), {"id": 0, "name": "twice"})
        except IntegrityError as error:
            errors[error.orig.sqlstate] += 1
    sent.update({"INSERT items": ROUNDS + 3} | dict.fromkeys(["SELECT things", "DELETE carts", "SELECT orders", "SELECT waits"], ROUNDS))


def with_pymysql():
    import pymysql

    db = pymysql.connect(host="127.0.0.1", port=PORT, user="shop", password=PASSWORD, database="shop", autocommit=True)
    cursor = db.cursor()
    for number in range(ROUNDS):
        cursor.execute("SELECT name FROM things WHERE id = %s", [number])
        cursor.execute("INSERT INTO items (id, name) VALUES (%s, %s)", [number, f"canary7Q {number}"])
        cursor.execute("UPDATE stock SET n = n + 1 WHERE id = 1")
        db.begin()
        cursor.execute("DELETE FROM carts WHERE id = %s", [number])
        cursor.execute("SELECT count(*) FROM orders")
        db.commit()
    for number in range(ROUNDS):
        began = begin_time()
        cursor.execute("SELECT sleep(%s) FROM waits", [wait_s(number)])
        waited(began)
    for number in range(3):
        try:
            cursor.execute("INSERT INTO items (id, name) VALUES (%s, %s)", [0, "twice"])
        except pymysql.MySQLError as error:
            errors[str(error.args[0])] += 1
    tables = ["SELECT things", "UPDATE stock", "DELETE carts", "SELECT orders", "SELECT waits"]
    sent.update({"INSERT items": ROUNDS + 3} | dict.fromkeys(tables, ROUNDS))
    db.close()


if DRIVER == "asyncpg":
    asyncio.run(with_asyncpg())
else:
    {"psycopg": with_psycopg, "psycopg-late": with_psycopg_late, "sqlalchemy": with_sqlalchemy, "pymysql": with_pymysql}[DRIVER]()
print(json.dumps({"sent": sent, "errors": errors, "waits": waits}))
