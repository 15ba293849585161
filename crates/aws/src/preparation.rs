//! What an account needs once before its first place: the roles of AWS's own services. They stay when the place goes.

use crate::error::AwsError;
use crate::event::PlaceEvent;
use crate::query::Service;
use crate::session::Session;
use crate::stack::PlaceRun;

/// The services that act in the account by a role of their own, and what that role is called.
pub(crate) const SERVICE_ROLES: [(&str, &str); 3] = [
    ("ecs.amazonaws.com", "AWSServiceRoleForECS"),
    ("elasticloadbalancing.amazonaws.com", "AWSServiceRoleForElasticLoadBalancing"),
    (NAT_GATEWAY, "AWSServiceRoleForNATGateway"),
];

/// A regional NAT gateway takes addresses by its role, which EC2 makes with the first one, in the caller's name. Most
/// places have none, so nothing is made for it beforehand.
const NAT_GATEWAY: &str = "ec2-nat-gateway.amazonaws.com";

/// Makes the service-linked roles that are missing, and lets them become known.
///
/// Only after the confirmation: they are changes too. Somebody who may not make them may still be lucky, because the
/// services make their own on first use; so a denied action does not end anything here.
pub(crate) async fn make_service_roles(session: &Session, run: &PlaceRun) -> Result<(), AwsError> {
    let mut made = false;
    for (service, role) in SERVICE_ROLES.into_iter().filter(|(service, _)| *service != NAT_GATEWAY) {
        if has_role(session, role).await == Some(true) {
            continue;
        }
        let parameters = [("AWSServiceName", service)];
        match session
            .query()
            .form("make a service-linked role", Service::Iam, "CreateServiceLinkedRole", &parameters)
            .await
        {
            Ok(_) => {
                made = true;
                run.emit(PlaceEvent::ServiceRoleMade { service: service.to_owned() });
            }
            // `InvalidInput`: "Service role name … has been taken in this account".
            Err(AwsError::Refused { .. } | AwsError::Denied(_)) => {}
            Err(error) => return Err(error),
        }
    }
    if made {
        run.pause(run.pace.settle).await;
    }
    Ok(())
}

/// Whether there is a role of that name; None where it could not be told.
pub(crate) async fn has_role(session: &Session, name: &str) -> Option<bool> {
    match session.query().form("look at a role", Service::Iam, "GetRole", &[("RoleName", name)]).await {
        Ok(_) => Some(true),
        Err(error) if error.has_code("NoSuchEntity") => Some(false),
        Err(_) => None,
    }
}
