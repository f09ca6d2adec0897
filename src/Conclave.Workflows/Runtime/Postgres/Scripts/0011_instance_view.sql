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

-- Changes to many instances: what is to be done, and for each instance what became of it.
create table conclave.alteration_plan (
    tenant       text        not null,
    id           text        not null,
    alterations  text        not null,
    actor        text        not null,
    created_at   timestamptz not null default now(),
    started_at   timestamptz,
    completed_at timestamptz,
    primary key (tenant, id)
);

create table conclave.alteration_job (
    tenant       text     not null,
    plan_id      text     not null,
    instance_id  text     not null,
    -- Null until it was tried.
    is_done      boolean,
    log          text,
    completed_at timestamptz,
    primary key (tenant, plan_id, instance_id)
);

create index alteration_job_open_ix on conclave.alteration_job (tenant, plan_id) where is_done is null;

-- Words that people sort workflows by; one belongs to versions.
create table conclave.label (
    tenant          text not null,
    id              text not null,
    name            text not null,
    normalized_name text not null,
    description     text,
    color           text,
    primary key (tenant, id),
    unique (tenant, normalized_name)
);

create table conclave.workflow_definition_label (
    tenant     text not null,
    version_id text not null,
    label_id   text not null,
    primary key (tenant, version_id, label_id)
);

create index workflow_definition_label_ix on conclave.workflow_definition_label (tenant, label_id);
