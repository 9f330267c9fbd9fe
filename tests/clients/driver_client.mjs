// Sends statements through a driver of Node's world: pg or ioredis. Arguments: driver, port, password, rounds. Out as of driver_client.py; of
// ioredis commands by name, and what each of BLPOP's waits took.
import { performance } from "node:perf_hooks";

const [driver, port, password] = process.argv.slice(2);
const rounds = Number(process.argv[5]);
const sent = {};
const errors = {};
const waits = [];
const add = (name, number = 1) => (sent[name] = (sent[name] ?? 0) + number);
const failed = (code) => (errors[code] = (errors[code] ?? 0) + 1);
const timed = async (work) => {
  const began = performance.now();
  await work();
  waits.push(performance.now() - began);
};

async function withPg() {
  const { default: pg } = await import("pg");
  const pool = new pg.Pool({ host: "127.0.0.1", port: Number(port), user: "shop", password, database: "shop", max: 5 });
  const round = async (number) => {
    await pool.query("SELECT name FROM things WHERE id = $1", [number]);
    await pool.query({ name: "put", text: "INSERT INTO items (id, name) VALUES ($1, $2)", values: [number, `canary7Q ${number}`] });
    await pool.query("UPDATE stock SET n = n + 1 WHERE id = 1");
    const db = await pool.connect();
    await db.query("BEGIN");
    await db.query("DELETE FROM carts WHERE id = $1", [number]);
    await db.query("SELECT count(*) FROM orders");
    await db.query("COMMIT");
    db.release();
    for (const name of ["SELECT things", "INSERT items", "UPDATE stock", "DELETE carts", "SELECT orders"]) add(name);
  };
  await Promise.all(Array.from({ length: rounds }, (_, number) => round(number)));
  for (let number = 0; number < rounds; number += 1) {
    await timed(() => pool.query("SELECT pg_sleep($1) FROM waits", [(20 + 2 * (number % 20)) / 1_000]));
    add("SELECT waits");
  }
  for (let number = 0; number < 3; number += 1) {
    await pool.query("INSERT INTO items (id, name) VALUES (0, 'twice')").catch((error) => failed(error.code));
    add("INSERT items");
  }
  await pool.end();
}

async function withIoredis() {
  const { Redis } = await import("ioredis");
  const redis = new Redis({ host: "127.0.0.1", port: Number(port) });
  for (let number = 0; number < rounds; number += 1) {
    await redis.set(`user:${number}`, "canary7Q");
    await redis.get(`user:${number}`);
    await redis.multi().incr("n").expire("n", 60).exec();
    await redis.lpush("user:0", "x").catch((error) => failed(error.message.split(" ")[0]));
  }
  add("SET", rounds), add("GET", rounds), add("MULTI", rounds), add("INCR", rounds), add("EXPIRE", rounds), add("EXEC", rounds), add("LPUSH", rounds);
  for (let number = 0; number < 10; number += 1) {
    const pipeline = redis.pipeline();
    for (let at = 0; at < rounds; at += 1) pipeline.hset(`hash:${at}`, "field", "canary7Q");
    await pipeline.exec();
  }
  add("HSET", 10 * rounds);
  await Promise.all(Array.from({ length: rounds }, () => redis.hget("hash:1", "field")));
  add("HGET", rounds);
  for (let number = 0; number < 5; number += 1) await timed(() => redis.blpop("nothing", 0.1));
  add("BLPOP", 5);
  await redis.quit();
  add("QUIT");
}

await { pg: withPg, ioredis: withIoredis }[driver]();
console.log(JSON.stringify({ sent, errors, waits }));
