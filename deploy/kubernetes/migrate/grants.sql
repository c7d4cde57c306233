GRANT USAGE ON SCHEMA public TO holdfast_service;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO holdfast_service;
GRANT INSERT ON models, version_counters, versions, version_entries, version_numbers, version_texts, version_indexes,
  events, event_nodes, verdicts, approvals, policies, rehearsals, signatures, stages, lineage, rollouts, tallies, truths,
  replicas, webhooks, runs, run_params, run_points, run_metrics, run_tags, run_inputs,
  experiments, experiment_tags, datasets, run_datasets, run_models, logged_models,
  logged_model_params, logged_model_tags, logged_model_points, run_files, waiting_files, frozen_files, file_uploads,
  file_parts, registered_models, registered_model_tags, registered_versions, registered_version_tags, aliases, hooks, traces,
  trace_tags TO holdfast_service;
GRANT UPDATE ON version_counters, stages, tallies, replicas, webhooks, runs, run_metrics, run_tags, experiments,
  experiment_tags, logged_models, logged_model_params, logged_model_tags, run_datasets, run_models, run_files,
  waiting_files, file_uploads, file_parts, registered_models, registered_model_tags, registered_versions,
  registered_version_tags, aliases, hooks, traces, trace_tags TO holdfast_service;
GRANT UPDATE (created_ms) ON frozen_files TO holdfast_service;
GRANT DELETE ON tallies, replicas, webhooks, run_tags, experiment_tags, logged_model_tags, run_files, waiting_files,
  file_uploads, file_parts, registered_model_tags, registered_version_tags, aliases, hooks, traces,
  trace_tags TO holdfast_service;
GRANT USAGE ON SEQUENCE run_points_id_seq, truths_index_seq, experiments_id_seq, logged_model_points_id_seq TO holdfast_service;
