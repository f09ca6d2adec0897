-- Pages of all versions of all workflows. The other collation keeps the index to lists, see 0003.
create index workflow_definition_versions_ix on conclave.workflow_definition (tenant collate "C", lower(name), definition_id, version desc);
