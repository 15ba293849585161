//! One event loop: lets in, serves, gives up on who dawdles, and leaves when told.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use gimmetime_clock::{Mono, source};
use mio::{Events, Poll, Token, Waker};

use crate::bench::Bench;
use crate::connection::{Connection, Surroundings, Turn};
use crate::door::{Door, Knock};
use crate::events;
use crate::running::Tally;
use crate::settings::Limits;
use crate::site::Site;

const EVENTS_AT_ONCE: usize = 256;
const ACCEPTS_AT_ONCE: usize = 64;
/// Idle connections looked at to make room for one newcomer.
const ROOM_TRIES: usize = 8;
/// Deadlines are kept to this.
const SWEEP_EVERY: Duration = Duration::from_millis(100);
/// A connection that has asked for nothing is not idle before this age: its first request is on the way.
const YOUTH: Duration = Duration::from_secs(1);
/// The same, for one found when the signal to leave comes.
const YOUTH_WHEN_LEAVING: Duration = Duration::from_millis(250);

const DOOR: Token = Token(usize::MAX);
const WAKE: Token = Token(usize::MAX - 1);

/// One thread's share of the service.
pub(crate) struct Worker {
    poll: Poll,
    door: Door,
    connections: Connections,
    bench: Bench,
    site: Arc<Site>,
    limits: Limits,
    /// Those that had more to do when their turn was over; each once, or one that sends fast had more turns in every lap.
    unfinished: Vec<usize>,
    /// Not later than the earliest deadline of a connection.
    sweep_at: Option<Mono>,
    /// When what is in flight is cut off; set = leaving.
    leaves_by: Option<Mono>,
    tally: Tally,
}

impl Worker {
    /// A loop that will serve `listener` under its own share of the limits.
    pub(crate) fn new(listener: std::net::TcpListener, site: Arc<Site>, limits: Limits) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let door = Door::open(listener, poll.registry(), DOOR)?;
        let worker = Self {
            poll,
            door,
            connections: Connections::default(),
            bench: Bench::new(),
            site,
            limits,
            unfinished: Vec::new(),
            sweep_at: None,
            leaves_by: None,
            tally: Tally::default(),
        };
        Ok((worker, waker))
    }

    /// Serves until the site is left and nothing is in flight, or the time for that is up.
    pub(crate) fn run(mut self) -> io::Result<Tally> {
        let mut events = Events::with_capacity(EVENTS_AT_ONCE);
        loop {
            match self.poll.poll(&mut events, self.patience(source::mono())) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            let now = source::mono();
            for event in &events {
                match event.token() {
                    DOOR => self.door.ring(),
                    WAKE => {}
                    Token(index) => self.serve(index, !event.is_read_closed(), now),
                }
            }
            for index in std::mem::take(&mut self.unfinished) {
                self.serve(index, false, now);
            }
            if self.leaves_by.is_none() && self.site.is_leaving() {
                self.leave(now);
            }
            self.admit(now);
            self.sweep(now);
            if self.leaves_by.is_some_and(|by| self.connections.count == 0 || by <= now) {
                self.tally.cut += self.connections.count as u64;
                let open: Vec<usize> = self.connections.indices().collect();
                for index in open {
                    self.remove(index);
                }
                return Ok(self.tally);
            }
        }
    }

    /// How long there is nothing to do without an event; `None` = for ever.
    fn patience(&self, now: Mono) -> Option<Duration> {
        if !self.unfinished.is_empty() {
            return Some(Duration::ZERO);
        }
        let next = [self.sweep_at, self.door.looks_again(now), self.leaves_by].into_iter().flatten().min()?;
        // The poll counts in milliseconds: a nanosecond early would be a lap for nothing.
        Some(next.since(now).saturating_add(Duration::from_micros(999)))
    }

    fn serve(&mut self, index: usize, drained: bool, now: Mono) {
        self.turn(index, now, |connection, around| connection.turn(Token(index), drained, around));
    }

    fn turn(&mut self, index: usize, now: Mono, act: impl FnOnce(&mut Connection, &mut Surroundings<'_>) -> Turn) {
        let Some(connection) = self.connections.get(index) else { return };
        let (bench, registry, limits) = (&mut self.bench, self.poll.registry(), &self.limits);
        let turn = act(connection, &mut Surroundings { bench, registry, site: &self.site, limits, now });
        let deadline = connection.deadline();
        let left_over = self.leaves_by.is_some() && connection.is_idle() && connection.fresh_since().is_none();
        match turn {
            Turn::Closes => return self.remove(index),
            Turn::Waits if left_over => return self.remove(index),
            Turn::Waits => {}
            Turn::Again if self.unfinished.contains(&index) => {}
            Turn::Again => self.unfinished.push(index),
        }
        self.sweep_at = Some(self.sweep_at.map_or(deadline, |at| at.min(deadline)));
    }

    fn remove(&mut self, index: usize) {
        if let Some(connection) = self.connections.remove(index) {
            self.tally.requests += connection.talk().answered();
            self.tally.refused += connection.talk().refused();
            self.door.make_way();
        }
    }

    /// Lets in who waits, as many as a turn allows.
    fn admit(&mut self, now: Mono) {
        for _ in 0..ACCEPTS_AT_ONCE {
            if !self.door.wants(now) {
                return;
            }
            if self.limits.connections <= self.connections.count {
                if !self.door.somebody_waits() {
                    return;
                }
                if !self.make_room(now) {
                    return self.crowded("as many connections as allowed", now);
                }
            }
            match self.door.knock() {
                Knock::In(stream) => self.welcome(Connection::new(stream, now, &self.limits)),
                Knock::Gone => {}
                Knock::Nobody => return,
                Knock::Full(_) if self.make_room(now) => {}
                Knock::Full(error) => return self.crowded(&error.to_string(), now),
            }
        }
    }

    fn welcome(&mut self, connection: Connection) {
        let deadline = connection.deadline();
        self.tally.connections += 1;
        let index = self.connections.insert(connection);
        let registered = self.connections.get(index).map(|new| new.register(self.poll.registry(), Token(index)));
        if registered.is_none_or(|result| result.is_err()) {
            return self.remove(index);
        }
        self.sweep_at = Some(self.sweep_at.map_or(deadline, |at| at.min(deadline)));
    }

    /// Closes the connection that has been idle for longest, if there is one that nobody would miss.
    fn make_room(&mut self, now: Mono) -> bool {
        for _ in 0..ROOM_TRIES {
            let Some(index) = self.connections.longest_idle(now) else { return false };
            self.serve(index, false, now); // its next request may have come in the meantime
            if self.connections.get(index).is_none_or(|connection| is_idle(connection, now)) {
                self.remove(index);
                self.tally.evicted += 1;
                return true;
            }
        }
        false
    }

    fn crowded(&mut self, reason: &str, now: Mono) {
        let (turned_away, tell) = self.door.crowded(now);
        self.tally.turned_away += turned_away;
        if tell {
            let open = self.connections.count as u64;
            let fields = [
                ("reason", reason.into()),
                ("connections", open.into()),
                ("turned_away", self.tally.turned_away.into()),
            ];
            events::tell(source::wall(), "crowded", &fields);
        }
    }

    /// Gives up on connections whose time is up, and finds out whose is next.
    fn sweep(&mut self, now: Mono) {
        if self.sweep_at.is_none_or(|at| now < at) {
            return;
        }
        self.sweep_at = None;
        let mut next: Option<Mono> = None;
        let due: Vec<usize> = self
            .connections
            .iter()
            .filter_map(|(index, connection)| {
                let deadline = connection.deadline();
                if deadline <= now {
                    return Some(index);
                }
                next = Some(next.map_or(deadline, |next| next.min(deadline)));
                None
            })
            .collect();
        for index in due {
            self.turn(index, now, |connection, around| connection.expire(Token(index), around));
        }
        let next = [self.sweep_at, next].into_iter().flatten().min();
        self.sweep_at = next.map(|next| next.max(now.plus(SWEEP_EVERY)));
    }

    /// Lets in all who are in the queue, stops listening, and closes what nothing is in flight on.
    fn leave(&mut self, now: Mono) {
        self.leaves_by = Some(now.plus(self.limits.drain));
        loop {
            match self.door.knock() {
                Knock::In(stream) => self.welcome(Connection::new(stream, now, &self.limits)),
                Knock::Gone => {}
                Knock::Full(_) if self.make_room(now) => {}
                Knock::Full(_) | Knock::Nobody => break,
            }
        }
        self.door.close(self.poll.registry());
        let open: Vec<usize> = self.connections.indices().collect();
        for index in open {
            self.serve(index, false, now);
            let Some(connection) = self.connections.get(index) else { continue };
            match connection.fresh_since() {
                Some(since) if connection.is_idle() && now.since(since) < YOUTH => {
                    connection.hurry(now.plus(YOUTH_WHEN_LEAVING));
                    self.sweep_at = Some(now);
                }
                _ if connection.is_idle() => self.remove(index),
                _ => {}
            }
        }
    }
}

/// Whether nobody would miss an answer on it.
fn is_idle(connection: &Connection, now: Mono) -> bool {
    connection.is_idle() && connection.fresh_since().is_none_or(|since| YOUTH <= now.since(since))
}

/// The open connections, each at an index that stays its own.
#[derive(Debug, Default)]
struct Connections {
    slots: Vec<Option<Connection>>,
    free: Vec<usize>,
    count: usize,
}

impl Connections {
    fn insert(&mut self, connection: Connection) -> usize {
        self.count += 1;
        if let Some(index) = self.free.pop() {
            self.slots[index] = Some(connection);
            return index;
        }
        self.slots.push(Some(connection));
        self.slots.len() - 1
    }

    fn remove(&mut self, index: usize) -> Option<Connection> {
        let connection = self.slots.get_mut(index)?.take()?;
        self.count -= 1;
        self.free.push(index);
        Some(connection)
    }

    fn get(&mut self, index: usize) -> Option<&mut Connection> {
        self.slots.get_mut(index)?.as_mut()
    }

    fn iter(&self) -> impl Iterator<Item = (usize, &Connection)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| Some((index, slot.as_ref()?)))
    }

    fn indices(&self) -> impl Iterator<Item = usize> {
        self.iter().map(|(index, _)| index)
    }

    fn longest_idle(&self, now: Mono) -> Option<usize> {
        let idle = self.iter().filter(|(_, connection)| is_idle(connection, now));
        idle.min_by_key(|(_, connection)| connection.deadline()).map(|(index, _)| index)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Ipv4Addr, TcpStream};

    use super::*;

    #[test]
    fn a_client_that_sends_fast_waits_for_one_turn_at_a_time() {
        let listener = Door::listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        rustix::net::sockopt::set_socket_recv_buffer_size(&listener, 1 << 20).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let site = Arc::new(Site::new("0123456789ab".to_owned()));
        let (mut worker, _waker) = Worker::new(listener, site, Limits::default()).unwrap();
        client.write_all(b"this is no request\r\n\r\n").unwrap();
        client.set_nonblocking(true).unwrap();
        while client.write(&[b'x'; 16 * 1024]).is_ok() {}
        let now = source::mono();
        worker.admit(now);
        for _ in 0..2 {
            worker.serve(0, false, now);
            assert_eq!(worker.unfinished, [0]);
        }
    }
}
