"""Makes files that call themselves libssl.so.3, each an inode of its own: FOLDER/N/libssl.so.3. Arguments: the real library, folder, and
how many of each kind: `copy` (whole), `noise`, `cut` (the first pages of the real one), `middle` (its functions begin in the middle of an
instruction), `data` (its functions lie in a segment that is not executable), `zeros` (4 GiB without blocks, behind a real head)."""
import os
import pathlib
import struct
import sys

real, folder, *counts = sys.argv[1:]
whole = pathlib.Path(real).read_bytes()
NAMES = (b"SSL_read", b"SSL_write", b"SSL_read_ex", b"SSL_write_ex")


def moved(change):
    """The library with other addresses of its four functions. ELF-64: section headers, .dynsym (type 11), its strings."""
    data = bytearray(whole)
    sections, count = struct.unpack_from("<Q", data, 0x28)[0], struct.unpack_from("<H", data, 0x3C)[0]
    headers = [struct.unpack_from("<IIQQQQIIQQ", data, sections + 64 * number) for number in range(count)]
    symbols = next(header for header in headers if header[1] == 11)
    strings = headers[symbols[6]]
    for at in range(symbols[4], symbols[4] + symbols[5], 24):
        name = strings[4] + struct.unpack_from("<I", data, at)[0]
        if bytes(data[name : data.index(0, name)]) in NAMES:
            struct.pack_into("<Q", data, at + 8, change(struct.unpack_from("<Q", data, at + 8)[0]))
    return bytes(data)


MAKE = {
    "copy": lambda: whole,
    "noise": lambda: os.urandom(8192),
    "cut": lambda: whole[:8192],
    "middle": lambda: moved(lambda address: address + 1),
    "data": lambda: moved(lambda address: 0x40),
    "zeros": lambda: whole[:4096],
}
number = 0
for kind, count in (argument.split("=") for argument in counts):
    for _ in range(int(count)):
        path = pathlib.Path(folder) / str(number) / "libssl.so.3"
        path.parent.mkdir(parents=True)
        path.write_bytes(MAKE[kind]())
        if kind == "zeros":
            os.truncate(path, 4 << 30)
        number += 1
print(number)
