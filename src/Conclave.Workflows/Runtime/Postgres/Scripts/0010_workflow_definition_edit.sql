-- Who saved a version last, from which opened editor, and with which designer: lists and saves need it without reading contents.
alter table conclave.workflow_definition
    add column tool_version text,
    add column updated_by   text,
    add column edit_session text;

-- Lists of the newest and the published versions read no rows of old ones, however many there are.
create index workflow_definition_list_ix on conclave.workflow_definition (tenant, lower(name), definition_id) where is_latest or is_published;
drop index conclave.workflow_definition_name_ix;
