//! An authenticator app of a person: its codes are those of oathtool, which knows nothing of ours.

use std::process::Command;

use serde_json::{Value, json};

use tenantry::config::Config;
use tenantry_core::clock::SECOND;
use tenantry_core::random::Random;
use tenantry_domain::sealer::MasterKey;

use crate::harness::{Person, T, password_of};
use crate::tabs::{Tab, unescaped};

/// An authenticator app.
pub struct Authenticator {
    key: String,
}

impl Authenticator {
    /// One with this key, as it was shown.
    pub fn new(t: &T, key: &str) -> Self {
        t.secret(key);
        Self { key: key.to_owned() }
    }

    /// The code at the time of the server, moved by seconds.
    pub fn code_in(&self, t: &T, seconds: i64) -> String {
        let now = format!("@{}", t.clock.now() / SECOND + seconds);
        let args = ["--totp", "--base32", "--now", &now, &self.key];
        let output = Command::new("oathtool").args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// The code at the time of the server.
    pub fn code(&self, t: &T) -> String {
        self.code_in(t, 0)
    }

    /// The next code that was not used: half a minute later.
    pub fn next_code(&self, t: &T) -> String {
        t.clock.advance(30 * SECOND);
        self.code(t)
    }

    /// One that is wrong.
    pub fn wrong_code(&self, t: &T) -> String {
        let near = [-30, 0, 30].map(|seconds| self.code_in(t, seconds));
        (0..).map(|n| format!("{n:06}")).find(|code| !near.contains(code)).unwrap()
    }
}

/// Settings with a master key, without which PostgreSQL stores no secrets of apps.
pub fn with_master_key(config: &mut Config) {
    config.master_key = Some(MasterKey::generate(&Random::seeded(1)));
}

/// A server with a master key.
pub async fn started() -> T {
    T::with(with_master_key).await
}

impl T {
    /// Adds an app to the account of somebody who has just logged in. Returns the recovery codes as well.
    pub async fn add_authenticator(&self, person: &Person<'_>) -> (Authenticator, Vec<String>) {
        let path = "/api/v1/users/self/factors";
        let begun = person.post(path, &json!({ "factor": "totp" })).await.expect(200).body;
        let app = Authenticator::new(self, begun["key"].as_str().unwrap());
        self.secret(begun["uri"].as_str().unwrap());
        let code = json!({ "code": app.code(self) });
        let added = person.post(&format!("{path}/confirm"), &code).await.expect(200).body;
        (app, self.secrets_of(&added["recoveryCodes"]))
    }

    /// Texts that the log must not have.
    pub fn secrets_of(&self, list: &Value) -> Vec<String> {
        let texts: Vec<String> =
            list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect();
        texts.iter().for_each(|text| self.secret(text));
        texts
    }

    /// A user with an app and recovery codes.
    pub async fn member_with_authenticator(&self, username: &str) -> (i64, Authenticator, Vec<String>) {
        let (id, person) = self.member(username).await;
        let (app, codes) = self.add_authenticator(&person).await;
        (id, app, codes)
    }

    /// Somebody who has signed in on the pages, with a code.
    pub async fn tab_with_code(&self, username: &str, app: &Authenticator) -> Tab<'_> {
        self.tab_with_code_of(username, &password_of(username), app).await
    }

    /// As [`T::tab_with_code`], with another password.
    pub async fn tab_with_code_of(&self, username: &str, password: &str, app: &Authenticator) -> Tab<'_> {
        let tab = self.tab();
        tab.sign_in(username, password).await.to("/sign-in/second-factor");
        let code = app.next_code(self);
        tab.submit("/sign-in/second-factor", &[("code", &code)]).await.to("/account");
        tab
    }
}

/// The key on the page of a new app.
pub fn key_on(page: &str) -> String {
    let (_, rest) = page.split_once("<code id=\"key\">").unwrap();
    unescaped(rest.split('<').next().unwrap()).replace(' ', "")
}

/// The recovery codes on a page.
pub fn codes_on(page: &str) -> Vec<String> {
    page.split("<li><code>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect()
}
