-- Tools of agents: their definitions, who may use them, what was run, what they keep.

-- Definitions that are not made in code: files, imports, MCP servers, the API.
create table conclave.tool_definition (
    tenant     text        not null,
    name       text        not null,
    -- file, api, openapi:<name>, mcp:<server>
    source     text        not null,
    definition jsonb       not null,
    hash       text        not null,
    updated_at timestamptz not null,
    updated_by text        not null,
    primary key (tenant, name)
);

create index tool_definition_source_ix on conclave.tool_definition (tenant, source);

-- What people decided about a tool, wherever its definition comes from. A tool that is not here is as its definition says.
create table conclave.tool_state (
    tenant        text        not null,
    name          text        not null,
    is_enabled    boolean     not null default true,
    -- the definition that somebody approved, or the first one that was seen
    approved_hash text        not null,
    approved_by   text        not null,
    approved_at   timestamptz not null,
    primary key (tenant, name)
);

-- What an agent may do with a tool; agent '*' stands for all. rules: [{"name", "mode", "when": JSON Schema}], the first that fits counts.
create table conclave.tool_permission (
    tenant     text        not null,
    agent_id   text        not null,
    tool       text        not null,
    mode       text        not null,
    rules      jsonb       not null default '[]',
    version    int         not null default 1,
    updated_at timestamptz not null,
    updated_by text        not null,
    primary key (tenant, agent_id, tool),
    constraint tool_permission_mode_ck check (mode in ('allow', 'ask', 'deny'))
);

-- Each call of a tool, refused ones too.
create table conclave.tool_run (
    tenant          text        not null,
    id              uuid        not null,
    agent_id        text        not null,
    instance_id     text        not null,
    turn_id         text,
    tool            text        not null,
    tool_version    text        not null,
    tool_hash       text        not null,
    -- exactly what was asked for, as canonical JSON: jsonb would change numbers and cannot hold NUL
    arguments       text        not null,
    action_hash     text        not null,
    idempotency_key text        not null,
    mode            text,
    reason          text,
    rule            text,
    approval_id     text,
    account         text,
    -- running, completed, failed, refused, unknown
    status          text        not null,
    error_code      text,
    error           text,
    output          text,
    limits          jsonb,
    usage           jsonb,
    -- the process that runs it; past the lease it is dead
    owner           uuid,
    lease_until     timestamptz,
    created_at      timestamptz not null,
    started_at      timestamptz,
    ended_at        timestamptz,
    primary key (tenant, id),
    constraint tool_run_status_ck check (status in ('running', 'completed', 'failed', 'refused', 'unknown'))
) with (fillfactor = 80);

-- What was refused did not run: the same key may be used once it is allowed.
create unique index tool_run_key_ux on conclave.tool_run (tenant, idempotency_key) where status <> 'refused';
create index tool_run_running_ix on conclave.tool_run (tenant, tool) where status = 'running';
create index tool_run_owner_ix on conclave.tool_run (owner) where status = 'running';
create index tool_run_list_ix on conclave.tool_run (tenant, created_at desc, id);
create index tool_run_tool_ix on conclave.tool_run (tenant, tool, created_at desc, id);
create index tool_run_agent_ix on conclave.tool_run (tenant, agent_id, created_at desc, id);

-- Begins a run, or says why not:
--   began     it may run now
--   busy      as many run as the tool's concurrency allows; ask again
--   running   the same key runs in a living process
--   unknown   the same key was running in a process that has died
--   recorded  the same key has ended; r_id is its row
--   reused    the same key was used for another action
create function conclave.begin_tool_run(
    p_tenant text, p_id uuid, p_agent text, p_instance text, p_turn text, p_tool text, p_version text, p_hash text,
    p_arguments text, p_action_hash text, p_key text, p_mode text, p_reason text, p_rule text, p_approval text, p_account text,
    p_limits jsonb, p_owner uuid, p_lease interval, p_most int, p_again boolean, out outcome text, out r_id uuid)
language plpgsql as $$
declare
    v_run conclave.tool_run;
begin
    -- Counting and adding are one step for all processes. Without a limit only the key has to be unique, which the index sees to.
    if p_most > 0 then
        perform pg_advisory_xact_lock(hashtextextended(p_tenant || ':' || p_tool, 23));
    end if;
    select * into v_run from conclave.tool_run where tenant = p_tenant and idempotency_key = p_key and status <> 'refused' for update;
    if v_run.id is not null then
        r_id := v_run.id;
        if v_run.action_hash <> p_action_hash then
            outcome := 'reused';
            return;
        end if;
        if v_run.status = 'running' and v_run.lease_until > now() then
            outcome := 'running';
            return;
        end if;
        if v_run.status in ('completed', 'failed') then
            outcome := 'recorded';
            return;
        end if;
        if not p_again then
            update conclave.tool_run set status = 'unknown', ended_at = coalesce(ended_at, now()), error_code = 'tool.outcome_unknown',
                   error = 'The process that ran it has died.' where tenant = p_tenant and id = v_run.id;
            outcome := 'unknown';
            return;
        end if;
    end if;
    if p_most > 0 and (select count(*) from conclave.tool_run where tenant = p_tenant and tool = p_tool and status = 'running' and lease_until > now()) >= p_most then
        outcome := 'busy';
        return;
    end if;
    outcome := 'began';
    if v_run.id is not null then
        update conclave.tool_run set status = 'running', owner = p_owner, lease_until = now() + p_lease, started_at = now(), ended_at = null,
               error_code = null, error = null where tenant = p_tenant and id = v_run.id;
        return;
    end if;
    r_id := p_id;
    begin
        insert into conclave.tool_run (tenant, id, agent_id, instance_id, turn_id, tool, tool_version, tool_hash, arguments, action_hash, idempotency_key,
                                       mode, reason, rule, approval_id, account, status, limits, owner, lease_until, created_at, started_at)
        values (p_tenant, p_id, p_agent, p_instance, p_turn, p_tool, p_version, p_hash, p_arguments, p_action_hash, p_key,
                p_mode, p_reason, p_rule, p_approval, p_account, 'running', p_limits, p_owner, now() + p_lease, now(), now());
    exception when unique_violation then
        outcome := 'running';
    end;
end
$$;

-- What tools keep for an agent between calls.
create table conclave.tool_memory (
    tenant     text        not null,
    agent_id   text        not null,
    -- the tool's package, or its own name: what one keeps no other one reads
    scope      text        not null,
    key        text        not null,
    value      jsonb       not null,
    bytes      int         not null,
    updated_at timestamptz not null,
    primary key (tenant, agent_id, scope, key)
);

-- MCP servers whose tools agents may use. secrets: encrypted.
create table conclave.tool_server (
    tenant     text        not null,
    name       text        not null,
    settings   jsonb       not null,
    secrets    bytea,
    problem    text,
    checked_at timestamptz,
    updated_at timestamptz not null,
    updated_by text        not null,
    primary key (tenant, name)
);

-- Vectors of descriptions, to find tools by what they mean.
create table conclave.tool_vector (
    hash   text   not null,
    model  text   not null,
    vector real[] not null,
    primary key (hash, model)
);
