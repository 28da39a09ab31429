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
    NotReady = 110, "not-ready", Error, "the service gives up its start: the workloads named did not become ready";
    Reloaded = 111, "reloaded", Info, "the configuration was read again; `new`, `changed` and `gone` workloads";
    ReloadRefused = 112, "reload-refused", Error, "the new configuration is not valid and the old one stays; `error`";
    ControlAsked = 113, "control-asked", AuditSuccess, "a client asks for a change; `peer`, `control`, `workload`";
    ClientRefused = 114, "client-refused", AuditFailure, "a client may not control the daemon; `peer`";
    ControlFailed = 115, "control-failed", Warning, "a client cannot be heard, or nobody can be; `error`";
    WorkerCrashed = 116, "worker-crashed", Error, "the worker before this one crashed or hung, and how";
    WorkloadStarted = 200, "workload-started", Info, "`workload`, `pid`";
    WorkloadExited = 201, "workload-exited", Info, "`workload`, `pid`, `uptime_ms`, and `exit_code` or `ended_by` (a signal)";
    WorkloadRestart = 202, "workload-restart", Warning, "it will be started again in `pause_ms`; `short_runs` in a row were short";
    WorkloadStartFailed = 203, "workload-start-failed", Error, "`workload`, `command`, `error`";
    WorkloadStopAsked = 204, "workload-stop-asked", Info, "`workload`, `pid`";
    WorkloadKilled = 205, "workload-killed", Warning, "it did not stop in time and was ended with its tree; `workload`, `pid`";
    WorkloadOutput = 206, "workload-output", Info, "a line that a workload printed; `workload`, `stream`";
    WorkloadReady = 207, "workload-ready", Info, "its readiness probe passed; `workload`";
    WorkloadUnhealthy = 208, "workload-unhealthy", Warning, "it does not work any more and is started again; `workload`, `reason`";
    WorkloadFailed = 209, "workload-failed", Error, "it does not run and will not be started again; `workload`, `last_end`";
    WorkloadStopped = 210, "workload-stopped", Info, "it does not run, as wanted; `workload`";
    WorkloadPaused = 211, "workload-paused", Info, "it runs on, and stays ended when it ends; `workload`";
    PrivilegesApplied = 400, "privileges-applied", AuditSuccess, "a workload runs with what it may do; `workload`, `pid`, `user`, `group`, `capabilities`, `no_new_privileges`, `landlock`, `seccomp`, `namespaces`";
    PrivilegesRefused = 401, "privileges-refused", AuditFailure, "a workload was not started because its privileges could not be applied; `workload`, `error`";
    PrivilegesUnsupported = 402, "privileges-unsupported", AuditFailure, "a workload runs without what the system lacks, as the configuration allows; `workload`, `pid`, `unsupported`";
    TreeEnded = 410, "tree-ended", Info, "a workload's other processes were ended; `workload`, `pid`, `ended` (how many)";
    TreeLeft = 411, "tree-left", Error, "processes of a workload outlive a kill; `workload`, `pid`, `ended`, `left`";
    SubreaperMissing = 412, "subreaper-missing", Warning, "processes whose parents have left are found by their mark in the environment alone; `error`";
    StrayEnded = 420, "stray-ended", AuditSuccess, "a process that a killed daemon left behind was ended; `pid`, `workload`, `instance`";
    StrayLeft = 421, "stray-left", AuditFailure, "a process that a killed daemon left behind could not be ended; `pid`, `workload`, `instance`";
    LogSinkFailed = 450, "log-sink-failed", Warning, "a sink of the log takes no records, the others go on; `sink`, `error`";
    LogSinkRecovered = 451, "log-sink-recovered", Info, "that sink takes records again; `sink`, `lost` records in the meantime";
    LogRecordsLost = 452, "log-records-lost", Warning, "in the sink that lost them, where they are missing; `sink`, `records`, and `error` where it is known";
    LogRotationFailed = 453, "log-rotation-failed", Warning, "the log file goes on unrotated, the next try is in a minute; `path`, `error`";
    LogReopened = 454, "log-reopened", Info, "the log file was opened again, as asked; `path`";
    LogReopenFailed = 455, "log-reopen-failed", Error, "the log file goes on where it was; `path`, `error`";
    WorkloadOutputSuppressed = 456, "workload-output-suppressed", Warning, "a workload printed more than it may; `workload`, `records` and `bytes` that were left out";
    WorkloadOutputAbandoned = 457, "workload-output-abandoned", Warning, "what a workload prints is not read any more, a process that it left behind may still print; `workload`, `stream`, and `error` where it could not be read at all";
    MetricsListening = 500, "metrics-listening", Info, "metrics and health can be asked for at `address`";
    MetricsUnavailable = 501, "metrics-unavailable", Error, "metrics and health cannot be asked for; the daemon goes on; `address`, `error`";
    CountersRestored = 502, "counters-restored", Info, "`counters` of the last worker go on";
    CountersDamaged = 503, "counters-damaged", Warning, "the file of counters is not what was written; they begin at 0; `file`, `error`";
    CountersNotSaved = 504, "counters-not-saved", Warning, "counters cannot be kept, told once until they can; `file`, `error`";
    ServiceInstalled = 600, "service-installed", AuditSuccess, "Windows: the service was registered; `command_line`, `account`, `user`";
    ServiceInstallRefused = 601, "service-install-refused", AuditFailure, "Windows: the service was not registered; `error`, `user`";
    ServiceRemoved = 602, "service-removed", AuditSuccess, "Windows: the service was removed, or will be when it stops; `user`";
}
