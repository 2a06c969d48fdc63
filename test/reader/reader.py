#!/usr/bin/env python3
"""Reads the records of a Trailward data directory, from its documentation alone.

    reader.py DATA_DIRECTORY [GROUP]

prints each record as one JSON line {"group","stream","kind","time","arrival","attrs","raw"},
raw in base64, segment by segment in the order of the segments' ids, which begin with the time
when they were made. Each segment is held against the root of its Merkle tree, the catalog and the
ledger, and the ledger against its signed checkpoint.
Records that are in the WAL only are not read: `trailward ingest` leaves none there.

This was written from docs/format/*.md without a look at the Go code, so that these pages are known
to be enough. It shares nothing with the program. Needs cryptography, zstandard and pyarrow.
"""

import base64
import hashlib
import hmac
import io
import ipaddress
import json
import os
import sqlite3
import struct
import sys
import uuid
from datetime import datetime, timedelta

import pyarrow.parquet
import zstandard
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

SEAL = b"trailward/seal/1/"


class Damaged(Exception):
    """Something is not as the format says."""


def must(ok, what):
    if not ok:
        raise Damaged(what)


# key-file.md


def hkdf(key, salt, info):
    return HKDF(hashes.SHA256(), 32, salt or None, info).derive(key)


def read_key_file(path):
    """The keys by their ids."""
    lines = open(path, "rb").read().split(b"\n")
    must(lines[0].rstrip(b"\r") == b"trailward-keys 1", "key file: first line")
    keys = {}
    for line in lines[1:]:
        words = line.split()
        if not words or words[0].startswith(b"#"):
            continue
        must(len(words) == 3 and words[0] == b"key", "key file: line")
        key = base64.b64decode(words[2], validate=True)
        must(hkdf(key, b"", SEAL + b"key id")[:8].hex().encode() == words[1], "key file: id")
        keys[bytes.fromhex(words[1].decode())] = key
    return keys


def unwrap(keys, wrapped, associated):
    must(len(wrapped) == 89 and wrapped[0] == 1, "wrapped data key: form")
    must(wrapped[1:9] in keys, "wrapped data key: its key is not in the key file")
    key = hkdf(keys[wrapped[1:9]], wrapped[9:41], SEAL + b"wrap")
    return AESGCM(key).decrypt(bytes(12), wrapped[41:], associated)


# sealed-object.md


class Sealed:
    """A header, opened."""

    def __init__(self, keys, data, kind, object_id):
        must(data[:8] == b"TRWSEAL\n" and data[10:11] == kind, "header: magic and kind")
        must(struct.unpack(">H", data[8:10]) == (1,), "header: version")
        k = data[11]
        (w,) = struct.unpack(">H", data[12:14])
        at = 14 + k
        wrapped, at = data[at : at + w], at + w
        salt, at = data[at : at + 32], at + 32
        before = data[:at]
        commitment, at = data[at : at + 32], at + 32
        tag, at = data[at : at + 32], at + 32
        self.size, self.kind = at, kind
        data_key = unwrap(keys, wrapped, SEAL + b"wrap\0" + kind + salt)
        self.root = hmac.digest(salt, data_key, "sha256")
        must(self.f(b"commitment", hashlib.sha256(before).digest()) == commitment, "header: commitment")
        must(self.f(b"object id", object_id) == tag, "header: object id")
        self.key = self.f(b"key", object_id)

    def f(self, label, x):
        return HKDFExpand(hashes.SHA256(), 32, SEAL + label + b"\0" + self.kind + x).derive(self.root)


CHUNK = 65536


def read_object(keys, path, object_id):
    """The plaintext of a sealed object, and the SHA-256 of its file."""
    data = open(path, "rb").read()
    head = Sealed(keys, data, b"o", object_id)
    aead, out, body = AESGCM(head.key), io.BytesIO(), data[head.size :]
    chunks = -(-len(body) // (CHUNK + 16))
    for n in range(chunks):
        chunk = body[n * (CHUNK + 16) : (n + 1) * (CHUNK + 16)]
        nonce = bytes(3) + struct.pack(">QB", n, n == chunks - 1)
        out.write(aead.decrypt(nonce, chunk, None))
    return out.getvalue(), hashlib.sha256(data).digest()


def open_blob(store, blob, context):
    must(blob[0] == 1, "blob: version")
    key = hkdf(store.f(b"blobs", b""), blob[1:33], SEAL + b"blob")
    return AESGCM(key).decrypt(bytes(12), blob[33:], context)


# segment.md


class Bytes:
    """Reads varints and bytes one after another."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        must(self.at + n <= len(self.data), "shapes: cut")
        self.at += n
        return self.data[self.at - n : self.at]

    def byte(self):
        return self.take(1)[0]

    def uvarint(self):
        value = shift = 0
        while True:
            b = self.byte()
            value |= (b & 0x7F) << shift
            if b < 0x80:
                return value
            shift += 7


def unzstd(data):
    return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True).read()


class Shape:
    """literals around holes; a hole is (form, number of the field or None)."""

    def __init__(self, r):
        self.verbatim = r.byte() & 1 != 0
        self.style = r.byte()
        self.literals, self.holes = [], []
        for _ in range(r.uvarint()):
            if not self.verbatim:
                self.literals.append(r.take(r.uvarint()))
            form, column = r.byte(), r.uvarint()
            self.holes.append((form, column - 1 if column else None))
        if not self.verbatim:
            self.literals.append(r.take(r.uvarint()))


BARE, QUOTED, JSON = range(3)
ESCAPED, HTML, LINE_SEP, LONG_BF, ASCII, SLASH, UPPER_HEX, DEL = (1 << i for i in range(8))
SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def quoted(value, style):
    """The text of a JSON string, escaped as the record's writer does."""
    out = []
    for c in value.decode("utf-8"):
        code = ord(c)
        if c in SHORT:
            out.append(SHORT[c])
        elif c in "\b\f" and not style & LONG_BF:
            out.append("\\b" if c == "\b" else "\\f")
        elif c == "/" and style & SLASH:
            out.append("\\/")
        elif (
            code < 0x20
            or c in "<>&" and style & HTML
            or c in "\u2028\u2029" and style & (LINE_SEP | ASCII)
            or code == 0x7F and style & DEL
            or code > 0x7F and style & ASCII
        ):
            for unit in struct.unpack(">%dH" % (1 + (code > 0xFFFF)), c.encode("utf-16-be")):
                out.append(("\\u%04X" if style & UPPER_HEX else "\\u%04x") % unit)
        else:
            out.append(c)
    return "".join(out).encode("utf-8")


TEXT, INTEGER, MIXED, TIME, BYTES, STAMP, ADDRESS, UUID = range(8)
EPOCH = datetime(1970, 1, 1)


def text_of(value, field):
    """The bytes that a column's value stands for in the record."""
    if value is None:
        return None
    kind = field.get("t", 0)
    if kind == INTEGER:
        return b"%d" % value
    if kind == ADDRESS:
        return str(ipaddress.IPv4Address(value)).encode()
    if kind == UUID:
        return str(uuid.UUID(bytes=value)).encode()
    if kind == STAMP:
        t = EPOCH + timedelta(microseconds=value)
        text = "%04d-%02d-%02dT%02d:%02d:%02d" % (t.year, t.month, t.day, t.hour, t.minute, t.second)
        digits = field.get("d", 0)
        return (text + ("." + ("%06d" % t.microsecond)[:digits] if digits else "") + "Z").encode()
    return value


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def text(b):
    return struct.pack(">I", len(b)) + b


def tree(leaves):
    """RFC 6962, section 2.1."""
    if not leaves:
        return sha()
    if len(leaves) == 1:
        return leaves[0]
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return sha(b"\x01", tree(leaves[:k]), tree(leaves[k:]))


def read_segment(plain):
    """The meta data and the records of a segment, whose tree is checked."""
    must(plain[-9:] == b"TWSEGMENT", "segment: trailer")
    shapes_size, filters_size, meta_size, parquet_size, version = struct.unpack("<QQQQI", plain[-45:-9])
    must(version in (2, 3), "segment: version")
    must(shapes_size + filters_size + meta_size + parquet_size + 45 == len(plain), "segment: sizes")
    at = parquet_size
    r = Bytes(unzstd(plain[at : at + shapes_size]))
    shapes = [Shape(r) for _ in range(r.uvarint())]
    must(r.at == len(r.data), "shapes: more than there should be")
    at += shapes_size + filters_size
    meta = json.loads(unzstd(plain[at : at + meta_size]))

    table = pyarrow.parquet.read_table(pyarrow.BufferReader(plain[:parquet_size]))
    # Where readers fold case, "A" and "a" are one column: take them by their place.
    names = {name: i for i, name in enumerate(table.column_names)}
    fields = meta["fields"]
    columns = []
    for f in fields:
        column = table.column(names[f.get("c") or f["p"]])
        values = column.cast("int64").to_pylist() if f.get("t", 0) in (TIME, STAMP) else column.to_pylist()
        columns.append([v.encode("utf-8") if isinstance(v, str) else v.bytes if isinstance(v, uuid.UUID) else v for v in values])
    by_path = {f["p"]: i for i, f in enumerate(fields)}
    attributes = [(f["p"][len("@attr.") :], i) for i, f in enumerate(fields) if f["p"].startswith("@attr.")]

    def value(path, row):
        return columns[by_path[path]][row] if path in by_path else None

    records = []
    salt = base64.b64decode(meta["salt"])
    leaves = []
    for row in range(meta["rows"]):
        shape = shapes[value("@shape", row)]
        if shape.verbatim:
            raw = value("@raw", row)
        else:
            parts = []
            for literal, (form, field) in zip(shape.literals, shape.holes):
                parts.append(literal)
                v = text_of(columns[field][row], fields[field])
                parts.append(quoted(v, shape.style) if form == QUOTED else v)
            raw = b"".join(parts + shape.literals[-1:])
        attrs = [(name, columns[i][row]) for name, i in attributes if columns[i][row] is not None]
        record = {
            "group": meta["group"],
            "stream": value("@logStream", row).decode(),
            "kind": meta["kind"],
            "time": value("@timestamp", row) * 1000 + (value("@nanos", row) or 0),
            "arrival": value("@ingestionTime", row) * 1000,
            "attrs": attrs,
            "raw": raw,
        }
        records.append(record)
        leaves.append(leaf(record, row, salt))
    must(base64.b64encode(tree(leaves)).decode() == meta["root"], "segment: the records do not have its root")
    subtrees = base64.b64decode(meta["subtrees"])
    for n in range(0, len(leaves), 1024):
        must(tree(leaves[n : n + 1024]) == subtrees[n // 32 : n // 32 + 32], "segment: root of a subtree")
    return meta, records


# ledger.md


def leaf(record, row, salt):
    block = Cipher(algorithms.AES(salt), modes.ECB()).encryptor()
    record_salt = block.update(row.to_bytes(16, "big"))
    origin = sha(
        b"\x02",
        text(record["group"].encode()),
        text(record["kind"].encode()),
        text(record["stream"].encode()),
        struct.pack(">I", len(record["attrs"])),
        *(text(name.encode()) + text(v) for name, v in sorted(record["attrs"])),
    )
    return sha(
        b"\x00\x02",
        record_salt,
        origin,
        struct.pack(">qq", record["time"], record["arrival"] // 1000),
        sha(record["raw"]),
    )


class Ledger:
    """Opens the ledger, checks its tree and signature, and says which segments live by it."""

    def __init__(self, store, directory):
        def read(name):
            return open(os.path.join(directory, "ledger", name), "rb").read()

        note, _, signature = read("checkpoint").decode().partition("\n\n")
        origin, size, root = note.split("\n")
        name, _, rest = read("key.pub").decode().strip().partition("+")
        _, _, key = rest.partition("+")
        key = base64.b64decode(key)
        must(name == origin and key[0] == 1, "ledger: key")
        words = signature.rstrip("\n").split(" ")
        must(words[:2] == ["\u2014", origin] and len(words) == 3, "checkpoint: signature line")
        Ed25519PublicKey.from_public_bytes(key[1:]).verify(base64.b64decode(words[2])[4:], (note + "\n").encode())

        data, at, leaves = read("entries"), 8, []
        must(data[:8] == b"TRWLDG1\n", "ledger: magic")
        self.segments = {}  # id: root, hash and size of the object
        for number in range(int(size)):
            must(data[at : at + 4] == b"\xa7LDG", "ledger: frame")
            n, length = struct.unpack(">QI", data[at + 4 : at + 16])
            must(n == number, "ledger: number")
            at += 20 + length
            entry = open_blob(store, data[at - length : at], ("ledger entry %s %d" % (origin, number)).encode())
            leaves.append(sha(b"\0", entry))
            self.apply(entry)
        must(base64.b64encode(tree(leaves)).decode() == root, "ledger: its entries do not have the signed root")

    def apply(self, entry):
        must(entry[0] == 1, "ledger: version of an entry")
        r, kind = Bytes(entry), entry[1]
        r.take(34)

        def number(n):
            return int.from_bytes(r.take(n), "big")

        def segment():
            id = r.take(number(4)).decode()
            r.take(32)
            r.take(number(4))
            r.take(5 * 8)
            self.segments[id] = r.take(32), r.take(32), number(8)

        if kind == 1:
            segment()
        elif kind == 2:
            for _ in range(number(4)):
                del self.segments[r.take(number(4)).decode()]
            for _ in range(number(4)):
                segment()
        elif kind == 3:
            del self.segments[r.take(number(4)).decode()]


# catalog.md


def living(db, store):
    """The rows of the segments that exist, by id."""
    out = {}
    for id, fields, value in db.execute("SELECT id, fields, entry FROM segments"):
        context = "catalog segment %s %s" % (id, fields.hex() if isinstance(fields, bytes) else fields)
        out[id] = json.loads(open_blob(store, value, context.encode()))
    return out


def main(directory, group=None):
    keys = read_key_file(os.environ.get("TRAILWARD_KEY_FILE") or os.path.join(directory, "trailward.key"))
    store = Sealed(keys, open(os.path.join(directory, "store.key"), "rb").read(), b"k", b"store key")
    db = sqlite3.connect("file:%s?mode=ro" % os.path.join(directory, "catalog.db"), uri=True)
    rows = living(db, store)
    ledger = Ledger(store, directory)
    must(set(rows) == set(ledger.segments), "the catalog and the ledger name different segments")
    for id, row in sorted(rows.items()):
        if group is not None and row["g"] != group:
            continue
        path = os.path.join(directory, "segments", id[-2:], id + ".seg")
        try:
            plain, digest = read_object(keys, path, b"segment/" + id.encode())
            root, object_digest, size = ledger.segments[id]
            must((digest, os.path.getsize(path)) == (object_digest, size), "segment: not the file that the ledger names")
            meta, records = read_segment(plain)
            must(base64.b64decode(meta["root"]) == root, "segment: not the root that the ledger names")
            must((meta["group"], meta["root"], meta["rows"]) == (row["g"], row["r"], row["n"]), "segment: not what the catalog says")
        except Damaged as e:
            sys.exit("%s: %s" % (path, e))
        for r in records:
            r["raw"] = base64.b64encode(r["raw"]).decode()
            r["attrs"] = [[name, v.decode()] for name, v in r["attrs"]]
            sys.stdout.write(json.dumps(r) + "\n")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__.split("\n\n")[1].strip())
    main(*sys.argv[1:])
