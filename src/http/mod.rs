//! What every HTTP edge shares.

/// What handlers work with.
pub mod state;
