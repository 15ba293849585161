"""Drives every operation through botocore, and holds every raw reply against its models.

    python conformance.py VALIDATOR_DIR ADDRESS ACCESS_KEY SECRET_KEY TARGET_GROUP_ARN
"""

import datetime
import json
import os
import subprocess
import sys

import boto3
import botocore.config
import botocore.exceptions

VALIDATOR, ADDRESS, ACCESS_KEY, SECRET_KEY, TARGET_GROUP = sys.argv[1:]
sys.path.insert(0, VALIDATOR)
from validate import validate  # noqa: E402

PROBLEMS = []
ANSWERED = {}
REFUSED = {}
NAME = "gimmetime"


def check_raw(operation_model, response_dict, **_):
    service, operation = operation_model.service_model.service_name, operation_model.name
    status, body = response_dict["status_code"], response_dict["body"]
    (ANSWERED if status < 400 else REFUSED).setdefault(operation, []).append((service, body))
    PROBLEMS.extend(validate(service, operation, status, body))
    if not response_dict["headers"].get("x-amzn-RequestId"):
        PROBLEMS.append(f"{operation}: no x-amzn-RequestId")


def client(service, **changes):
    config = botocore.config.Config(retries={"max_attempts": 0}, proxies={})
    settings = {
        "endpoint_url": f"http://{ADDRESS}",
        "region_name": "local",
        "aws_access_key_id": ACCESS_KEY,
        "aws_secret_access_key": SECRET_KEY,
        "config": config,
    } | changes
    made = boto3.session.Session().client(service, **settings)
    made.meta.events.register(f"before-parse.{made.meta.service_model.service_id.hyphenize()}.*", check_raw)
    return made


def expect(condition, sentence):
    if not condition:
        PROBLEMS.append(sentence)


def expect_error(code, call, /, **parameters):
    try:
        call(**parameters)
    except botocore.exceptions.ClientError as error:
        found = error.response["Error"]
        expect(found["Code"] == code and found["Message"], f"expected {code}, found {found}")
        expect(error.response["ResponseMetadata"].get("RequestId"), f"{code}: no request id was parsed")
    else:
        PROBLEMS.append(f"expected {code}, and the call passed: {parameters}")


ecs, elbv2, logs, sts = client("ecs"), client("elbv2"), client("logs"), client("sts")


def definition(image):
    options = {"awslogs-group": f"/gimmetime/{NAME}", "awslogs-stream-prefix": NAME, "awslogs-region": "local"}
    return {
        "family": NAME,
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "tags": [{"key": "gimmetime:version", "value": "1"}],
        "containerDefinitions": [
            {
                "name": "app",
                "image": f"localhost/{image}@sha256:{'0' * 64}",
                "portMappings": [{"containerPort": 8080}],
                "environment": [{"name": "MODE", "value": "calm"}],
                "secrets": [{"name": "TOKEN", "valueFrom": "file:/run/token"}],
                "dockerLabels": {"gimmetime.health": "/live"},
                "linuxParameters": {"capabilities": {"drop": ["ALL"]}},
                "stopTimeout": 5,
                "logConfiguration": {"logDriver": "awslogs", "options": options},
            }
        ],
    }


def set_up():
    ecs.create_cluster(clusterName=NAME, tags=[{"key": "a", "value": "b"}])
    ecs.describe_clusters(clusters=[NAME, "other"], include=["TAGS", "STATISTICS"])
    ecs.list_clusters()
    first = ecs.register_task_definition(**definition("good"))["taskDefinition"]
    # What was described can be registered again, as scripts do.
    described = ecs.describe_task_definition(taskDefinition=NAME, include=["TAGS"])["taskDefinition"]
    made_by_us = ("taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt", "registeredBy")
    again = ecs.register_task_definition(**{k: v for k, v in described.items() if k not in made_by_us})
    expect(again["taskDefinition"]["revision"] == 2, "a description cannot be registered again")
    ecs.register_task_definition(**definition("crash"))
    listed = ecs.get_paginator("list_task_definitions").paginate(familyPrefix=NAME, sort="DESC", PaginationConfig={"PageSize": 1})
    arns = [arn for page in listed for arn in page["taskDefinitionArns"]]
    expect([arn.rsplit(":", 1)[1] for arn in arns] == ["3", "2", "1"], f"pages: {arns}")
    service = ecs.create_service(
        cluster=NAME,
        serviceName=NAME,
        taskDefinition=first["taskDefinitionArn"],
        desiredCount=2,
        launchType="FARGATE",
        clientToken="once",
        loadBalancers=[{"targetGroupArn": TARGET_GROUP, "containerName": "app", "containerPort": 8080}],
        networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-1"], "assignPublicIp": "ENABLED"}},
        deploymentConfiguration={
            "minimumHealthyPercent": 100,
            "maximumPercent": 200,
            "deploymentCircuitBreaker": {
                "enable": True,
                "rollback": True,
                "resetOnHealthyTask": False,
                "thresholdConfiguration": {"type": "COUNT", "value": 2},
            },
        },
        propagateTags="NONE",
    )["service"]
    expect(service["launchType"] == "FARGATE" and service["networkConfiguration"], "what was given is not shown")
    return service["serviceArn"]


def look(service_arn):
    """Everything that can be looked at, in whatever state it is."""
    cluster = f"arn:aws:ecs:local:000000000000:cluster/{NAME}"
    service = ecs.describe_services(cluster=cluster, services=[service_arn, "other"], include=["TAGS"])
    expect(service["failures"][0]["reason"] == "MISSING", "a missing service is no failure")
    for desired in ("RUNNING", "STOPPED", "PENDING"):
        tasks = ecs.list_tasks(cluster=NAME, serviceName=service_arn, desiredStatus=desired)["taskArns"]
        if tasks:
            short = [arn.rsplit("/", 1)[1] for arn in tasks]
            ecs.describe_tasks(cluster=NAME, tasks=tasks[:1] + short[1:], include=["TAGS"])
    deployments = ecs.list_service_deployments(cluster=NAME, service=NAME)["serviceDeployments"]
    arns = [one["serviceDeploymentArn"] for one in deployments]
    described = ecs.describe_service_deployments(serviceDeploymentArns=arns)["serviceDeployments"]
    ecs.describe_service_revisions(serviceRevisionArns=[one["targetServiceRevision"]["arn"] for one in described])
    elbv2.describe_target_health(TargetGroupArn=TARGET_GROUP)
    return service["services"][0], deployments


def roll(service_arn):
    """A release that works, one that crashes and is rolled back, a forced one; looked at while they go."""
    ecs.get_waiter("services_stable").wait(cluster=NAME, services=[NAME], WaiterConfig={"Delay": 0, "MaxAttempts": 60})
    for change, status in (
        ({"taskDefinition": f"{NAME}:2"}, "SUCCESSFUL"),
        ({"taskDefinition": f"{NAME}:3"}, "ROLLBACK_SUCCESSFUL"),
        ({"forceNewDeployment": True, "taskDefinition": f"{NAME}:2"}, "SUCCESSFUL"),
    ):
        ecs.update_service(cluster=NAME, service=NAME, **change)
        for _ in range(60):
            service, deployments = look(service_arn)
            if deployments[0]["status"] == status and len(service["deployments"]) == 1:
                break
        else:
            PROBLEMS.append(f"{change} never became {status}: {deployments[0]}")
    ecs.get_waiter("services_stable").wait(cluster=NAME, services=[NAME], WaiterConfig={"Delay": 0, "MaxAttempts": 60})
    stopped = ecs.list_tasks(cluster=NAME, desiredStatus="STOPPED", family=NAME)["taskArns"]
    tasks = ecs.describe_tasks(cluster=NAME, tasks=stopped)["tasks"]
    expect(any(task["containers"][0].get("exitCode") == 7 for task in tasks), "the crash's exit code is not to be seen")
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=3650)
    window = {"after": datetime.datetime(2020, 1, 1), "before": now}
    done = ecs.list_service_deployments(cluster=NAME, service=NAME, status=["SUCCESSFUL"], createdAt=window)
    expect(len(done["serviceDeployments"]) == 3, f"successful deployments: {done['serviceDeployments']}")
    past = {"before": datetime.datetime(2020, 1, 1)}
    none = ecs.list_service_deployments(cluster=NAME, service=NAME, createdAt=past)["serviceDeployments"]
    expect(none == [], f"deployments of the past: {none}")


def change(service_arn):
    ecs.list_services(cluster=NAME, launchType="FARGATE", maxResults=1)
    for arn in (service_arn, f"arn:aws:ecs:local:000000000000:task-definition/{NAME}:2", f"arn:aws:ecs:local:000000000000:cluster/{NAME}"):
        ecs.tag_resource(resourceArn=arn, tags=[{"key": "gimmetime:who", "value": "ada"}])
        tags = ecs.list_tags_for_resource(resourceArn=arn)["tags"]
        expect({"key": "gimmetime:who", "value": "ada"} in tags, f"tags of {arn}: {tags}")
        ecs.untag_resource(resourceArn=arn, tagKeys=["gimmetime:who"])
    task = ecs.list_tasks(cluster=NAME)["taskArns"][0]
    ecs.stop_task(cluster=NAME, task=task, reason="a test")
    ecs.deregister_task_definition(taskDefinition=f"{NAME}:1")
    ecs.list_task_definitions(status="INACTIVE")
    ecs.describe_task_definition(taskDefinition=f"{NAME}:1")


def look_at_the_place():
    identity = sts.get_caller_identity()
    expect(identity["Arn"] == "arn:aws:iam::000000000000:user/ada", f"{identity}")
    balancer = elbv2.describe_load_balancers(Names=[NAME])["LoadBalancers"][0]
    expect(balancer["DNSName"] == "127.0.0.1" and balancer["State"]["Code"] == "active", f"{balancer}")
    group = elbv2.describe_target_groups(LoadBalancerArn=balancer["LoadBalancerArn"], PageSize=1)["TargetGroups"][0]
    expect(group["HealthCheckIntervalSeconds"] == 5, f"{group}")
    listener = elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"][0]
    expect(listener["Port"] == 8080 and listener["DefaultActions"][0]["TargetGroupArn"] == TARGET_GROUP, f"{listener}")
    elbv2.describe_listeners(ListenerArns=[listener["ListenerArn"]])
    health = elbv2.describe_target_health(TargetGroupArn=TARGET_GROUP, Targets=[{"Id": "127.0.0.1", "Port": 1}])
    expect(health["TargetHealthDescriptions"][0]["TargetHealth"]["State"] == "unused", f"{health}")
    elbv2.get_waiter("target_in_service").wait(TargetGroupArn=TARGET_GROUP, WaiterConfig={"Delay": 0, "MaxAttempts": 60})


def read_logs():
    group = f"/gimmetime/{NAME}"
    expect(len(logs.describe_log_groups(logGroupNamePrefix="/gimmetime")["logGroups"]) == 1, "no log group")
    streams = logs.get_paginator("describe_log_streams").paginate(logGroupName=group, PaginationConfig={"PageSize": 1})
    names = [stream["logStreamName"] for page in streams for stream in page["logStreams"]]
    expect(len(names) == 2, f"{names}")
    logs.describe_log_streams(logGroupName=group, orderBy="LastEventTime", descending=True)
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, PaginationConfig={"PageSize": 4})
    lines = [event["message"] for page in pages for event in page["events"]]
    expect(len(lines) == 25, f"{len(lines)} lines over pages")
    errors = logs.filter_log_events(logGroupName=group, filterPattern="error -20")["events"]
    expect(len(errors) == 4, f"{errors}")
    page = logs.get_log_events(logGroupName=group, logStreamName=names[0], limit=5, startFromHead=True)
    logs.get_log_events(logGroupName=group, logStreamName=names[0], nextToken=page["nextForwardToken"], startFromHead=True)


def be_refused():
    expect_error("ClusterNotFoundException", ecs.describe_services, cluster="other", services=["a"])
    expect_error("ServiceNotFoundException", ecs.update_service, cluster=NAME, service="other")
    expect_error("ClientException", ecs.describe_task_definition, taskDefinition="other")
    expect_error("InvalidParameterException", ecs.list_tasks, cluster=NAME, nextToken="00")
    expect_error("InvalidParameterException", ecs.update_service, cluster=NAME, service=NAME, placementStrategy=[{"type": "random"}])
    expect_error("InvalidParameterException", ecs.stop_task, cluster=NAME, task="0" * 32)
    expect_error("UnknownOperationException", ecs.run_task, cluster=NAME, taskDefinition=NAME)
    expect_error("TargetGroupNotFound", elbv2.describe_target_health, TargetGroupArn=TARGET_GROUP + "0")
    expect_error("LoadBalancerNotFound", elbv2.describe_load_balancers, Names=["other"])
    expect_error("InvalidAction", elbv2.describe_rules, ListenerArn="arn")
    expect_error("ValidationError", elbv2.describe_load_balancers, Names=[NAME], Marker="x")
    expect_error("InvalidAction", sts.get_session_token)
    expect_error("ResourceNotFoundException", logs.filter_log_events, logGroupName="/other")
    expect_error("InvalidParameterException", logs.filter_log_events, logGroupName=f"/gimmetime/{NAME}", filterPattern="{ $.a = 1 }")
    expect_error("UnknownOperationException", logs.put_log_events, logGroupName="g", logStreamName="s", logEvents=[{"timestamp": 0, "message": "m"}])
    for service, operation, unknown_key, mismatch in (
        ("ecs", "list_clusters", "UnrecognizedClientException", "InvalidSignatureException"),
        ("sts", "get_caller_identity", "InvalidClientTokenId", "SignatureDoesNotMatch"),
    ):
        expect_error(unknown_key, getattr(client(service, aws_access_key_id="AKIDOTHER"), operation))
        expect_error(unknown_key, getattr(client(service, aws_session_token="token"), operation))
        expect_error(mismatch, getattr(client(service, aws_secret_access_key="other"), operation))
        expect_error(mismatch, getattr(client(service, region_name="us-east-1"), operation))


def tear_down():
    expect_error("InvalidParameterException", ecs.delete_service, cluster=NAME, service=NAME)
    ecs.delete_service(cluster=NAME, service=NAME, force=True)
    ecs.get_waiter("services_inactive").wait(cluster=NAME, services=[NAME], WaiterConfig={"Delay": 0, "MaxAttempts": 60})


def ask_the_cli():
    """The CLI vendors a botocore of its own, and signs by it."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "AWS_ENDPOINT_URL": f"http://{ADDRESS}",
        # The CLI of version 1 reads this one, newer SDKs AWS_REGION.
        "AWS_DEFAULT_REGION": "local",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "NO_PROXY": "127.0.0.1",
    }
    aws = os.path.join(os.path.dirname(sys.executable), "aws")
    command = [sys.executable, aws, "ecs", "update-service", "--cluster", NAME, "--service", NAME, "--desired-count", "4"]
    run = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
    expect(run.returncode == 0 and json.loads(run.stdout)["service"]["desiredCount"] == 4, f"aws: {run}")


def doubt_the_validator():
    """A validator that finds nothing proves nothing."""
    service, services = ANSWERED["DescribeServices"][-1]
    elb, groups = ANSWERED["DescribeTargetGroups"][-1]
    for owner, operation, body, old, new in (
        (service, "DescribeServices", services, b'"serviceName"', b'"servicename"'),
        (service, "DescribeServices", services, b'"desiredCount":', b'"desiredCount":"x","_":'),
        (service, "DescribeServices", services, b'"launchType":"FARGATE"', b'"launchType":"LOCAL"'),
        (service, "DescribeServices", services, b'"enable":true,', b""),
        (elb, "DescribeTargetGroups", groups, b">5<", b">1<"),
        (elb, "DescribeTargetGroups", groups, b">true<", b">yes<"),
        (elb, "DescribeTargetGroups", groups, b"member>", b"item>"),
        (elb, "DescribeTargetGroups", groups, b"2015-12-01", b"2015-12-02"),
    ):
        expect(old in body, f"{old} is not in the reply to {operation}")
        expect(validate(owner, operation, 200, body.replace(old, new)), f"{old} as {new} went unnoticed")


def main():
    service_arn = set_up()
    roll(service_arn)
    ask_the_cli()
    change(service_arn)
    look_at_the_place()
    read_logs()
    be_refused()
    tear_down()
    doubt_the_validator()
    expect(len(ANSWERED) == 30, f"operations answered: {sorted(ANSWERED)}")
    replies = sum(map(len, ANSWERED.values())) + sum(map(len, REFUSED.values()))
    print(f"{replies} replies of {len(ANSWERED)} operations, {len(PROBLEMS)} problems")
    print("\n".join(sorted(set(PROBLEMS))))
    return 1 if PROBLEMS else 0


sys.exit(main())
