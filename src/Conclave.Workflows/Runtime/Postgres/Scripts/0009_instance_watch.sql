-- Instances that somebody looks at: processes tell of their changes. Not worth a log: who looks says so again every 20 seconds.
create unlogged table conclave.watched_instance (
    tenant      text        not null,
    instance_id text        not null,
    until       timestamptz not null,
    primary key (tenant, instance_id)
);

-- A row while the workers of all processes take no work.
create table conclave.worker_pause (
    is_on  boolean     primary key default true check (is_on),
    actor  text        not null,
    reason text,
    since  timestamptz not null default now()
);
