#!/usr/bin/env python3
"""Makes the vectors beside it, from the specifications and the standard library alone.

A second implementation, written to share nothing with the first: run it to see whether the two
still agree (`python3 make_vectors.py --check`), or to write the files again. Ed25519 comes from the
`openssl` command. Keys are fixed and published here: never use them for anything else.
"""
import base64
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
ZEROS = "0" * 64
# Of the trees whose proofs are written out: every shape up to 8, and three larger ones.
SIZES = [1, 2, 3, 4, 5, 6, 7, 8, 13, 16, 20]


def sha(data):
    return hashlib.sha256(data).digest()


def b64(data):
    return base64.b64encode(data).decode()


def canonical(value):
    """RFC 8785 for the subset in use: ASCII keys, integers, no booleans."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


class Key:
    """An Ed25519 key from a fixed 32-byte secret, through the openssl command."""

    def __init__(self, name):
        self.name = name
        self.secret = sha(("sovereign-seed test key " + name).encode())
        self.der = bytes.fromhex("302e020100300506032b657004220420") + self.secret
        self.public = self._openssl("pkey", "-pubout", "-outform", "DER")[-32:]

    def _openssl(self, command, *args, data=None):
        with tempfile.TemporaryDirectory() as folder:
            key = pathlib.Path(folder, "key.der")
            key.write_bytes(self.der)
            option = "-inkey" if command == "pkeyutl" else "-in"
            line = ["openssl", command, option, str(key), "-keyform" if command == "pkeyutl" else "-inform", "DER", *args]
            if data is not None:
                message = pathlib.Path(folder, "message")
                message.write_bytes(data)
                line += ["-in", str(message)]
            return subprocess.run(line, check=True, capture_output=True).stdout

    def sign(self, data):
        return self._openssl("pkeyutl", "-sign", "-rawin", data=data)

    def entry(self, expires=None):
        return {"id": sha(self.public).hex()[:16], "public": b64(self.public), "expires": expires}


# --- tree: the recursive definitions of RFC 6962 section 2.1 -------------------------------------


def leaf_hash(data):
    return sha(b"\x00" + data)


def split(n):
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def mth(leaves):
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    k = split(len(leaves))
    return sha(b"\x01" + mth(leaves[:k]) + mth(leaves[k:]))


def path(m, leaves):
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return path(m, leaves[:k]) + [mth(leaves[k:])]
    return path(m - k, leaves[k:]) + [mth(leaves[:k])]


def subproof(m, leaves, whole):
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return subproof(m, leaves[:k], whole) + [mth(leaves[k:])]
    return subproof(m - k, leaves[k:], False) + [mth(leaves[:k])]


# --- notes and checkpoints: C2SP signed-note, tlog-checkpoint, tlog-proof ------------------------


def key_id(name, key):
    return sha(name.encode() + b"\n\x01" + key.public)[:4]


def note(text, name, key):
    return f"{text}\n— {name} {b64(key_id(name, key) + key.sign(text.encode()))}\n"


def checkpoint_text(origin, leaves):
    return f"{origin}\n{len(leaves)}\n{b64(mth(leaves))}\n"


# --- the seed's own documents --------------------------------------------------------------------


def root_document(content, signers, seed=None):
    signed = dict(content)
    signed["seed"] = seed or sha(canonical(content).encode()).hex()
    message = canonical(signed).encode()
    signatures = [{"key": key.entry()["id"], "sig": b64(key.sign(message))} for key in signers]
    return signed["seed"], canonical({"signed": signed, "signatures": signatures})


def receipts(seed, count):
    lines, prev = [], ZEROS
    for seq in range(count):
        settles = seq % 3 == 2
        line = canonical({
            "v": 1, "seed": seed, "seq": seq, "prev": prev, "of": seq - 1 if settles else None,
            "time": f"2026-11-21T07:00:{seq:02d}.000Z",
            "actor": {"id": "cursor", "kind": "agent", "grant": f"grant_{seq}" if seq % 2 else None},
            "action": "route.attempt" if seq % 3 else "memory.write.shared",
            "subject": {"type": "model", "id": "müller/\U0001f331" if seq == 4 else f"m{seq}"},
            "outcome": ["ok", "intent", "incomplete"][seq % 3], "code": "idle_timeout" if settles else None,
            "input": sha(bytes([seq])).hex(), "output": sha(bytes([seq, 1])).hex() if settles else None,
            "detail": {"tokens_in": 12 * seq, "note": "a \"quoted\"\tline\u2028", "parts": [1, None, {"a": "\u0000"}]} if seq % 2 else {},
        })
        lines.append(line)
        prev = sha(line.encode()).hex()
    return lines


def canonical_vectors():
    rfc_string = '"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/"'
    accept = [
        ["RFC 8785 section 3.2.2.2 string", rfc_string],
        ["every control character", '"' + "".join(f"\\u{n:04x}" for n in range(32)) + '\\u007f\\u0080"'],
        ["line separators stay as they are", '"\\u2028\\u2029"'],
        ["a pair of surrogates", '"\\ud83c\\udf31"'],
        ["no normalisation", '"A\\u030a \\u00c5"'],
        ["keys are sorted", '{"b":1,"a":2,"_":3,"10":4,"9":5,"a_b":6,"ab":7}'],
        ["white space goes", ' { "a" : [ 1 , 2 , null ] } '],
        ["the largest integers", "[9007199254740991,-9007199254740991,0]"],
        ["an exponent that is an integer", "[1e3,1.0,100E-2]"],
        ["empty containers", '{"a":{},"b":[]}'],
        ["32 levels", "[" * 32 + "]" * 32],
        ["bare values", '"a"'],
    ]
    refuse = [
        ["true", "true"], ["false inside", '{"a":false}'], ["a fraction", "1.5"], ["minus zero", "-0"],
        ["too large an integer", "9007199254740992"], ["too small an integer", "-9007199254740992"], ["infinite", "1e400"],
        ["an upper-case key", '{"A":1}'], ["an empty key", '{"":1}'], ["a dotted key", '{"a.b":1}'], ["a key outside ASCII", '{"é":1}'],
        ["a prototype key", '{"__proto__":1}'],
        ["a lone high surrogate", '"\\ud800"'], ["a lone low surrogate", '"a\\udc00"'], ["surrogates the wrong way round", '"\\udf31\\ud83c"'],
        ["33 levels", "[" * 33 + "]" * 33],
    ]
    not_canonical = [
        ["leading space", ' {"a":1}'], ["trailing newline", '{"a":1}\n'], ["space after a colon", '{"a": 1}'], ["unsorted keys", '{"b":1,"a":2}'],
        ["a key twice", '{"a":1,"a":1}'], ["an escape that is not needed", '"\\u0041"'], ["an escaped slash", '"\\/"'], ["upper-case hex", '"\\u000F"'],
        ["a long escape where a short one exists", '"\\u000a"'], ["a fraction of zero", "1.0"], ["an exponent", "1e3"], ["a byte order mark", "\ufeff1"],
        ["nothing", ""], ["two values", "1 1"], ["single quotes", "'a'"], ["a trailing comma", "[1,]"],
    ]

    def plain(text):
        value = json.loads(text)
        def whole(v):
            if isinstance(v, float): return int(v)
            if isinstance(v, list): return [whole(x) for x in v]
            if isinstance(v, dict): return {k: whole(x) for k, x in v.items()}
            return v
        return canonical(whole(value))

    return {
        "about": "RFC 8785 subset. accept: JSON text and its canonical form. refuse: JSON text whose value has none. "
                 "not_canonical: text that no strict parser takes.",
        "accept": [{"name": name, "json": text, "canonical": plain(text), "sha256": sha(plain(text).encode()).hex()} for name, text in accept],
        "refuse": [{"name": name, "json": text} for name, text in refuse],
        "not_canonical": [{"name": name, "text": text} for name, text in not_canonical],
    }


def receipt_vectors(lines):
    base = json.loads(lines[5])

    def change(*where, to):
        value = json.loads(json.dumps(base))
        target = value
        for name in where[:-1]:
            target = target[name]
        if to is KeyError:
            del target[where[-1]]
        else:
            target[where[-1]] = to
        return canonical(value)

    bad = [
        ("action", change("action", to="route")), ("action", change("action", to="Route.attempt")), ("action", change("action", to=KeyError)),
        ("actor", change("actor", to=None)), ("actor.grant", change("actor", "grant", to="")), ("actor.id", change("actor", "id", to="x" * 201)),
        ("actor.kind", change("actor", "kind", to="robot")), ("actor.*", change("actor", "name", to="x")), ("code", change("code", to="Bad-Code")),
        ("detail", change("detail", to=None)), ("detail", change("detail", to=[])), ("input", change("input", to="ab")),
        ("input", change("input", to="A" * 64)), ("of", change("of", to=5)), ("of", change("of", to=6)), ("of", change("of", to=-1)),
        ("of", change("of", to="4")), ("outcome", change("outcome", to="done")), ("outcome", change("outcome", to="intent")),
        ("output", change("output", to="")), ("prev", change("prev", to=None)), ("seed", change("seed", to=ZEROS[1:])),
        ("seq", change("seq", to=-1)), ("seq", change("seq", to=None)), ("subject", change("subject", to="x")),
        ("subject.id", change("subject", "id", to=None)), ("subject.type", change("subject", "type", to="")),
        ("subject.*", change("subject", "more", to=1)), ("time", change("time", to="2026-02-29T00:00:00.000Z")),
        ("time", change("time", to="2026-11-21T24:00:00.000Z")), ("time", change("time", to="2026-11-21T07:00:60.000Z")),
        ("time", change("time", to="2026-11-21T07:00:00Z")), ("time", change("time", to="2026-11-21T07:00:00.000+00:00")),
        ("time", change("time", to="2026-13-01T00:00:00.000Z")), ("time", change("time", to="2100-02-29T00:00:00.000Z")),
        ("v", change("v", to=2)), ("v", change("v", to="1")), ("*", change("x", to=1)),
    ]
    return {
        "about": "Lines of a log, without newline, in order; hash is SHA-256 of the line. refuse: canonical JSON that is no receipt, and the field to blame.",
        "accept": [{"line": line, "hash": sha(line.encode()).hex()} for line in lines]
        + [{"line": change("time", to="2028-02-29T23:59:59.999Z"), "hash": sha(change("time", to="2028-02-29T23:59:59.999Z").encode()).hex()}],
        "refuse": [{"field": field, "line": line} for field, line in bad],
    }


def merkle_vectors():
    known = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    leaves = [bytes.fromhex(leaf) for leaf in known] + [bytes([n]) * n for n in range(8, 21)]
    hexes = lambda hashes: [h.hex() for h in hashes]
    return {
        "about": "RFC 6962 section 2.1 over SHA-256; everything in hex. roots[n] is the root over the first n leaves. "
                 "The first eight leaves are those of the certificate-transparency test suite.",
        "leaves": [leaf.hex() for leaf in leaves],
        "roots": [mth(leaves[:n]).hex() for n in range(len(leaves) + 1)],
        "inclusion": [{"index": m, "size": n, "path": hexes(path(m, leaves[:n]))} for n in SIZES for m in range(n)],
        "consistency": [{"old": m, "new": n, "path": hexes(subproof(m, leaves[:n], True))} for n in SIZES for m in range(1, n + 1)],
    }


def build():
    root, root2, log, log2, issuer = (Key(name) for name in ("root", "root 2", "log", "log 2", "issuer"))
    first = {
        "v": 1, "version": 1, "prev": None, "created": "2026-11-21T06:00:00.000Z", "expires": None, "threshold": 1,
        "next_root": sha(root2.public).hex(), "keys": {"root": [root.entry()], "log": [log.entry()], "issuer": [issuer.entry("2027-11-21T06:00:00.000Z")]},
    }
    seed, file1 = root_document(first, [root])
    second = {
        **first, "version": 2, "prev": sha(file1.encode()).hex(), "created": "2026-11-22T06:00:00.000Z", "expires": "2030-01-01T00:00:00.000Z",
        "next_root": None, "keys": {**first["keys"], "root": [root2.entry()], "log": [log2.entry()]},
    }
    _, file2 = root_document(second, [root, root2], seed)
    origin = f"sovereign-seed/{seed}"
    lines = receipts(seed, 11)
    leaves = [line.encode() for line in lines]
    notes = {size: note(checkpoint_text(origin, leaves[:size]), origin, log) for size in (0, 1, 7, 11)}
    proofs = [
        {"index": m, "size": n, "text": "\n".join(
            ["c2sp.org/tlog-proof@v1", f"extra {b64(leaves[m])}", f"index {m}", *(b64(h) for h in path(m, leaves[:n])), "", notes[n]])}
        for m, n in ((0, 1), (0, 7), (4, 7), (6, 7), (10, 11))
    ]
    return {
        "canonical.json": canonical_vectors(),
        "receipts.json": receipt_vectors(lines),
        "merkle.json": merkle_vectors(),
        "checkpoints.json": {
            "about": "Checkpoints over the first lines of receipts.json, signed with a published test key. go_note is the example in the documentation of Go's sumdb/note.",
            "secret": log.secret.hex(), "public": log.public.hex(), "origin": origin, "key_id": key_id(origin, log).hex(),
            "vkey": f"{origin}+{key_id(origin, log).hex()}+{b64(bytes([1]) + log.public)}",
            "notes": [{"size": size, "root": mth(leaves[:size]).hex(), "text": checkpoint_text(origin, leaves[:size]), "note": text} for size, text in notes.items()],
            "go_note": {
                "name": "PeterNeumann", "vkey": "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                "note": "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
                        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n",
            },
        },
        "roots.json": {
            "about": "Two versions of one root of trust, as exact file texts. The seed's id is SHA-256 over the first one's signed part without `seed`.",
            "seed": seed, "seed_from": canonical(first), "files": [file1, file2],
            "log_keys": [log.public.hex(), log2.public.hex()],
        },
        "proofs.json": {"about": "C2SP tlog-proof texts over the first lines of receipts.json, under the first root of roots.json.", "proofs": proofs},
    }


def main():
    stale = []
    for name, content in build().items():
        text = json.dumps(content, indent=1, ensure_ascii=True) + "\n"
        target = HERE / name
        if "--check" in sys.argv:
            stale += [] if target.exists() and target.read_text() == text else [name]
        else:
            target.write_text(text)
    if stale:
        sys.exit("differs: " + ", ".join(stale))


if __name__ == "__main__":
    main()
