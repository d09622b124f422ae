use super::next_step::{SessionFacts, step_of};
use super::responses::with_query;
use super::*;
use tenantry_core::clock::{MINUTE, SECOND};
use tenantry_core::model::UserId;

const AT: Millis = 1_800_000_000_000;

fn request() -> AuthorizationRequest {
    AuthorizationRequest {
        client_id: String::from("cl_1_shop"),
        return_to: ReturnAddress {
            redirect_uri: String::from("https://shop.example/cb"),
            response_mode: ResponseMode::Query,
            state: Some(String::from("a&b")),
        },
        nonce: None,
        scopes: TokenScopes::parse("openid email"),
        challenge: None,
        prompt: Prompts::default(),
        max_age: None,
        login_hint: None,
        ui_locales: None,
        acr_values: None,
        claims: ClaimsRequest::default(),
        display: None,
        partner: None,
        id_token_hint_sub: None,
        at: AT,
        expires_at: None,
        decided: Decided::default(),
    }
}

fn session() -> SessionFacts<'static> {
    SessionFacts {
        session_id: "s",
        pid: 1,
        user_id: UserId(7),
        auth_time: AT - MINUTE,
        is_restricted: false,
        lacks_factor: false,
    }
}

#[test]
fn a_session_is_enough_unless_the_request_says_otherwise() {
    let step = |change: fn(&mut AuthorizationRequest)| {
        let mut request = request();
        change(&mut request);
        step_of(&request, &session(), AT, false)
    };
    assert_eq!(step(|_| {}), Step::Issue);
    assert_eq!(step(|r| r.prompt = r.prompt.with(Prompt::Login)), Step::SignIn);
    assert_eq!(step(|r| r.prompt = r.prompt.with(Prompt::SelectAccount)), Step::ChooseAccount);
    assert_eq!(step(|r| r.max_age = Some(60)), Step::Issue, "not older than that");
    assert_eq!(step(|r| r.max_age = Some(59)), Step::SignIn);
    assert_eq!(step(|r| r.max_age = Some(0)), Step::SignIn);
    assert_eq!(step(|r| r.max_age = Some(i64::MAX)), Step::Issue);
    assert_eq!(step(|r| r.partner = Some(PartnerId(1))), Step::Issue);
    assert_eq!(step(|r| r.partner = Some(PartnerId(2))), Step::SignIn);
    assert_eq!(step(|r| r.id_token_hint_sub = Some(String::from("7"))), Step::Issue);
    assert_eq!(step(|r| r.id_token_hint_sub = Some(String::from("8"))), Step::SignIn);
    let restricted = SessionFacts { is_restricted: true, ..session() };
    assert_eq!(step_of(&request(), &restricted, AT, false), Step::SetPassword);
    let lacking = SessionFacts { lacks_factor: true, ..session() };
    assert_eq!(step_of(&request(), &lacking, AT, false), Step::AddFactor);
}

#[test]
fn a_prompt_is_answered_once_the_person_has_signed_in_for_this_request() {
    let mut asked = request();
    asked.prompt = Prompts::default().with(Prompt::Login).with(Prompt::SelectAccount);
    asked.max_age = Some(0);
    let after = SessionFacts { auth_time: AT + SECOND, ..session() };
    assert_eq!(step_of(&asked, &after, AT + MINUTE, true), Step::Issue);
    assert_eq!(step_of(&asked, &session(), AT + MINUTE, true), Step::SignIn, "a session of before");
    assert_eq!(step_of(&asked, &after, AT + MINUTE, false), Step::SignIn, "a request that is new");
    let mut chosen = request();
    chosen.prompt = Prompts::default().with(Prompt::SelectAccount);
    chosen.decided.account = Some(String::from("s"));
    assert_eq!(step_of(&chosen, &session(), AT, true), Step::Issue);
    chosen.decided.account = Some(String::from("another"));
    assert_eq!(step_of(&chosen, &session(), AT, true), Step::ChooseAccount);
}

#[test]
fn an_answer_keeps_the_query_of_the_redirect_uri() {
    for (uri, expected) in [
        ("https://shop.example/cb", "https://shop.example/cb?a=1"),
        ("https://shop.example/cb?", "https://shop.example/cb?a=1"),
        ("https://shop.example/cb?x=%20y", "https://shop.example/cb?x=%20y&a=1"),
        ("https://shop.example/cb?x&", "https://shop.example/cb?x&a=1"),
        ("com.example.app:/cb", "com.example.app:/cb?a=1"),
    ] {
        assert_eq!(with_query(uri, [("a", "1")].into_iter()), expected);
    }
    assert_eq!(with_query("https://shop.example/", [].into_iter()), "https://shop.example/");
    let answer =
        request().return_to.with_error(AuthorizationError::LoginRequired, "sign in", "https://id.example");
    let expected = "https://shop.example/cb?error=login_required&error_description=sign+in&state=a%26b\
                    &iss=https%3A%2F%2Fid.example";
    assert_eq!(answer.location(), expected);
}

#[test]
fn single_claims_need_the_consent_of_their_scopes() {
    let mut with_phone = request();
    with_phone.claims = ClaimsRequest::parse(r#"{"userinfo": {"phone_number": null}}"#).unwrap();
    assert_eq!(with_phone.consent_scopes().names(), "openid email phone");
    let sealed = serde_json::to_string(&with_phone).unwrap();
    assert_eq!(serde_json::from_str::<AuthorizationRequest>(&sealed).unwrap(), with_phone);
}
