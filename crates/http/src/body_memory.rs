//! Memory for request bodies that are being received, with a limit for all of them together.
//!
//! A buffer is a separate anonymous mapping: only received bytes take memory, it is never moved to grow, and all of it
//! is returned to the system when the last reader drops it. On the heap, a flood of bodies would leave holes that the
//! allocator keeps.

use std::sync::Arc;

use hyper::body::Bytes;
use memmap2::MmapMut;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::incoming::BodyError;

/// Reservation step of a buffer, in bytes: a page, and more for large bodies.
const SMALL_STEP: usize = 4 * 1024;
const LARGE_STEP: usize = 64 * 1024;

/// The bytes that all bodies together may take. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct BodyMemory(Arc<Semaphore>);

impl BodyMemory {
    /// With this many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))))
    }

    /// An empty buffer for up to `most` bytes.
    ///
    /// # Errors
    /// [`BodyError::NoMemory`] if nothing is left, here or in the system.
    pub(super) fn buffer(&self, most: u64) -> Result<BodyBuffer, BodyError> {
        let most = usize::try_from(most).map_err(|_| BodyError::NoMemory)?.max(1);
        let reserved = self.reserve(0)?;
        let map = MmapMut::map_anon(most).map_err(|_| BodyError::NoMemory)?;
        // A huge page for the first byte would be uncounted memory. Not every kernel has them.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::NoHugePage);
        Ok(BodyBuffer { memory: self.clone(), map, length: 0, reserved })
    }

    fn reserve(&self, bytes: usize) -> Result<OwnedSemaphorePermit, BodyError> {
        let bytes = u32::try_from(bytes).map_err(|_| BodyError::NoMemory)?;
        Arc::clone(&self.0).try_acquire_many_owned(bytes).map_err(|_| BodyError::NoMemory)
    }
}

/// The received part of a body. Dropping it returns its memory.
#[derive(Debug)]
pub(super) struct BodyBuffer {
    memory: BodyMemory,
    map: MmapMut,
    length: usize,
    reserved: OwnedSemaphorePermit,
}

impl BodyBuffer {
    /// Appends received bytes.
    ///
    /// # Errors
    /// [`BodyError::NoMemory`] if all bodies together would take too much; [`BodyError::Broken`] for more bytes than
    /// the buffer's maximum.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), BodyError> {
        let end = self.length + bytes.len();
        let free = self.map.get_mut(self.length..end).ok_or(BodyError::Broken)?;
        let reserved = self.reserved.num_permits();
        if end > reserved {
            let step = if end > LARGE_STEP { LARGE_STEP } else { SMALL_STEP };
            self.reserved.merge(self.memory.reserve(end.next_multiple_of(step) - reserved)?);
        }
        free.copy_from_slice(bytes);
        self.length = end;
        Ok(())
    }

    /// The whole body.
    pub(super) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for BodyBuffer {
    fn as_ref(&self) -> &[u8] {
        self.map.get(..self.length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1024;

    fn free(memory: &BodyMemory) -> usize {
        memory.0.available_permits()
    }

    #[test]
    fn a_body_takes_memory_for_received_bytes_and_returns_it() {
        let memory = BodyMemory::new(256 * KIB);
        let mut buffer = memory.buffer(200 * 1024).unwrap();
        assert_eq!(free(&memory), 256 * KIB, "bytes not yet received take nothing");
        buffer.push(b"a").unwrap();
        assert_eq!(free(&memory), 252 * KIB);
        buffer.push(&[b'b'; 100 * KIB]).unwrap();
        assert_eq!(free(&memory), 128 * KIB);
        let bytes = buffer.into_bytes();
        let other = bytes.clone();
        assert_eq!((bytes.len(), &bytes[..3]), (100 * KIB + 1, &b"abb"[..]));
        drop(bytes);
        assert_eq!(free(&memory), 128 * KIB, "a reader still has it");
        drop(other);
        assert_eq!(free(&memory), 256 * KIB);
    }

    #[test]
    fn all_bodies_together_are_bounded() {
        let memory = BodyMemory::new(16 * KIB);
        let mut first = memory.buffer(64 * 1024).unwrap();
        let mut second = memory.buffer(64 * 1024).unwrap();
        first.push(&[0; 12 * KIB]).unwrap();
        second.push(&[0; 4 * KIB]).unwrap();
        assert_eq!(second.push(&[0]), Err(BodyError::NoMemory));
        assert_eq!(second.as_ref().len(), 4 * KIB);
        drop(first);
        second.push(&[0]).unwrap();
        assert_eq!(second.push(&[0; 64 * KIB]), Err(BodyError::Broken), "more than its maximum");
    }
}
