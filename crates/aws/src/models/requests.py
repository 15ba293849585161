"""What AWS's own models (botocore's) say of requests as they were sent: every name, value and missing part."""
import json
import re
import sys
from urllib.parse import parse_qsl

import botocore.session

session = botocore.session.get_session()


def protocol_of(model):
    """What is spoken here, of all that a service speaks: the SDKs may prefer another."""
    spoken = model.metadata.get("protocols") or [model.metadata["protocol"]]
    return next((ours for ours in ("query", "json") if ours in spoken), spoken[0])


TOKENS = {"NextToken", "nextToken", "NextMarker", "Marker", "PaginationToken"}


def capital(name):
    return name[:1].upper() + name[1:]


def wire(member, name, protocol):
    if protocol == "ec2":
        return member.serialization.get("queryName") or capital(member.serialization.get("name", name))
    return member.serialization.get("name", name) if protocol == "query" else name


def tree(pairs):
    root = {}
    for key, value in pairs:
        node, parts = root, key.split(".")
        for part in parts[:-1]:
            node = node.setdefault(part, {})
        node[parts[-1]] = value
    return root


def items(shape, node, protocol, path):
    """Members of a list, and what is wrong with how it is written."""
    if protocol == "json":
        return (node, []) if isinstance(node, list) else ([], [f"{path} is no list"])
    if protocol == "query" and not shape.serialization.get("flattened"):
        member = shape.member.serialization.get("name", "member")
        if not isinstance(node, dict) or (node and set(node) != {member}):
            return [], [f"{path} is a list of `{member}`"]
        node = node.get(member, {})
    if not isinstance(node, dict) or any(not key.isdigit() for key in node):
        return [], [f"{path} is a list"]
    return list(node.values()), []


def walk(shape, node, protocol, path):
    kind = shape.type_name
    if kind == "structure":
        if not isinstance(node, dict):
            return [f"{path} is a structure"]
        known = {wire(member, name, protocol): (name, member) for name, member in shape.members.items()}
        wrong = [f"{path} has no `{key}`" for key in node if key not in known]
        given = {known[key][0] for key in node if key in known}
        wrong += [f"{path} lacks `{name}`" for name in shape.required_members if name not in given]
        for key, value in node.items():
            if key in known:
                wrong += walk(known[key][1], value, protocol, f"{path}.{key}")
        return wrong
    if kind == "list":
        all_of, wrong = items(shape, node, protocol, path)
        low, high = shape.metadata.get("min", 0), shape.metadata.get("max", len(all_of))
        wrong += [] if low <= len(all_of) <= high else [f"{path} has {len(all_of)} members"]
        return wrong + [one for value in all_of for one in walk(shape.member, value, protocol, path + "[]")]
    if kind == "map":
        return [] if isinstance(node, dict) else [f"{path} is a map"]
    if kind == "string":
        if not isinstance(node, str):
            return [f"{path} is a text"]
        enum = getattr(shape, "enum", None) or []
        if enum and node not in enum:
            return [f"{path} cannot be `{node}`"]
        low, high = shape.metadata.get("min", 0), shape.metadata.get("max", len(node))
        return [] if low <= len(node) <= high else [f"{path} has {len(node)} characters"]
    if kind == "boolean":
        return [] if node in (True, False, "true", "false") else [f"{path} is true or false"]
    if kind in ("integer", "long"):
        if not re.fullmatch(r"-?\d+", str(node)):
            return [f"{path} is a number"]
        low, high = shape.metadata.get("min", int(node)), shape.metadata.get("max", int(node))
        return [] if low <= int(node) <= high else [f"{path} cannot be {node}"]
    return []


def look(model, asked):
    operation = asked["action"]
    if operation not in model.operation_names:
        return [f"there is no {operation}"], False
    it, protocol = model.operation_model(operation), protocol_of(model)
    wrong = []
    if protocol == "json":
        target = f"{model.metadata['targetPrefix']}.{operation}"
        wrong += [] if asked["target"] == target else [f"its target is {target}, not {asked['target']}"]
        node = json.loads(asked["body"])
    else:
        pairs = dict(parse_qsl(asked["body"], keep_blank_values=True))
        pairs.pop("Action")
        version = pairs.pop("Version")
        wrong += [] if version == model.metadata["apiVersion"] else [f"its version is not {version}"]
        node = tree(pairs.items())
    if it.input_shape is not None:
        wrong += walk(it.input_shape, node, protocol, operation)
    pages = it.output_shape is not None and bool(TOKENS & set(it.output_shape.members))
    return wrong, pages and not TOKENS & set(node)


asked, services = json.load(sys.stdin)
wrong, first_pages, next_pages = set(), set(), set()
for one in asked:
    model = session.get_service_model(services[one["service"]])
    complaints, is_first = look(model, one)
    name = f"{one['service']}:{one['action']}"
    wrong |= {f"{name}: {complaint}" for complaint in complaints}
    (first_pages if is_first else next_pages).add(name)
print(json.dumps({"wrong": sorted(wrong), "unpaged": sorted(first_pages - next_pages),
                  "asked": sorted(first_pages | next_pages)}))
