-- One row for each model call that has ended, written in bulk. Each month is a partition of its own, so that old months are dropped, not deleted.
create table conclave.inference_call (
    tenant          text        not null,
    id              text        not null,
    created_at      timestamptz not null,
    ended_at        timestamptz not null,
    operation       text        not null,
    -- What the caller named, and what answered last.
    requested       text        not null,
    model           text,
    server          text,
    provider        text,
    is_local        boolean     not null,
    agent_id        text,
    instance_id     text,
    api_key_id      text,
    session_id      text,
    parent_id       text,
    idempotency_key text,
    priority        smallint    not null,
    -- CallPhase: 4 completed, 5 failed, 6 cancelled.
    outcome         smallint    not null,
    error           text,
    -- Its stays on servers, one element each.
    queued_at       timestamptz[] not null,
    started_at      timestamptz[] not null,
    slice_ended_at  timestamptz[] not null,
    slice_servers   text[]      not null,
    slice_tokens    bigint[]    not null,
    input_tokens    bigint      not null,
    output_tokens   bigint      not null,
    cached_tokens   bigint      not null,
    cost            numeric     not null,
    -- CacheOutcome: 0 from a model, 1 from the cache, 2 from an earlier call with the same key.
    cache           smallint    not null,
    first_token_ms  double precision,
    overhead_ms     double precision not null,
    decision        text
) partition by range (created_at);

create index inference_call_time_ix on conclave.inference_call (tenant, created_at desc, id desc);
create index inference_call_id_ix on conclave.inference_call (tenant, id);
create index inference_call_instance_ix on conclave.inference_call (tenant, instance_id) where instance_id is not null;

create table conclave.inference_call_default partition of conclave.inference_call default;

-- The text so far of calls that gave their slot away, or that are to survive a crash.
create table conclave.inference_snapshot (
    tenant        text        not null,
    key           text        not null,
    text          text        not null,
    input_tokens  bigint      not null,
    output_tokens bigint      not null,
    cost          numeric     not null,
    queued_at     timestamptz[] not null,
    started_at    timestamptz[] not null,
    ended_at      timestamptz[] not null,
    servers       text[]      not null,
    tokens        bigint[]    not null,
    updated_at    timestamptz not null,
    primary key (tenant, key)
);

create index inference_snapshot_time_ix on conclave.inference_snapshot (updated_at);
