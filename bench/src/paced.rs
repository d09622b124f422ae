//! An open loop: load at a fixed rate, independent of the responses. A server that falls behind gets no relief, unlike
//! with a closed loop, so a request's latency counts from when it was due.

use std::io;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};

use crate::load::{Ask, Connection, Generator, Load, READ, Sample, TIMEOUT, measure, worked};
use crate::scratch::Stop;
use tenantry::cli::command_error::CommandError;

/// Maximum sleep between two checks for due requests and whether the run was stopped.
const LOOK: Duration = Duration::from_millis(100);
/// Requests due within this time are sent together: shorter sleeps would only cost wakeups.
const TOGETHER: Duration = Duration::from_micros(200);

/// The result, and the number of requests that were due but never sent, since all connections were waiting.
pub(crate) struct Paced {
    pub(crate) sample: Sample,
    pub(crate) unsent: u64,
}

/// Sends `rate` requests per second over many connections.
pub(crate) fn run(load: &Load, rate: f64, ask: &mut Ask<'_>, stop: &Stop) -> Result<Paced, CommandError> {
    let paced = Generator::open(load).and_then(|generator| paced(generator, load, rate, ask, stop));
    stop.check()?;
    paced.map_err(failed)
}

fn failed(e: io::Error) -> CommandError {
    CommandError::new("load", format!("a request failed: {e}"))
}

fn paced(
    mut generator: Generator,
    load: &Load,
    rate: f64,
    ask: &mut Ask<'_>,
    stop: &Stop,
) -> io::Result<Paced> {
    let (mut sample, mut request, mut buffer) = (Sample::default(), Vec::new(), vec![0; READ]);
    let mut free: Vec<usize> = (0..generator.connections.len()).collect();
    let (mut sent, begun, before) = (0_u64, Instant::now(), worked());
    let end = begun + load.time;
    let mut events = Vec::with_capacity(load.connections);
    loop {
        let now = Instant::now();
        let due_by_now = (now.min(end).duration_since(begun).as_secs_f64() * rate) as u64;
        while sent < due_by_now {
            let Some(connection) = free.pop().and_then(|at| generator.connections.get_mut(at)) else { break };
            request.clear();
            ask(&mut request);
            connection.send(&request)?;
            connection.sent = begun + Duration::from_secs_f64(sent as f64 / rate);
            sent += 1;
        }
        let all_answered = free.len() == generator.connections.len();
        let is_over = now >= end && (all_answered || now > end + TIMEOUT);
        // A short time may end before the first response, which is then waited for.
        if sample.elapsed.is_zero() && (is_over || now >= end && sample.answers > 0) {
            (sample.elapsed, sample.busy) = measure(begun, now, before);
        }
        if is_over || stop.check().is_err() {
            return Ok(Paced { sample, unsent: due_by_now.saturating_sub(sent) });
        }
        let wait = match free.is_empty() || now >= end {
            true => LOOK,
            false => (begun + Duration::from_secs_f64((sent + 1) as f64 / rate)).duration_since(now),
        };
        let wait = wait.clamp(TOGETHER, LOOK);
        let wait = Timespec { tv_sec: 0, tv_nsec: wait.subsec_nanos().into() };
        events.clear();
        match epoll::wait(&generator.epoll, rustix::buffer::spare_capacity(&mut events), Some(&wait)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        for event in &events {
            let at = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
            let Some(connection) = generator.connections.get_mut(at) else { continue };
            let Some(answer) = connection.receive(&mut buffer)? else { continue };
            let now = Instant::now();
            let counts = sample.note(load, answer, now.duration_since(connection.sent));
            sample.answers += u64::from(counts && (now < end || sample.answers == 0));
            free.push(at);
        }
    }
}

/// The results of one quiet client that sends `rate` requests per second over one connection: it sleeps between its
/// requests and waits for each response.
pub(crate) fn quiet(load: &Load, rate: f64, ask: &mut Ask<'_>, stop: &Stop) -> Result<Sample, CommandError> {
    let sample = one_by_one(load, Duration::from_secs_f64(1.0 / rate), ask, stop);
    stop.check()?;
    sample.map_err(failed)
}

fn one_by_one(load: &Load, pause: Duration, ask: &mut Ask<'_>, stop: &Stop) -> io::Result<Sample> {
    let mut connection = Connection::open(load.address)?;
    connection.stream.set_read_timeout(Some(LOOK))?;
    let (mut sample, mut request, mut buffer) = (Sample::default(), Vec::new(), vec![0; READ]);
    let (begun, mut answered) = (Instant::now(), None::<Instant>);
    let mut due = begun;
    while (due < begun + load.time || sample.answers == 0) && stop.check().is_ok() {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        request.clear();
        ask(&mut request);
        connection.send(&request)?;
        // A late wakeup is not caused by the server; a response after the next request was due is.
        if answered.is_some_and(|at| at > due) {
            connection.sent = due;
        }
        let answer = loop {
            if let Some(answer) = connection.receive(&mut buffer)? {
                break answer;
            }
            if stop.check().is_err() || connection.sent.elapsed() > TIMEOUT {
                return Err(io::ErrorKind::TimedOut.into());
            }
        };
        let now = Instant::now();
        sample.answers += u64::from(sample.note(load, answer, now.duration_since(connection.sent)));
        answered = Some(now);
        due += pause;
    }
    sample.elapsed = begun.elapsed();
    Ok(sample)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_time_lasts_until_the_first_response() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let time = Duration::from_millis(20);
        let load = Load { address, connections: 1, time, status: 200, may_refuse: true, is_awake: false };
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut pause = time * 2;
            while stream.read_exact(&mut [0; 4]).is_ok() {
                std::thread::sleep(std::mem::take(&mut pause));
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
            }
        });
        let Paced { sample, unsent } =
            run(&load, 1_000.0, &mut |request| request.extend(b"GET "), &Stop::default()).unwrap();
        server.join().unwrap();
        // Of the twenty due in that time the first counts, and all are sent.
        assert_eq!((sample.answers, sample.latencies.len(), unsent), (1, 20, 0));
        assert!(sample.elapsed >= time * 2 && sample.per_second() > 0.0);
    }
}
