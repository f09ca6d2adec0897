-- Agents, what they are made of, their conversations, turns and events.

create table conclave.agent (
    tenant               text        not null,
    id                   text        not null,
    name                 text        not null,
    -- the package that it was made from; null for an agent made by hand
    template             text,
    configuration        jsonb       not null,
    -- active, working, paused, error, maintenance
    state                text        not null default 'active',
    state_reason         text,
    state_at             timestamptz not null,
    running_turns        int         not null default 0,
    consecutive_failures int         not null default 0,
    version              int         not null default 1,
    created_at           timestamptz not null,
    created_by           text        not null,
    updated_at           timestamptz not null,
    updated_by           text        not null,
    last_active_at       timestamptz,
    primary key (tenant, id),
    constraint agent_state_ck check (state in ('active', 'working', 'paused', 'error', 'maintenance')),
    constraint agent_turns_ck check (running_turns >= 0)
) with (fillfactor = 70);

create unique index agent_name_ux on conclave.agent (tenant, lower(name));

-- What an agent was made of when a turn began, once for each hash.
create table conclave.agent_makeup (
    tenant     text        not null,
    hash       text        not null,
    body       jsonb       not null,
    created_at timestamptz not null,
    primary key (tenant, hash)
);

create table conclave.agent_conversation (
    tenant     text        not null,
    id         text        not null,
    agent_id   text        not null,
    -- who talks to the agent: an account's or a key's name; an instance's id for workflows
    owner      text        not null,
    title      text,
    turns      int         not null default 0,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant, id)
) with (fillfactor = 80);

create index agent_conversation_list_ix on conclave.agent_conversation (tenant, agent_id, updated_at desc, id);

-- Contents of messages, once for each hash.
create table conclave.agent_content (
    tenant text not null,
    hash   bytea not null,
    body   bytea not null,
    primary key (tenant, hash)
);

create table conclave.agent_message (
    tenant          text        not null,
    conversation_id text        not null,
    -- number of the turn in the conversation, from 1, and place in the turn
    turn            int         not null,
    place           int         not null,
    turn_id         text        not null,
    role            text        not null,
    hash            bytea       not null,
    -- estimated, to keep prompts inside the context
    tokens          int         not null,
    created_at      timestamptz not null,
    primary key (tenant, conversation_id, turn, place)
);

create table conclave.agent_turn (
    tenant          text        not null,
    -- also the id of the behaviour's instance
    id              text        not null,
    agent_id        text        not null,
    conversation_id text        not null,
    number          int         not null,
    -- running, waiting, completed, failed, cancelled
    status          text        not null default 'running',
    makeup_hash     text        not null,
    -- so many failures one after the other take the agent out of use
    most_failures   int         not null,
    actor           text        not null,
    message         text        not null,
    answer          text,
    error           text,
    model_calls     int         not null default 0,
    tool_calls      int         not null default 0,
    input_tokens    bigint      not null default 0,
    output_tokens   bigint      not null default 0,
    cost            numeric     not null default 0,
    started_at      timestamptz not null,
    ended_at        timestamptz,
    primary key (tenant, id)
) with (fillfactor = 70);

create index agent_turn_list_ix on conclave.agent_turn (tenant, agent_id, started_at desc, id);
create unique index agent_turn_running_ux on conclave.agent_turn (tenant, conversation_id) where status in ('running', 'waiting');

create table conclave.agent_event (
    tenant     text        not null,
    id         bigint      generated always as identity,
    agent_id   text        not null,
    turn_id    text,
    type       text        not null,
    data       jsonb       not null,
    created_at timestamptz not null
) partition by range (created_at);
create table conclave.agent_event_default partition of conclave.agent_event default;
create index agent_event_agent_ix on conclave.agent_event (tenant, agent_id, id);
create index agent_event_turn_ix on conclave.agent_event (tenant, turn_id, id) where turn_id is not null;

create function conclave.add_agent_event(p_tenant text, p_agent text, p_turn text, p_type text, p_data jsonb, p_at timestamptz) returns bigint
language sql as $$
    insert into conclave.agent_event (tenant, agent_id, turn_id, type, data, created_at)
    values (p_tenant, p_agent, p_turn, p_type, p_data, p_at) returning id
$$;

-- Takes an agent from one of some states to another one, and records it. Returns the state that it left; null when it was in none of them.
create function conclave.agent_transition(
    p_tenant text, p_agent text, p_from text[], p_to text, p_actor text, p_reason text, p_at timestamptz) returns text
language plpgsql as $$
declare
    v_from text;
    v_turns int;
begin
    select state, running_turns into v_from, v_turns from conclave.agent where tenant = p_tenant and id = p_agent for update;
    if v_from is null or not v_from = any(p_from) then
        return null;
    end if;
    -- Back in use, it works if turns are under way.
    if p_to = 'active' and v_turns > 0 then
        p_to := 'working';
    end if;
    update conclave.agent
       set state = p_to, state_reason = p_reason, state_at = p_at, version = version + 1,
           consecutive_failures = case when p_to in ('active', 'working') then 0 else consecutive_failures end
     where tenant = p_tenant and id = p_agent;
    perform conclave.add_agent_event(p_tenant, p_agent, null, 'agent.state',
        jsonb_build_object('from', v_from, 'to', p_to, 'actor', p_actor, 'reason', p_reason), p_at);
    return v_from;
end
$$;

-- Begins a turn, or says why not: missing, paused, maintenance, error, busy (too many turns), conversation (a turn of it is under way), exists.
create function conclave.begin_turn(
    p_tenant text, p_turn text, p_agent text, p_conversation text, p_owner text, p_makeup text, p_message text,
    p_most int, p_most_failures int, p_recover interval, p_at timestamptz, out refusal text, out number int)
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
        insert into conclave.agent_turn (tenant, id, agent_id, conversation_id, number, makeup_hash, most_failures, actor, message, started_at)
        values (p_tenant, p_turn, p_agent, p_conversation, number, p_makeup, p_most_failures, p_owner, p_message, p_at);
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

-- Begins a turn with its first message in the transaction that stores its instance, or undoes that.
create function conclave.begin_turn_or_refuse(
    p_tenant text, p_turn text, p_agent text, p_conversation text, p_owner text, p_makeup text, p_message text,
    p_most int, p_most_failures int, p_recover interval, p_at timestamptz) returns void
language plpgsql as $$
begin
    perform conclave.refuse_unless((conclave.begin_turn(
        p_tenant, p_turn, p_agent, p_conversation, p_owner, p_makeup, p_message, p_most, p_most_failures, p_recover, p_at)).refusal is null);
end
$$;

-- Adds a message to the conversation of a turn, once.
create function conclave.add_agent_message(p_tenant text, p_turn text, p_place int, p_role text, p_hash bytea, p_body bytea, p_tokens int, p_at timestamptz) returns void
language plpgsql as $$
begin
    insert into conclave.agent_content (tenant, hash, body) values (p_tenant, p_hash, p_body) on conflict do nothing;
    insert into conclave.agent_message (tenant, conversation_id, turn, place, turn_id, role, hash, tokens, created_at)
    select t.tenant, t.conversation_id, t.number, p_place, t.id, p_role, p_hash, p_tokens, p_at
      from conclave.agent_turn t where t.tenant = p_tenant and t.id = p_turn
        on conflict do nothing;
end
$$;

-- A burst of a turn is stored: it waits, goes on, or has ended. Does nothing for instances that are no turns, and nothing twice.
create function conclave.turn_stored(p_tenant text, p_turn text, p_status text, p_error text, p_at timestamptz) returns void
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
        when v_agent.state in ('active', 'working') and v_agent.consecutive_failures >= v_turn.most_failures then 'error'
        when v_agent.state = 'error' and p_status = 'completed' then 'active'
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
