//! What a caller may ask of the model. Each command changes it at once and completely, or refuses and changes nothing.
//!
//! A command decides what should be; the next [`crate::step`] with [`crate::Input::Tick`] begins to bring it about.

mod cluster;
mod definition;
mod service;
mod tags;
mod task;

pub use definition::NewTaskDefinition;
pub use service::{MAX_DESIRED_COUNT, NewService, ServiceChange};
pub use tags::MAX_TAGS;

/// Why a command was not carried out. Messages are ECS's own where it has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `ClusterNotFoundException`
    #[error("Cluster not found.")]
    ClusterNotFound,
    /// `ServiceNotFoundException`
    #[error("Service not found.")]
    ServiceNotFound,
    /// `ServiceNotActiveException`
    #[error("Service was not ACTIVE.")]
    ServiceNotActive,
    /// `ClientException`: no such revision.
    #[error("Unable to describe task definition.")]
    TaskDefinitionNotFound,
    /// `ClientException`: the revision was deregistered.
    #[error("TaskDefinition is inactive")]
    TaskDefinitionInactive,
    /// `InvalidParameterException`: no such task.
    #[error("The referenced task was not found.")]
    TaskNotFound,
    /// `InvalidParameterException`: the service of this name is still being deleted.
    #[error("Unable to Start a service that is still Draining.")]
    ServiceDraining,
    /// `InvalidParameterException`: this engine already runs another.
    #[error(
        "This engine runs one service, and `{0}` is it. Delete it first, or start another engine with a name of its own."
    )]
    SecondService(String),
    /// `InvalidParameterException`
    #[error("{0}")]
    InvalidParameter(String),
    /// `ClientException`
    #[error("{0}")]
    ClientException(String),
}

impl Refusal {
    /// The ECS API's name for it: what an error reply bears as its type.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ClusterNotFound => "ClusterNotFoundException",
            Self::ServiceNotFound => "ServiceNotFoundException",
            Self::ServiceNotActive => "ServiceNotActiveException",
            Self::TaskDefinitionNotFound | Self::TaskDefinitionInactive | Self::ClientException(_) => "ClientException",
            Self::TaskNotFound | Self::ServiceDraining | Self::SecondService(_) | Self::InvalidParameter(_) => {
                "InvalidParameterException"
            }
        }
    }
}

/// Whether a name is one ECS accepts: letters, digits, `-` and `_`, up to 255.
fn check_name(what: &str, name: &str) -> Result<(), Refusal> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || 255 < name.len() || !name.bytes().all(legal) {
        return Err(Refusal::InvalidParameter(format!(
            "{what} `{name}` is not valid: up to 255 letters (uppercase and lowercase), numbers, underscores and hyphens are allowed."
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
