GRANT USAGE ON SCHEMA public TO holdfast_service;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO holdfast_service;
GRANT INSERT ON models, version_counters, versions, version_entries, version_numbers, version_texts, version_indexes,
  events, event_nodes, verdicts, approvals, policies, rehearsals, signatures, stages, lineage, rollouts, tallies, truths,
  replicas, webhooks, runs, run_params, run_points, run_metrics, run_tags, run_inputs TO holdfast_service;
GRANT UPDATE ON version_counters, stages, tallies, replicas, webhooks, runs, run_metrics, run_tags TO holdfast_service;
GRANT DELETE ON tallies, replicas, webhooks TO holdfast_service;
GRANT USAGE ON SEQUENCE run_points_id_seq, truths_index_seq TO holdfast_service;
