"""One full reply for each operation, as AWS's own models (botocore's) spell it, and one without anything in it."""
import json
import sys

import botocore.session

session = botocore.session.get_session()


def protocol_of(model):
    """What is spoken here, of all that a service speaks: the SDKs may prefer another."""
    spoken = model.metadata.get("protocols") or [model.metadata["protocol"]]
    return next((ours for ours in ("query", "json") if ours in spoken), spoken[0])


# Structures within structures: nothing that is read lies deeper.
DEEPEST = 7
# What is read and compared: the label of the place, and names of its parts.
WORDS = {
    "key": "gimmetime:name", "value": "web", "status": "ACTIVE", "rolename": "web-TaskRole-1",
    "loggroupname": "/gimmetime/web", "policyname": "web-event-memory", "vpcid": "vpc-1", "subnetid": "subnet-1",
    "resourcearn": "arn:aws:events:eu-west-1:1:rule/web-TaskEvents-1", "servicename": "web", "groupid": "sg-1",
    "imagedigest": "sha256:1", "zonestate": "available", "zonetype": "availability-zone",
    "stackstatus": "CREATE_COMPLETE", "detectionstatus": "DETECTION_COMPLETE", "location": "NONE",
}


def scalar(shape, name, protocol):
    kind = shape.type_name
    if kind in ("integer", "long", "float", "double"):
        return 1
    if kind == "boolean":
        return name not in ("IsTruncated",)
    if kind == "timestamp":
        return 1 if protocol == "json" else "2026-01-01T00:00:00Z"
    if kind == "blob":
        return "eA=="
    word = WORDS.get(name.lower())
    enum = getattr(shape, "enum", None) or []
    if word is not None and (not enum or word in enum):
        return word
    if enum:
        return enum[0]
    return "arn:aws:ecs:eu-west-1:1:task-definition/web:1" if name.lower().endswith("arn") else "x"


def members(shape, full):
    """All members; of a union, which has one at a time, the first."""
    every = list(shape.members.items()) if full else []
    return every[:1] if getattr(shape, "is_tagged_union", False) else every


def as_json(shape, name, full, depth=0):
    if shape.type_name == "structure":
        inner = {key: as_json(member, key, full, depth + 1) for key, member in members(shape, full and depth < DEEPEST)}
        return {key: value for key, value in inner.items() if value not in (None, {}, [None])} or None
    if shape.type_name == "list":
        return [as_json(shape.member, name[:-1], full, depth + 1)] if full and depth < DEEPEST else []
    if shape.type_name == "map":
        return {"gimmetime:name": "web"} if shape.value.type_name == "string" else {}
    return scalar(shape, name, "json")


def as_xml(shape, name, wire, full, depth=0):
    kind = shape.type_name
    if kind == "structure":
        inner = "".join(
            as_xml(member, key, member.serialization.get("name", key), full, depth + 1)
            for key, member in members(shape, full and depth < DEEPEST))
    elif kind == "list":
        item = shape.member.serialization.get("name", "member")
        inner = as_xml(shape.member, name[:-1], item, full, depth + 1) if full and depth < DEEPEST else ""
        if shape.serialization.get("flattened"):
            return inner.replace(f"<{item}>", f"<{wire}>", 1)
    elif kind == "map":
        inner = ""
    else:
        inner = str(scalar(shape, name, "xml")).replace("True", "true").replace("False", "false")
    return f"<{wire}>{inner}</{wire}>"


def reply(model, operation, full):
    shape, protocol = model.operation_model(operation).output_shape, protocol_of(model)
    if protocol == "json":
        return json.dumps({} if shape is None else as_json(shape, operation, full) or {})
    inner = "" if shape is None else as_xml(shape, operation, "x", full)[3:-4]
    wrapper = shape.serialization.get("resultWrapper") if shape is not None and protocol == "query" else None
    inner = f"<{wrapper}>{inner}</{wrapper}>" if wrapper else inner
    return f"<{operation}Response>{inner}</{operation}Response>"


told = {}
for signed, name in json.load(sys.stdin).items():
    model = session.get_service_model(name)
    for operation in model.operation_names:
        told[f"{signed}:{operation}"] = [reply(model, operation, True), reply(model, operation, False)]
print(json.dumps(told))
