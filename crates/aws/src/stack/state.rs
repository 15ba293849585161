//! What a stack's state asks for: pure. Every state has its action, for making and for removing.

use std::fmt;

/// The state of a stack, in CloudFormation's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StackState {
    /// `CREATE_IN_PROGRESS`
    CreateInProgress,
    /// `CREATE_FAILED`
    CreateFailed,
    /// `CREATE_COMPLETE`
    CreateComplete,
    /// `ROLLBACK_IN_PROGRESS`
    RollbackInProgress,
    /// `ROLLBACK_FAILED`
    RollbackFailed,
    /// `ROLLBACK_COMPLETE`
    RollbackComplete,
    /// `DELETE_IN_PROGRESS`
    DeleteInProgress,
    /// `DELETE_FAILED`
    DeleteFailed,
    /// `DELETE_COMPLETE`
    DeleteComplete,
    /// `UPDATE_IN_PROGRESS`
    UpdateInProgress,
    /// `UPDATE_COMPLETE_CLEANUP_IN_PROGRESS`
    UpdateCleanupInProgress,
    /// `UPDATE_COMPLETE`
    UpdateComplete,
    /// `UPDATE_FAILED`
    UpdateFailed,
    /// `UPDATE_ROLLBACK_IN_PROGRESS`
    UpdateRollbackInProgress,
    /// `UPDATE_ROLLBACK_FAILED`
    UpdateRollbackFailed,
    /// `UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS`
    UpdateRollbackCleanupInProgress,
    /// `UPDATE_ROLLBACK_COMPLETE`
    UpdateRollbackComplete,
    /// `REVIEW_IN_PROGRESS`
    ReviewInProgress,
    /// `IMPORT_IN_PROGRESS`
    ImportInProgress,
    /// `IMPORT_COMPLETE`
    ImportComplete,
    /// `IMPORT_ROLLBACK_IN_PROGRESS`
    ImportRollbackInProgress,
    /// `IMPORT_ROLLBACK_FAILED`
    ImportRollbackFailed,
    /// `IMPORT_ROLLBACK_COMPLETE`
    ImportRollbackComplete,
    /// One that did not exist when this was written.
    Unknown(String),
}

use StackState as S;

/// Every state that is known, with CloudFormation's word for it.
const WORDS: [(StackState, &str); 23] = [
    (S::CreateInProgress, "CREATE_IN_PROGRESS"),
    (S::CreateFailed, "CREATE_FAILED"),
    (S::CreateComplete, "CREATE_COMPLETE"),
    (S::RollbackInProgress, "ROLLBACK_IN_PROGRESS"),
    (S::RollbackFailed, "ROLLBACK_FAILED"),
    (S::RollbackComplete, "ROLLBACK_COMPLETE"),
    (S::DeleteInProgress, "DELETE_IN_PROGRESS"),
    (S::DeleteFailed, "DELETE_FAILED"),
    (S::DeleteComplete, "DELETE_COMPLETE"),
    (S::UpdateInProgress, "UPDATE_IN_PROGRESS"),
    (S::UpdateCleanupInProgress, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"),
    (S::UpdateComplete, "UPDATE_COMPLETE"),
    (S::UpdateFailed, "UPDATE_FAILED"),
    (S::UpdateRollbackInProgress, "UPDATE_ROLLBACK_IN_PROGRESS"),
    (S::UpdateRollbackFailed, "UPDATE_ROLLBACK_FAILED"),
    (S::UpdateRollbackCleanupInProgress, "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"),
    (S::UpdateRollbackComplete, "UPDATE_ROLLBACK_COMPLETE"),
    (S::ReviewInProgress, "REVIEW_IN_PROGRESS"),
    (S::ImportInProgress, "IMPORT_IN_PROGRESS"),
    (S::ImportComplete, "IMPORT_COMPLETE"),
    (S::ImportRollbackInProgress, "IMPORT_ROLLBACK_IN_PROGRESS"),
    (S::ImportRollbackFailed, "IMPORT_ROLLBACK_FAILED"),
    (S::ImportRollbackComplete, "IMPORT_ROLLBACK_COMPLETE"),
];

impl StackState {
    /// Reads CloudFormation's word.
    pub fn parse(word: &str) -> Self {
        let known = WORDS.iter().find(|(_, known)| *known == word);
        known.map_or_else(|| Self::Unknown(word.to_owned()), |(state, _)| state.clone())
    }

    /// CloudFormation's word.
    pub fn word(&self) -> &str {
        match self {
            Self::Unknown(word) => word,
            known => WORDS.iter().find(|(state, _)| state == known).map_or("UNKNOWN", |(_, word)| word),
        }
    }

    /// Whether CloudFormation works on it now. A review waits for a person, so it is not in progress.
    pub fn is_in_progress(&self) -> bool {
        *self != Self::ReviewInProgress && self.word().ends_with("_IN_PROGRESS")
    }

    /// Whether a change is being undone, or was.
    pub fn is_rollback(&self) -> bool {
        self.word().contains("ROLLBACK")
    }

    /// Whether it is what a first try left that failed: nothing in it was ever used.
    pub fn is_failed_try(&self) -> bool {
        matches!(self, Self::CreateFailed | Self::RollbackComplete | Self::RollbackFailed | Self::ReviewInProgress)
    }

    /// Whether all that the template says is there.
    pub fn is_whole(&self) -> bool {
        matches!(
            self,
            Self::CreateComplete
                | Self::UpdateComplete
                | Self::UpdateCleanupInProgress
                | Self::UpdateRollbackComplete
                | Self::ImportComplete
                | Self::ImportRollbackComplete
        )
    }
}

impl fmt::Display for StackState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What is wanted of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// It shall be as the template says.
    There,
    /// It shall be gone.
    Gone,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Make it.
    Create,
    /// Change it; nothing happens where nothing differs.
    Update,
    /// Wait for what is in progress, then look again.
    Attach,
    /// Remove what an earlier try left, then make it: CloudFormation allows nothing else.
    DeleteAndCreate,
    /// Finish the undoing of a change that got stuck, then look again.
    ContinueRollback,
    /// Remove it.
    Delete,
    /// It is as it shall be.
    Nothing,
    /// Leave it alone: nobody knows what this state means.
    Refuse,
}

/// What a stack's state asks for. `state` is None where there is no such stack.
pub fn decide(state: Option<&StackState>, goal: Goal) -> Action {
    match goal {
        Goal::There => make(state),
        Goal::Gone => remove(state),
    }
}

fn make(state: Option<&StackState>) -> Action {
    match state {
        None | Some(S::DeleteComplete) => Action::Create,
        // Healthy; UPDATE_FAILED is a change whose rollback somebody switched off: a new one mends it.
        Some(
            S::CreateComplete
            | S::UpdateComplete
            | S::UpdateRollbackComplete
            | S::UpdateFailed
            | S::ImportComplete
            | S::ImportRollbackComplete,
        ) => Action::Update,
        // A change set that was never executed, a first try that failed, a removal that stopped half way.
        Some(S::ReviewInProgress | S::CreateFailed | S::RollbackComplete | S::RollbackFailed | S::DeleteFailed) => {
            Action::DeleteAndCreate
        }
        Some(S::UpdateRollbackFailed) => Action::ContinueRollback,
        Some(state) if state.is_in_progress() => Action::Attach,
        // What was brought in from elsewhere and could not be given back is not ours to guess about.
        Some(_) => Action::Refuse,
    }
}

fn remove(state: Option<&StackState>) -> Action {
    match state {
        None | Some(S::DeleteComplete) => Action::Nothing,
        // A creation can be cut short, a review has nothing in it; anything else in progress must end first.
        Some(S::CreateInProgress | S::ReviewInProgress) => Action::Delete,
        Some(state) if state.is_in_progress() => Action::Attach,
        Some(S::Unknown(_)) => Action::Refuse,
        Some(_) => Action::Delete,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_action() {
        use Action::*;
        let table = [
            ("CREATE_IN_PROGRESS", Attach, Delete),
            ("CREATE_FAILED", DeleteAndCreate, Delete),
            ("CREATE_COMPLETE", Update, Delete),
            ("ROLLBACK_IN_PROGRESS", Attach, Attach),
            ("ROLLBACK_FAILED", DeleteAndCreate, Delete),
            ("ROLLBACK_COMPLETE", DeleteAndCreate, Delete),
            ("DELETE_IN_PROGRESS", Attach, Attach),
            ("DELETE_FAILED", DeleteAndCreate, Delete),
            ("DELETE_COMPLETE", Create, Nothing),
            ("UPDATE_IN_PROGRESS", Attach, Attach),
            ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", Attach, Attach),
            ("UPDATE_COMPLETE", Update, Delete),
            ("UPDATE_FAILED", Update, Delete),
            ("UPDATE_ROLLBACK_IN_PROGRESS", Attach, Attach),
            ("UPDATE_ROLLBACK_FAILED", ContinueRollback, Delete),
            ("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", Attach, Attach),
            ("UPDATE_ROLLBACK_COMPLETE", Update, Delete),
            ("REVIEW_IN_PROGRESS", DeleteAndCreate, Delete),
            ("IMPORT_IN_PROGRESS", Attach, Attach),
            ("IMPORT_COMPLETE", Update, Delete),
            ("IMPORT_ROLLBACK_IN_PROGRESS", Attach, Attach),
            ("IMPORT_ROLLBACK_FAILED", Refuse, Delete),
            ("IMPORT_ROLLBACK_COMPLETE", Update, Delete),
            ("INVENTED_IN_PROGRESS", Attach, Attach),
            ("INVENTED_COMPLETE", Refuse, Refuse),
        ];
        for (word, there, gone) in table {
            let state = StackState::parse(word);
            assert_eq!(decide(Some(&state), Goal::There), there, "{word}, wanted");
            assert_eq!(decide(Some(&state), Goal::Gone), gone, "{word}, unwanted");
            assert_eq!(state.word(), word);
        }
        assert_eq!(decide(None, Goal::There), Create);
        assert_eq!(decide(None, Goal::Gone), Nothing);
        for (_, word) in &WORDS {
            assert!(table.iter().any(|(tested, ..)| tested == word), "{word} is in no test");
        }
    }

    #[test]
    fn every_state_that_the_sdk_knows_is_known_here() {
        for word in aws_sdk_cloudformation::types::StackStatus::values() {
            assert!(!matches!(StackState::parse(word), StackState::Unknown(_)), "{word}");
        }
    }
}
