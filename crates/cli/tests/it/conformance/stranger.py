"""Calls the API as it should not be called, over plain HTTP, and holds status and error type against what AWS answers.

    gimmetime env -- python stranger.py

Only the signing is botocore's: what is sent is written here, so that it can be wrong in one thing at a time.
"""

import datetime
import http.client
import json
import os
import re
import socket
import sys
import unittest.mock
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials

URL = os.environ["AWS_ENDPOINT_URL"]
HOST = urllib.parse.urlsplit(URL).netloc
KEYS = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
JSON = "application/x-amz-json-1.1"
FORM = "application/x-www-form-urlencoded; charset=utf-8"
LIST = "AmazonEC2ContainerServiceV20141113.ListClusters"
IDENTITY = b"Action=GetCallerIdentity&Version=2011-06-15"
REQUEST_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PROBLEMS = []


def signed(service, headers, body, keys=KEYS, region="local", age=0):
    """The headers with a signature; `age` in minutes."""
    request = botocore.awsrequest.AWSRequest("POST", URL + "/", headers | {"Host": HOST}, body)
    then = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=age)
    with unittest.mock.patch("botocore.auth.get_current_datetime", lambda *_, **__: then.replace(tzinfo=None)):
        botocore.auth.SigV4Auth(botocore.credentials.Credentials(*keys), service, region).add_auth(request)
    return dict(request.headers.items())


def ecs(target=LIST, body=b"{}", **how):
    headers = {"Content-Type": JSON, "X-Amz-Target": target}
    return "POST", "/", signed("ecs", headers, body, **how), body


def sts(body=IDENTITY, **how):
    return "POST", "/", signed("sts", {"Content-Type": FORM}, body, **how), body


def send(method, path, headers, body):
    connection = http.client.HTTPConnection(HOST, timeout=60)
    connection.request(method, path, body=body, headers=headers)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, response.headers, text


def changed(call, drop=(), body=None, **headers):
    """A call with headers taken out, put in, or another body than was signed."""
    method, path, given, was = call
    kept = {name: value for name, value in given.items() if name.lower() not in drop}
    return method, path, kept | {name.replace("_", "-"): value for name, value in headers.items()}, was if body is None else body


def expect(what, call, status, code):
    found_status, headers, text = send(*call)
    if headers["Content-Type"] == JSON:
        found, message = json.loads(text).get("__type"), json.loads(text).get("message")
    else:
        found, message = (next(iter(re.findall(f"<{tag}>(.+?)</{tag}>", text)), None) for tag in ("Code", "Message"))
    if (found_status, found) != (status, code) or (code and not message):
        PROBLEMS.append(f"{what}: expected {status} {code}, found {found_status} {text}")
    if not REQUEST_ID.fullmatch(headers["x-amzn-RequestId"] or ""):
        PROBLEMS.append(f"{what}: x-amzn-RequestId is {headers['x-amzn-RequestId']}")


def expect_raw(what, sent, status):
    """Bytes that are hardly HTTP: a status, and the end of the connection."""
    host, port = HOST.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as stream:
        stream.sendall(sent)
        found = b"".join(iter(lambda: stream.recv(4096), b""))
    if not found.startswith(b"HTTP/1.1 %d " % status):
        PROBLEMS.append(f"{what}: expected {status}, found {found[:200]}")


def call_as_one_should():
    expect("signed, JSON", ecs(), 200, None)
    expect("signed, Query", sts(), 200, None)
    expect("four minutes old", ecs(age=4), 200, None)


def call_unsigned_or_wrongly_signed():
    gone = ("authorization",)
    other = (KEYS[0], "0" * 40)
    stranger = ("AKIDOTHER", KEYS[1])
    for what, call, status, code in (
        ("unsigned", changed(ecs(), drop=gone), 400, "MissingAuthenticationTokenException"),
        ("unsigned, Query", changed(sts(), drop=gone), 403, "MissingAuthenticationToken"),
        ("another secret", ecs(keys=other), 400, "InvalidSignatureException"),
        ("another secret, Query", sts(keys=other), 403, "SignatureDoesNotMatch"),
        ("another key", ecs(keys=stranger), 400, "UnrecognizedClientException"),
        ("another key, Query", sts(keys=stranger), 403, "InvalidClientTokenId"),
        ("a session token", ecs(keys=(*KEYS, "token")), 400, "UnrecognizedClientException"),
        ("another region", ecs(region="eu-central-1"), 400, "InvalidSignatureException"),
        ("another body", changed(ecs(), body=b'{"maxResults":1}'), 400, "InvalidSignatureException"),
        ("another target", changed(ecs(), X_Amz_Target=LIST.replace("Clusters", "Services")), 400, "InvalidSignatureException"),
        ("another host", changed(ecs(), Host="gimmetime.example"), 400, "InvalidSignatureException"),
        ("stale", ecs(age=6), 400, "RequestExpired"),
        ("stale, Query", sts(age=6), 403, "RequestExpired"),
        ("of the future", ecs(age=-6), 400, "RequestExpired"),
        ("no date", changed(ecs(), drop=("x-amz-date",)), 400, "IncompleteSignatureException"),
        ("half a signature", changed(ecs(), Authorization="AWS4-HMAC-SHA256 Credential=x"), 400, "IncompleteSignatureException"),
        ("another scheme", changed(ecs(), Authorization="Bearer x"), 400, "IncompleteSignatureException"),
    ):
        expect(what, call, status, code)


def call_what_is_not_there():
    for what, call, status, code in (
        ("an unknown operation", ecs("AmazonEC2ContainerServiceV20141113.MakeCoffee"), 400, "UnknownOperationException"),
        ("an unknown service", ecs("DynamoDB_20120810.ListTables"), 400, "UnknownOperationException"),
        ("an unknown action", sts(b"Action=MakeCoffee&Version=2011-06-15"), 400, "InvalidAction"),
        ("an unknown version", sts(b"Action=GetCallerIdentity&Version=1999-01-01"), 400, "InvalidAction"),
        ("no action", sts(b"Version=2011-06-15"), 400, "MissingAction"),
        ("nothing called", changed(ecs(), drop=("x-amz-target",)), 400, "UnknownOperationException"),
        ("not JSON", ecs(body=b'{"cluster": '), 400, "SerializationException"),
        ("no object", ecs(body=b"[]"), 400, "SerializationException"),
        ("no UTF-8", ecs(body=b'{"nextToken": "\xff"}'), 400, "SerializationException"),
        ("another type", ecs(body=b'{"maxResults": "many"}'), 400, "SerializationException"),
        ("deep nesting", ecs(body=b"[" * 100_000), 400, "SerializationException"),
        ("too large a body", ecs(body=b"{" + b" " * (1 << 20) + b"}"), 413, "RequestEntityTooLargeException"),
        ("GET", ("GET", "/", {}, None), 404, "UnknownOperationException"),
        ("another path", changed(("POST", "/elsewhere", *ecs()[2:])), 404, "UnknownOperationException"),
    ):
        expect(what, call, status, code)


def hardly_speak_http():
    line = b"POST / HTTP/1.1\r\nHost: " + HOST.encode() + b"\r\n"
    expect_raw("no HTTP", b"hello\r\n\r\n", 400)
    expect_raw("two lengths", line + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400)
    expect_raw("a negative length", line + b"Content-Length: -1\r\n\r\n", 400)
    expect_raw("many headers", line + b"".join(b"X-%d: y\r\n" % at for at in range(200)) + b"\r\n", 431)
    # Exactly the limit, and no end: what is left unread when a connection is closed would reset it.
    expect_raw("a large head", (line + b"X: ").ljust(32 << 10, b"y"), 431)
    expect_raw("no host", b"POST / HTTP/1.1\r\nConnection: close\r\nX-Amz-Target: " + LIST.encode() + b"\r\nContent-Length: 2\r\n\r\n{}", 400)


def main():
    call_as_one_should()
    call_unsigned_or_wrongly_signed()
    call_what_is_not_there()
    hardly_speak_http()
    # After all that, it still answers.
    call_as_one_should()
    print(f"{len(PROBLEMS)} problems")
    print("\n".join(PROBLEMS))
    return 1 if PROBLEMS else 0


if __name__ == "__main__":
    sys.exit(main())
