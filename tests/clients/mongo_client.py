"""Sends commands to a MongoDB server by pymongo. Arguments: port or path of a unix socket, what, rounds. Out: what the driver's own listener counted,
as JSON: commands by name, those without an answer, and errors by number. `steady` makes one round, says `ready`, and makes the others for a line on
standard input."""
import json
import sys
import urllib.parse
from collections import Counter

from pymongo import DeleteOne, InsertOne, MongoClient, UpdateOne, WriteConcern, monitoring
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure

WHERE, WHAT, ROUNDS = sys.argv[1], sys.argv[2], int(sys.argv[3])
SECRET = "canary7Q"


class Listener(monitoring.CommandListener):
    sent, errors, rows = Counter(), Counter(), Counter()

    def started(self, event):
        self.sent[event.command_name] += 1

    def succeeded(self, event):
        cursor = event.reply.get("cursor", {})
        self.rows[event.command_name] += len(cursor.get("firstBatch", cursor.get("nextBatch", [])))
        for error in event.reply.get("writeErrors", [])[:1]:
            self.errors[str(error["code"])] += 1

    def failed(self, event):
        self.errors[str(event.failure["code"])] += 1


def client(**options):
    host = f"127.0.0.1:{WHERE}" if WHERE.isdigit() else urllib.parse.quote_plus(WHERE)
    return MongoClient(f"mongodb://{host}/?directConnection=true", event_listeners=[Listener()], **options)


def one_round(shop, number):
    orders = shop.orders
    orders.insert_one({"user": SECRET, "number": number, "card": {"number": SECRET}})
    orders.insert_many([{"user": f"{SECRET}{item}", "number": number, "item": item} for item in range(40)])
    list(orders.find({"user": SECRET, "number": {"$gt": number - 1}}))
    list(orders.find({"number": number}, {"user": 1}, batch_size=15).sort("item"))
    orders.find_one({"$or": [{"user": SECRET}, {"item": {"$in": [1, 2, 3]}}]})
    orders.update_one({"number": number, "user": SECRET}, {"$set": {"state": SECRET}, "$inc": {"tries": 1}})
    orders.update_many({"number": number}, {"$set": {"paid": True}})
    orders.update_one({"user": "new", "number": number}, {"$set": {"state": SECRET}}, upsert=True)
    list(orders.aggregate([{"$match": {"number": number}}, {"$group": {"_id": None, "n": {"$sum": 1}}}]))
    orders.count_documents({"user": SECRET})
    orders.estimated_document_count()
    orders.distinct("item", {"number": number, "item": {"$gte": 0}})
    orders.find_one_and_update({"number": number, "item": 7}, {"$set": {"state": SECRET}})
    orders.bulk_write([InsertOne({"user": SECRET}), UpdateOne({"user": SECRET}, {"$set": {"a": 1}}), DeleteOne({"user": "nobody"})])
    orders.delete_many({"number": number, "item": {"$gt": 30}})
    shop.command("ping")


def everything():
    with client() as mongo:
        for number in range(ROUNDS):
            one_round(mongo.shop, number)
        # The rest of a cursor that is not read to its end.
        mongo.shop.orders.find({}, batch_size=2).next()


def failing():
    with client() as mongo:
        shop = mongo.shop
        for number in range(ROUNDS):
            shop.orders.insert_one({"_id": f"{SECRET}{number}"})
            for attempt in (
                lambda: shop.orders.insert_one({"_id": f"{SECRET}{number}"}),
                lambda: shop.orders.insert_many([{"_id": f"x{number}"}, {"_id": f"{SECRET}{number}"}]),
                lambda: shop.command("brew", SECRET),
                lambda: shop.orders.aggregate([{"$brew": SECRET}]),
            ):
                try:
                    attempt()
                except (OperationFailure, DuplicateKeyError, BulkWriteError):
                    pass
    try:
        with client(username="shop", password=SECRET) as mongo:
            mongo.shop.command("ping")
    except OperationFailure:
        pass


def unacknowledged():
    with client() as mongo:
        orders = mongo.shop.get_collection("orders", write_concern=WriteConcern(w=0))
        for number in range(ROUNDS):
            orders.insert_one({"user": SECRET, "number": number})
            orders.update_one({"user": SECRET}, {"$set": {"number": number}})
            mongo.shop.command("ping")


def compressed():
    with client(compressors="zlib") as mongo:
        for number in range(ROUNDS):
            mongo.shop.orders.insert_one({"user": SECRET, "number": number})
            mongo.shop.orders.find_one({"user": SECRET})


def large():
    with client() as mongo:
        papers = mongo.shop.papers
        papers.insert_many([{"text": SECRET * 40, "number": number} for number in range(60)])
        for _ in range(ROUNDS):
            list(papers.find({"number": {"$lt": 50}}))


def waiting():
    """A slow command beside the driver's own that wait for news."""
    with client(heartbeatFrequencyMS=500) as mongo:
        for _ in range(ROUNDS):
            list(mongo.shop.orders.aggregate([{"$sleep": 300}]))


def steady():
    with client(maxPoolSize=1) as mongo:
        mongo.shop.orders.insert_one({"user": SECRET})
        print("ready", flush=True)
        sys.stdin.readline()
        Listener.sent.clear()
        for number in range(ROUNDS):
            mongo.shop.orders.insert_one({"user": SECRET, "number": number})
            mongo.shop.orders.find_one({"user": SECRET})


globals()[WHAT]()
print(json.dumps({"sent": Listener.sent, "errors": Listener.errors, "rows": Listener.rows}))
