//! What comes next for a valid request: a page, or the answer.

use super::{AuthorizationError, AuthorizationRequest, Prompt, Refused, Valid};
use crate::browser_sessions::{ACR_SECOND_FACTOR, BrowserSession};
use crate::consents;
use crate::factors::asked_of;
use crate::services::Services;
use tenantry_core::clock::{Millis, SECOND};
use tenantry_core::model::UserId;
use tenantry_core::scopes::TokenScopes;
use tenantry_store::access::system_within;

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The person signs in, possibly as somebody else.
    SignIn,
    /// The person chooses the account.
    ChooseAccount,
    /// The person sets a password (B22).
    SetPassword,
    /// The person adds a second factor, which is required.
    AddFactor,
    /// The person gives a second factor.
    SecondFactor,
    /// The person consents.
    Consent,
    /// A code is issued.
    Issue,
}

/// The next step of a request for a browser with this session. `is_continued` says that the request comes back from a page:
/// only then can the person have answered its prompts.
///
/// # Errors
/// An answer with an error: the person refused, the client is not for this user, or `prompt=none` needs a page.
pub async fn next_step(
    services: &Services,
    valid: &Valid,
    session: Option<&BrowserSession>,
    is_continued: bool,
) -> Result<Step, Refused> {
    let request = &valid.request;
    if request.decided.refusal {
        return Err(valid.refuse(AuthorizationError::AccessDenied, "the person refused"));
    }
    // Known before anybody signs in: there are two classes.
    let is_class = |one: &String| matches!(one.as_str(), "1" | "2");
    if request.claims.acr.as_ref().is_some_and(|acr| !acr.is_empty() && !acr.iter().any(is_class)) {
        let detail = "the requested class of authentication is not supported";
        return Err(valid.refuse(AuthorizationError::UnmetAuthenticationRequirements, detail));
    }
    let now = services.clock.read().latest;
    let step = match session {
        None => Step::SignIn,
        Some(session) => match step_of(request, &SessionFacts::of(session), now, is_continued) {
            Step::Issue if !valid.client.serves(session.pid) => {
                let detail = "the client is not for this user's partner";
                return Err(valid.refuse(AuthorizationError::AccessDenied, detail));
            }
            Step::Issue if session.acr < ACR_SECOND_FACTOR && request.needs_second_factor() => {
                if !can_step_up(services, session).await? {
                    let detail = "the user has no second factor";
                    return Err(valid.refuse(AuthorizationError::UnmetAuthenticationRequirements, detail));
                }
                Step::SecondFactor
            }
            Step::Issue if needs_consent(services, valid, session).await? => Step::Consent,
            step => step,
        },
    };
    if is_continued && step == Step::SignIn && is_another_user(request, session) {
        // Another user has signed in than the client requested.
        if session.is_some_and(|session| session.auth_time >= request.at) {
            let detail = "another user signed in than the request is for";
            return Err(valid.refuse(AuthorizationError::LoginRequired, detail));
        }
    }
    if request.prompt.contains(Prompt::None) {
        let (error, detail) = match step {
            Step::Issue => return Ok(step),
            Step::SignIn | Step::ChooseAccount => {
                (AuthorizationError::LoginRequired, "the user must sign in")
            }
            Step::SetPassword => (AuthorizationError::InteractionRequired, "the user must set a password"),
            Step::AddFactor => (AuthorizationError::InteractionRequired, "the user must add a second factor"),
            Step::SecondFactor => (AuthorizationError::LoginRequired, "the user must give a second factor"),
            Step::Consent => (AuthorizationError::ConsentRequired, "the user must consent"),
        };
        return Err(valid.refuse(error, detail));
    }
    Ok(step)
}

/// What the step depends on.
pub(super) struct SessionFacts<'a> {
    pub(super) session_id: &'a str,
    pub(super) pid: i64,
    pub(super) user_id: UserId,
    pub(super) auth_time: Millis,
    pub(super) is_restricted: bool,
    pub(super) lacks_factor: bool,
}

impl<'a> SessionFacts<'a> {
    fn of(session: &'a BrowserSession) -> Self {
        Self {
            session_id: &session.session_id,
            pid: session.pid.0,
            user_id: session.user_id,
            auth_time: session.auth_time,
            is_restricted: session.is_restricted,
            lacks_factor: session.lacks_factor,
        }
    }
}

fn is_another_user(request: &AuthorizationRequest, session: Option<&BrowserSession>) -> bool {
    session.is_some_and(|session| !is_for(request, &SessionFacts::of(session)))
}

/// Whether the request is for this user.
fn is_for(request: &AuthorizationRequest, session: &SessionFacts<'_>) -> bool {
    request.partner.is_none_or(|pid| pid.0 == session.pid)
        && request.id_token_hint_sub.as_ref().is_none_or(|sub| *sub == session.user_id.to_string())
}

/// The step of a browser with a session, without consent.
pub(super) fn step_of(
    request: &AuthorizationRequest,
    session: &SessionFacts<'_>,
    now: Millis,
    is_continued: bool,
) -> Step {
    let has_just_signed_in = is_continued && session.auth_time >= request.at;
    if !is_for(request, session) {
        return Step::SignIn;
    }
    let is_too_old = request.max_age.is_some_and(|max| now - session.auth_time > max.saturating_mul(SECOND));
    if !has_just_signed_in && (is_too_old || request.prompt.contains(Prompt::Login)) {
        return Step::SignIn;
    }
    let has_chosen = is_continued && request.decided.account.as_deref() == Some(session.session_id);
    if request.prompt.contains(Prompt::SelectAccount) && !has_just_signed_in && !has_chosen {
        return Step::ChooseAccount;
    }
    if session.is_restricted {
        return Step::SetPassword;
    }
    if session.lacks_factor {
        return Step::AddFactor;
    }
    Step::Issue
}

impl AuthorizationRequest {
    /// Whether only a sign-in with a second factor will do: `acr_values` of RFC 9470, or an essential claim.
    fn needs_second_factor(&self) -> bool {
        let needs = |classes: &[&str]| classes.contains(&"2") && !classes.contains(&"1");
        let values: Vec<&str> = self.acr_values.as_deref().unwrap_or_default().split(' ').collect();
        let claimed: Vec<&str> = self.claims.acr.iter().flatten().map(String::as_str).collect();
        needs(&values) || needs(&claimed)
    }
}

/// Whether the user of a session has a second factor to give.
async fn can_step_up(services: &Services, session: &BrowserSession) -> tenantry_core::error::Result<bool> {
    let user_id = session.user_id;
    let asked = services.store.scan(&system_within(session.pid), move |tx| asked_of(tx, user_id)).await?;
    Ok(!asked.is_empty())
}

/// Whether the person must consent: once per set of scopes, and if the client asks for it; never for a product client.
async fn needs_consent(
    services: &Services,
    valid: &Valid,
    session: &BrowserSession,
) -> tenantry_core::error::Result<bool> {
    let Valid { request, client } = valid;
    if !consents::is_asked(client, session.pid)
        || request.decided.consent.as_deref() == Some(&session.session_id)
    {
        return Ok(false);
    }
    if request.prompt.contains(Prompt::Consent) {
        return Ok(true);
    }
    if !client.needs_consent {
        return Ok(false);
    }
    let (user_id, client_id) = (session.user_id, request.client_id.clone());
    let given = services
        .store
        .read(&system_within(session.pid), move |tx| consents::find(tx, user_id, &client_id))
        .await?;
    Ok(!request.consent_scopes().is_subset_of(given.unwrap_or(TokenScopes::NONE)))
}
