// The catalogue of metrics, the one place that names them: `family.rs` makes constants of it, a test the tables in
// docs/monitoring.md. Names and labels are lasting: alerts and dashboards select by them.
//
//  constant, name without the suffix of its samples, type, labels, layer, what it says.
// A name ends with its unit (OpenMetrics, "UNIT"); a counter's samples get `_total`, information's `_info`.

catalogue! {
    HOST_LOAD = "seaworthyd_host_load_average", Gauge, ["minutes"], Infrastructure, "Runnable and waiting processes of the host, averaged over 1, 5 and 15 minutes (Linux).";
    HOST_CPUS = "seaworthyd_host_cpus", Gauge, [], Infrastructure, "Processors that the daemon may use.";
    HOST_CPU = "seaworthyd_host_cpu_seconds", Counter, ["mode"], Infrastructure, "Time that the host's processors spent: user, system, idle, iowait (Linux), steal (Linux).";
    HOST_MEMORY_SIZE = "seaworthyd_host_memory_size_bytes", Gauge, [], Infrastructure, "The host's memory.";
    HOST_MEMORY_AVAILABLE = "seaworthyd_host_memory_available_bytes", Gauge, [], Infrastructure, "Memory that programs can still get without swapping.";
    HOST_DISK_SIZE = "seaworthyd_host_disk_size_bytes", Gauge, [], Infrastructure, "The file system of the daemon's state folder.";
    HOST_DISK_FREE = "seaworthyd_host_disk_free_bytes", Gauge, [], Infrastructure, "What the daemon may still write to the file system of its state folder.";
    HOST_UPTIME = "seaworthyd_host_uptime_seconds", Gauge, [], Infrastructure, "Time since the host was started.";

    BUILD = "seaworthyd_build", Info, ["version", "commit", "target", "build"], Service, "Which build of the daemon runs; the value is 1.";
    PROCESS_START = "process_start_time_seconds", Gauge, [], Service, "When the daemon's worker was started, in seconds since 1970.";
    PROCESS_CPU = "process_cpu_seconds", Counter, [], Service, "Processor time of the daemon's worker.";
    PROCESS_MEMORY = "process_resident_memory_bytes", Gauge, [], Service, "Resident memory of the daemon's worker.";
    PROCESS_DESCRIPTORS = "process_open_fds", Gauge, [], Service, "Open descriptors (Windows: handles) of the daemon's worker.";
    PROCESS_DESCRIPTORS_LIMIT = "process_max_fds", Gauge, [], Service, "How many descriptors the daemon's worker may open (Linux).";
    PROCESS_THREADS = "process_threads", Gauge, [], Service, "Threads of the daemon's worker (Linux).";
    WORKER_STARTS = "seaworthyd_worker_starts", Counter, [], Service, "Starts of the daemon's worker; more than one in a row of minutes is a crash loop of the daemon itself.";
    STATE = "seaworthyd_state", Gauge, ["state"], Service, "1 for the state that the service is in, 0 for the others.";
    READY = "seaworthyd_ready", Gauge, [], Service, "1 while the service reports that it is ready.";
    CONTROLS = "seaworthyd_control_requests", Counter, ["command", "outcome"], Service, "Commands to the daemon: done, already (there was nothing to do), refused (the state or the configuration forbids it), denied (the client may not), failed.";
    HTTP_REQUESTS = "seaworthyd_http_requests", Counter, ["route", "code"], Service, "Answers of the daemon's own HTTP server.";
    EVENTS = "seaworthyd_events", Counter, ["event", "level"], Service, "Records that the daemon has logged, by event.";
    LOG_DROPPED = "seaworthyd_log_dropped_records", Counter, [], Service, "Records that could not be written to the log.";
    HEARTBEATS = "seaworthyd_heartbeats", Counter, ["outcome"], Service, "Heartbeats sent to the collector: success, failure.";
    WORKLOAD_STARTS = "seaworthyd_workload_starts", Counter, ["workload"], Service, "Starts of the workload's process.";
    WORKLOAD_START_FAILURES = "seaworthyd_workload_start_failures", Counter, ["workload"], Service, "Starts that failed before the program ran.";
    WORKLOAD_RESTARTS = "seaworthyd_workload_restarts", Counter, ["workload"], Service, "Starts after an end that nobody asked for.";
    WORKLOAD_EXITS = "seaworthyd_workload_exits", Counter, ["workload", "reason"], Service, "Ends of the workload's process: success (exit code 0), failure (another), signal, stopped (as asked), killed (did not stop in time), probe (ended for its liveness probe), memory (ended for its memory limit).";
    WORKLOAD_STATE = "seaworthyd_workload_state", Gauge, ["workload", "state"], Service, "1 for the state that the workload is in, 0 for the others.";
    WORKLOAD_READY = "seaworthyd_workload_ready", Gauge, ["workload"], Service, "1 while the workload is ready: it runs, and its readiness probe, if it has one, passes.";
    WORKLOAD_BACKOFF = "seaworthyd_workload_backoff_seconds", Gauge, ["workload"], Service, "The pause before the workload's next start; 0 when none is due.";
    WORKLOAD_PROBES = "seaworthyd_workload_probes", Counter, ["workload", "probe", "outcome"], Service, "Runs of the workload's liveness and readiness probes.";
    WORKLOAD_START_TIME = "seaworthyd_workload_start_time_seconds", Gauge, ["workload"], Service, "When the workload's process was started, in seconds since 1970; absent while none runs.";
    WORKLOAD_CPU = "seaworthyd_workload_cpu_seconds", Counter, ["workload"], Service, "Processor time of the workload's main process; starts anew with each process.";
    WORKLOAD_MEMORY = "seaworthyd_workload_resident_memory_bytes", Gauge, ["workload"], Service, "Resident memory of the workload's main process.";
    WORKLOAD_MEMORY_LIMIT = "seaworthyd_workload_memory_limit_bytes", Gauge, ["workload"], Service, "The memory limit in the workload's configuration, if it has one.";
    WORKLOAD_DESCRIPTORS = "seaworthyd_workload_open_fds", Gauge, ["workload"], Service, "Open descriptors (Windows: handles) of the workload's main process.";
    WORKLOAD_DESCRIPTORS_LIMIT = "seaworthyd_workload_max_fds", Gauge, ["workload"], Service, "How many descriptors the workload's main process may open (Linux).";
    WORKLOAD_THREADS = "seaworthyd_workload_threads", Gauge, ["workload"], Service, "Threads of the workload's main process (Linux).";
    WORKLOAD_READY_TIME = "seaworthyd_workload_ready_duration_seconds", Histogram, [], Service, "From the start of a workload's process until it was ready.";

    QUEUE_TASKS = "seaworthyd_queue_tasks", Gauge, [], Application, "Tasks in the queue that are not acknowledged yet.";
    QUEUE_OLDEST = "seaworthyd_queue_oldest_age_seconds", Gauge, [], Application, "Age of the oldest task in the queue; 0 when it is empty.";
    QUEUE_SIZE = "seaworthyd_queue_size_bytes", Gauge, [], Application, "What the queue occupies on disk.";
    QUEUE_LIMIT = "seaworthyd_queue_limit_bytes", Gauge, [], Application, "What the queue may occupy on disk.";
    QUEUE_DEAD = "seaworthyd_queue_dead_letters", Gauge, [], Application, "Tasks that were given up and wait for somebody to look at them.";
    QUEUE_SYNC = "seaworthyd_queue_sync_duration_seconds", Histogram, [], Application, "How long the disk took to make tasks durable.";
    ATTEMPTS = "seaworthyd_task_attempts", Counter, ["outcome"], Application, "Tries to do a task: success, retry (it will be tried again), failure (it will not).";
    ATTEMPT_TIME = "seaworthyd_task_attempt_duration_seconds", Histogram, [], Application, "How long a try took.";
    SLOW = "seaworthyd_task_slow_attempts", Counter, [], Application, "Tries that took longer than the configured `slow_task_seconds`.";

    ACCEPTED = "seaworthyd_tasks_accepted", Counter, [], Business, "Tasks that were taken and are on disk.";
    REFUSED = "seaworthyd_tasks_refused", Counter, ["reason"], Business, "Tasks that were not taken: full, too-large, invalid, error (the disk), paused.";
    SENT = "seaworthyd_tasks_sent", Counter, [], Business, "Tasks that were sent for the first time.";
    FINISHED = "seaworthyd_tasks_finished", Counter, ["outcome"], Business, "Tasks that left the queue: acknowledged, dead-letter (given up), expired (its deadline came), dropped (by the policy of a full queue).";
    TO_SENT = "seaworthyd_task_accepted_to_sent_seconds", Histogram, [], Business, "From the moment a task was on disk until it was first sent.";
    TO_ACKNOWLEDGED = "seaworthyd_task_sent_to_acknowledged_seconds", Histogram, [], Business, "From the first time a task was sent until its receiver acknowledged it.";
    WHOLE = "seaworthyd_task_duration_seconds", Histogram, [], Business, "From the moment a task was on disk until its receiver acknowledged it.";
}
