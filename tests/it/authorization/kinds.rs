//! The kinds of callers.

/// The kinds of callers, in the order of the columns of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerKind {
    Nobody,
    ExpiredToken,
    Member,
    MemberWithTemporaryPassword,
    Admin,
    AdminWithTemporaryPassword,
    OtherPartnersAdmin,
    TechnicalAccount,
    TechnicalAdmin,
    Operator,
    SuspendedPartnersAdmin,
    ReadingAdmin,
    WritingAdmin,
    ReadingMember,
    WritingMember,
    ReadingTechnicalAccount,
    WritingTechnicalAccount,
}

pub const KINDS: [CallerKind; 17] = [
    CallerKind::Nobody,
    CallerKind::ExpiredToken,
    CallerKind::Member,
    CallerKind::MemberWithTemporaryPassword,
    CallerKind::Admin,
    CallerKind::AdminWithTemporaryPassword,
    CallerKind::OtherPartnersAdmin,
    CallerKind::TechnicalAccount,
    CallerKind::TechnicalAdmin,
    CallerKind::Operator,
    CallerKind::SuspendedPartnersAdmin,
    CallerKind::ReadingAdmin,
    CallerKind::WritingAdmin,
    CallerKind::ReadingMember,
    CallerKind::WritingMember,
    CallerKind::ReadingTechnicalAccount,
    CallerKind::WritingTechnicalAccount,
];
