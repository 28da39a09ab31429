// The catalogue of events, the one place that names them: `event.rs` makes the enum of it, `build.rs` the Windows message
// table, a test the table in README.md. Numbers and names are lasting: monitoring selects by them.
//
//  variant, number, name, level, what it says.

catalogue! {
    Starting = 100, "starting", Info, "the daemon starts; `pid`, `version`, `commit`, `workloads`";
    Ready = 101, "ready", Info, "every workload has been started; the service is running";
    Stopping = 102, "stopping", Info, "a stop was asked for";
    Stopped = 103, "stopped", Info, "always the last record; `workloads_left` is not 0 when a kill did not end one";
    Heartbeat = 104, "heartbeat", Info, "the daemon is alive; `state`, `running`";
    Paused = 105, "paused", Info, "running workloads go on, ended ones stay ended";
    Continued = 106, "continued", Info, "a pause is over";
    ControlRefused = 107, "control-refused", Warning, "a control does not fit the state; `state`, `refusal`";
    NotifyFailed = 108, "notify-failed", Warning, "systemd or the Windows service manager could not be told the state; `error`";
    Refused = 109, "refused", Error, "the service cannot run with its configuration; `error`";
    WorkloadStarted = 200, "workload-started", Info, "`workload`, `pid`";
    WorkloadExited = 201, "workload-exited", Info, "`workload`, `pid`, `uptime_ms`, and `exit_code` or `ended_by` (a signal)";
    WorkloadRestart = 202, "workload-restart", Warning, "it will be started again in `pause_ms`; `short_runs` in a row were short";
    WorkloadStartFailed = 203, "workload-start-failed", Error, "`workload`, `command`, `error`";
    WorkloadStopAsked = 204, "workload-stop-asked", Info, "`workload`, `pid`";
    WorkloadKilled = 205, "workload-killed", Warning, "it did not stop in time and was ended with its tree; `workload`, `pid`";
    WorkloadOutput = 206, "workload-output", Info, "a line that a workload printed; `workload`, `stream`";
    QueueOpened = 300, "queue-opened", Info, "the queue is open; `tasks`, `dead`, `open_ms`";
    QueueDamaged = 301, "queue-damaged", Warning, "bytes of a segment are no record; `segment`, `offset`, `bytes`, `is_tail`, `set_aside`; a tail is what a crash leaves";
    QueueUnusable = 302, "queue-unusable", Error, "the queue cannot be opened; `error`";
    QueueRefused = 303, "queue-refused", Warning, "a task was not taken in; `reason`";
    QueueWriteFailed = 304, "queue-write-failed", Error, "what became of a task is not on disk yet; `task`, `error`";
    TaskDropped = 310, "task-dropped", Warning, "a task gave way because the queue was full; `task`";
    TaskRetry = 311, "task-retry", Info, "a task was not done and is tried again in `pause_ms`; `task`, `reason`";
    TaskDied = 312, "task-died", Error, "a task is dead: it failed too often, or its deadline has passed; `task`, `reason`";
    TaskUnreadable = 313, "task-unreadable", Warning, "the disk does not give a task now; it is tried again; `task`, `error`";
    TaskReplayed = 314, "task-replayed", AuditSuccess, "a dead task is due again; `task`";
    TaskDiscarded = 315, "task-discarded", AuditSuccess, "a dead task is no more; `task`";
}
