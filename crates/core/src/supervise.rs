//! Supervises the threads and tasks of a running server. One that panics is restarted; one that keeps panicking is
//! lost, and the process then exits.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// A thread or task that panics more often than this within [`WITHIN`] is not restarted.
const MOST: usize = 5;
const WITHIN: Duration = Duration::from_secs(60);

/// Delay before a thread or task is restarted.
const PAUSE: Duration = Duration::from_millis(100);

const RESTARTED: &str = "tenantry_threads_restarted_total";
const MISSING: &str = "tenantry_threads_missing";

/// The threads and tasks of one server, by name. Clones share the state.
#[derive(Debug, Clone, Default)]
pub struct Supervisor(Arc<Inner>);

#[cfg(any(test, feature = "testing"))]
thread_local! {
    /// Threads and tasks started from this thread under this name always panic.
    pub static ARMED: std::cell::RefCell<Option<String>> = const { std::cell::RefCell::new(None) };
}

#[derive(Debug, Default)]
struct Inner {
    parts: Mutex<BTreeMap<String, Part>>,
    /// The first lost thread or task.
    lost: watch::Sender<Option<String>>,
    #[cfg(any(test, feature = "testing"))]
    trips: Mutex<BTreeMap<String, u32>>,
}

#[derive(Debug, Default)]
struct Part {
    state: PartState,
    restarts: u64,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum PartState {
    #[default]
    Running,
    /// It panicked and is about to be restarted.
    Restarting,
    /// It panicked too often.
    Lost,
    /// It finished, or was stopped.
    Ended,
}

impl Supervisor {
    /// Starts a thread. It ends when `body` returns; if `body` panics, it is called again.
    ///
    /// # Errors
    /// The system cannot create the thread.
    pub fn thread(
        &self,
        name: impl Into<String>,
        mut body: impl FnMut() + Send + 'static,
    ) -> std::io::Result<JoinHandle<()>> {
        let name = name.into();
        let mut watched = self.watch(&name);
        std::thread::Builder::new().name(name).spawn(move || {
            loop {
                match catch_unwind(AssertUnwindSafe(&mut body)) {
                    Ok(()) => return watched.set(PartState::Ended),
                    Err(panic) if watched.may_restart(&*panic, Instant::now()) => std::thread::sleep(PAUSE),
                    Err(_) => return,
                }
                watched.set(PartState::Running);
            }
        })
    }

    /// Starts a thread that the server can do without: a panic is reported, and the thread is not restarted.
    ///
    /// # Errors
    /// The system cannot create the thread.
    pub fn optional_thread(
        &self,
        name: impl Into<String>,
        body: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<JoinHandle<()>> {
        let name = name.into();
        let mut watched = self.watch(&name);
        std::thread::Builder::new().name(name).spawn(move || {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(body)) {
                report(|| {
                    tracing::error!(thread = watched.name, panic = words_of(&*panic), "a thread panicked")
                });
            }
            watched.set(PartState::Ended);
        })
    }

    /// Starts a task of the current runtime. It ends when its future is ready or when it is aborted; if it panics,
    /// another one is started.
    pub fn task<F>(
        &self,
        name: impl Into<String>,
        mut make: impl FnMut() -> F + Send + 'static,
    ) -> tokio::task::JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut watched = self.watch(&name.into());
        watched.is_task = true;
        tokio::spawn(async move {
            loop {
                let ended = match catch_unwind(AssertUnwindSafe(&mut make)) {
                    Ok(future) => caught(future).await,
                    Err(panic) => Err(panic),
                };
                match ended {
                    Ok(()) => return watched.set(PartState::Ended),
                    Err(panic) if watched.may_restart(&*panic, Instant::now()) => {}
                    Err(_) => return,
                }
                tokio::time::sleep(PAUSE).await;
                watched.set(PartState::Running);
            }
        })
    }

    /// The threads and tasks that should be running and are not.
    pub fn missing(&self) -> Vec<String> {
        let is_missing = |part: &Part| matches!(part.state, PartState::Restarting | PartState::Lost);
        self.0.parts().iter().filter(|(_, part)| is_missing(part)).map(|(name, _)| name.clone()).collect()
    }

    /// Waits until a thread or task is lost, and returns its name.
    pub async fn lost(&self) -> String {
        let mut lost = self.0.lost.subscribe();
        let found = lost.wait_for(Option::is_some).await.map(|name| name.clone().unwrap_or_default());
        // Never closed: this holds the sender.
        found.unwrap_or_default()
    }

    /// Appends the metrics, in the text format of Prometheus.
    pub fn render(&self, text: &mut String) {
        let parts = self.0.parts();
        // Writing to a string does not fail.
        let _ = writeln!(text, "# HELP {RESTARTED} Threads and tasks restarted after a panic.");
        let _ = writeln!(text, "# TYPE {RESTARTED} counter");
        for (name, part) in parts.iter() {
            let _ = writeln!(text, "{RESTARTED}{{thread=\"{name}\"}} {}", part.restarts);
        }
        let missing = parts
            .values()
            .filter(|part| matches!(part.state, PartState::Restarting | PartState::Lost))
            .count();
        let _ = writeln!(text, "\n# HELP {MISSING} Threads and tasks that should be running and are not.");
        let _ = writeln!(text, "# TYPE {MISSING} gauge\n{MISSING} {missing}\n");
    }

    fn watch(&self, name: &str) -> Watched {
        let mut parts = self.0.parts();
        parts.entry(name.to_owned()).or_default().state = PartState::Running;
        #[cfg(any(test, feature = "testing"))]
        if ARMED.with_borrow(|armed| armed.as_deref() == Some(name)) {
            self.let_panic(name, u32::MAX);
        }
        Watched { inner: Arc::clone(&self.0), name: name.to_owned(), panics: VecDeque::new(), is_task: false }
    }

    /// Makes the thread or task of this name panic the next `times` times that it reaches [`Supervisor::trip`].
    #[cfg(any(test, feature = "testing"))]
    pub fn let_panic(&self, name: &str, times: u32) {
        self.0.trips.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), times);
    }

    /// A point where tests can make a thread or task panic.
    #[cfg(any(test, feature = "testing"))]
    pub fn trip(&self, name: &str) {
        let mut trips = self.0.trips.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = match trips.get_mut(name) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        };
        drop(trips);
        assert!(!is_due, "tripped {name}");
    }
}

impl Inner {
    fn parts(&self) -> MutexGuard<'_, BTreeMap<String, Part>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The handle of a thread or task to its own state. A thread that drops it without having ended is lost.
struct Watched {
    inner: Arc<Inner>,
    name: String,
    /// The most recent panics.
    panics: VecDeque<Instant>,
    is_task: bool,
}

impl Watched {
    fn set(&mut self, state: PartState) {
        if let Some(part) = self.inner.parts().get_mut(&self.name) {
            part.state = state;
        }
    }

    /// Reports a panic. Returns whether to restart.
    fn may_restart(&mut self, panic: &(dyn Any + Send), now: Instant) -> bool {
        self.panics.push_back(now);
        self.panics.retain(|at| now.duration_since(*at) < WITHIN);
        let is_lost = self.panics.len() > MOST;
        if let Some(part) = self.inner.parts().get_mut(&self.name) {
            part.state = if is_lost { PartState::Lost } else { PartState::Restarting };
            part.restarts += u64::from(!is_lost);
        }
        let (thread, panic) = (&self.name, words_of(panic));
        if is_lost {
            report(|| tracing::error!(thread, panic, "a thread panicked too often and is not restarted"));
            self.report_lost();
        } else {
            report(|| tracing::error!(thread, panic, "a thread panicked and is restarted"));
        }
        !is_lost
    }

    fn report_lost(&self) {
        self.inner.lost.send_if_modified(|lost| {
            let is_first = lost.is_none();
            lost.get_or_insert_with(|| self.name.clone());
            is_first
        });
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut parts = self.inner.parts();
        let Some(part) = parts.get_mut(&self.name) else { return };
        match part.state {
            PartState::Ended | PartState::Lost => {}
            // Aborted, or its runtime was shut down.
            PartState::Running | PartState::Restarting if self.is_task => part.state = PartState::Ended,
            PartState::Running | PartState::Restarting => {
                part.state = PartState::Lost;
                drop(parts);
                self.report_lost();
            }
        }
    }
}

/// Writes a log line. A panic of the log must not end a thread.
fn report(line: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(line));
}

/// The output of a future, or its panic.
async fn caught<T>(future: impl Future<Output = T>) -> Result<T, Box<dyn Any + Send>> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// The message of a panic.
pub fn words_of(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(words), _) => words,
        (_, Some(words)) => words,
        _ => "no message",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn restarts(supervisor: &Supervisor, name: &str) -> u64 {
        supervisor.0.parts().get(name).unwrap().restarts
    }

    #[test]
    fn a_thread_that_panics_is_restarted_and_keeps_its_state() {
        let supervisor = Supervisor::default();
        let (sender, receiver) = mpsc::channel();
        let (inside, mut count) = (supervisor.clone(), 0);
        supervisor.let_panic("one", 2);
        let thread = supervisor
            .thread("one", move || {
                count += 1;
                inside.trip("one");
                sender.send(count).unwrap();
            })
            .unwrap();
        assert_eq!(receiver.recv().unwrap(), 3);
        thread.join().unwrap();
        assert_eq!((restarts(&supervisor, "one"), supervisor.missing()), (2, Vec::new()));
        let mut text = String::new();
        supervisor.render(&mut text);
        assert!(text.contains("tenantry_threads_restarted_total{thread=\"one\"} 2\n"), "{text}");
        assert!(text.contains("\ntenantry_threads_missing 0\n"), "{text}");
    }

    #[tokio::test]
    async fn a_thread_that_keeps_panicking_is_lost_and_drops_its_state() {
        let supervisor = Supervisor::default();
        let (sender, receiver) = mpsc::channel::<()>();
        let thread = supervisor
            .thread("one", move || {
                let _held = &sender;
                panic!("always");
            })
            .unwrap();
        assert_eq!(supervisor.lost().await, "one");
        thread.join().unwrap();
        assert!(receiver.recv().is_err());
        assert_eq!(
            (restarts(&supervisor, "one"), supervisor.missing()),
            (MOST as u64, vec!["one".to_owned()])
        );
        let mut text = String::new();
        supervisor.render(&mut text);
        assert!(text.contains("\ntenantry_threads_missing 1\n"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_is_restarted_and_one_that_is_aborted_is_not_missing() {
        let supervisor = Supervisor::default();
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        supervisor.let_panic("task", 2);
        let inside = supervisor.clone();
        let task = supervisor.task("task", move || {
            let (inside, sender) = (inside.clone(), sender.clone());
            async move {
                tokio::task::yield_now().await;
                inside.trip("task");
                let _ = sender.send(());
                std::future::pending().await
            }
        });
        receiver.recv().await.unwrap();
        assert_eq!((restarts(&supervisor, "task"), supervisor.missing()), (2, Vec::new()));
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!((supervisor.missing(), supervisor.0.lost.borrow().clone()), (Vec::new(), None));
        supervisor.let_panic("task", u32::MAX);
        let inside = supervisor.clone();
        supervisor.task("task", move || {
            inside.trip("task");
            std::future::pending()
        });
        assert_eq!(supervisor.lost().await, "task");
    }

    #[test]
    fn an_optional_thread_is_not_missing() {
        let supervisor = Supervisor::default();
        supervisor.optional_thread("extra", || panic!("once")).unwrap().join().unwrap();
        assert_eq!((restarts(&supervisor, "extra"), supervisor.missing()), (0, Vec::new()));
    }
}
