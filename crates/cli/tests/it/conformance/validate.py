"""Checks raw replies against botocore's service models.

A client drops what it does not know without a word, so a reply that a client took proves little. Here every byte is held against
the model: unknown members, members that are missing, wrong types, values outside an enumeration, lengths and ranges, envelopes.

    problems = validate("ecs", "DescribeServices", 200, body)      # [] or sentences
    python validate.py SERVICE OPERATION [STATUS] < body           # prints them; exit 1 if there are any

What bears our own prefix (`Gimmetime.`) passes where an enumeration is expected.
"""

import json
import re
import sys
import xml.etree.ElementTree as ElementTree

import botocore.session

OWN_PREFIX = "Gimmetime."
REQUEST_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ISO_8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
# Said by every service, modelled by none: what the protocols' front doors answer.
COMMON_CODES = {
    *("UnknownOperationException", "SerializationException", "ServiceUnavailableException", "RequestExpired"),
    *("MissingAuthenticationTokenException", "IncompleteSignatureException"),
    *("InvalidSignatureException", "UnrecognizedClientException"),
    *("MissingAuthenticationToken", "IncompleteSignature", "SignatureDoesNotMatch", "InvalidClientTokenId"),
    *("InvalidAction", "MissingAction", "MalformedQueryString", "ValidationError"),
}
SESSION = botocore.session.Session()
MODELS = {}


def model_of(service):
    """The service's model, read once."""
    if service not in MODELS:
        MODELS[service] = SESSION.get_service_model(service)
    return MODELS[service]


def validate(service, operation, status, body):
    """What is wrong with a reply, as sentences; none if it is exactly the API's."""
    model = model_of(service)
    if 400 <= status:
        return validate_error(model, operation, body)
    shape = model.operation_model(operation).output_shape
    if model.protocol == "json":
        return validate_json(shape, operation, body)
    return validate_query(model, shape, operation, body)


def validate_json(shape, operation, body):
    try:
        value = json.loads(body)
    except ValueError as error:
        return [f"{operation}: not JSON: {error}"]
    problems = []
    if shape is None:
        if value != {}:
            problems.append(f"{operation}: expected an empty object")
    else:
        walk(shape, value, operation, problems)
    return problems


def validate_query(model, shape, operation, body):
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        return [f"{operation}: not XML: {error}"]
    problems = []
    space = "{" + model.metadata["xmlNamespace"] + "}"
    if root.tag != f"{space}{operation}Response":
        problems.append(f"{operation}: the root is {root.tag}")
    if [child.tag for child in root] != [f"{space}{operation}Result", f"{space}ResponseMetadata"]:
        return problems + [f"{operation}: the root holds {[child.tag for child in root]}"]
    request_id = root[1].findtext(f"{space}RequestId") or ""
    if not REQUEST_ID.fullmatch(request_id):
        problems.append(f"{operation}: RequestId is {request_id!r}")
    walk(shape, from_xml(shape, root[0], space, operation, problems), operation, problems)
    return problems


def validate_error(model, operation, body):
    """An error must parse, bear a message, and a code that the operation has, or that all services have."""
    if model.protocol == "json":
        try:
            error = json.loads(body)
        except ValueError as reason:
            return [f"{operation}: the error is not JSON: {reason}"]
        if set(error) != {"__type", "message"} or not all(error.values()):
            return [f"{operation}: the error has {error}"]
        return check_code(model, operation, error["__type"])
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as reason:
        return [f"{operation}: the error is not XML: {reason}"]
    space = "{" + model.metadata["xmlNamespace"] + "}"
    problems = []
    if root.tag != f"{space}ErrorResponse":
        problems.append(f"{operation}: the error's root is {root.tag}")
    for path in ("Error/Type", "Error/Code", "Error/Message", "RequestId"):
        if not root.findtext("/".join(space + step for step in path.split("/"))):
            problems.append(f"{operation}: the error has no {path}")
    return problems + check_code(model, operation, root.findtext(f"{space}Error/{space}Code"))


def check_code(model, operation, code):
    shapes = model.operation_model(operation).error_shapes
    known = COMMON_CODES.union(shape.metadata.get("error", {}).get("code", shape.name) for shape in shapes)
    return [] if code in known else [f"{operation}: the code {code} is none of {sorted(known)}"]


def from_xml(shape, element, space, path, problems):
    """The element as JSON would have it, by its shape."""
    if shape.type_name == "structure":
        value = {}
        for child in element:
            name = child.tag.removeprefix(space)
            member = next((m for n, m in shape.members.items() if m.serialization.get("name", n) == name), None)
            if name in value:
                problems.append(f"{path}.{name}: given twice")
            value[name] = None if member is None else from_xml(member, child, space, f"{path}.{name}", problems)
        return value
    if shape.type_name == "list":
        wanted = space + shape.member.serialization.get("name", "member")
        for child in element:
            if child.tag != wanted:
                problems.append(f"{path}: expected {wanted}, found {child.tag}")
        return [from_xml(shape.member, child, space, f"{path}[{at}]", problems) for at, child in enumerate(element)]
    if len(element):
        problems.append(f"{path}: expected text, found elements")
    return scalar(shape, element.text or "", path, problems)


def scalar(shape, text, path, problems):
    if shape.type_name in ("integer", "long") and re.fullmatch(r"-?\d+", text):
        return int(text)
    if shape.type_name in ("double", "float") and re.fullmatch(r"-?\d+(\.\d+)?", text):
        return float(text)
    if shape.type_name == "boolean" and text in ("true", "false"):
        return text == "true"
    if shape.type_name == "timestamp":
        if not ISO_8601.fullmatch(text):
            problems.append(f"{path}: {text!r} is not ISO 8601 with milliseconds")
        return 0.0
    return text


def walk(shape, value, path, problems):
    """Holds a value against its shape."""
    {"structure": walk_structure, "list": walk_list, "map": walk_map}.get(shape.type_name, walk_scalar)(
        shape, value, path, problems
    )


def walk_structure(shape, value, path, problems):
    if not isinstance(value, dict):
        problems.append(f"{path}: expected a structure, found {value!r}")
        return
    for name, member in value.items():
        if name in shape.members:
            walk(shape.members[name], member, f"{path}.{name}", problems)
        else:
            problems.append(f"{path}.{name}: the model has no such member")
    problems.extend(f"{path}.{name}: required, and not there" for name in shape.required_members if name not in value)


def walk_list(shape, value, path, problems):
    if not isinstance(value, list):
        problems.append(f"{path}: expected a list, found {value!r}")
        return
    check_range(shape, len(value), path, problems)
    for at, item in enumerate(value):
        walk(shape.member, item, f"{path}[{at}]", problems)


def walk_map(shape, value, path, problems):
    if not isinstance(value, dict):
        problems.append(f"{path}: expected a map, found {value!r}")
        return
    for key, item in value.items():
        walk(shape.value, item, f"{path}[{key!r}]", problems)


def walk_scalar(shape, value, path, problems):
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    fits = {
        "string": isinstance(value, str),
        "boolean": isinstance(value, bool),
        "integer": is_whole and -(2**31) <= value < 2**31,
        "long": is_whole and -(2**63) <= value < 2**63,
        "float": is_number,
        "double": is_number,
        "timestamp": is_number,
    }
    if not fits.get(shape.type_name, False):
        problems.append(f"{path}: expected {shape.type_name}, found {value!r}")
        return
    if shape.type_name == "string":
        enum = getattr(shape, "enum", None)
        if enum and value not in enum and not value.startswith(OWN_PREFIX):
            problems.append(f"{path}: {value!r} is none of {enum}")
        check_range(shape, len(value), path, problems)
    elif is_whole and shape.type_name in ("integer", "long"):
        check_range(shape, value, path, problems)


def check_range(shape, size, path, problems):
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low or high is not None and high < size:
        problems.append(f"{path}: {size} is not within {low} and {high}")


def main():
    service, operation, *rest = sys.argv[1:]
    problems = validate(service, operation, int(rest[0]) if rest else 200, sys.stdin.buffer.read())
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
