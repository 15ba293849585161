//! STS: who is calling. There is one caller, the user the engine runs under.

use gimmetime_scheduler::model::ACCOUNT;
use serde_json::{Value, json};

use crate::parameters::Parameters;
use crate::{ApiError, Call, World};

pub(crate) fn answer(world: &mut dyn World, call: &Call) -> Result<Value, ApiError> {
    match call.operation.as_str() {
        "GetCallerIdentity" => get_caller_identity(world, Parameters::new(call.service, &call.parameters)?),
        other => Err(call.service.unknown_operation(other, &["GetCallerIdentity"])),
    }
}

fn get_caller_identity(world: &mut dyn World, parameters: Parameters<'_>) -> Result<Value, ApiError> {
    parameters.finish()?;
    let user = world.engine().user;
    Ok(json!({"UserId": user, "Account": ACCOUNT, "Arn": caller_arn(world)}))
}

/// `arn:aws:iam::000000000000:user/NAME`
pub(crate) fn caller_arn(world: &dyn World) -> String {
    format!("arn:aws:iam::{ACCOUNT}:user/{}", world.engine().user)
}
