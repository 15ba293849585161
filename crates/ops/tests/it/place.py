"""Makes and removes what a service on ECS needs: a balancer, a target group, log groups, a role. Prints what it made."""
import json
import sys
from datetime import datetime

import boto3

endpoint, verb, name = sys.argv[1:4]
session = boto3.Session(region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
iam, elb, ec2, logs, ecs = (session.client(it, endpoint_url=endpoint) for it in ["iam", "elbv2", "ec2", "logs", "ecs"])
groups = [f"/gimmetime/{name}", f"/aws/events/gimmetime/{name}"]


def make():
    subnets = ec2.describe_subnets()["Subnets"][:2]
    vpc, subnet_ids = subnets[0]["VpcId"], [subnet["SubnetId"] for subnet in subnets]
    for group in groups:
        logs.create_log_group(logGroupName=group)
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
                                                     "Principal": {"Service": "ecs-tasks.amazonaws.com"}}]}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    balancer = elb.create_load_balancer(Name=name, Subnets=subnet_ids)["LoadBalancers"][0]
    target = elb.create_target_group(Name=name, Protocol="HTTP", Port=8080, VpcId=vpc, TargetType="ip",
                                     HealthCheckPath="/live")["TargetGroups"][0]["TargetGroupArn"]
    elb.create_listener(LoadBalancerArn=balancer["LoadBalancerArn"], Port=80, Protocol="HTTP",
                        DefaultActions=[{"Type": "forward", "TargetGroupArn": target}])
    ecs.create_cluster(clusterName=name)
    print(json.dumps({"dns": balancer["DNSName"], "target_group": target, "role": role, "subnets": subnet_ids,
                      "account": role.split(":")[4]}))


def remember():
    """Puts the lines of standard input into the event memory, as EventBridge does."""
    group, stream = groups[1], "events"
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    moment = lambda line: int(datetime.fromisoformat(json.loads(line)["time"].replace("Z", "+00:00")).timestamp() * 1000)
    lines = [{"timestamp": moment(line), "message": line.strip()} for line in sys.stdin]
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=lines)


def remove():
    for it in ecs.list_services(cluster=name)["serviceArns"]:
        ecs.delete_service(cluster=name, service=it, force=True)
    for balancer in elb.describe_load_balancers(Names=[name])["LoadBalancers"]:
        for it in elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]:
            elb.delete_listener(ListenerArn=it["ListenerArn"])
        elb.delete_load_balancer(LoadBalancerArn=balancer["LoadBalancerArn"])
    for it in elb.describe_target_groups(Names=[name])["TargetGroups"]:
        elb.delete_target_group(TargetGroupArn=it["TargetGroupArn"])
    for group in groups:
        logs.delete_log_group(logGroupName=group)
    iam.delete_role(RoleName=name)
    ecs.delete_cluster(cluster=name)


{"make": make, "remember": remember, "remove": remove}[verb]()
