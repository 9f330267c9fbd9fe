"""Prepared statements in MySQL's binary protocol through MariaDB's own library for C (of mariadb-client). Arguments: port, password, rounds, and
`tls` for a connection inside TLS. Tables are there before; user and database are `shop`. Out, as JSON: how often each command was sent, and the
numbers of errors."""
import json
import sys
from collections import Counter
from ctypes import CDLL, Structure, byref, c_char, c_char_p, c_int, c_uint, c_ulong, c_void_p, cast, create_string_buffer, sizeof

PORT, PASSWORD, ROUNDS, IS_TLS = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4:] == ["tls"]
TYPE_LONG, TYPE_STRING = 3, 254
SSL_ENFORCE, ATTR_CURSOR, CURSOR_READ_ONLY, NO_MORE_ROWS = 38, 1, c_ulong(1), 100


class Bind(Structure):
    """MYSQL_BIND of mariadb_stmt.h."""

    pointers = ["length", "is_null", "buffer", "error", "row", "store", "fetch", "skip"]
    lengths = ["buffer_length", "offset", "length_value"]
    _fields_ = (
        [(name, c_void_p) for name in pointers]
        + [(name, c_ulong) for name in lengths]
        + [("flags", c_uint), ("pack_length", c_uint), ("buffer_type", c_int)]
        + [(name, c_char) for name in ("error_value", "is_unsigned", "long_data_used", "is_null_value")]
        + [("extension", c_void_p)]
    )


library = CDLL("libmariadb.so.3")
for name in ("mysql_init", "mysql_real_connect", "mysql_stmt_init"):
    getattr(library, name).restype = c_void_p
for name in ("mysql_error", "mysql_stmt_error", "mysql_get_ssl_cipher"):
    getattr(library, name).restype, getattr(library, name).argtypes = c_char_p, [c_void_p]
library.mysql_options.argtypes = [c_void_p, c_int, c_void_p]
library.mysql_stmt_init.argtypes = [c_void_p]
library.mysql_real_connect.argtypes = [c_void_p, *[c_char_p] * 4, c_uint, c_char_p, c_ulong]
sent, errors = Counter(), Counter()


class Statement:
    def __init__(self, sql, cursor=False):
        self.own = c_void_p(library.mysql_stmt_init(db))
        if cursor:
            library.mysql_stmt_attr_set(self.own, ATTR_CURSOR, byref(CURSOR_READ_ONLY))
        self.check(library.mysql_stmt_prepare(self.own, sql.encode(), c_ulong(len(sql))))
        sent["prepare"] += 1

    def check(self, failed):
        if failed:
            raise RuntimeError(library.mysql_stmt_error(self.own))

    def execute(self, number, text=None, long_data=None):
        key, kept = c_int(number), create_string_buffer((text or "").encode())
        values = [(TYPE_LONG, cast(byref(key), c_void_p), sizeof(key))]
        if text is not None or long_data is not None:
            values.append((TYPE_STRING, cast(kept, c_void_p), len(kept) - 1))
        numbers = (c_ulong * len(values))(*[size for _, _, size in values])
        binds = (Bind * len(values))()
        for bind, length, (kind, buffer, size) in zip(binds, numbers, values):
            bind.buffer_type, bind.buffer, bind.buffer_length = kind, buffer, size
        for index, bind in enumerate(binds):
            bind.length = cast(byref(numbers, index * sizeof(c_ulong)), c_void_p)
        self.kept = (key, kept, numbers, binds)
        self.check(library.mysql_stmt_bind_param(self.own, binds))
        for piece in long_data or []:
            self.check(library.mysql_stmt_send_long_data(self.own, 1, piece.encode(), c_ulong(len(piece))))
            sent["send_long_data"] += 1
        sent["execute"] += 1
        if library.mysql_stmt_execute(self.own):
            errors[str(library.mysql_stmt_errno(self.own))] += 1

    def rows(self):
        rows = 0
        while (state := library.mysql_stmt_fetch(self.own)) != NO_MORE_ROWS:
            self.check(state == 1)
            rows += 1
        return rows

    def close(self):
        library.mysql_stmt_close(self.own)
        sent["close"] += 1


db = c_void_p(library.mysql_init(None))
if IS_TLS:
    library.mysql_options(db, SSL_ENFORCE, byref(c_char(1)))
if not library.mysql_real_connect(db, b"127.0.0.1", b"shop", PASSWORD.encode(), b"shop", PORT, None, 0):
    raise RuntimeError(library.mysql_error(db))
assert IS_TLS == bool(library.mysql_get_ssl_cipher(db))
insert = Statement("INSERT INTO users (id, name) VALUES (?, ?)")
select = Statement("SELECT name FROM users WHERE id = ?")
for number in range(ROUNDS):
    insert.execute(number, f"canary7Q {number}")
    select.execute(number)
    assert select.rows() == 1
insert.execute(0, "twice")
insert.execute(ROUNDS, long_data=["canary7Q", " in two pieces"])
for used in (insert, select):
    used.close()
every = Statement("SELECT id FROM users WHERE id >= ?", cursor=True)
every.execute(0)
assert every.rows() == ROUNDS + 1
every.close()
library.mysql_close(db)
print(json.dumps({"sent": sent, "errors": errors}))
