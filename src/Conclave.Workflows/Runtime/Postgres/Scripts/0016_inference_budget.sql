-- What may be spent on models. A subject '*' stands for each one: every agent, run or key then has the limit for itself.
create table conclave.inference_budget (
    tenant     text        not null,
    name       text        not null,
    -- 0 tenant, 1 agent, 2 workflow instance, 3 API key
    scope      smallint    not null,
    subject    text        not null,
    -- 0 day, 1 month, both of UTC; 2 for ever, which for an instance is its run
    period     smallint    not null,
    money      numeric,
    tokens     bigint,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    updated_by text        not null,
    primary key (tenant, name)
);

-- Grows with each change of a budget, so that processes see cheaply whether theirs are of today.
create table conclave.inference_budget_revision (revision bigint not null);
insert into conclave.inference_budget_revision values (0);

create type conclave.inference_budget_key as (budget text, subject text, starts timestamptz);

-- What was spent in a period, and what is set aside for calls that run.
create table conclave.inference_budget_use (
    tenant          text        not null,
    budget          text        not null,
    subject         text        not null,
    starts          timestamptz not null,
    money_spent     numeric     not null default 0,
    money_reserved  numeric     not null default 0,
    tokens_spent    bigint      not null default 0,
    tokens_reserved bigint      not null default 0,
    calls           bigint      not null default 0,
    updated_at      timestamptz not null,
    primary key (tenant, budget, subject, starts)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

create index inference_budget_use_age_ix on conclave.inference_budget_use (updated_at);

-- What is set aside: for a call, or for a run whose calls draw on it. money and tokens are what is left of it.
create table conclave.inference_reservation (
    id         uuid        not null primary key,
    tenant     text        not null,
    parent     uuid,
    is_call    boolean     not null,
    money      numeric     not null,
    tokens     bigint      not null,
    -- Where it is set aside itself; where its parent is, the parent knows.
    uses       conclave.inference_budget_key[] not null,
    owner      uuid        not null,
    expires_at timestamptz not null
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);

create index inference_reservation_expiry_ix on conclave.inference_reservation (expires_at);
create index inference_reservation_owner_ix on conclave.inference_reservation (owner);
create index inference_reservation_parent_ix on conclave.inference_reservation (parent) where parent is not null;

-- The moment at which the period of a time began.
create function conclave.inference_period_start(period smallint, at timestamptz) returns timestamptz language sql immutable
as $$
    select case period
        when 0 then date_trunc('day', at, 'UTC')
        when 1 then date_trunc('month', at, 'UTC')
        else '2000-01-01T00:00:00Z'::timestamptz end
$$;

-- Sets aside an amount on all budgets named, and on the parent's reservation; or on none, and says what does not suffice.
-- Locks are taken in one order everywhere: reservations from the root on, then uses by key.
create function conclave.reserve_budget(
    p_id uuid, p_tenant text, p_budgets text[], p_subjects text[], p_parent uuid, p_is_call boolean,
    p_money numeric, p_tokens bigint, p_owner uuid, p_now timestamptz, p_expires timestamptz)
-- Nothing when it is done. Else the budget that does not suffice, by name; null for the parent's reservation.
returns table (
    budget text, scope smallint, subject text, period smallint, money numeric, tokens bigint,
    money_spent numeric, money_reserved numeric, tokens_spent bigint, tokens_reserved bigint, parent_is_gone boolean)
language plpgsql set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    v_parent conclave.inference_reservation;
    v_above  conclave.inference_budget_key[] := '{}';
    v_uses   conclave.inference_budget_key[];
begin
    if p_parent is not null then
        select r.* into v_parent from conclave.inference_reservation r
         where r.id = p_parent and r.tenant = p_tenant and not r.is_call and r.expires_at > p_now for update;
        if v_parent.id is null or v_parent.money < p_money or v_parent.tokens < p_tokens then
            return query select null::text, null::smallint, p_parent::text, null::smallint, v_parent.money, v_parent.tokens,
                null::numeric, null::numeric, null::bigint, null::bigint, v_parent.id is null;
            return;
        end if;
        -- What the parent and its parents have set aside covers the call there; other budgets are asked themselves.
        with recursive above as (
            select v_parent.parent as parent, v_parent.uses as uses
            union all
            select r.parent, r.uses from above join conclave.inference_reservation r on r.id = above.parent)
        select coalesce(array_agg(u), '{}') into v_above from above, unnest(above.uses) u;
    end if;

    select coalesce(array_agg(k.key order by (k.key).budget, (k.key).subject, (k.key).starts), '{}') into v_uses
      from (select row(b.name, n.subject, conclave.inference_period_start(b.period, p_now))::conclave.inference_budget_key as key
              from unnest(p_budgets, p_subjects) as n(budget, subject)
              join conclave.inference_budget b on b.tenant = p_tenant and b.name = n.budget) k
     where not exists (select from unnest(v_above) a where a.budget = (k.key).budget and a.subject = (k.key).subject);

    if cardinality(v_uses) > 0 then
        insert into conclave.inference_budget_use (tenant, budget, subject, starts, updated_at)
        select p_tenant, u.budget, u.subject, u.starts, p_now from unnest(v_uses) u
         where not exists (
            select from conclave.inference_budget_use o
             where o.tenant = p_tenant and o.budget = u.budget and o.subject = u.subject and o.starts = u.starts)
         order by u.budget, u.subject, u.starts
            on conflict do nothing;
        perform 1 from conclave.inference_budget_use o join unnest(v_uses) u on o.budget = u.budget and o.subject = u.subject and o.starts = u.starts
          where o.tenant = p_tenant
          order by o.budget, o.subject, o.starts for update of o;
        return query
            select o.budget, b.scope, o.subject, b.period, b.money, b.tokens,
                   o.money_spent, o.money_reserved, o.tokens_spent, o.tokens_reserved, false
              from unnest(v_uses) u
              join conclave.inference_budget_use o on o.tenant = p_tenant and o.budget = u.budget and o.subject = u.subject and o.starts = u.starts
              join conclave.inference_budget b on b.tenant = p_tenant and b.name = u.budget
             -- What is free of charge passes a budget of money that is used up.
             where (p_money > 0 and o.money_spent + o.money_reserved + p_money > b.money)
                or (p_tokens > 0 and o.tokens_spent + o.tokens_reserved + p_tokens > b.tokens)
             order by o.budget limit 1;
        if found then
            return;
        end if;
        update conclave.inference_budget_use o
           set money_reserved = o.money_reserved + p_money, tokens_reserved = o.tokens_reserved + p_tokens, updated_at = p_now
          from unnest(v_uses) u
         where o.tenant = p_tenant and o.budget = u.budget and o.subject = u.subject and o.starts = u.starts;
    end if;

    if p_parent is not null then
        update conclave.inference_reservation r set money = r.money - p_money, tokens = r.tokens - p_tokens where r.id = p_parent;
    end if;
    insert into conclave.inference_reservation (id, tenant, parent, is_call, money, tokens, uses, owner, expires_at)
    values (p_id, p_tenant, p_parent, p_is_call, p_money, p_tokens, v_uses, p_owner, p_expires);
end
$$;

-- Ends a reservation: counts what was really spent, gives the rest back to the parent, else to the budgets. With p_expired_at only one that
-- has expired by then: a call at its whole amount, for it may have been served; what was kept for a run is given back.
create function conclave.settle_budget(p_id uuid, p_money numeric, p_tokens bigint, p_now timestamptz, p_expired_at timestamptz) returns boolean
language plpgsql set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    v_chain    uuid[];
    v_again    uuid[];
    v_own      conclave.inference_reservation;
    v_parent   conclave.inference_reservation;
    v_money    numeric := p_money;
    v_tokens   bigint := p_tokens;
    v_back_money  numeric := 0;
    v_back_tokens bigint := 0;
    v_above    conclave.inference_budget_key[] := '{}';
begin
    loop
        with recursive up as (
            select r.id, r.parent, 1 as depth from conclave.inference_reservation r where r.id = p_id
            union all
            select r.id, r.parent, up.depth + 1 from up join conclave.inference_reservation r on r.id = up.parent)
        select array_agg(up.id order by up.depth desc) into v_chain from up;
        if v_chain is null then
            return false;
        end if;
        for i in 1 .. cardinality(v_chain) loop
            perform 1 from conclave.inference_reservation r where r.id = v_chain[i] for update;
        end loop;
        with recursive up as (
            select r.id, r.parent, 1 as depth from conclave.inference_reservation r where r.id = p_id
            union all
            select r.id, r.parent, up.depth + 1 from up join conclave.inference_reservation r on r.id = up.parent)
        select array_agg(up.id order by up.depth desc) into v_again from up;
        exit when v_again = v_chain;
        if v_again is null then
            return false;
        end if;
        -- One above was ended meanwhile. The chain only ever gets shorter, so all that is left of it is locked already.
    end loop;

    select r.* into v_own from conclave.inference_reservation r where r.id = p_id;
    if p_expired_at is not null then
        if v_own.expires_at > p_expired_at then
            return false;
        end if;
        v_money := case when v_own.is_call then v_own.money else 0 end;
        v_tokens := case when v_own.is_call then v_own.tokens else 0 end;
    end if;

    if v_own.parent is not null then
        select r.* into v_parent from conclave.inference_reservation r where r.id = v_own.parent;
        v_back_money := greatest(0, v_parent.money + v_own.money - v_money) - v_parent.money;
        v_back_tokens := greatest(0, v_parent.tokens + v_own.tokens - v_tokens) - v_parent.tokens;
        update conclave.inference_reservation r
           set money = r.money + v_back_money, tokens = r.tokens + v_back_tokens where r.id = v_parent.id;
        select coalesce(array_agg(u), '{}') into v_above
          from conclave.inference_reservation r, unnest(r.uses) u where r.id = any(v_chain) and r.id <> p_id;
    end if;

    perform 1 from conclave.inference_budget_use o join unnest(v_own.uses || v_above) u on o.budget = u.budget and o.subject = u.subject and o.starts = u.starts
      where o.tenant = v_own.tenant
      order by o.budget, o.subject, o.starts for update of o;
    update conclave.inference_budget_use o
       set money_spent = o.money_spent + v_money, tokens_spent = o.tokens_spent + v_tokens,
           money_reserved = o.money_reserved - v_own.money + case when u.is_above then v_back_money else 0 end,
           tokens_reserved = o.tokens_reserved - v_own.tokens + case when u.is_above then v_back_tokens else 0 end,
           calls = o.calls + case when v_own.is_call then 1 else 0 end, updated_at = p_now
      from (select *, false as is_above from unnest(v_own.uses) union all select *, true from unnest(v_above)) u
     where o.tenant = v_own.tenant and o.budget = u.budget and o.subject = u.subject and o.starts = u.starts;

    -- Calls that still run draw on what this one drew on.
    update conclave.inference_reservation r set parent = v_own.parent, uses = r.uses || v_own.uses where r.parent = p_id;
    delete from conclave.inference_reservation r where r.id = p_id;
    return true;
end
$$;
