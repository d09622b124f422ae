//! The form of a group.

use tenantry_core::error::FieldError;
use tenantry_core::languages::Language;
use tenantry_core::model::{Group, GroupId};
use tenantry_core::values;
use tenantry_http::pages::PageForm;

/// What was typed, and what is wrong with it.
#[derive(Debug, Default, Clone)]
pub struct GroupAttempt {
    /// The name.
    pub name: String,
    /// The description.
    pub description: String,
    /// The name of the group that it is nested in; empty for none.
    pub parent: String,
    /// What the form began with: name, description and parent.
    pub was: [String; 3],
    /// What is wrong.
    pub errors: Vec<FieldError>,
}

impl GroupAttempt {
    /// Reads the form.
    pub fn read(form: &mut PageForm) -> Self {
        let mut take = |name: &str| values::trim(&form.take(name)).to_owned();
        Self {
            name: take("name"),
            description: take("description"),
            parent: take("parent"),
            was: ["was-name", "was-description", "was-parent"].map(take),
            errors: Vec::new(),
        }
    }

    /// A group as it is.
    pub fn of(group: &Group, parent: Option<&(GroupId, String)>) -> Self {
        let parent = parent.map(|(_, name)| name.clone()).unwrap_or_default();
        let was = [group.name.clone(), group.description.clone(), parent.clone()];
        Self {
            name: group.name.clone(),
            description: group.description.clone(),
            parent,
            was,
            errors: Vec::new(),
        }
    }

    /// Takes over changes that somebody else has made meanwhile, where they contradict nothing that was typed.
    pub fn rebase(&mut self, current: &Self) {
        let typed = [&mut self.name, &mut self.description, &mut self.parent];
        for ((typed, was), now) in typed.into_iter().zip(&self.was).zip(&current.was) {
            if typed == was {
                typed.clone_from(now);
            }
        }
        self.was.clone_from(&current.was);
    }

    /// Checks what does not need the database.
    ///
    /// # Errors
    /// All errors.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let name = values::group_name(&self.name).err().map(|error| error.at("/name"));
        let description = values::description(&self.description).err().map(|error| error.at("/description"));
        let errors: Vec<FieldError> = name.into_iter().chain(description).collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// What is wrong with a field, for people.
    pub fn problem(&self, field: &str, l: Language) -> Option<&'static str> {
        let error = self.errors.iter().find(|error| error.field.strip_prefix('/') == Some(field))?;
        Some(match error.code {
            "empty" | "required" => text!(l, "problem-empty"),
            "too-long" => text!(l, "problem-too-long"),
            "control-character" => text!(l, "problem-control-character"),
            "invisible" => text!(l, "problem-invisible"),
            "group-name-taken" => text!(l, "console-problem-group-name-taken"),
            "unknown-group" => text!(l, "console-problem-no-parent"),
            "nesting-cycle" => text!(l, "console-problem-nesting-cycle"),
            "nesting-too-deep" => text!(l, "console-problem-nesting-too-deep"),
            _ => text!(l, "problem-other"),
        })
    }
}

/// The error of a parent that does not exist.
pub fn no_parent() -> FieldError {
    FieldError::new("/parentGroupId", "unknown-group", "there is no group of this name")
}
