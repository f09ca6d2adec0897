-- Models on their way to a server; kept for a week after they came. node is the process that pulls; if it is gone, so is the pull.
create table conclave.inference_pull (
    id              text        not null primary key,
    server_id       text        not null,
    server_name     text        not null,
    model           text        not null,
    status          text        not null,
    total_bytes     bigint,
    completed_bytes bigint,
    error           text,
    node            text        not null,
    is_cancelled    boolean     not null default false,
    started_at      timestamptz not null,
    started_by      text        not null,
    ended_at        timestamptz
);
-- One at a time for a model on a server, whichever process was asked.
create unique index inference_pull_running_ix on conclave.inference_pull (server_id, lower(model)) where ended_at is null;
create index inference_pull_time_ix on conclave.inference_pull (started_at desc, id desc);
