-- Indexes of lists name another collation, so that nothing but lists uses them (docs/decisions/0007): on tables that nobody has analyzed, rows that are asked for by their key were
-- looked for in them, through everything that the tenant has.

drop index conclave.agent_turn_list_ix;
create index agent_turn_list_ix on conclave.agent_turn (tenant collate "C", agent_id, started_at desc, id);

drop index conclave.agent_conversation_list_ix;
create index agent_conversation_list_ix on conclave.agent_conversation (tenant collate "C", agent_id, updated_at desc, id);

drop index conclave.tool_run_list_ix;
create index tool_run_list_ix on conclave.tool_run (tenant collate "C", created_at desc, id);

drop index conclave.tool_run_tool_ix;
create index tool_run_tool_ix on conclave.tool_run (tenant collate "C", tool, created_at desc, id);

drop index conclave.tool_run_agent_ix;
create index tool_run_agent_ix on conclave.tool_run (tenant collate "C", agent_id, created_at desc, id);
