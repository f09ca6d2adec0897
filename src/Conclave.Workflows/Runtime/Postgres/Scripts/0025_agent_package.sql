-- Packages of agents: what is used, what was refused, and the content that turns of any process need.

create table conclave.agent_package (
    tenant      text        not null,
    name        text        not null,
    -- folder, upload
    source      text        not null,
    enabled     boolean     not null default true,
    -- the content that is used; null while none has passed
    hash        text,
    -- newer content that did not pass: {hash, version, problems, at}; null once the newest is used
    refused     jsonb,
    created_at  timestamptz not null,
    updated_at  timestamptz not null,
    updated_by  text        not null,
    -- its folder or upload is gone; turns that began before go on with its content
    removed_at  timestamptz,
    primary key (tenant, name)
);

-- Content that has passed, by its hash: turns go on with the one that they began with.
create table conclave.agent_package_content (
    tenant      text        not null,
    hash        text        not null,
    name        text        not null,
    manifest    jsonb       not null,
    -- what its logic listed when it was tried
    tools       jsonb       not null,
    stored_at   timestamptz not null,
    -- since when no new turn takes it
    replaced_at timestamptz,
    primary key (tenant, hash)
);

create table conclave.agent_package_file (
    tenant  text  not null,
    hash    text  not null,
    path    text  not null,
    sha256  text  not null,
    content bytea not null,
    primary key (tenant, hash, path),
    foreign key (tenant, hash) references conclave.agent_package_content (tenant, hash) on delete cascade
);

-- Why the package that an agent was made from cannot be used; null while it can, and for agents made by hand.
alter table conclave.agent add column lost_package text;
create index agent_template_ix on conclave.agent (tenant, template) where template is not null;

-- Tells the agents of a package that it cannot be used, and why, or that it can (no reason). Those in use go to the state error,
-- and come back from it. Returns how many were told something new.
create function conclave.package_lost(p_tenant text, p_name text, p_reason text, p_actor text, p_at timestamptz) returns int
language plpgsql as $$
declare
    v_agent conclave.agent;
    v_count int := 0;
begin
    for v_agent in
        select * from conclave.agent where tenant = p_tenant and template = p_name and lost_package is distinct from p_reason order by id for update
    loop
        update conclave.agent set lost_package = p_reason where tenant = p_tenant and id = v_agent.id;
        v_count := v_count + 1;
        if p_reason is not null then
            perform conclave.agent_transition(p_tenant, v_agent.id, array['active', 'working'], 'error', p_actor, p_reason, p_at);
            -- Removed after it was disabled, say: the state stays, and what is to be done about it is another thing.
            update conclave.agent set state_reason = p_reason where tenant = p_tenant and id = v_agent.id and state = 'error' and state_reason = v_agent.lost_package;
        elsif v_agent.state_reason = v_agent.lost_package then
            perform conclave.agent_transition(p_tenant, v_agent.id, array['error'], 'active', p_actor, 'Its package ''' || p_name || ''' can be used again.', p_at);
        end if;
    end loop;
    return v_count;
end
$$;

-- As before, but an agent whose package is gone begins no turn.
-- Begins a turn, or says why not: missing, package, paused, maintenance, error, busy (too many turns), conversation (a turn of it is under way), exists.
create or replace function conclave.begin_turn(
    p_tenant text, p_turn text, p_agent text, p_conversation text, p_owner text, p_makeup text, p_message text,
    p_most int, p_recover interval, p_at timestamptz, out refusal text, out number int)
language plpgsql as $$
declare
    v_agent conclave.agent;
begin
    select * into v_agent from conclave.agent where tenant = p_tenant and id = p_agent for update;
    if v_agent.id is null then
        refusal := 'missing';
        return;
    end if;
    if exists (select from conclave.agent_turn t where t.tenant = p_tenant and t.id = p_turn) then
        refusal := 'exists';
        return;
    end if;
    if v_agent.lost_package is not null then
        refusal := 'package';
        return;
    end if;
    if v_agent.state in ('paused', 'maintenance') then
        refusal := v_agent.state;
        return;
    end if;
    -- After a while one turn may try whether it works again.
    if v_agent.state = 'error' and (v_agent.running_turns > 0 or v_agent.state_at + p_recover > p_at) then
        refusal := 'error';
        return;
    end if;
    if v_agent.running_turns >= p_most then
        refusal := 'busy';
        return;
    end if;
    insert into conclave.agent_conversation (tenant, id, agent_id, owner, title, turns, created_at, updated_at)
    values (p_tenant, p_conversation, p_agent, p_owner, left(p_message, 80), 1, p_at, p_at)
        on conflict (tenant, id) do update set turns = agent_conversation.turns + 1, updated_at = p_at
    returning turns into number;
    begin
        insert into conclave.agent_turn (tenant, id, agent_id, conversation_id, number, makeup_hash, actor, message, started_at)
        values (p_tenant, p_turn, p_agent, p_conversation, number, p_makeup, p_owner, p_message, p_at);
    exception when unique_violation then
        update conclave.agent_conversation c set turns = c.turns - 1 where c.tenant = p_tenant and c.id = p_conversation;
        refusal := 'conversation';
        return;
    end;
    update conclave.agent
       set running_turns = running_turns + 1, last_active_at = p_at,
           state = case when state = 'active' then 'working' else state end,
           state_at = case when state = 'active' then p_at else state_at end
     where tenant = p_tenant and id = p_agent;
    if v_agent.state = 'active' then
        perform conclave.add_agent_event(p_tenant, p_agent, p_turn, 'agent.state', jsonb_build_object('from', 'active', 'to', 'working', 'reason', 'A turn began.'), p_at);
    end if;
    perform conclave.add_agent_event(p_tenant, p_agent, p_turn, 'turn.started',
        jsonb_build_object('conversation', p_conversation, 'actor', p_owner, 'message', p_message, 'makeup', p_makeup), p_at);
end
$$;

-- As before, but an agent whose package is gone does not come back by a turn that completes.
-- A burst of a turn is stored: it waits, goes on, or has ended. Does nothing for instances that are no turns, and nothing twice.
create or replace function conclave.turn_stored(p_tenant text, p_turn text, p_status text, p_error text, p_most_failures int, p_at timestamptz) returns void
language plpgsql as $$
declare
    v_turn conclave.agent_turn;
    v_agent conclave.agent;
    v_to text;
begin
    select * into v_turn from conclave.agent_turn where tenant = p_tenant and id = p_turn for update;
    if v_turn.id is null or v_turn.status = p_status or v_turn.status not in ('running', 'waiting') then
        return;
    end if;
    update conclave.agent_turn
       set status = p_status, error = p_error, ended_at = case when p_status in ('completed', 'failed', 'cancelled') then p_at end
     where tenant = p_tenant and id = p_turn;
    if p_status in ('running', 'waiting') then
        perform conclave.add_agent_event(p_tenant, v_turn.agent_id, p_turn, case p_status when 'waiting' then 'turn.waiting' else 'turn.resumed' end, '{}', p_at);
        return;
    end if;
    perform conclave.add_agent_event(p_tenant, v_turn.agent_id, p_turn, 'turn.' || p_status,
        jsonb_strip_nulls(jsonb_build_object('answer', v_turn.answer, 'error', p_error, 'modelCalls', v_turn.model_calls, 'toolCalls', v_turn.tool_calls,
            'inputTokens', v_turn.input_tokens, 'outputTokens', v_turn.output_tokens, 'cost', v_turn.cost)), p_at);
    select * into v_agent from conclave.agent where tenant = p_tenant and id = v_turn.agent_id for update;
    if v_agent.id is null then
        return;
    end if;
    v_agent.running_turns := greatest(0, v_agent.running_turns - 1);
    v_agent.consecutive_failures := case p_status when 'failed' then v_agent.consecutive_failures + 1 when 'completed' then 0 else v_agent.consecutive_failures end;
    v_to := case
        when v_agent.state in ('active', 'working') and v_agent.consecutive_failures >= p_most_failures then 'error'
        when v_agent.state = 'error' and p_status = 'completed' and v_agent.lost_package is null then 'active'
        when v_agent.state = 'working' and v_agent.running_turns = 0 then 'active'
        else v_agent.state end;
    update conclave.agent
       set running_turns = v_agent.running_turns, consecutive_failures = v_agent.consecutive_failures, state = v_to,
           -- A trial that failed waits as long again.
           state_at = case when v_to <> state or (state = 'error' and p_status = 'failed') then p_at else state_at end,
           state_reason = case when v_to = state then state_reason when v_to = 'error' then p_error else null end
     where tenant = p_tenant and id = v_turn.agent_id;
    if v_to <> v_agent.state then
        perform conclave.add_agent_event(p_tenant, v_turn.agent_id, p_turn, 'agent.state', jsonb_strip_nulls(jsonb_build_object(
            'from', v_agent.state, 'to', v_to,
            'reason', case v_to when 'error' then v_agent.consecutive_failures || ' turns failed one after the other.' else 'The last turn ended.' end)), p_at);
    end if;
end
$$;
