"""What schemathesis can't know of a sync server by itself."""

import json
import random

import schemathesis

# What changes of the documents that are there can have, and what they have by their kind.
KNOWN = {
    "table": ["documents"],
    "pk": ["doc-1", "doc-2", "another"],
    "crdt_type": ["lww", "counter", "set", "record"],
    "epoch": [1, 2, 3],
    "hlc": [{"ts": ts, "c": 0, "node": "edge-1"} for ts in (1, 1730000000000000, 1 << 53)],
    "node_id": ["edge-1"],
}
BY_KIND = {
    "lww": {"field": "title", "value": "x"},
    "counter": {"field": "view_count", "cell": "edge-1", "counter": {"inc": 1, "dec": 0}},
    "set": {"field": "tags", "cell": '"x"', "value": "x", "set": {"edge-1": {"add": [1, 0]}}},
    "record": {"field": "", "value": {"lww": {"title": "x"}}},
}


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """Names what is there, which nothing does that is drawn by chance, and leaves what is to be refused as it is."""
    if case.path == "/stream" and "tables" in case.query:
        tables = str(case.query["tables"]).split(",")
        if are_names(tables):
            case.query["tables"] = "documents"
    if isinstance(case.body, dict):
        if case.path == "/pull" and are_names(case.body.get("tables")):
            case.body = {**case.body, "tables": ["documents"]}
        if case.path == "/push" and isinstance(case.body.get("changes"), list):
            case.body = {**case.body, "changes": [known(change) for change in case.body["changes"]]}


def are_names(tables):
    if not isinstance(tables, list) or not all(isinstance(table, str) and table for table in tables):
        return False
    return bool(tables) and len(set(tables)) == len(tables)


def known(drawn):
    """A change of what is there, or nearly one; or what was drawn."""
    draw = random.Random(json.dumps(drawn, sort_keys=True))
    whole = {name: draw.choice(values) for name, values in KNOWN.items()}
    whole.update(BY_KIND[whole["crdt_type"]])
    part = {name: value for name, value in whole.items() if draw.random() < 0.9}
    nearly = {**(drawn if isinstance(drawn, dict) else {"value": drawn}), **part}
    return draw.choice([drawn, nearly, whole])


@schemathesis.check
def form_is_as_described(ctx, response, case):
    """What has the described form may be refused for what it says, but not for its form."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if case.headers.get("content-encoding", "identity") != "identity":
        # Nothing compresses the body of which this says that it is compressed.
        return
    if response.status_code in (400, 415):
        code = response.json()["error"]["code"]
        assert code in ("bad_request", "unknown_table"), f"the described form is refused as `{code}`"
