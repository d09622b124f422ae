//! Randomness, passed as an argument: for tokens, identifiers and generated passwords.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A source of random bytes. Clones share the source.
#[derive(Clone)]
pub struct Random(Source);

#[derive(Clone)]
enum Source {
    System,
    /// A counter hashed with SHA-256: reproducible, for tests only.
    Seeded(Arc<Mutex<(u64, u64)>>),
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Random")
    }
}

impl Random {
    /// The operating system's generator.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A reproducible sequence: for tests only.
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Arc::new(Mutex::new((seed, 0)))))
    }

    /// Fills `out` with random bytes.
    #[expect(
        clippy::disallowed_methods,
        clippy::panic,
        reason = "the one place that calls the system; a server without randomness must not continue"
    )]
    pub fn fill(&self, out: &mut [u8]) {
        match &self.0 {
            Source::System => {
                if let Err(e) = getrandom::fill(out) {
                    panic!("the operating system has no randomness: {e}");
                }
            }
            Source::Seeded(state) => {
                use sha2::{Digest as _, Sha256};
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                for chunk in out.chunks_mut(32) {
                    state.1 += 1;
                    let mut hash = Sha256::new();
                    hash.update(state.0.to_le_bytes());
                    hash.update(state.1.to_le_bytes());
                    chunk.iter_mut().zip(hash.finalize()).for_each(|(o, b)| *o = b);
                }
            }
        }
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    /// `N` random bytes as unpadded base64url.
    pub fn token<const N: usize>(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<N>())
    }

    /// A number in `0..bound`, each equally likely. `bound` must be 1 to 256.
    pub fn below(&self, bound: usize) -> usize {
        let bound = bound.clamp(1, 256);
        let fair = 256 - 256 % bound;
        loop {
            let [byte] = self.bytes::<1>();
            if usize::from(byte) < fair {
                return usize::from(byte) % bound;
            }
        }
    }
}
