-- What nearly every burst writes, in one call: a statement of its own for each row costs more than the row.
-- Processes of the version before still call update_instance, take_bookmark and find_waiting for one.

-- Stores an instance after a burst with the first of its bookmarks and journal rows, and takes away the bookmark that the burst has
-- just answered. A fence of 0 inserts it; another one fails when somebody else has taken it since.
create function conclave.store_burst(
    p_tenant text, p_id text, p_version_id text, p_version int, p_status smallint, p_sub_status smallint, p_correlation text,
    p_name text, p_incidents int, p_state bytea, p_owner uuid, p_lease interval, p_updated timestamptz, p_finished timestamptz,
    p_definition text, p_parent text, p_created timestamptz, p_fence bigint, p_taken int,
    p_number int, p_bookmark text, p_hash bytea, p_activity text, p_payload text, p_due timestamptz, p_bookmarked timestamptz,
    p_sequence bigint, p_count int, p_entries bytea, p_logged timestamptz) returns void
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan as $$
begin
    if p_fence = 0 then
        insert into conclave.workflow_instance (
            tenant, id, definition_version_id, version, status, sub_status, correlation_id, name, incident_count, state,
            owner, lease_until, updated_at, finished_at, definition_id, parent_id, created_at)
        values (p_tenant, p_id, p_version_id, p_version, p_status, p_sub_status, p_correlation, p_name, p_incidents, p_state,
            p_owner, now() + p_lease, p_updated, p_finished, p_definition, p_parent, p_created);
    else
        update conclave.workflow_instance i
           set definition_version_id = p_version_id, version = p_version, status = p_status, sub_status = p_sub_status,
               correlation_id = p_correlation, name = p_name, incident_count = p_incidents, state = p_state, fence = i.fence + 1,
               owner = p_owner, lease_until = now() + p_lease, updated_at = p_updated, finished_at = p_finished
         where i.tenant = p_tenant and i.id = p_id and i.fence = p_fence;
        if not found then
            perform conclave.refuse_unless(false);
        end if;
    end if;
    if p_taken is not null then
        delete from conclave.bookmark b where b.tenant = p_tenant and b.instance_id = p_id and b.number = p_taken;
        if not found then
            perform conclave.refuse_unless(false);
        end if;
    end if;
    if p_number is not null then
        if exists (
            select from conclave.stimulus w
             where w.tenant = p_tenant and w.name = p_bookmark and w.hash = p_hash and w.is_waiting and w.expires_at > now()
               and (w.instance_id is null or w.instance_id = p_id)
               and (w.correlation_id is null or w.correlation_id = p_correlation)) then
            perform conclave.add_bookmark(
                p_tenant, p_id, p_number, p_bookmark, p_hash, p_correlation, p_activity, p_payload, p_due, p_bookmarked);
        else
            insert into conclave.bookmark (
                tenant, instance_id, number, name, hash, correlation_id, activity_id, payload, due_at, created_at)
            values (p_tenant, p_id, p_number, p_bookmark, p_hash, p_correlation, p_activity, p_payload, p_due, p_bookmarked);
        end if;
    end if;
    if p_entries is not null then
        insert into conclave.journal (tenant, instance_id, first_sequence, count, entries, created_at)
        values (p_tenant, p_id, p_sequence, p_count, p_entries, p_logged);
    end if;
end
$$;

-- Instances that stimuli resume, two at most for each: one that waits alone, and that nobody holds, can be resumed without the queue.
create function conclave.find_waiting(p_tenants text[], p_names text[], p_hashes bytea[], p_instances text[], p_correlations text[])
returns table (place int, instance_id text, number int, definition_version_id text, fence bigint, state bytea, is_free boolean)
language plpgsql stable set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    p_tenant text;
    p_name text;
    p_hash bytea;
    p_instance text;
    p_correlation text;
begin
    for n in 1 .. cardinality(p_tenants) loop
        p_tenant := p_tenants[n];
        p_name := p_names[n];
        p_hash := p_hashes[n];
        p_instance := p_instances[n];
        p_correlation := p_correlations[n];
        if p_instance is not null then
            return query
            select n, b.instance_id, b.number, i.definition_version_id, i.fence, i.state, i.lease_until is null or i.lease_until <= now()
              from conclave.bookmark b join conclave.workflow_instance i on i.tenant = b.tenant and i.id = b.instance_id
             where b.tenant = p_tenant and b.name = p_name and b.hash = p_hash and b.instance_id = p_instance
               and (p_correlation is null or b.correlation_id = p_correlation)
             limit 2;
        else
            return query
            select n, b.instance_id, b.number, i.definition_version_id, i.fence, i.state, i.lease_until is null or i.lease_until <= now()
              from conclave.bookmark b join conclave.workflow_instance i on i.tenant = b.tenant and i.id = b.instance_id
             where b.tenant = p_tenant and b.name = p_name and b.hash = p_hash
               and (p_correlation is null or b.correlation_id = p_correlation)
             limit 2;
        end if;
    end loop;
end
$$;
