//! One walk over everything there is to show, for both text formats, for OTLP and for the file of counters.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use super::family::{self, Family};
use super::instrument::{Counter, Counters, Histogram, unix_nanos, unix_seconds};
use super::labels::{COMMANDS, LabelValue, Probe};
use super::observed::Process;
use super::workload::Workload;
use super::{HTTP_ANSWERS, Metrics, os};
use crate::http::Route;
use crate::log::Event;

/// A metric's value under one set of labels. What only rises says since when, in nanoseconds since 1970; 0 if that is not
/// known.
pub(super) enum Sample<'a> {
    Counter(&'a Counter, u64),
    Histogram(&'a Histogram, u64),
    /// What somebody else counts.
    Total(f64, u64),
    Number(f64),
}

/// Takes a metric, the values of its labels, and what it is now. All samples of a family come in a row.
pub(super) type Sink<'s> = &'s mut dyn FnMut(&'static Family, &[&str], Sample<'_>);

impl Metrics {
    /// What is counted, and outlives the worker.
    pub(super) fn visit_counted(&self, sink: Sink<'_>) {
        let since = self.counted_since.value();
        counter(sink, since, &family::WORKER_STARTS, &self.worker_starts);
        for (command, outcomes) in COMMANDS.iter().zip(&self.controls) {
            for (outcome, count) in outcomes.iter() {
                sink(&family::CONTROLS, &[command, outcome], Sample::Counter(count, since));
            }
        }
        for ((route, code), count) in HTTP_ANSWERS.iter().zip(&self.http) {
            sink(
                &family::HTTP_REQUESTS,
                &[route_name(*route), &code.to_string()],
                Sample::Counter(count, since),
            );
        }
        for (event, count) in Event::ALL.iter().zip(&self.events.0) {
            sink(&family::EVENTS, &[event.name(), event.level().name()], Sample::Counter(count, since));
        }
        counter(sink, since, &family::LOG_DROPPED, &self.log_dropped);
        counters(sink, since, &family::HEARTBEATS, &self.heartbeats);
        counters(sink, since, &family::OTLP_EXPORTS, &self.otlp_exports);
        self.visit_workloads_counted(sink);
        histogram(sink, since, &family::WORKLOAD_READY_TIME, &self.workload_ready);

        histogram(sink, since, &family::QUEUE_SYNC, &self.queue_sync);
        counters(sink, since, &family::ATTEMPTS, &self.attempts);
        histogram(sink, since, &family::ATTEMPT_TIME, &self.attempt_time);
        counter(sink, since, &family::SLOW, &self.slow);

        counter(sink, since, &family::ACCEPTED, &self.accepted);
        counters(sink, since, &family::REFUSED, &self.refused);
        counter(sink, since, &family::SENT, &self.sent);
        sink(&family::FINISHED, &["acknowledged"], Sample::Counter(&self.acknowledged, since));
        counters(sink, since, &family::FINISHED, &self.finished);
        histogram(sink, since, &family::TO_SENT, &self.to_sent);
        histogram(sink, since, &family::TO_ACKNOWLEDGED, &self.to_acknowledged);
        histogram(sink, since, &family::WHOLE, &self.whole);
    }

    fn visit_workloads_counted(&self, sink: Sink<'_>) {
        let workloads = self.workloads.read().unwrap_or_else(PoisonError::into_inner);
        type Count = fn(&Workload) -> &Counter;
        let counts: [(&'static Family, Count); 3] = [
            (&family::WORKLOAD_STARTS, |workload| &workload.starts),
            (&family::WORKLOAD_START_FAILURES, |workload| &workload.start_failures),
            (&family::WORKLOAD_RESTARTS, |workload| &workload.restarts),
        ];
        for (family, count) in counts {
            for workload in workloads.iter() {
                sink(
                    family,
                    &[&workload.name],
                    Sample::Counter(count(workload), workload.counted_since.value()),
                );
            }
        }
        for workload in workloads.iter() {
            for (reason, count) in workload.exits.iter() {
                sink(
                    &family::WORKLOAD_EXITS,
                    &[&workload.name, reason],
                    Sample::Counter(count, workload.counted_since.value()),
                );
            }
        }
        for workload in workloads.iter() {
            for (probe, outcomes) in Probe::ALL.iter().zip(&workload.probes) {
                for (outcome, count) in outcomes.iter() {
                    let labels = [workload.name.as_str(), probe.name(), outcome];
                    sink(
                        &family::WORKLOAD_PROBES,
                        &labels,
                        Sample::Counter(count, workload.counted_since.value()),
                    );
                }
            }
        }
    }

    /// What is as it is now.
    pub(super) fn visit_observed(&self, sink: Sink<'_>) {
        self.visit_host(sink);
        self.visit_daemon(sink);
        self.visit_workloads_observed(sink);
        self.visit_queue(sink);
    }

    fn visit_host(&self, sink: Sink<'_>) {
        let host = os::host();
        for (minutes, load) in ["1", "5", "15"].iter().zip(host.load.unwrap_or_default()) {
            if host.load.is_some() {
                sink(&family::HOST_LOAD, &[minutes], Sample::Number(load));
            }
        }
        let cpus = std::thread::available_parallelism().ok().map(|count| count.get() as f64);
        number(sink, &family::HOST_CPUS, &[], cpus);
        for (mode, seconds) in &host.cpu {
            sink(&family::HOST_CPU, &[mode], Sample::Total(*seconds, host.booted.map_or(0, unix_nanos)));
        }
        number(sink, &family::HOST_MEMORY_SIZE, &[], host.memory_size);
        number(sink, &family::HOST_MEMORY_AVAILABLE, &[], host.memory_available);
        let disk = self.state_folder.as_deref().and_then(os::disk);
        number(sink, &family::HOST_DISK_SIZE, &[], disk.as_ref().map(|disk| disk.size));
        number(sink, &family::HOST_DISK_FREE, &[], disk.as_ref().map(|disk| disk.free));
        number(sink, &family::HOST_UPTIME, &[], host.uptime);
    }

    fn visit_daemon(&self, sink: Sink<'_>) {
        let build = &self.build;
        let labels = [&build.version, &build.commit, &build.target, &build.build].map(String::as_str);
        sink(&family::BUILD, &labels, Sample::Number(1.0));
        number(sink, &family::PROCESS_START, &[], self.started.map(unix_seconds));
        let own = os::process(std::process::id());
        total(sink, &family::PROCESS_CPU, &[], own.cpu, self.started.map_or(0, unix_nanos));
        number(sink, &family::PROCESS_MEMORY, &[], own.resident);
        number(sink, &family::PROCESS_DESCRIPTORS, &[], own.descriptors);
        number(sink, &family::PROCESS_DESCRIPTORS_LIMIT, &[], own.descriptors_limit);
        number(sink, &family::PROCESS_THREADS, &[], own.threads);
        for (state, value) in self.state.values() {
            sink(&family::STATE, &[state], Sample::Number(value));
        }
        number(sink, &family::READY, &[], Some(f64::from(self.ready.load(Ordering::Relaxed))));
    }

    fn visit_workloads_observed(&self, sink: Sink<'_>) {
        let workloads = self.workloads.read().unwrap_or_else(PoisonError::into_inner).clone();
        for workload in &workloads {
            for (state, value) in workload.state.values() {
                sink(&family::WORKLOAD_STATE, &[&workload.name, state], Sample::Number(value));
            }
        }
        type Look = fn(&Workload) -> Option<f64>;
        let gauges: [(&'static Family, Look); 4] = [
            (&family::WORKLOAD_READY, |workload| Some(f64::from(workload.is_ready()))),
            (&family::WORKLOAD_BACKOFF, |workload| Some(workload.backoff())),
            (&family::WORKLOAD_START_TIME, |workload| Some(unix_seconds(workload.process()?.1))),
            (&family::WORKLOAD_MEMORY_LIMIT, Workload::memory_limit),
        ];
        for (family, look) in gauges {
            for workload in &workloads {
                number(sink, family, &[&workload.name], look(workload));
            }
        }
        let processes: Vec<(&str, Process, SystemTime)> = workloads
            .iter()
            .filter_map(|workload| {
                let (pid, started) = workload.process()?;
                Some((workload.name.as_str(), os::process(pid), started))
            })
            .collect();
        for (name, process, started) in &processes {
            total(sink, &family::WORKLOAD_CPU, &[name], process.cpu, unix_nanos(*started));
        }
        type Fact = fn(&Process) -> Option<f64>;
        let facts: [(&'static Family, Fact); 4] = [
            (&family::WORKLOAD_MEMORY, |process| process.resident),
            (&family::WORKLOAD_DESCRIPTORS, |process| process.descriptors),
            (&family::WORKLOAD_DESCRIPTORS_LIMIT, |process| process.descriptors_limit),
            (&family::WORKLOAD_THREADS, |process| process.threads),
        ];
        for (family, fact) in facts {
            for (name, process, _) in &processes {
                number(sink, family, &[name], fact(process));
            }
        }
    }

    fn visit_queue(&self, sink: Sink<'_>) {
        let Some(queue) = self.queue.0.get().map(|source| source()) else { return };
        // A clock that was set back makes it 0, not negative.
        let age = |accepted| SystemTime::now().duration_since(accepted).unwrap_or_default().as_secs_f64();
        number(sink, &family::QUEUE_TASKS, &[], Some(queue.tasks as f64));
        number(sink, &family::QUEUE_OLDEST, &[], Some(queue.oldest.map_or(0.0, age)));
        number(sink, &family::QUEUE_SIZE, &[], Some(queue.size_bytes as f64));
        number(sink, &family::QUEUE_LIMIT, &[], Some(queue.limit_bytes as f64));
        number(sink, &family::QUEUE_DEAD, &[], Some(queue.dead_letters as f64));
    }
}

fn counter(sink: Sink<'_>, since: u64, family: &'static Family, counter: &Counter) {
    sink(family, &[], Sample::Counter(counter, since));
}

fn counters<L: LabelValue>(sink: Sink<'_>, since: u64, family: &'static Family, counters: &Counters<L>) {
    for (value, count) in counters.iter() {
        sink(family, &[value], Sample::Counter(count, since));
    }
}

fn histogram(sink: Sink<'_>, since: u64, family: &'static Family, histogram: &Histogram) {
    sink(family, &[], Sample::Histogram(histogram, since));
}

fn total(sink: Sink<'_>, family: &'static Family, labels: &[&str], value: Option<f64>, since: u64) {
    if let Some(value) = value {
        sink(family, labels, Sample::Total(value, since));
    }
}

fn number(sink: Sink<'_>, family: &'static Family, labels: &[&str], value: Option<f64>) {
    if let Some(value) = value {
        sink(family, labels, Sample::Number(value));
    }
}

fn route_name(route: Route) -> &'static str {
    match route {
        Route::Metrics => "metrics",
        Route::Live => "live",
        Route::Ready => "ready",
        Route::Other => "other",
    }
}
