-- What somebody has to agree to, or to do, before a workflow goes on: a row beside the bookmark at which the workflow waits.
create table conclave.approval (
    tenant                text        not null,
    -- of the execution that waits: {instance}-{number}
    id                    text        not null,
    -- approval, task
    kind                  text        not null,
    instance_id           text        not null,
    activity_id           text        not null,
    -- when the instance, or one that it was started by, is a turn of an agent
    agent_id              text,
    turn_id               text,
    title                 text        not null,
    description           text        not null,
    -- canonical JSON: what was asked for, and what edits have made of it; null for tasks
    action                text,
    action_hash           text,
    current_action        text,
    current_hash          text,
    is_editable           boolean     not null,
    -- JSON Schemas as text: of the arguments, and of what else is to be filled in
    arguments_schema      text,
    form                  text,
    form_data             text,
    -- on whose behalf: a name as given, and the account that has it
    requester             text,
    requester_id          text,
    allow_self            boolean     not null,
    -- ids of accounts and names of roles; both empty: whoever may decide
    assignees             text[]      not null,
    groups                text[]      not null,
    quorum                int         not null,
    denial_is_final       boolean     not null,
    priority              smallint    not null,
    due_at                timestamptz,
    remind_every          interval,
    remind_at             timestamptz,
    reminders             int         not null default 0,
    escalate_at           timestamptz,
    escalated_at          timestamptz,
    escalation_assignees  text[]      not null,
    escalation_groups     text[]      not null,
    -- how long a decision may be used, and until when
    valid_for             interval    not null,
    valid_until           timestamptz,
    -- pending, approved, rejected, done, expired, cancelled
    status                text        not null default 'pending',
    decided_at            timestamptz,
    -- the one thing that it was used for
    used_key              text,
    used_at               timestamptz,
    created_at            timestamptz not null,
    updated_at            timestamptz not null,
    primary key (tenant, id),
    constraint approval_kind_ck check (kind in ('approval', 'task')),
    constraint approval_status_ck check (status in ('pending', 'approved', 'rejected', 'done', 'expired', 'cancelled'))
) with (fillfactor = 80);

create index approval_list_ix on conclave.approval (tenant, created_at desc, id desc);
create index approval_pending_ix on conclave.approval (tenant, created_at desc, id desc) where status = 'pending';
create index approval_instance_ix on conclave.approval (tenant, instance_id);
create index approval_agent_ix on conclave.approval (tenant, agent_id, created_at desc) where agent_id is not null;

-- Who said what to which action. Rows are never changed.
create table conclave.approval_decision (
    tenant          text        not null,
    approval_id     text        not null,
    account_id      text        not null,
    account_name    text        not null,
    -- approve, reject, complete
    decision        text        not null,
    -- the action that was in front of the person; empty for tasks
    action_hash     text        not null,
    comment         text,
    form_data       text,
    idempotency_key text,
    created_at      timestamptz not null,
    primary key (tenant, approval_id, account_id, action_hash)
);

create function conclave.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'Rows of % are never changed.', tg_table_name;
end
$$;
create trigger approval_decision_fixed before update on conclave.approval_decision for each row execute function conclave.refuse_change();

-- What happened to an approval.
create table conclave.approval_event (
    tenant      text        not null,
    approval_id text        not null,
    id          bigint      generated always as identity,
    kind        text        not null,
    actor_id    text,
    actor       text,
    data        jsonb       not null,
    created_at  timestamptz not null,
    primary key (tenant, approval_id, id)
);

-- Hash of the bookmark of an approval, as the runtime makes it of the stimulus' name and its members.
create function conclave.approval_key(p_id text) returns bytea language sql immutable as $$
    select sha256(convert_to('Conclave.Approval', 'UTF8') || '\x00'::bytea || convert_to(p_id, 'UTF8') || '\x00'::bytea)
$$;

-- Ids of the accounts that names or ids stand for.
create function conclave.account_ids(p_tenant text, p_names text[]) returns text[] language sql stable as $$
    select coalesce(array_agg(a.id order by a.id), '{}') from conclave.account a
     where a.tenant = p_tenant
       and (a.id = any(p_names) or a.user_name = any(p_names) or a.normalized_name = any(select upper(n) from unnest(p_names) n))
$$;

create function conclave.add_approval_event(
    p_tenant text, p_id text, p_kind text, p_actor_id text, p_actor text, p_data jsonb, p_at timestamptz) returns void
language plpgsql as $$
declare
    v_approval conclave.approval;
begin
    insert into conclave.approval_event (tenant, approval_id, kind, actor_id, actor, data, created_at)
    values (p_tenant, p_id, p_kind, p_actor_id, p_actor, p_data, p_at);
    select * into v_approval from conclave.approval where tenant = p_tenant and id = p_id;
    if v_approval.agent_id is not null and p_kind in ('requested', 'approved', 'rejected', 'done', 'expired', 'cancelled') then
        perform conclave.add_agent_event(
            p_tenant, v_approval.agent_id, v_approval.turn_id, case p_kind when 'requested' then 'approval.requested' else 'approval.decided' end,
            jsonb_strip_nulls(jsonb_build_object(
                'approval', p_id, 'title', v_approval.title, 'kind', v_approval.kind, 'priority', 'P' || v_approval.priority,
                'decision', case p_kind when 'requested' then null else p_kind end, 'by', p_actor)), p_at);
    end if;
    perform pg_notify('conclave_approval', p_tenant || ':' || p_id);
end
$$;

-- Stores what a burst asks people for. Nobody is asked when the bookmark is gone already: the burst itself has cancelled the activity.
create function conclave.request_approval(p_tenant text, p_instance text, p_approval json, p_at timestamptz) returns void
language plpgsql as $$
declare
    v_new conclave.approval := json_populate_record(null::conclave.approval, p_approval);
    v_unknown text[];
begin
    if not exists (
        select from conclave.bookmark b
         where b.tenant = p_tenant and b.name = 'Conclave.Approval' and b.hash = conclave.approval_key(v_new.id) and b.instance_id = p_instance) then
        return;
    end if;
    v_new.tenant := p_tenant;
    v_new.instance_id := p_instance;
    -- The turn that the instance is, or that started it.
    with recursive line(id, parent_id, depth) as (
        select i.id, i.parent_id, 0 from conclave.workflow_instance i where i.tenant = p_tenant and i.id = p_instance
        union all
        select i.id, i.parent_id, l.depth + 1 from line l
          join conclave.workflow_instance i on i.tenant = p_tenant and i.id = l.parent_id where l.depth < 20)
    select t.id, t.agent_id, coalesce(nullif(v_new.requester, ''), t.actor) into v_new.turn_id, v_new.agent_id, v_new.requester
      from line l join conclave.agent_turn t on t.tenant = p_tenant and t.id = l.id order by l.depth limit 1;
    if not found then
        v_new.requester := nullif(json_extract_path_text(p_approval, 'requester'), '');
    end if;
    v_new.requester_id := (conclave.account_ids(p_tenant, array[v_new.requester]))[1];
    select array_agg(n) into v_unknown from unnest(v_new.assignees || v_new.escalation_assignees) n
     where cardinality(conclave.account_ids(p_tenant, array[n])) = 0;
    -- Somebody was named: that nobody has the name must not open it to everybody.
    v_new.assignees := case when cardinality(v_new.assignees) = 0 then '{}' else coalesce(nullif(conclave.account_ids(p_tenant, v_new.assignees), '{}'), v_new.assignees) end;
    v_new.escalation_assignees := conclave.account_ids(p_tenant, v_new.escalation_assignees);
    v_new.status := 'pending';
    v_new.reminders := 0;
    v_new.created_at := p_at;
    v_new.updated_at := p_at;
    insert into conclave.approval values (v_new.*) on conflict do nothing;
    if not found then
        return;
    end if;
    perform conclave.add_approval_event(p_tenant, v_new.id, 'requested', v_new.requester_id, v_new.requester,
        jsonb_strip_nulls(jsonb_build_object('actionHash', v_new.action_hash, 'unknownAssignees', to_jsonb(v_unknown))), p_at);
end
$$;

-- Ends an approval, and lets the workflow go on: one transaction with the decision, so that none is lost. False when it had ended.
create function conclave.end_approval(p_tenant text, p_id text, p_status text, p_actor_id text, p_actor text, p_data jsonb, p_at timestamptz) returns boolean
language plpgsql as $$
declare
    v_instance text;
begin
    update conclave.approval a
       set status = p_status, decided_at = p_at, updated_at = p_at, valid_until = case p_status when 'approved' then p_at + a.valid_for end
     where a.tenant = p_tenant and a.id = p_id and a.status = 'pending'
    returning a.instance_id into v_instance;
    if not found then
        return false;
    end if;
    perform conclave.add_approval_event(p_tenant, p_id, p_status, p_actor_id, p_actor, p_data, p_at);
    with gone as (
        delete from conclave.bookmark b
         where b.tenant = p_tenant and b.name = 'Conclave.Approval' and b.hash = conclave.approval_key(p_id) and b.instance_id = v_instance
        returning b.number)
    insert into conclave.work_item (tenant, instance_id, kind, priority, due_at, bookmark)
    select p_tenant, v_instance, 2, 1, now(), gone.number from gone;
    return true;
end
$$;

-- What is due of an approval whose workflow woke up: the end of its time, others to ask, a reminder. Says when to wake up next.
-- The workflow decides nothing: a decision that was first stands.
create function conclave.wake_approval(p_tenant text, p_id text, p_at timestamptz, out status text, out wake_at timestamptz, out happened text)
language plpgsql as $$
declare
    v_approval conclave.approval;
begin
    select * into v_approval from conclave.approval a where a.tenant = p_tenant and a.id = p_id for update;
    status := v_approval.status;
    -- Somebody took the bookmark away by hand: the activity that asks still waits.
    if status = 'cancelled' then
        update conclave.approval a set status = 'pending', decided_at = null, updated_at = p_at where a.tenant = p_tenant and a.id = p_id;
        perform conclave.add_approval_event(p_tenant, p_id, 'reopened', null, null, '{}', p_at);
        status := 'pending';
    end if;
    if status is distinct from 'pending' then
        return;
    end if;
    if v_approval.due_at <= p_at then
        status := 'expired';
        update conclave.approval a set status = 'expired', decided_at = p_at, updated_at = p_at where a.tenant = p_tenant and a.id = p_id;
        perform conclave.add_approval_event(p_tenant, p_id, 'expired', null, null, '{}', p_at);
        return;
    end if;
    if v_approval.escalate_at <= p_at and v_approval.escalated_at is null then
        happened := 'escalated';
        v_approval.escalated_at := p_at;
        update conclave.approval a
           set escalated_at = p_at, updated_at = p_at,
               -- Open to everybody, it stays so.
               assignees = case when cardinality(a.assignees) + cardinality(a.groups) = 0 then a.assignees
                                else array(select distinct x from unnest(a.assignees || a.escalation_assignees) x) end,
               groups = case when cardinality(a.assignees) + cardinality(a.groups) = 0 then a.groups
                             else array(select distinct x from unnest(a.groups || a.escalation_groups) x) end
         where a.tenant = p_tenant and a.id = p_id;
        perform conclave.add_approval_event(p_tenant, p_id, 'escalated', null, null,
            jsonb_build_object('assignees', to_jsonb(v_approval.escalation_assignees), 'groups', to_jsonb(v_approval.escalation_groups)), p_at);
    end if;
    if v_approval.remind_at <= p_at then
        happened := coalesce(happened, 'reminded');
        -- Those that were missed while nobody ran the workflow are one.
        v_approval.remind_at := p_at + v_approval.remind_every;
        update conclave.approval a
           set remind_at = v_approval.remind_at, reminders = a.reminders + 1, updated_at = p_at where a.tenant = p_tenant and a.id = p_id;
        perform conclave.add_approval_event(p_tenant, p_id, 'reminded', null, null, jsonb_build_object('number', v_approval.reminders + 1), p_at);
    end if;
    wake_at := least(v_approval.due_at, v_approval.remind_at, case when v_approval.escalated_at is null then v_approval.escalate_at end);
end
$$;

-- Nobody may decide what nobody waits for. At the end of the transaction, since a burst may take a bookmark away and put it back.
create function conclave.approval_bookmark_gone() returns trigger language plpgsql as $$
declare
    v_id text;
begin
    if exists (
        select from conclave.bookmark b
         where b.tenant = old.tenant and b.name = old.name and b.hash = old.hash and b.instance_id = old.instance_id) then
        return null;
    end if;
    update conclave.approval a set status = 'cancelled', decided_at = now(), updated_at = now()
     where a.tenant = old.tenant and a.instance_id = old.instance_id and a.status = 'pending' and conclave.approval_key(a.id) = old.hash
    returning a.id into v_id;
    if v_id is not null then
        perform conclave.add_approval_event(old.tenant, v_id, 'cancelled', null, null, '{}', now());
    end if;
    return null;
end
$$;
create constraint trigger approval_bookmark_gone after delete on conclave.bookmark deferrable initially deferred
    for each row when (old.name = 'Conclave.Approval') execute function conclave.approval_bookmark_gone();

-- Mends what must not be: approvals that have ended and whose workflow still waits go on, those that nobody waits for are cancelled, and
-- those that somebody waits for again are open. Returns how many.
create function conclave.mend_approvals(p_at timestamptz) returns int
language plpgsql as $$
declare
    v_mended int := 0;
    v_count int;
begin
    if not pg_try_advisory_xact_lock(hashtext('conclave.mend_approvals')) then
        return 0;
    end if;
    with orphan as (
        delete from conclave.bookmark b using conclave.approval a
         where b.name = 'Conclave.Approval' and a.tenant = b.tenant and a.instance_id = b.instance_id and conclave.approval_key(a.id) = b.hash
           and a.status in ('approved', 'rejected', 'done', 'expired') and a.decided_at < p_at - interval '30 seconds'
        returning b.tenant, b.instance_id, b.number)
    insert into conclave.work_item (tenant, instance_id, kind, priority, due_at, bookmark)
    select o.tenant, o.instance_id, 2, 1, now(), o.number from orphan o;
    get diagnostics v_mended = row_count;
    with again as (
        update conclave.approval a set status = 'pending', decided_at = null, updated_at = p_at
          from conclave.bookmark b
         where b.name = 'Conclave.Approval' and a.tenant = b.tenant and a.instance_id = b.instance_id and conclave.approval_key(a.id) = b.hash
           and a.status = 'cancelled'
        returning a.tenant, a.id)
    select count(conclave.add_approval_event(r.tenant, r.id, 'reopened', null, null, '{}', p_at)) into v_count from again r;
    v_mended := v_mended + v_count;
    with lost as (
        update conclave.approval a set status = 'cancelled', decided_at = p_at, updated_at = p_at
         where a.status = 'pending' and not exists (
            select from conclave.bookmark b
             where b.tenant = a.tenant and b.name = 'Conclave.Approval' and b.hash = conclave.approval_key(a.id) and b.instance_id = a.instance_id)
        returning a.tenant, a.id)
    select count(conclave.add_approval_event(l.tenant, l.id, 'cancelled', null, null, '{}', p_at)) into v_count from lost l;
    return v_mended + v_count;
end
$$;
