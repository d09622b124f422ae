//! Mails: their texts and the ways they travel.
