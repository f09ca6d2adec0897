-- Who is cancelled with its parent.
create index workflow_instance_parent_ix on conclave.workflow_instance (tenant, parent_id) where parent_id is not null;
