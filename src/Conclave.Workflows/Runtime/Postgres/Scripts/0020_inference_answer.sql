-- Calls by idempotency key: who works on one, and its answer.
create table conclave.inference_answer (
    tenant      text        not null,
    key         text        not null,
    -- Of what was asked: the same key must not be used for something else.
    hash        bytea       not null,
    owner       uuid        not null,
    lease_until timestamptz not null,
    answer      bytea,
    expires_at  timestamptz not null,
    primary key (tenant, key)
);

create index inference_answer_expiry_ix on conclave.inference_answer (expires_at);

-- Answers that equal calls may have. Not worth a log: they can be asked for again.
create unlogged table conclave.inference_cache (
    tenant     text        not null,
    hash       bytea       not null,
    answer     bytea       not null,
    expires_at timestamptz not null,
    primary key (tenant, hash)
);

create index inference_cache_expiry_ix on conclave.inference_cache (expires_at);

-- Questions that are answered whether or not somebody waits, as AIOS's syscalls.
create table conclave.inference_syscall (
    tenant      text        not null,
    pid         text        not null,
    aid         text        not null,
    agent_name  text        not null,
    action      text        not null,
    query       text        not null,
    priority    smallint    not null,
    -- 0 active, 1 executing, 2 suspending, 3 done.
    status      smallint    not null,
    response    text,
    error       text,
    error_code  text,
    time_limit  interval,
    created_at  timestamptz not null,
    started_at  timestamptz,
    ended_at    timestamptz,
    queued_times  timestamptz[] not null default '{}',
    start_times   timestamptz[] not null default '{}',
    end_times     timestamptz[] not null default '{}',
    slice_servers text[]      not null default '{}',
    slice_tokens  bigint[]    not null default '{}',
    is_cancelled boolean    not null default false,
    owner       uuid,
    lease_until timestamptz,
    primary key (tenant, pid)
);

create index inference_syscall_open_ix on conclave.inference_syscall (priority, created_at) where status < 3;
create index inference_syscall_time_ix on conclave.inference_syscall (tenant, created_at desc, pid desc);
