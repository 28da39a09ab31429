//! Random operations, reopenings among them, on the store and on a model that is too simple to be wrong.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::simulated::{Ending, Simulated};
use super::{Random, at, open, small};
use crate::queue::disk::Disk;
use crate::queue::{Kind, Limits, NewTask, Now, Queue, Refused, Retried, Taken, WhenFull, Why};

#[derive(Clone, Debug, PartialEq, Eq)]
enum Waits {
    Ready,
    Flight,
    /// Until this time, or a little earlier: pauses are spread.
    Delayed(u64, u64),
    Dead,
}

#[derive(Clone, Debug)]
struct Task {
    kind: Kind,
    order: Option<String>,
    key: Option<String>,
    deadline: Option<u64>,
    body: Vec<u8>,
    failures: u8,
    /// At most, once it was hurried: that is forgotten by a restart.
    steps: u8,
    hurried: bool,
    waits: Waits,
    bytes: u64,
    made_up_key: Option<String>,
}

/// The queue as lists.
struct Model {
    limits: Limits,
    tasks: BTreeMap<u64, Task>,
    /// Each order key's tasks that are not dead, the one whose turn it is first.
    chains: BTreeMap<String, Vec<u64>>,
    /// All that were ever done.
    history: BTreeMap<u64, String>,
    /// Of those that must be remembered: how many were done, or may come first, since.
    remembered: BTreeMap<u64, usize>,
    last_id: u64,
}

impl Model {
    fn owner(&self, key: &str) -> Option<u64> {
        let live = self.tasks.iter().find(|(_, task)| task.key.as_deref() == Some(key)).map(|(id, _)| *id);
        live.or_else(|| self.remembered.keys().find(|id| self.history[id] == key).copied())
    }

    fn bytes(&self) -> u64 {
        self.tasks.values().map(|task| task.bytes).sum()
    }

    fn remove(&mut self, id: u64) -> Task {
        let task = self.tasks.remove(&id).expect("a task");
        self.unchain(id, &task);
        task
    }

    fn unchain(&mut self, id: u64, task: &Task) {
        if let Some(chain) = task.order.as_ref().and_then(|order| self.chains.get_mut(order)) {
            chain.retain(|other| *other != id);
        }
    }

    fn die(&mut self, id: u64) -> Option<u64> {
        let task = self.tasks.get_mut(&id).expect("a task");
        task.waits = Waits::Dead;
        let task = task.clone();
        self.unchain(id, &task);
        let dead: Vec<u64> = self.dead();
        let evicted = (dead.len() > self.limits.max_dead as usize).then(|| dead[0]);
        evicted.inspect(|id| drop(self.remove(*id)))
    }

    fn dead(&self) -> Vec<u64> {
        self.tasks.iter().filter(|(_, task)| task.waits == Waits::Dead).map(|(id, _)| *id).collect()
    }

    fn has_turn(&self, id: u64, task: &Task) -> bool {
        task.order.as_ref().is_none_or(|order| self.chains[order].first() == Some(&id))
    }

    /// Who may be handed out at this time, of one kind or of any: surely, and perhaps.
    fn due(&self, kind: Option<Kind>, now: u64) -> (Vec<u64>, Vec<u64>) {
        let turn = |wanted: &dyn Fn(&Waits) -> bool| {
            let is_of_kind = |task: &Task| kind.is_none_or(|kind| task.kind == kind);
            let due = self
                .tasks
                .iter()
                .filter(|(id, task)| wanted(&task.waits) && is_of_kind(task) && self.has_turn(**id, task));
            due.map(|(id, _)| *id).collect::<Vec<_>>()
        };
        let surely = turn(&|waits| match waits {
            Waits::Ready => true,
            Waits::Delayed(_, latest) => *latest <= now,
            _ => false,
        });
        let perhaps = turn(&|waits| match waits {
            Waits::Ready => true,
            Waits::Delayed(earliest, _) => *earliest <= now,
            _ => false,
        });
        (surely, perhaps)
    }

    /// What must give way for `bytes` more, if that can be.
    fn giving_way(&self, bytes: u64) -> Option<Vec<u64>> {
        let idle = |(_, task): &(&u64, &Task)| !matches!(task.waits, Waits::Dead | Waits::Flight);
        let mut candidates = self.dead();
        if self.limits.when_full == WhenFull::DropOldest {
            candidates.extend(self.tasks.iter().filter(idle).map(|(id, _)| *id));
        }
        let (mut total, mut count) = (self.bytes() + bytes, self.tasks.len() + 1);
        let mut dropped = Vec::new();
        for id in candidates {
            if total <= self.limits.max_bytes && count <= self.limits.max_tasks as usize {
                break;
            }
            total -= self.tasks[&id].bytes;
            count -= 1;
            dropped.push(id);
        }
        (total <= self.limits.max_bytes && count <= self.limits.max_tasks as usize).then_some(dropped)
    }

    fn reopen(&mut self) {
        for task in self.tasks.values_mut() {
            match task.waits {
                Waits::Flight => (task.waits, task.failures) = (Waits::Ready, task.failures + 1),
                // The wall clock says the same here, so it stays as it was; but it may have no turn any more.
                Waits::Delayed(..) | Waits::Ready | Waits::Dead => {}
            }
        }
        for (order, chain) in &mut self.chains {
            chain.sort_unstable();
            for id in chain.iter().skip(1) {
                let task = self.tasks.get_mut(id).expect("a task");
                assert_eq!(task.order.as_ref(), Some(order));
                (task.waits, task.hurried) = (Waits::Ready, true);
            }
        }
        // What was forgotten may be remembered again, and then the latest tasks come first.
        let history = &self.history;
        self.remembered.iter_mut().for_each(|(id, rank)| *rank = history.range(id + 1..).count());
        self.remembered.retain(|_, rank| *rank < self.limits.remembered_keys as usize);
    }
}

/// Both, and the clock.
struct Pair {
    disk: Simulated,
    queue: Option<Queue>,
    model: Model,
    random: Random,
    start: Instant,
    clock: u64,
}

impl Pair {
    fn now(&self) -> Now {
        at(self.start, self.clock)
    }

    fn queue(&self) -> &Queue {
        self.queue.as_ref().expect("open")
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..35 => self.push(),
            35..65 => self.take(),
            65..75 => self.done(),
            75..85 => self.retry(),
            85..90 => self.clock += self.random.below(3000),
            90..92 => self.reconnect(),
            92..94 => self.replay(),
            94..96 => self.discard(),
            96 => self.stranger(),
            _ => self.reopen(),
        }
        self.compare();
    }

    fn push(&mut self) {
        let order = (self.random.below(3) > 0).then(|| format!("order{}", self.random.below(4)));
        let key = (self.random.below(3) > 0).then(|| format!("key{}", self.random.below(40)));
        let deadline = (self.random.below(6) == 0).then(|| self.clock + self.random.below(20_000));
        let length = if self.random.below(20) == 0 { 2900 } else { self.random.below(200) };
        let body: Vec<u8> = (0..length).map(|_| self.random.next() as u8).collect();
        let kind = if self.random.below(3) == 0 { Kind::Command } else { Kind::Deliver };
        let new = NewTask {
            order_key: order.clone(),
            idempotency_key: key.clone(),
            deadline: deadline.map(|deadline| at(self.start, deadline).wall),
            body: body.clone(),
            kind,
        };
        let pushed = self.queue().push_at(&new, self.now());
        if let Some(first) = key.as_deref().and_then(|key| self.model.owner(key)) {
            let pushed = pushed.expect("a repeat");
            assert_eq!((pushed.id, pushed.is_repeat), (first, true));
            return;
        }
        if let Ok(pushed) = &pushed
            && pushed.is_repeat
        {
            assert_eq!(self.model.history.get(&pushed.id), key.as_ref(), "it never had that key");
            return;
        }
        let id = self.model.last_id + 1;
        let key_length = key.as_ref().map_or(17 + id.to_string().len(), String::len);
        let bytes =
            16 + 28 - 1 + 1 + order.as_ref().map_or(0, String::len) as u64 + key_length as u64 + length;
        let Some(dropped) = self.model.giving_way(bytes) else {
            assert_eq!(pushed, Err(Refused::Full));
            return;
        };
        let pushed = pushed.expect("room");
        assert!(!pushed.is_repeat && pushed.id >= id, "{pushed:?} after {id}");
        assert_eq!(pushed.dropped, dropped);
        for id in dropped {
            self.model.remove(id);
        }
        self.model.last_id = pushed.id;
        if let Some(order) = &order {
            self.model.chains.entry(order.clone()).or_default().push(pushed.id);
        }
        let (failures, steps, hurried, waits, made_up_key) = (0, 0, false, Waits::Ready, None);
        let task =
            Task { kind, order, key, deadline, body, failures, steps, hurried, waits, bytes, made_up_key };
        self.model.tasks.insert(pushed.id, task);
    }

    fn take(&mut self) {
        let kind = [None, Some(Kind::Deliver), Some(Kind::Command)][self.random.below(3) as usize];
        let (surely, perhaps) = self.model.due(kind, self.clock);
        let taken = self.queue().take(kind, self.now());
        let Some(taken) = taken else {
            assert_eq!(surely, [0; 0], "something is due");
            return;
        };
        let id = match &taken {
            Taken::Task(lease) => lease.id,
            Taken::Dead(death) => death.id,
            Taken::Unreadable { .. } => panic!("the disk reads: {taken:?}"),
        };
        assert!(perhaps.contains(&id), "{id} is not due");
        assert!(surely.first().is_none_or(|first| id <= *first), "{id} before {surely:?}");
        let clock = self.clock;
        let task = self.model.tasks.get_mut(&id).expect("a task");
        let expired = task.deadline.is_some_and(|deadline| deadline <= clock);
        match taken {
            Taken::Task(lease) => {
                assert!(!expired && task.failures < self.model.limits.max_attempts);
                assert_eq!((&lease.body, &lease.order_key), (&task.body, &task.order));
                assert_eq!(lease.kind, task.kind);
                let key = task.key.clone().or(task.made_up_key.clone());
                assert_eq!(&lease.idempotency_key, key.as_ref().unwrap_or(&lease.idempotency_key));
                task.made_up_key = Some(lease.idempotency_key);
                assert_eq!(lease.attempt, u32::from(task.failures) + 1);
                task.waits = Waits::Flight;
            }
            Taken::Dead(death) => {
                assert!(expired || task.failures >= self.model.limits.max_attempts, "{death:?}");
                assert_eq!(death.evicted, self.model.die(id));
            }
            Taken::Unreadable { .. } => {}
        }
    }

    /// A random task of those that wait for this.
    fn pick(&mut self, waits: &Waits) -> Option<u64> {
        let found: Vec<u64> =
            self.model.tasks.iter().filter(|(_, task)| task.waits == *waits).map(|(id, _)| *id).collect();
        (!found.is_empty()).then(|| found[self.random.below(found.len() as u64) as usize])
    }

    fn done(&mut self) {
        let Some(id) = self.pick(&Waits::Flight) else { return };
        self.queue().done(id).expect("in flight");
        if let Some(key) = self.model.remove(id).key {
            self.model.remembered.values_mut().for_each(|rank| *rank += 1);
            self.model.remembered.insert(id, 0);
            self.model.history.insert(id, key);
            self.model.remembered.retain(|_, rank| *rank < self.model.limits.remembered_keys as usize);
        }
    }

    fn retry(&mut self) {
        let Some(id) = self.pick(&Waits::Flight) else { return };
        let (failed, hopeless) = (self.random.below(2) == 0, self.random.below(10) == 0);
        let why = match (failed, hopeless) {
            (true, true) => Why::Hopeless("it failed"),
            (true, false) => Why::Failed("it failed"),
            (false, _) => Why::Unreachable,
        };
        let retried = self.queue().retry(id, why, self.now()).expect("in flight");
        let (clock, most, limits) = (self.clock, self.model.limits.max_attempts, self.model.limits.clone());
        let task = self.model.tasks.get_mut(&id).expect("a task");
        task.failures += u8::from(failed);
        task.steps = task.steps.saturating_add(1);
        match retried {
            Retried::Dead(death) => {
                assert!(failed && (hopeless || task.failures >= most));
                assert_eq!((death.id, death.evicted), (id, self.model.die(id)));
            }
            Retried::In(pause) => {
                assert!(!failed || (!hopeless && task.failures < most));
                let longest = limits.pause(task.steps, u32::MAX).as_millis() as u64;
                let cap =
                    task.deadline.map_or(longest, |deadline| deadline.saturating_sub(clock).min(longest));
                let pause = pause.as_millis() as u64;
                let least =
                    if task.hurried { limits.pause(1, 0).as_millis() as u64 } else { longest * 3 / 4 };
                assert!(pause <= cap && (pause >= least || pause == cap), "{pause} of {longest}, {cap}");
                // A reopened queue may be a millisecond off.
                task.waits = Waits::Delayed(clock + pause.saturating_sub(1), clock + pause + 1);
            }
        }
    }

    fn reconnect(&mut self) {
        self.queue().reconnected(Kind::Deliver);
        for task in self.model.tasks.values_mut().filter(|task| task.kind == Kind::Deliver) {
            if let Waits::Delayed(..) = task.waits {
                (task.waits, task.hurried) = (Waits::Ready, true);
            }
        }
    }

    fn replay(&mut self) {
        let Some(id) = self.pick(&Waits::Dead) else { return };
        self.queue().replay(id).expect("dead");
        let task = self.model.tasks.get_mut(&id).expect("a task");
        (task.failures, task.steps, task.deadline, task.waits) = (0, 0, None, Waits::Ready);
        if let Some(order) = &task.order {
            let chain = self.model.chains.entry(order.clone()).or_default();
            let at = chain.iter().skip(1).position(|other| *other > id).map_or(chain.len(), |at| at + 1);
            chain.insert(at, id);
        }
    }

    fn discard(&mut self) {
        let Some(id) = self.pick(&Waits::Dead) else { return };
        self.queue().discard(id).expect("dead");
        self.model.remove(id);
    }

    /// What is not in that state is not touched.
    fn stranger(&mut self) {
        for id in [0, self.model.last_id + 1, u64::MAX] {
            assert!(self.queue().done(id).is_err() && self.queue().replay(id).is_err());
        }
        if let Some(id) = self.pick(&Waits::Ready) {
            let now = self.now();
            assert!(self.queue().done(id).is_err() && self.queue().retry(id, Why::Unreachable, now).is_err());
            assert!(self.queue().replay(id).is_err() && self.queue().discard(id).is_err());
        }
    }

    fn reopen(&mut self) {
        let disk = self.disk.restart(Ending::Kill);
        self.queue = None;
        self.disk = disk;
        self.model.reopen();
        // What hurried and was not taken yet waits again, as long as its record says.
        let now = self.now();
        let shared: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let (queue, recovery) = open(&shared, &self.model.limits, now);
        queue.reconnected(Kind::Deliver);
        queue.reconnected(Kind::Command);
        for task in self.model.tasks.values_mut() {
            if let Waits::Delayed(..) = task.waits {
                (task.waits, task.hurried) = (Waits::Ready, true);
            }
        }
        assert_eq!(
            (recovery.damaged_places, &recovery.damage[..], &recovery.evicted[..]),
            (0, &[][..], &[][..])
        );
        self.queue = Some(queue);
    }

    fn compare(&mut self) {
        let figures = self.queue().figures(self.now());
        let count = |wanted: &dyn Fn(&Waits) -> bool| {
            self.model.tasks.values().filter(|task| wanted(&task.waits)).count()
        };
        assert_eq!(figures.dead, count(&|waits| *waits == Waits::Dead));
        assert_eq!(figures.in_flight, count(&|waits| *waits == Waits::Flight));
        let waiting = count(&|waits| !matches!(waits, Waits::Dead | Waits::Flight));
        assert_eq!(figures.ready + figures.delayed + figures.blocked, waiting);
        assert_eq!(figures.bytes, self.model.bytes());
        assert_eq!(self.queue().depth(), self.model.tasks.len() - figures.dead);
        let dead: Vec<u64> = self.queue().dead(0, usize::MAX).iter().map(|dead| dead.id).collect();
        assert_eq!(dead, self.model.dead());
        // Twice what is in it, and three segments; what was copied is paid for by as much that is new.
        assert!(figures.disk_bytes < 3 * figures.bytes + 8 * 4096, "{figures:?}");
        for kind in [None, Some(Kind::Deliver), Some(Kind::Command)] {
            let due = self.queue().next_due(kind, self.now());
            let (surely, _) = self.model.due(kind, self.clock);
            let (_, perhaps) = self.model.due(None, self.clock);
            assert!(surely.is_empty() || due == Some(Duration::ZERO), "{due:?}");
            assert!(!perhaps.is_empty() || due != Some(Duration::ZERO));
        }
    }
}

fn run(seed: u64, steps: u64, limits: Limits) {
    let disk = Simulated::default();
    let start = Instant::now();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (queue, _) = open(&shared, &limits, at(start, 0));
    let model = Model {
        limits,
        tasks: BTreeMap::new(),
        chains: BTreeMap::new(),
        history: BTreeMap::new(),
        remembered: BTreeMap::new(),
        last_id: 0,
    };
    let mut pair = Pair { disk, queue: Some(queue), model, random: Random::new(seed), start, clock: 0 };
    for _ in 0..steps {
        pair.step();
    }
}

#[test]
fn the_store_does_what_the_model_does() {
    for seed in 1..40 {
        run(seed, 1500, small());
        run(seed, 1500, Limits { when_full: WhenFull::DropOldest, max_tasks: 12, ..small() });
        run(
            seed,
            800,
            Limits {
                max_bytes: 65536,
                when_full: WhenFull::DropOldest,
                max_tasks: 1000,
                max_dead: 0,
                ..small()
            },
        );
    }
}
