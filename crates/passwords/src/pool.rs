//! The hash threads, their queue and their memory.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};
#[cfg(target_os = "linux")]
use thread_priority::{NormalThreadSchedulePolicy, ThreadSchedulePolicy};
use tokio::sync::oneshot;

use crate::Whose;
use tenantry_core::error::{Error, Result};
use tenantry_core::fair::Fair;
use tenantry_core::supervise::Supervisor;

/// How long a thread without work keeps its memory.
pub(super) const IDLE: Duration = Duration::from_secs(1);
/// The nice value of ordinary threads.
const NICE: i32 = 15;
/// The `Retry-After` of a full queue.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The queue can grow to this multiple of its capacity for keys that have less than their share of it.
const MOST: usize = 2;
/// Above its largest mmap threshold (32 MiB on 64 bits) glibc always returns freed memory; below it, an adaptive
/// threshold makes it keep the memory (measured: 19 MiB more with every burst of logins). So more is reserved than
/// used: untouched pages cost nothing.
const RESERVED_BLOCKS: usize = 33 * 1024;

/// The handle of the threads, which end when it is dropped.
pub(super) struct Pool(Arc<Shared>);

impl Pool {
    /// Starts `threads` threads with a queue of at most `capacity` jobs in all; both are at least one. A thread that
    /// was idle for `idle` frees its memory.
    pub(super) fn start(
        supervisor: &Supervisor,
        threads: usize,
        capacity: usize,
        idle: Duration,
    ) -> Result<Self> {
        let names = (1..=threads.max(1)).map(|n| format!("hash-{n}"));
        Self::start_named(supervisor, names, Priority::Low, capacity, idle)
    }

    /// Starts the thread for expensive hashes, which yields the processor to the ordinary ones.
    pub(super) fn start_expensive(supervisor: &Supervisor, capacity: usize) -> Result<Self> {
        Self::start_named(
            supervisor,
            std::iter::once("hash-expensive".to_owned()),
            Priority::Idle,
            capacity,
            IDLE,
        )
    }

    fn start_named(
        supervisor: &Supervisor,
        names: impl Iterator<Item = String>,
        priority: Priority,
        capacity: usize,
        idle: Duration,
    ) -> Result<Self> {
        let (state, work) = (Mutex::default(), Condvar::new());
        // Created before the threads: if one cannot be started, dropping it ends the others.
        let (capacity, runs, jobs) = (capacity.max(1), Arc::default(), Arc::default());
        let pool = Self(Arc::new(Shared { capacity, idle, priority, state, work, runs, jobs }));
        for name in names {
            let shared = Arc::clone(&pool.0);
            #[cfg(test)]
            let tests = supervisor.clone();
            let work = move || {
                #[cfg(test)]
                tests.trip("hash");
                shared.run();
            };
            supervisor.thread(name, work).map_err(|e| {
                Error::internal(format!("a thread for password hashing cannot be started: {e}"))
            })?;
        }
        Ok(pool)
    }

    /// The number of jobs waiting for a thread.
    pub(super) fn waiting(&self) -> usize {
        self.0.lock().queue.len()
    }

    /// The number of Argon2s computed so far.
    pub(super) fn runs(&self) -> u64 {
        self.0.runs.load(Ordering::Relaxed)
    }

    /// The number of jobs started so far.
    pub(super) fn jobs(&self) -> u64 {
        self.0.jobs.load(Ordering::Relaxed)
    }

    /// Runs `work` on one of the threads. `work` can check whether the caller still waits for the result.
    pub(super) async fn submit<T: Send + 'static>(
        &self,
        whose: Whose,
        work: impl FnOnce(&mut Memory, &dyn Fn() -> bool) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (response, result) = oneshot::channel();
        let jobs = Arc::clone(&self.0.jobs);
        let job = Box::new(move |memory: &mut Memory| {
            if !response.is_closed() {
                jobs.fetch_add(1, Ordering::Relaxed);
                let done = work(memory, &|| !response.is_closed());
                // A caller that is gone needs no result.
                let _ = response.send(done);
            }
        });
        self.0.push(whose, job)?;
        // If the job panicked, the sender was dropped unused.
        result.await.unwrap_or_else(|_| Err(Error::internal("password hashing failed: its job panicked")))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.work.notify_all();
    }
}

type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// The queue and what its threads need.
struct Shared {
    capacity: usize,
    idle: Duration,
    priority: Priority,
    state: Mutex<PoolState>,
    work: Condvar,
    runs: Arc<AtomicU64>,
    /// The number of jobs started by all threads.
    jobs: Arc<AtomicU64>,
}

#[derive(Default)]
struct PoolState {
    /// A login storm of one key does not delay others.
    queue: Fair<Whose, Job>,
    closed: bool,
}

impl Shared {
    /// Jobs run without the lock, and no code that holds it can panic.
    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, whose: Whose, job: Job) -> Result<()> {
        let busy =
            || Error::Unavailable { what: "password hashing is busy".into(), retry_after: RETRY_AFTER };
        let mut state = self.lock();
        // There are more addresses than partners, so new keys at a full queue are bounded as well.
        if state.queue.len() >= MOST * self.capacity {
            return Err(busy());
        }
        state.queue.push(whose, job, self.capacity).map_err(|_| busy())?;
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    /// The loop of each thread, until the pool is dropped.
    fn run(&self) {
        self.priority.apply();
        let mut memory = Memory { blocks: Vec::new(), runs: Arc::clone(&self.runs) };
        while let Some(job) = self.next(&mut memory) {
            // A panic only ends its job; the memory is always overwritten, so it cannot be left inconsistent.
            let _ = catch_unwind(AssertUnwindSafe(|| job(&mut memory)));
        }
    }

    /// The next job, or `None` at the end. Frees the memory after a while without work.
    fn next(&self, memory: &mut Memory) -> Option<Job> {
        let free_at = Instant::now() + self.idle;
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(job) = state.queue.pop() {
                return Some(job);
            }
            if memory.blocks.capacity() == 0 {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let left = free_at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(state);
                memory.blocks = Vec::new();
                state = self.lock();
            } else {
                state = self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }
}

/// The scheduling priority of the threads.
#[derive(Debug, Clone, Copy)]
enum Priority {
    /// Below everything but hashing.
    Low,
    /// Below everything else, including ordinary hashes.
    Idle,
}

impl Priority {
    /// Gives the current thread this priority. On Linux nice values and scheduling policies belong to the thread
    /// (setpriority(2), "C library/kernel differences"; sched(7)); elsewhere this would slow the whole process.
    fn apply(self) {
        #[cfg(target_os = "linux")]
        let done = match self {
            Self::Low => rustix::process::setpriority_process(None, NICE).map_err(|e| e.to_string()),
            Self::Idle => thread_priority::set_thread_priority_and_policy(
                thread_priority::thread_native_id(),
                thread_priority::ThreadPriority::Min,
                ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle),
            )
            .map_err(|e| e.to_string()),
        };
        #[cfg(target_os = "linux")]
        if let Err(e) = done {
            tracing::debug!("password hashing runs at ordinary priority: {e}");
        }
    }
}

/// The memory blocks of Argon2, reused from job to job: new ones would have to be mapped and zeroed each time.
pub(super) struct Memory {
    blocks: Vec<Block>,
    /// The number of Argon2s computed by all threads: tests check that a login costs one (B23).
    runs: Arc<AtomicU64>,
}

impl Memory {
    /// Computes one Argon2.
    pub(super) fn argon2(
        &mut self,
        kind: Algorithm,
        version: Version,
        params: &Params,
        password: &str,
        salt: &[u8],
        output: &mut [u8],
    ) -> Result<()> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let blocks = params.block_count();
        if self.blocks.len() < blocks {
            // Freed before a larger one is allocated: its content need not be copied.
            self.blocks = Vec::new();
            self.blocks
                .try_reserve_exact(blocks.max(RESERVED_BLOCKS))
                .map_err(|_| Error::internal("no memory for password hashing"))?;
            self.blocks.resize(blocks, Block::new());
        }
        Argon2::new(kind, version, params.clone())
            .hash_password_into_with_memory(password.as_bytes(), salt, output, self.blocks.as_mut_slice())
            .map_err(|e| Error::internal(format!("a password cannot be hashed: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use tenantry_core::model::PartnerId;

    const NEVER_IDLE: Duration = Duration::from_secs(60);
    const ONE: Whose = Whose::Partner(PartnerId(1));
    const OTHER: Whose = Whose::Partner(PartnerId(2));

    fn pool(capacity: usize, idle: Duration) -> Arc<Pool> {
        Arc::new(Pool::start(&Supervisor::default(), 1, capacity, idle).unwrap())
    }

    async fn hash(pool: Arc<Pool>) -> Result<()> {
        pool.submit(ONE, |memory, _| {
            let params = Params::new(64, 1, 1, Some(32)).unwrap();
            memory.argon2(Algorithm::Argon2id, Version::V0x13, &params, "x", &[0; 16], &mut [0; 32])
        })
        .await
    }

    #[tokio::test]
    async fn a_thread_that_panics_is_restarted() {
        let supervisor = Supervisor::default();
        supervisor.let_panic("hash", 1);
        let pool = Arc::new(Pool::start(&supervisor, 1, 8, NEVER_IDLE).unwrap());
        hash(pool).await.unwrap();
        let mut text = String::new();
        supervisor.render(&mut text);
        assert!(text.contains("{thread=\"hash-1\"} 1\n"), "{text}");
    }

    /// Occupies the only thread until the sender is dropped.
    fn block(pool: &Arc<Pool>) -> (mpsc::Sender<()>, tokio::task::JoinHandle<Result<()>>) {
        let (release, blocked) = mpsc::channel::<()>();
        let (started, running) = mpsc::channel();
        let pool = Arc::clone(pool);
        let job = tokio::spawn(async move {
            pool.submit(ONE, move |_, _| {
                let _ = started.send(());
                let _ = blocked.recv();
                Ok(())
            })
            .await
        });
        tokio::task::block_in_place(|| running.recv().unwrap());
        (release, job)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_full_queue_refuses_jobs() {
        let pool = pool(2, NEVER_IDLE);
        let (release, blocked) = block(&pool);
        let waiting = [0, 1].map(|_| tokio::spawn(hash(Arc::clone(&pool))));
        while pool.waiting() < 2 {
            tokio::task::yield_now().await;
        }
        let error = hash(Arc::clone(&pool)).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { retry_after: RETRY_AFTER, .. }), "{error}");
        drop(release);
        blocked.await.unwrap().unwrap();
        for job in waiting {
            job.await.unwrap().unwrap();
        }
        hash(pool).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_storm_does_not_delay_others() {
        let pool = pool(4, NEVER_IDLE);
        let (release, blocked) = block(&pool);
        let (done, order) = mpsc::channel();
        let submit = |whose: Whose| {
            let (pool, done) = (Arc::clone(&pool), done.clone());
            tokio::spawn(async move {
                pool.submit(whose, move |_, _| {
                    let _ = done.send(whose);
                    Ok(())
                })
                .await
            })
        };
        let mut waiting: Vec<_> = (0..4).map(|_| submit(ONE)).collect();
        while pool.waiting() < 4 {
            tokio::task::yield_now().await;
        }
        assert!(submit(ONE).await.unwrap().is_err());
        waiting.push(submit(OTHER));
        while pool.waiting() < 5 {
            tokio::task::yield_now().await;
        }
        // A flood of new addresses is bounded as well.
        for n in 0..3 {
            waiting.push(submit(Whose::Partner(PartnerId(3 + n))));
        }
        while pool.waiting() < 8 {
            tokio::task::yield_now().await;
        }
        assert!(submit(Whose::Partner(PartnerId(9))).await.unwrap().is_err());
        drop(release);
        blocked.await.unwrap().unwrap();
        for job in waiting {
            job.await.unwrap().unwrap();
        }
        assert_eq!(order.iter().take(2).collect::<Vec<_>>(), [ONE, OTHER]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn jobs_of_callers_that_are_gone_are_skipped() {
        let pool = pool(2, NEVER_IDLE);
        let (release, blocked) = block(&pool);
        let gone = tokio::time::timeout(Duration::from_millis(20), hash(Arc::clone(&pool))).await;
        assert!(gone.is_err());
        drop(release);
        blocked.await.unwrap().unwrap();
        assert_eq!(pool.runs(), 0);
    }

    #[tokio::test]
    async fn a_panic_only_fails_its_job() {
        let pool = pool(2, NEVER_IDLE);
        let error = pool.submit::<()>(ONE, |_, _| panic!("of a test")).await.unwrap_err();
        assert!(matches!(error, Error::Internal(_)), "{error}");
        hash(pool).await.unwrap();
    }

    #[tokio::test]
    async fn memory_is_kept_while_there_is_work_and_freed_afterwards() {
        let size = |memory: &mut Memory, _: &dyn Fn() -> bool| Ok(memory.blocks.capacity());
        let busy = pool(2, NEVER_IDLE);
        hash(Arc::clone(&busy)).await.unwrap();
        assert!(busy.submit(ONE, size).await.unwrap() >= RESERVED_BLOCKS);
        let idle = pool(2, Duration::from_millis(1));
        hash(Arc::clone(&idle)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(idle.submit(ONE, size).await.unwrap(), 0);
        hash(idle).await.unwrap();
    }

    #[tokio::test]
    async fn threads_have_names_and_end_with_the_pool() {
        let pool = Pool::start(&Supervisor::default(), 3, 8, NEVER_IDLE).unwrap();
        let name =
            pool.submit(ONE, |_, _| Ok(std::thread::current().name().map(str::to_owned))).await.unwrap();
        assert!(["hash-1", "hash-2", "hash-3"].contains(&name.as_deref().unwrap()), "{name:?}");
        let shared = Arc::downgrade(&pool.0);
        drop(pool);
        for _ in 0..1_000 {
            if shared.strong_count() == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("a thread is left");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn only_the_hash_threads_are_nice() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let here = nice();
        assert_eq!(pool(2, NEVER_IDLE).submit(ONE, move |_, _| Ok(nice())).await.unwrap(), NICE);
        let expensive = Pool::start_expensive(&Supervisor::default(), 2).unwrap();
        let found = expensive.submit(ONE, move |_, _| {
            let policy = thread_priority::thread_schedule_policy().unwrap();
            Ok((policy, std::thread::current().name() == Some("hash-expensive")))
        });
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        assert_eq!(found.await.unwrap(), (idle, true));
        assert_eq!(nice(), here);
    }
}
