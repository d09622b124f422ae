//! Background work: delivers mail from the outbox and removes expired data.

mod deliver;
mod housekeep;
mod requests;
#[cfg(test)]
mod tests;

pub use deliver::{Delivered, deliver_due};
use deliver::{Sent, begin, mark};
pub use housekeep::{Housekeeping, housekeep, scrub};
pub use requests::issue_requested;

use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::Instant;

use tenantry_core::error::{Error, Result};
use tenantry_domain::outbox;
use tenantry_domain::services::Services;
use tenantry_mail::{Mailer, Stop};
use tenantry_store::access::nobody;

/// Maximum sleep. Due times may be by the clock of a database, which can be set; sleeping uses a monotonic clock.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// The interval of housekeeping.
const HOUSEKEEPING: Duration = Duration::from_secs(60);

/// The delay after an error of the store.
const AFTER_A_FAULT: Duration = Duration::from_secs(1);

/// The worker's thread. Dropping it has the effect of [`Worker::stop`].
#[derive(Debug)]
pub struct Worker {
    /// Dropped to stop the thread.
    stop: Option<oneshot::Sender<()>>,
    /// Ends the batch in progress.
    batch: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the worker. It keeps the database open until it is stopped.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(services: Services, mailer: Mailer) -> Result<Self> {
        let failed = |e: std::io::Error| Error::internal(format!("cannot start the worker thread: {e}"));
        services.store.delivers_mail();
        // A separate runtime, at low priority. SMTP and files block: that is on threads of its own.
        let runtime = Builder::new_current_thread().enable_time().build().map_err(failed)?;
        let (stop, mut stopped) = oneshot::channel();
        let supervisor = services.store.supervisor().clone();
        let mut rounds = Rounds::new(&services, &mailer);
        let batch = rounds.stop.clone();
        let thread = supervisor
            .thread("worker", move || {
                run_in_background();
                runtime.block_on(rounds.run(&mut stopped));
            })
            .map_err(failed)?;
        Ok(Self { stop: Some(stop), batch, thread: Some(thread) })
    }

    /// Stops the worker. Blocks until the message that was handed over to a relay is confirmed, for at most a minute; no
    /// other one is waited for.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.batch.request();
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Sets nice 19, so that requests go first. On Linux a nice value belongs to the thread (setpriority(2), "C
/// library/kernel differences"); elsewhere this would slow the whole process.
fn run_in_background() {
    #[cfg(target_os = "linux")]
    if let Err(e) = rustix::process::setpriority_process(None, 19) {
        tracing::debug!("the worker runs at ordinary priority: {e}");
    }
}

/// State that survives from one round to the next, also across a panic.
struct Rounds {
    services: Services,
    mailer: Mailer,
    stop: Stop,
    housekeeping_at: Instant,
    /// Deliveries whose outcome could not be stored. They are not sent again because of that.
    unmarked: Option<Sent>,
    /// Messages or personal values were removed since the last [`scrub`], or possibly before this process started.
    is_soiled: bool,
    is_faulty: bool,
}

impl Rounds {
    fn new(services: &Services, mailer: &Mailer) -> Self {
        let (services, mailer, housekeeping_at) = (services.clone(), mailer.clone(), Instant::now());
        let stop = Stop::default();
        Self { services, mailer, stop, housekeeping_at, unmarked: None, is_soiled: true, is_faulty: false }
    }

    /// Runs until `stop` is dropped.
    async fn run(&mut self, stop: &mut oneshot::Receiver<()>) {
        loop {
            let pause = match self.round().await {
                Ok(pause) => {
                    if std::mem::take(&mut self.is_faulty) {
                        tracing::info!("the worker has recovered");
                    }
                    pause
                }
                Err(e) => {
                    // Logged once, not every second of an outage.
                    if !std::mem::replace(&mut self.is_faulty, true) {
                        tracing::error!(%e, "the worker failed and keeps retrying");
                    }
                    AFTER_A_FAULT
                }
            };
            tokio::select! {
                biased;
                _ = &mut *stop => return,
                () = self.services.store.mail_arrived(), if !self.is_faulty => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn deliver(&mut self) -> Result<Delivered> {
        let sent = match self.unmarked.take() {
            Some(sent) => sent,
            None => self.send().await?,
        };
        let marked = mark(&self.services, &sent).await;
        if marked.is_err() {
            self.unmarked = Some(sent);
        }
        marked
    }

    /// Sends a batch. A relay may take minutes for each response: meanwhile the leases are renewed and the housekeeping is
    /// done.
    async fn send(&mut self) -> Result<Sent> {
        let mut sending = begin(&self.services, &self.mailer, outbox::BATCH, &self.stop).await?;
        let mut renew_at = Instant::now() + outbox::RENEWAL;
        loop {
            let done = tokio::select! {
                biased;
                () = sending.wait() => return Ok(sending.into_sent()),
                () = tokio::time::sleep_until(renew_at) => {
                    renew_at = Instant::now() + outbox::RENEWAL;
                    sending.renew(&self.services).await
                }
                () = tokio::time::sleep_until(self.housekeeping_at) => self.housekeep().await,
            };
            if let Err(e) = done {
                // Not returned, which would forget the batch. The next round has the same error.
                tracing::error!(%e, "the worker failed while mail is being delivered");
                self.housekeeping_at = Instant::now() + HOUSEKEEPING;
            }
        }
    }

    async fn housekeep(&mut self) -> Result<()> {
        self.is_soiled |= housekeep(&self.services).await?.leaves_traces();
        if self.is_soiled {
            self.is_soiled = !scrub(&self.services).await?;
        }
        self.housekeeping_at = Instant::now() + HOUSEKEEPING;
        Ok(())
    }

    /// Sends one batch of mail, and does the housekeeping when it is due. Returns how long to sleep.
    async fn round(&mut self) -> Result<Duration> {
        #[cfg(any(test, feature = "testing"))]
        self.services.store.supervisor().trip("worker");
        let delivered = self.deliver().await?;
        self.is_soiled |= delivered.delivered + delivered.dead_letters + delivered.expired > 0;
        if Instant::now() >= self.housekeeping_at {
            self.housekeep().await?;
        }
        if delivered.is_full {
            return Ok(Duration::ZERO);
        }
        let due = self.services.store.read(&nobody(), |tx| outbox::next_due(tx)).await?;
        let until_mail = due.map_or(LONGEST_SLEEP, |at| {
            Duration::from_millis(u64::try_from(at - self.services.clock.read().steady).unwrap_or(0))
        });
        let until_housekeeping = self.housekeeping_at.saturating_duration_since(Instant::now());
        Ok(until_mail.min(until_housekeeping).min(LONGEST_SLEEP))
    }
}
