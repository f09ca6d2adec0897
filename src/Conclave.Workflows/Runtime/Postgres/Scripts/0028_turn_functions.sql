-- Beginning and ending a turn, as in 0022, in fewer statements: without a subtransaction, and with one insert for what happened.

create or replace function conclave.begin_turn(
    p_tenant text, p_turn text, p_agent text, p_conversation text, p_owner text, p_makeup text, p_message text,
    p_most int, p_most_failures int, p_recover interval, p_at timestamptz, out refusal text, out number int)
language plpgsql as $$
declare
    v_agent conclave.agent;
    v_started jsonb;
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
    insert into conclave.agent_turn (tenant, id, agent_id, conversation_id, number, makeup_hash, most_failures, actor, message, started_at)
    values (p_tenant, p_turn, p_agent, p_conversation, number, p_makeup, p_most_failures, p_owner, p_message, p_at)
        on conflict do nothing;
    if not found then
        -- Another turn of the conversation is under way.
        update conclave.agent_conversation c set turns = c.turns - 1 where c.tenant = p_tenant and c.id = p_conversation;
        refusal := 'conversation';
        return;
    end if;
    update conclave.agent
       set running_turns = running_turns + 1, last_active_at = p_at,
           state = case when state = 'active' then 'working' else state end,
           state_at = case when state = 'active' then p_at else state_at end
     where tenant = p_tenant and id = p_agent;
    v_started := jsonb_build_object('conversation', p_conversation, 'actor', p_owner, 'message', p_message, 'makeup', p_makeup);
    if v_agent.state = 'active' then
        insert into conclave.agent_event (tenant, agent_id, turn_id, type, data, created_at) values
            (p_tenant, p_agent, p_turn, 'agent.state', '{"from": "active", "to": "working", "reason": "A turn began."}', p_at),
            (p_tenant, p_agent, p_turn, 'turn.started', v_started, p_at);
    else
        insert into conclave.agent_event (tenant, agent_id, turn_id, type, data, created_at) values (p_tenant, p_agent, p_turn, 'turn.started', v_started, p_at);
    end if;
end
$$;

create or replace function conclave.turn_stored(p_tenant text, p_turn text, p_status text, p_error text, p_at timestamptz) returns void
language plpgsql as $$
declare
    v_turn conclave.agent_turn;
    v_agent conclave.agent;
    v_to text;
    v_end jsonb;
begin
    select * into v_turn from conclave.agent_turn where tenant = p_tenant and id = p_turn for update;
    if v_turn.id is null or v_turn.status = p_status or v_turn.status not in ('running', 'waiting') then
        return;
    end if;
    update conclave.agent_turn
       set status = p_status, error = p_error, ended_at = case when p_status in ('completed', 'failed', 'cancelled') then p_at end
     where tenant = p_tenant and id = p_turn;
    if p_status in ('running', 'waiting') then
        insert into conclave.agent_event (tenant, agent_id, turn_id, type, data, created_at)
        values (p_tenant, v_turn.agent_id, p_turn, case p_status when 'waiting' then 'turn.waiting' else 'turn.resumed' end, '{}', p_at);
        return;
    end if;
    select * into v_agent from conclave.agent where tenant = p_tenant and id = v_turn.agent_id for update;
    if v_agent.id is not null then
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
    end if;
    v_end := jsonb_strip_nulls(jsonb_build_object('answer', v_turn.answer, 'error', p_error, 'modelCalls', v_turn.model_calls, 'toolCalls', v_turn.tool_calls,
        'inputTokens', v_turn.input_tokens, 'outputTokens', v_turn.output_tokens, 'cost', v_turn.cost));
    if v_to <> v_agent.state then
        insert into conclave.agent_event (tenant, agent_id, turn_id, type, data, created_at) values
            (p_tenant, v_turn.agent_id, p_turn, 'turn.' || p_status, v_end, p_at),
            (p_tenant, v_turn.agent_id, p_turn, 'agent.state', jsonb_build_object('from', v_agent.state, 'to', v_to,
                'reason', case v_to when 'error' then v_agent.consecutive_failures || ' turns failed one after the other.' else 'The last turn ended.' end), p_at);
    else
        insert into conclave.agent_event (tenant, agent_id, turn_id, type, data, created_at) values (p_tenant, v_turn.agent_id, p_turn, 'turn.' || p_status, v_end, p_at);
    end if;
end
$$;
