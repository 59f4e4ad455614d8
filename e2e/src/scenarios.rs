//! The scenarios, in the order in which they are played: the last ones stop and kill processes
//! and look at what all of them left behind.

mod access;
mod backup;
mod bad_input;
mod bad_json;
mod canary;
mod crash;
mod discovered;
mod disk;
mod fuzz;
mod leaving;
mod neighbours;
mod replays;
mod roles;
mod rolling;
mod rpc_access;
mod secrecy;
mod strangers;
mod trace;
mod walk;
mod wire;

use crate::run::Scenario;

macro_rules! scenarios {
    ($($module:ident :: $name:ident,)*) => {
        /// All of them.
        pub(crate) const ALL: &[Scenario] = &[$(
            Scenario {
                name: concat!(stringify!($module), "::", stringify!($name)),
                play: |world| Box::pin($module::$name(world)),
            },
        )*];
    };
}

scenarios! {
    walk::from_login_to_an_acknowledged_alert,
    walk::r_17_who_left_answers_what_is_assigned_or_nothing,
    access::every_route_has_a_rule,
    access::r_15_every_route_with_every_role_and_every_object,
    access::r_15_no_filter_shows_what_is_not_the_callers,
    access::r_20_sponsors_and_administrators_never_write_subject_data,
    access::r_34_names_are_shown_to_those_who_may_know_them,
    rpc_access::every_method_has_a_rule,
    rpc_access::r_15_past_the_gateway_the_same_rules_hold,
    roles::r_16_a_role_that_is_taken_away_is_gone_at_the_next_request_to_identity,
    roles::r_06_logins_and_role_changes_are_in_the_trail,
    bad_json::what_is_no_json_is_refused_and_stores_nothing,
    bad_input::all_violations_are_told_at_once,
    bad_input::bodies_that_are_too_large_are_refused_however_they_come,
    bad_input::a_refused_body_spoils_nobody_elses_request,
    bad_input::methods_paths_and_media_types_that_are_none,
    bad_input::queries_that_cannot_be_read,
    bad_input::headers_that_cannot_be_read,
    wire::what_is_no_http_ends_the_connection_and_nothing_else,
    trace::the_clients_trace_id_is_in_every_log_on_the_way,
    replays::r_30_a_hundred_posts_of_one_response_store_it_once,
    replays::r_30_another_content_under_a_stored_id_is_refused_and_recorded,
    backup::r_02_a_changed_trail_is_found,
    leaving::work_ends_when_the_client_leaves_in_the_middle_of_its_body,
    leaving::work_below_ends_when_the_client_leaves,
    canary::r_34_no_personal_field_leaks_from_any_route,
    neighbours::a_neighbour_that_is_down_is_told_and_nothing_is_stored,
    neighbours::a_neighbour_that_stands_still_is_answered_for_by_the_deadline,
    neighbours::what_does_not_need_a_dead_service_goes_on,
    discovered::through_etcd_instances_come_and_go_and_no_call_fails,
    discovered::through_kubernetes_instances_come_and_go_and_no_call_fails,
    discovered::how_a_neighbour_is_called_follows_the_file_of_a_running_process,
    rolling::a_retrying_client_loses_nothing_while_each_process_is_restarted,
    crash::r_01_what_was_acknowledged_before_a_kill_is_there_exactly_once,
    disk::r_01_a_full_disk_is_told_and_nothing_is_lost,
    backup::r_35_a_backup_taken_while_writing_comes_back_whole,
    fuzz::an_independent_fuzzer_finds_no_contradiction,
    secrecy::r_34_nothing_personal_is_written_down_in_the_clear,
}
