//! What an application gets, in words: scopes as people read them.

use tenantry_core::languages::Language;
use tenantry_core::scopes::{TokenScope, TokenScopes};

/// What an application gets, in words.
pub fn scope_texts(scopes: TokenScopes, language: Language) -> Vec<&'static str> {
    let text = |scope| match scope {
        TokenScope::OpenId => text!(language, "scope-openid"),
        TokenScope::Profile => text!(language, "scope-profile"),
        TokenScope::Email => text!(language, "scope-email"),
        TokenScope::Phone => text!(language, "scope-phone"),
        TokenScope::Groups => text!(language, "scope-groups"),
        TokenScope::Partner => text!(language, "scope-partner"),
        TokenScope::OfflineAccess => text!(language, "scope-offline-access"),
        TokenScope::Read => text!(language, "scope-read"),
        TokenScope::Write => text!(language, "scope-write"),
    };
    scopes.iter().map(text).collect()
}
